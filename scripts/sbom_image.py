"""Makes `sbom/lnm-runner-<platform>.spdx.json`: what is in an image of the runner, and in which of its layers.

SPDX 2.3: the image is a package that is a container (clause 7.24), known by the digest of its manifest; it contains a package for
each one of Debian, for each wheel, and one for the migrations, whose files were analysed (7.8). What a package of Debian is comes
from base.json, what a wheel is from the inventory of the index. What a base image of somebody else brought has no digest that
anybody recorded: there the digest is that of the base image's package, which contains it and which the image descends from.
Package URLs: purl-spec, type oci. No layer is opened here: scripts/verify/sbom_images.py holds document and layers together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from scripts import canonical, checksums, files, oci, sbom, sbom_files, wheels_layer
from scripts.errors import InputError

if TYPE_CHECKING:
    from spdx_tools.spdx.model import ExtractedLicensingInfo, Relationship

NAME, MIGRATIONS = "lnm-runner", "lnm-migrations"
ROOT_ID, BASE_ID, MIGRATIONS_ID = (f"SPDXRef-Package-{name}" for name in ("image", "base-image", MIGRATIONS))
TEXTS = ("architecture", "copyright", "filename", "licence", "name", "purl", "sha256", "source", "supplier", "version")
ALWAYS = ("name", "purl", "version")
RECORDED = ("filename", "sha256")  # of each package of a base that we made
OUR_LAYERS = 2  # above those of the base: wheels, migrations
DEBIANS = "/usr/bin"  # where an interpreter is that Debian packaged
MAIL = re.compile(r"\s*<[^<>]*>")
OWN_TEXT = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
DIGEST = (
    "The SHA-256 of this package is over a line for each of its files: sha256, two spaces, name, LF, in byte order of the names. "
    "Again, in the folder of the migrations: "
    "find . -type f | cut -c 3- | LC_ALL=C sort | xargs sha256sum | sha256sum"
)


@dataclass(frozen=True)
class Layers:
    """The digests of an image's layers, by what is in them."""

    base: tuple[str, ...]
    wheels: str
    migrations: str

    def comment(self) -> str:
        """All of them in their order, in words."""
        held = [*((digest, "base") for digest in self.base), (self.wheels, "wheels"), (self.migrations, "migrations")]
        return "Layers, first to last: " + "; ".join(f"{digest} ({what})" for digest, what in held)


def name_of(platform: str) -> str:
    """The image of a platform, as its folder and its document are called."""
    return f"{NAME}-{platform}"


def read_image(index: Path) -> tuple[str, Layers]:
    """The digest of the one image of a layout, and its layers.

    Raises: InputError, ChecksumError, MissingError.
    """
    layout = index.parent
    listed = oci.read_index(layout)
    if len(listed) != 1:
        raise InputError(f"{layout.name}/{oci.INDEX_FILE}: found {len(listed)} images, wanted 1", hint=oci.AGAIN)
    found = oci.read_document(layout, listed[0]).get("layers")
    digests = [str(item.get("digest")) for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    if len(digests) <= OUR_LAYERS:
        words = f"found {len(digests)} layers, wanted those of a base and then wheels and migrations"
        raise InputError(f"{layout.name}: {words}", hint=oci.AGAIN)
    return str(listed[0]["digest"]), Layers(tuple(digests[:-OUR_LAYERS]), *digests[-OUR_LAYERS:])


def read_base(path: Path, platform: str) -> dict[str, Any]:
    """What is known of the base.

    Raises: InputError naming each package of which something is missing, or where the base is for another platform.
    """
    found = canonical.read(files.read_bytes(path), path.name)
    base: dict[str, Any] = found if isinstance(found, dict) else {}
    hint = f"rm {path}, then doit bundle"
    texts = [name for name in ("architecture", "interpreter", "python") if not isinstance(base.get(name), str)]
    packages = base.get("packages")
    if texts or not isinstance(packages, list) or not packages:
        raise InputError(f"{path.name}: no list of packages, or no {', '.join(texts) or 'package in it'}", hint=hint)
    if platform != f"linux-{base['architecture']}":
        raise InputError(f"{path.name}: found a base for {base['architecture']}, wanted one for {platform}", hint=hint)
    needed = ALWAYS if is_foreign(base) else (*ALWAYS, *RECORDED)
    bad = [f"{said(item)} ({', '.join(wrong)})" for item in packages if (wrong := wrong_fields(item, needed))]
    if bad:
        raise InputError(f"{path.name}: missing, or not what they must be: {'; '.join(bad)}", hint=hint)
    return base


def said(item: Any) -> str:
    """How a package of the base is called in a message."""
    return str(item.get("name", "?")) if isinstance(item, dict) else "?"


def is_foreign(base: Mapping[str, Any]) -> bool:
    """True for a base that is an image of somebody else."""
    return bool(base.get("image"))


def wrong_fields(item: Any, needed: tuple[str, ...]) -> list[str]:
    """The fields of a package that are missing or not of their form; `needed` may not be empty."""
    fields: dict[str, Any] = item if isinstance(item, dict) else {}
    depends = fields.get("depends")
    wrong = [name for name in TEXTS if not isinstance(fields.get(name), str) or (name in needed and not fields[name])]
    names = isinstance(depends, list) and all(isinstance(name, str) for name in depends)
    return wrong if names else [*wrong, "depends"]


def type_of(item: Mapping[str, Any]) -> str:
    """The type of a package URL: deb, pypi."""
    return str(item["purl"].removeprefix("pkg:").partition("/")[0])


def id_of(item: Mapping[str, Any]) -> str:
    """A package's id, which may hold no `+` as its name may."""
    unique = hashlib.sha256(item["purl"].encode()).hexdigest()[:12]
    return f"SPDXRef-Package-{type_of(item)}-{re.sub(r'[^A-Za-z0-9.-]', '-', item['name'])}-{unique}"


def normal(item: Mapping[str, Any]) -> str:
    """A package's name as its package URL has it, which for Python is the normalised one (PyPA, «Names and normalization»)."""
    name = str(item["name"])
    return re.sub(r"[-_.]+", "-", name).lower() if type_of(item) == "pypi" else name


def base_component(item: Mapping[str, Any], layers: Layers, left_out: list[str]) -> sbom.Component:
    """A package of the base."""
    where = f"In {'layer' if len(layers.base) == 1 else 'one of the layers'} {', '.join(layers.base)}."
    without = f" It depends on these too, which are left out of the image: {', '.join(left_out)}." if left_out else ""
    return sbom.Component(
        spdx_id=id_of(item),
        name=normal(item),
        version=item["version"],
        supplier=MAIL.sub("", item["supplier"]),
        licence=item["licence"],
        sha256=item["sha256"],
        filename=item["filename"],
        purl=item["purl"],
        copyright=item["copyright"],
        comment=where + without,
    )


def edges_of(packages: list[dict[str, Any]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """`{id: ids it depends on}` among the packages of the base, and `{id: names that are not in the image}`."""
    ids = {(type_of(item), item["name"]): id_of(item) for item in packages}
    inside = {id_of(item): [ids[key] for name in item["depends"] if (key := (type_of(item), name)) in ids] for item in packages}
    outside = {id_of(item): [name for name in item["depends"] if (type_of(item), name) not in ids] for item in packages}
    return inside, outside


def known_dependencies(packages: list[dict[str, Any]], inside: Mapping[str, list[str]]) -> Iterator[Relationship]:
    """The edges of the base's packages; of what is Python in a base nobody says whether it depends on nothing."""
    from spdx_tools.spdx.model import SpdxNoAssertion

    unsaid = {id_of(item) for item in packages if type_of(item) != "deb" and not item["depends"]}
    yield from sbom.dependencies({source: targets for source, targets in inside.items() if source not in unsaid})
    for source in sorted(unsaid):
        yield sbom.relationship(source, "DEPENDS_ON", SpdxNoAssertion())


def relocked(base: Mapping[str, Any]) -> str:
    """A sentence where the mirror had other versions than the lock."""
    told = [
        f"{item['package']} {item['taken'] or '(none)'} for {item['locked'] or '(none)'}" for item in base.get("relocked", [])
    ]
    return f" Not what requirements/debian.lock has: {', '.join(told)}." if told else ""


def interpreters(base: Mapping[str, Any]) -> list[str]:
    """The ids of what wheels are run by: Debian's packages of the interpreter and its library, else the base image as a whole.

    Raises: InputError where there is neither.
    """
    folder, _, program = base["interpreter"].rpartition("/")
    wanted = {program, f"{program}-minimal", f"lib{program}-stdlib"} if folder == DEBIANS else set()
    found = [id_of(item) for item in base["packages"] if type_of(item) == "deb" and item["name"] in wanted]
    if not found and not is_foreign(base):
        raise InputError(f"base.json: no package of {base['interpreter']}", hint=f"wanted one of {', '.join(sorted(wanted))}")
    return found or [BASE_ID]


def all_of(licences: Iterable[str]) -> str:
    """The licence of what is made of parts: that of each; unknown where that of a part is."""
    found = sorted(set(licences))
    return "NOASSERTION" if {"", "NOASSERTION"} & set(found) else " AND ".join(f"({licence})" for licence in found)


def image_component(platform: str, version: str, digest: str, licence: str, layers: str) -> sbom.Component:
    """The image itself; `layers` are words on them."""
    return sbom.Component(
        spdx_id=ROOT_ID,
        name=NAME,
        version=version,
        supplier=sbom.AUTHOR,
        licence=licence,
        sha256=digest.removeprefix("sha256:"),
        filename=f"images/{name_of(platform)}",
        purl=oci.purl(NAME, digest, platform.removeprefix("linux-")),
        comment=f"The SHA-256 is that of the image's manifest. {layers}",
    )


def base_image(base: Mapping[str, Any], layers: Layers) -> sbom.Component:
    """The image of somebody else that ours descends from, of which nothing but its digest is known."""
    return sbom.Component(
        spdx_id=BASE_ID,
        name="base-image",
        version=base["image"],
        supplier="",
        licence="NOASSERTION",
        sha256=base["image"].removeprefix("sha256:"),
        purl=oci.purl("base-image", base["image"], base["architecture"]),
        comment=f"The SHA-256 is that of the image's manifest. Layers: {', '.join(layers.base)}.",
    )


def migrations_component(version: str, sums: Mapping[str, str], layers: Layers) -> sbom.Component:
    """The migrations, as one package of files."""
    return sbom.Component(
        spdx_id=MIGRATIONS_ID,
        name=MIGRATIONS,
        version=version,
        supplier=sbom.AUTHOR,
        licence=sbom.OUR_LICENCE,
        sha256=hashlib.sha256(checksums.render(sums)).hexdigest(),
        purl=f"pkg:generic/{MIGRATIONS}@{version}",
        copyright="NONE",
        comment=f"In layer {layers.migrations}. {DIGEST}",
    )


def own_texts(components: list[sbom.Component]) -> list[ExtractedLicensingInfo]:
    """SPDX 2.3, clause 10: the licences that are not on SPDX's list, and where their text is."""
    from spdx_tools.spdx.model import ExtractedLicensingInfo

    held: dict[str, list[str]] = {}
    for item in components:
        is_debian = item.purl.startswith("pkg:deb/")
        for identifier in OWN_TEXT.findall(item.licence):
            held.setdefault(identifier, []).append(f"/usr/share/doc/{item.name}/copyright" if is_debian else f"with {item.name}")
    return [
        ExtractedLicensingInfo(
            identifier,
            f"The text is in the image: {', '.join(sorted(set(places)))}",
            identifier.removeprefix("LicenseRef-"),
        )
        for identifier, places in sorted(held.items())
    ]


def write(
    out: BinaryIO,
    *,
    image: Path,
    base: Path,
    wheels: tuple[Path, ...],
    migrations: tuple[Path, ...],
    inventory: Path,
    migrations_base: Path,
    platform: str,
    version: str,
    epoch: int,
) -> None:
    """Writes the document of the image whose layout has the index `image`; `migrations` are named by their path below their base.

    `wheels` is the whole wheelhouse, of which those are in the image that fit the Python of the base.

    Raises: InputError where base.json, wheels and image are not of their form; ChecksumError where a blob is another one.
    """
    from spdx_tools.spdx.model import PackagePurpose, SpdxNoAssertion

    digest, layers = read_image(image)
    described = read_base(base, platform)
    packed, wheel_edges = sbom_files.wheels_of(wheels_layer.chosen(wheels, wheels_layer.interpreter(base)), inventory)
    installed = [
        dataclasses.replace(item, comment=f"Installed from this wheel into layer {layers.wheels}.") for item in packed.values()
    ]
    sums = sbom_files.digests_of(sorted(migrations))
    named = {path: path.relative_to(migrations_base).as_posix() for path in sums}
    entries = [sbom_files.file_entry(path, name, None, sums[path]) for path, name in named.items()]
    listed: list[dict[str, Any]] = described["packages"]
    base_edges, left_out = edges_of(listed)
    based = [base_component(item, layers, left_out[id_of(item)]) for item in listed]
    below = [base_image(described, layers)] if is_foreign(described) else []
    moved = migrations_component(version, {name: sums[path][1] for path, name in named.items()}, layers)
    held = [*based, *installed, moved]
    words = f"{layers.comment()}.{relocked(described)}"
    root = image_component(platform, version, digest, all_of(item.licence for item in held), words)
    run_by = interpreters(described)
    runner = [item.spdx_id for item in installed if item.name == sbom_files.RUNNER]

    edges = [sbom.relationship("SPDXRef-DOCUMENT", "DESCRIBES", root.spdx_id)]
    edges += [sbom.relationship(root.spdx_id, "CONTAINS", item.spdx_id) for item in held]
    edges += [sbom.relationship(moved.spdx_id, "CONTAINS", entry.spdx_id) for entry in entries]
    edges += [sbom.relationship(root.spdx_id, "DESCENDANT_OF", item.spdx_id) for item in below]
    edges += [sbom.relationship(item.spdx_id, "CONTAINS", other.spdx_id) for item in below for other in based]
    edges += known_dependencies(listed, base_edges)
    edges += sbom.dependencies({source: [*targets, *run_by] for source, targets in wheel_edges.items()})
    edges += sbom.dependencies({moved.spdx_id: runner, **{item.spdx_id: () for item in below}})

    sources = {id_of(item): item["source"] for item in listed if item["source"]}
    packages = [
        sbom.package(root, primary_package_purpose=PackagePurpose.CONTAINER),
        *(sbom.package(item, primary_package_purpose=PackagePurpose.CONTAINER) for item in below),
        sbom.package(
            moved,
            files_analyzed=True,
            verification_code=sbom_files.verification_code(entries),
            license_info_from_files=[SpdxNoAssertion()],
        ),
        *(sbom.package(item, source_info=source_info(sources.get(item.spdx_id, ""))) for item in based),
        *map(sbom.package, installed),
    ]
    name = name_of(platform)
    identity = "\n".join([version, str(epoch), digest, *(files.sha256_of(path) for path in (base, inventory))])
    document = sbom.document(name, epoch, identity, packages, edges)
    document.files = sorted(entries, key=lambda entry: entry.name)
    document.extracted_licensing_info = own_texts(based)
    out.write(sbom.render(document, f"{name}.spdx.json"))


def source_info(source: str) -> str | None:
    """SPDX 2.3, 7.11: the source package that one of Debian was built from."""
    return f"built from Debian's source package {source}" if source else None
