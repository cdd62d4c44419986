"""scripts/sbom_image.py: the SBOM of an image, on a small invented one and on the real one; and the gate for both."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scripts import oci, sbom, sbom_gate, sbom_image, sbom_kit, sbom_tooling
from scripts.errors import ChecksumError, InputError, KitError, MissingError
from tests import small_image
from tests.build.trees import BIN
from tests.conftest import ROOT, VERSION
from tests.small_image import DEBIAN, EPOCH, FOREIGN, PLATFORM, WHEELS, Small

LOCK, INVENTORY = ROOT / "requirements/build.txt", ROOT / "requirements/packages.json"
NAME = "sbom/lnm-runner-linux-amd64.spdx.json"
PLATFORMS = ("linux-amd64", "linux-arm64")


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return small_image.make(tmp_path)


@pytest.fixture
def foreign(tmp_path: Path) -> Small:
    return small_image.make(tmp_path, foreign=True)


def document(small: Small) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(small.sbom())
    return found


def package(found: dict[str, Any], name: str, kind: str = "") -> dict[str, Any]:
    """The one package of that name, and of that type of package URL where one is given."""
    named = [item for item in found["packages"] if item["name"] == name]
    (one,) = [item for item in named if item["externalRefs"][0]["referenceLocator"].startswith(f"pkg:{kind}")]
    return dict(one)


def edges(found: dict[str, Any], kind: str) -> set[tuple[str, str]]:
    """The edges of a type, by the names of packages and files."""
    names = {item["SPDXID"]: item["name"] for item in found["packages"]}
    names |= {item["SPDXID"]: item["fileName"] for item in found["files"]} | {"SPDXRef-DOCUMENT": "document", "NONE": "NONE"}
    names |= {sbom_image.ROOT_ID: "image", "NOASSERTION": "NOASSERTION"}
    listed = [edge for edge in found["relationships"] if edge["relationshipType"] == kind]
    return {(names[edge["spdxElementId"]], names[edge["relatedSpdxElement"]]) for edge in listed}


# ---- what a document says


@pytest.mark.parametrize("is_foreign", [False, True], ids=["own base", "foreign base"])
def test_spdx_tools_accepts_the_document(tmp_path: Path, is_foreign: bool) -> None:
    (tmp_path / "x.spdx.json").write_bytes(small_image.make(tmp_path, foreign=is_foreign).sbom())
    assert validate_full_spdx_document(parse_file(str(tmp_path / "x.spdx.json"))) == []


def test_the_described_package_is_the_image_by_the_digest_of_its_manifest(small: Small) -> None:
    found = document(small)
    root = package(found, "lnm-runner", "oci")
    digest = oci.read_index(small.image)[0]["digest"]
    assert edges(found, "DESCRIBES") == {("document", "image")}
    assert f"sha256:{root['checksums'][0]['checksumValue']}" == digest
    assert (root["versionInfo"], root["primaryPackagePurpose"], root["filesAnalyzed"]) == (VERSION, "CONTAINER", False)
    url = PackageURL.from_string(root["externalRefs"][0]["referenceLocator"])
    assert (url.type, url.name, url.version, url.qualifiers) == ("oci", "lnm-runner", digest, {"arch": "amd64"})


def test_it_contains_each_part_and_nothing_that_was_not_analysed_contains_files(small: Small) -> None:
    found = document(small)
    parts = {name for name, *_ in (*DEBIAN, *WHEELS)} | {"lnm-migrations"}
    files = {("lnm-migrations", "./21-101/README.md"), ("lnm-migrations", "./21-101/migration.py")}
    assert edges(found, "CONTAINS") == {("image", name) for name in parts} | files
    assert [item["name"] for item in found["packages"] if item.get("filesAnalyzed", True)] == ["lnm-migrations"]


def test_a_package_of_debian_says_what_the_base_says_of_it(small: Small) -> None:
    found = package(document(small), "libstdc++6")
    (told,) = [item for item in small_image.described()["packages"] if item["name"] == "libstdc++6"]
    assert (found["versionInfo"], found["copyrightText"]) == (told["version"], told["copyright"])
    assert (found["checksums"][0]["checksumValue"], found["packageFileName"]) == (told["sha256"], told["filename"])
    assert found["licenseConcluded"] == found["licenseDeclared"] == told["licence"]
    assert found["supplier"] == "Organization: Debian gcc-12 Maintainers"
    assert found["sourceInfo"] == "built from Debian's source package gcc-12"
    assert found["externalRefs"][0]["referenceLocator"] == told["purl"]


def test_what_depends_on_what_and_what_runs_the_wheels(small: Small) -> None:
    assert edges(document(small), "DEPENDS_ON") == {
        ("libc6", "libgcc-s1"),
        ("libgcc-s1", "libc6"),
        ("libstdc++6", "libc6"),
        ("libstdc++6", "libgcc-s1"),
        ("netbase", "NONE"),
        ("python3.11-minimal", "libc6"),
        ("lnm-runner", "pymongo"),
        ("pymongo", "dnspython"),
        *((name, "python3.11-minimal") for name, *_ in WHEELS),
        ("lnm-migrations", "lnm-runner"),
    }


def test_a_dependency_that_was_left_out_is_said(small: Small) -> None:
    comment = package(document(small), "python3.11-minimal")["comment"]
    assert comment.endswith("It depends on these too, which are left out of the image: mime-support.")


def test_a_reader_can_tell_which_layer_holds_what(small: Small) -> None:
    found = document(small)
    layers = [item["digest"] for item in oci.read_document(small.image, oci.read_index(small.image)[0])["layers"]]
    words = zip(layers, ("base", "wheels", "migrations"), strict=True)
    said = package(found, "lnm-runner", "oci")["comment"]
    assert f"Layers, first to last: {'; '.join(f'{digest} ({what})' for digest, what in words)}." in said
    for name, digest in (("netbase", layers[0]), ("pymongo", layers[1]), ("lnm-migrations", layers[2])):
        assert digest in package(found, name)["comment"]
        assert sum(other in package(found, name)["comment"] for other in layers) == 1


def test_the_migrations_digest_is_what_the_command_in_its_comment_says(small: Small) -> None:
    (small.kit / "migrations/21-101/a").mkdir()
    (small.kit / "migrations/21-101/a/b.js").write_text("1")
    found = package(document(small), "lnm-migrations")
    command = found["comment"].partition(" Again, in the folder of the migrations: ")[2]
    said = subprocess.run(["sh", "-c", command], cwd=small.kit / "migrations", capture_output=True, text=True, check=True)
    assert said.stdout == f"{found['checksums'][0]['checksumValue']}  -\n"


def test_a_licence_with_a_text_of_its_own_says_where_that_is(small: Small) -> None:
    assert document(small)["hasExtractedLicensingInfos"] == [
        {
            "extractedText": "The text is in the image: /usr/share/doc/libc6/copyright",
            "licenseId": "LicenseRef-glibc",
            "name": "glibc",
        }
    ]


def test_the_images_licence_is_that_of_every_part(foreign: Small) -> None:
    assert sbom_image.all_of(["MIT", "A OR B", "MIT"]) == "(A OR B) AND (MIT)"
    assert sbom_image.all_of(["MIT", "NOASSERTION"]) == sbom_image.all_of(["MIT", ""]) == "NOASSERTION"
    assert package(document(foreign), "lnm-runner", "oci")["licenseConcluded"] == "NOASSERTION"


def test_a_foreign_base_is_a_package_that_the_image_descends_from(foreign: Small) -> None:
    found = document(foreign)
    base = package(found, "base-image")
    assert base["checksums"] == [{"algorithm": "SHA256", "checksumValue": FOREIGN.removeprefix("sha256:")}]
    assert PackageURL.from_string(base["externalRefs"][0]["referenceLocator"]).version == FOREIGN
    assert edges(found, "DESCENDANT_OF") == {("image", "base-image")}
    assert {("base-image", name) for name, *_ in DEBIAN} <= edges(found, "CONTAINS")
    libc6 = package(found, "libc6")
    assert "checksums" not in libc6
    assert (libc6["licenseConcluded"], libc6["copyrightText"]) == ("NOASSERTION", "NOASSERTION")


def test_that_python_in_a_base_depends_on_nothing_is_not_said_where_it_is_not_known(foreign: Small) -> None:
    found = {edge for edge in edges(document(foreign), "DEPENDS_ON") if edge[1] in {"NONE", "NOASSERTION"}}
    assert found == {("pyyaml", "NOASSERTION"), ("netbase", "NONE"), ("base-image", "NONE")}


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(packages=[item for item in told["packages"] if not item["name"].startswith("python")]),
        lambda told: told.update(interpreter="/usr/local/bin/python3.11"),
    ],
    ids=["not in it", "beside another one"],
)
def test_wheels_run_by_a_python_that_debian_did_not_package_depend_on_the_base_image(
    foreign: Small, change: Callable[[dict[str, Any]], object]
) -> None:
    rewrite(foreign.base, change)
    found = edges(document(foreign), "DEPENDS_ON")
    assert ("pymongo", "base-image") in found
    assert ("pymongo", "python3.11-minimal") not in found


def test_what_the_mirror_had_instead_of_the_lock_is_said(small: Small) -> None:
    told = {"architecture": "amd64", "locked": "6.3", "package": "netbase", "taken": "6.4"}
    rewrite(small.base, lambda found: found.update(relocked=[told, {**told, "package": "new", "locked": ""}]))
    said = package(document(small), "lnm-runner", "oci")["comment"]
    assert said.endswith(" Not what requirements/debian.lock has: netbase 6.4 for 6.3, new 6.4 for (none).")


# ---- determinism


def test_it_is_the_same_for_any_order_of_its_files_and_any_place(small: Small, tmp_path: Path) -> None:
    assert small.sbom() == small.sbom(wheels=small.wheels[::-1], migrations=small.migrations[::-1])
    assert small.sbom() == small_image.make(tmp_path / "other").sbom()
    told = small_image.described()
    namespace = document(small)["documentNamespace"]
    small.base.write_text(json.dumps({**told, "packages": told["packages"][::-1]}))
    small_image.make(tmp_path / "third")
    assert {**document(small), "documentNamespace": namespace} == json.loads(small_image.make(tmp_path / "third").sbom())


def test_another_content_has_another_namespace_and_the_only_time_is_the_epoch(small: Small) -> None:
    before = document(small)
    assert before["creationInfo"]["created"] == "2025-12-01T00:00:00Z"
    other = json.loads(small.sbom(epoch=EPOCH + 1))
    small_image.lay_out(small.image, (small_image.base_entries(), {}, {}))
    assert len({item["documentNamespace"] for item in (before, other, document(small))}) == 3


# ---- what the step refuses


@dataclasses.dataclass(frozen=True)
class Lie:
    name: str
    tell: Callable[[Small], object]
    error: type[KitError]
    words: str


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    found = json.loads(path.read_bytes())
    change(found)
    path.write_text(json.dumps(found))


def of_base(change: Callable[[Any], object]) -> Callable[[Small], object]:
    return lambda small: rewrite(small.base, change)


def spoil_manifest(small: Small) -> None:
    path = oci.blob(small.image, oci.read_index(small.image)[0]["digest"])
    path.write_bytes(path.read_bytes() + b" ")


REFUSED = (
    Lie("no json", lambda small: small.base.write_text("x"), InputError, "base.json: not JSON"),
    Lie("no packages", of_base(lambda found: found.update(packages=[])), InputError, "base.json: no list of packages"),
    Lie("no list", lambda small: small.base.write_text("[]"), InputError, "base.json: no list of packages"),
    Lie("another platform", of_base(lambda found: found.update(architecture="arm64")), InputError, "wanted one for linux-amd64"),
    Lie("no digest", of_base(lambda found: found["packages"][0].update(sha256="")), InputError, "libc6 (sha256)"),
    Lie("no version", of_base(lambda found: found["packages"][1].pop("version")), InputError, "libgcc-s1 (version)"),
    Lie("odd depends", of_base(lambda found: found["packages"][1].update(depends="libc6")), InputError, "libgcc-s1 (depends)"),
    Lie("no package", of_base(lambda found: found["packages"].append(1)), InputError, "? ("),
    Lie("no interpreter", of_base(lambda found: found["packages"].pop()), InputError, "no package of /usr/bin/python3.11"),
    Lie("an invented licence", of_base(lambda found: found["packages"][0].update(licence="Expat2")), InputError, "Expat2"),
    Lie(
        "a package twice", of_base(lambda found: found["packages"].append(found["packages"][0])), InputError, "not valid SPDX 2.3"
    ),
    Lie(
        "two layers",
        lambda small: small_image.lay_out(small.image, (small_image.base_entries(), {})),
        InputError,
        "found 2 layers, wanted those of a base and then wheels and migrations",
    ),
    Lie(
        "no image",
        lambda small: (small.image / oci.INDEX_FILE).write_bytes(oci.index([])),
        InputError,
        "found 0 images, wanted 1",
    ),
    Lie("no index", lambda small: (small.image / oci.INDEX_FILE).unlink(), MissingError, "no such file"),
    Lie("another manifest", spoil_manifest, ChecksumError, "is not the blob that its descriptor tells"),
    Lie(
        "a wheel that nobody knows",
        lambda small: rewrite(small.inventory, lambda found: found["pymongo"].update(version="4.0")),
        InputError,
        "packages.json: other versions than the wheels of the kit: pymongo",
    ),
)


@pytest.mark.parametrize("lie", REFUSED, ids=[lie.name for lie in REFUSED])
def test_what_is_not_of_its_form_is_refused(small: Small, lie: Lie) -> None:
    lie.tell(small)
    with pytest.raises(lie.error) as caught:
        small.sbom()
    assert lie.words in caught.value.message
    assert caught.value.hint


# ---- the gate, and the kit's own document


@pytest.fixture
def payload(small: Small) -> Small:
    """A small kit with the documents of tooling, image and kit."""
    for name, data in ((NAME, small.sbom()), (sbom_gate.TOOLING, tooling())):
        (small.kit / name).parent.mkdir(exist_ok=True)
        (small.kit / name).write_bytes(data)
    (small.kit / sbom_gate.KIT).write_bytes(of_kit(small))
    return small


def tooling() -> bytes:
    out = io.BytesIO()
    sbom_tooling.write(out, lock=LOCK, inventory=INVENTORY, version=VERSION, epoch=EPOCH)
    return out.getvalue()


def tree(small: Small) -> tuple[Path, ...]:
    """The payload as a table has it: of the layout its index alone."""
    inside = [path for path in small.kit.rglob("*") if path.is_file() and not path.is_relative_to(small.image)]
    return tuple(sorted([*inside, small.image / oci.INDEX_FILE]))


def of_kit(small: Small) -> bytes:
    out = io.BytesIO()
    less = tuple(path for path in tree(small) if not path.match(sbom_gate.KIT))
    arguments: dict[str, Any] = {"inventory": small.inventory, "kit_name": f"x-{VERSION}", "version": VERSION, "epoch": EPOCH}
    sbom_kit.write(out, tree=less, base=small.kit, **arguments)
    return out.getvalue()


def passes(small: Small) -> str:
    out = io.BytesIO()
    sbom_gate.write(out, tree=tree(small), lock=LOCK, base=small.kit)
    return out.getvalue().decode()


def test_the_gate_lists_every_file_of_a_layout(payload: Small) -> None:
    listed = {line.partition("  ")[2] for line in passes(payload).splitlines()}
    assert listed == {path.relative_to(payload.kit).as_posix() for path in payload.kit.rglob("*") if path.is_file()}
    assert sum("/blobs/sha256/" in name for name in listed) == 5


def test_the_kits_document_has_the_blobs_and_says_where_their_licences_are(payload: Small) -> None:
    manifest = oci.read_index(payload.image)[0]
    layers = {item["digest"][7:] for item in oci.read_document(payload.image, manifest)["layers"]}
    blobs = {Path(item["fileName"]).name: item for item in json.loads(of_kit(payload))["files"] if "/blobs/" in item["fileName"]}
    assert len(blobs) == 5
    for name, item in blobs.items():
        if name in layers:
            assert (item["fileTypes"], item["licenseConcluded"]) == (["ARCHIVE"], "NOASSERTION")
            assert item["copyrightText"].endswith(f" stand in {NAME}")
            assert item["comment"].endswith(f": {NAME}")
        else:
            assert (item["fileTypes"], item["licenseConcluded"], item["copyrightText"]) == (["TEXT"], "Apache-2.0", "NONE")


def with_kit(change: Callable[[Small], object]) -> Callable[[Small], object]:
    """A change, and a document of the kit that knows it: what is caught then is about the image."""

    def tell(small: Small) -> None:
        change(small)
        (small.kit / sbom_gate.KIT).write_bytes(of_kit(small))

    return tell


def root_of(found: dict[str, Any]) -> Any:
    return sbom_gate.root_of(found)


GATE = (
    Lie("gone", lambda small: (small.kit / NAME).unlink(), MissingError, f"{NAME}: the payload has no such SBOM"),
    Lie("no bytes", lambda small: (small.kit / NAME).write_bytes(b""), InputError, f"{NAME}: not JSON"),
    Lie("empty", lambda small: (small.kit / NAME).write_text("{}"), InputError, f"{NAME}: 0 packages, 0 files; wanted packages"),
    Lie(
        "of another image",
        with_kit(lambda small: small_image.lay_out(small.image, (small_image.base_entries(), {}, {}))),
        ChecksumError,
        f"{NAME}: sha256 of the manifest in images/lnm-runner-linux-amd64: found ",
    ),
    Lie(
        "no digest",
        with_kit(lambda small: rewrite(small.kit / NAME, lambda found: root_of(found).pop("checksums"))),
        ChecksumError,
        f"{NAME}: sha256 of the manifest in images/lnm-runner-linux-amd64: found nothing…",
    ),
    Lie(
        "nothing described",
        with_kit(lambda small: rewrite(small.kit / NAME, lambda found: found["relationships"].clear())),
        ChecksumError,
        f"{NAME}: sha256 of the manifest in images/lnm-runner-linux-amd64: found nothing…",
    ),
    Lie(
        "of no image",
        with_kit(lambda small: (small.kit / NAME.replace("amd64", "arm64")).write_bytes(small.sbom())),
        ChecksumError,
        "sbom/lnm-runner-linux-arm64.spdx.json: no such image in the payload",
    ),
    Lie(
        "a blob that the kit's document has not",
        lambda small: (small.image / oci.BLOBS / ("0" * 64)).write_bytes(b"x"),
        ChecksumError,
        f"images/lnm-runner-linux-amd64/blobs/sha256/{'0' * 64}: found 0 times, wanted 1",
    ),
)


@pytest.mark.parametrize("lie", GATE, ids=[lie.name for lie in GATE])
def test_a_payload_with_another_sbom_of_an_image_is_refused(payload: Small, lie: Lie) -> None:
    lie.tell(payload)
    with pytest.raises(lie.error) as caught:
        passes(payload)
    assert lie.words in caught.value.message
    assert caught.value.hint


# ---- beside what syft sees

TYPES = {"deb": "deb", "python": "pypi"}
Package = tuple[str, str, str]


def theirs(layout: Path, folder: Path) -> set[Package]:
    """Packages as (type, name, version), by syft."""
    if not (BIN / "syft").is_file():
        pytest.skip("syft is not beside this python: its wheel is for Linux x86-64 alone")
    report = folder / "syft.json"
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false", "XDG_CACHE_HOME": str(folder), "HOME": str(folder)}
    command = [str(BIN / "syft"), "scan", f"oci-dir:{layout}", "--quiet", "-o", f"syft-json={report}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [(item["type"], item["name"], item["version"]) for item in json.loads(report.read_bytes())["artifacts"]]
    return {(TYPES.get(kind, kind), canonical(kind, name), version) for kind, name, version in found}


def canonical(kind: str, name: str) -> str:
    """A name as both write it."""
    return canonicalize_name(name) if kind == "python" else name


def ours(found: dict[str, Any]) -> set[Package]:
    """The same of our document, by its package URLs, less the image, its base and our own files."""
    urls = [PackageURL.from_string(item["externalRefs"][0]["referenceLocator"]) for item in found["packages"]]
    return {(url.type, url.name, url.version or "") for url in urls if url.type not in {"oci", "generic"}}


UNSEEN: dict[Package, str] = {}
"""What is in an image and syft does not see, and why; nothing, so far."""
NOT_OURS: dict[Package, str] = {}
"""What syft sees and is no package of an image, and why; nothing, so far."""


def differences(seen: set[Package], found: dict[str, Any]) -> set[Package]:
    """What one of both has alone, less what is known of."""
    return (seen ^ ours(found)) - set(UNSEEN) - set(NOT_OURS)


def test_the_comparison_with_syft_finds_what_is_missing_and_what_is_too_much(small: Small, tmp_path: Path) -> None:
    """One look of syft, 3 s, at an image in which one package is that no document knows."""
    found = document(small)
    lacking = {**found, "packages": [item for item in found["packages"] if item["name"] not in {"netbase", "dnspython"}]}
    more = small_image.wheel_entries() | {f"{small_image.SITE}/x_y-1.dist-info/METADATA": small_image.a_file("X.Y", "1")}
    small_image.lay_out(small.image, (small_image.base_entries(), more, {}))
    seen = theirs(small.image, tmp_path)
    assert len(seen) == len(DEBIAN) + len(WHEELS) + 1
    assert differences(seen, found) == {("pypi", "x-y", "1")}
    assert differences(seen, lacking) == {("pypi", "x-y", "1"), ("deb", "netbase", "6.4"), ("pypi", "dnspython", "2.9.2")}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_syft_sees_in_the_real_image_what_its_document_says(dist: Path, version: str, tmp_path: Path, platform: str) -> None:
    kit = dist / f"concelier-lnm-{version}"
    found = json.loads((kit / f"sbom/lnm-runner-{platform}.spdx.json").read_bytes())
    assert differences(theirs(kit / f"images/lnm-runner-{platform}", tmp_path), found) == set()
    types = [kind for kind, _, _ in ours(found)]
    assert types.count("deb") > 10
    assert types.count("pypi") > len(sbom.read_inventory(INVENTORY)["univers"]["requires"])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_package_of_the_real_image_is_whole(dist: Path, version: str, platform: str) -> None:
    found = json.loads((dist / f"concelier-lnm-{version}/sbom/lnm-runner-{platform}.spdx.json").read_bytes())
    for item in found["packages"]:
        assert re.match(r"Organization: .", item["supplier"]), item["name"]
        assert item["versionInfo"], item["name"]
        assert re.fullmatch(r"[0-9a-f]{64}", item["checksums"][0]["checksumValue"]), item["name"]
        assert PackageURL.from_string(item["externalRefs"][0]["referenceLocator"]).version, item["name"]


def test_the_platform_is_that_of_the_small_image() -> None:
    assert f"sbom/{sbom_image.name_of(PLATFORM)}.spdx.json" == NAME
