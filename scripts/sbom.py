"""SPDX 2.3 documents by spdx-tools, the same bytes on every machine: what the SBOMs of the kit have in common.

Authority: SPDX specification 2.3, clauses 6 (creation), 7 (package), 8 (file), 11 (relationship). Packages come from
`requirements/packages.json`, files from their bytes, the time from SOURCE_DATE_EPOCH; nothing is read from the
environment that builds. Every document is validated (scripts/spdx_rules.py) before it is written, in canonical JSON.
"""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import canonical, files, spdx_rules
from scripts.errors import InputError
from scripts.wheelhouse import WHEEL_NAME, Wheel

if TYPE_CHECKING:
    from spdx_tools.spdx.model import Document, Package, Relationship, SpdxNoAssertion, SpdxNone

INVENTORY = Path("requirements/packages.json")
NAMESPACE = "https://stella-ops.org/lnm/spdx"
AUTHOR = "StellaOps Concelier"
OUR_LICENCE = "Apache-2.0"
FIELDS = frozenset({"copyright", "file", "licence", "requires", "sha256", "supplier", "version"})


@dataclass(frozen=True)
class Component:
    """A package as an SBOM shows it."""

    spdx_id: str
    name: str
    version: str
    supplier: str
    licence: str
    """An SPDX expression, or NOASSERTION."""
    sha256: str = ""
    """Of the file named by `filename`; empty for a package that is no file."""
    filename: str = ""
    purl: str = ""
    copyright: str = ""
    """The notices; NONE where it surely has none; empty where that is not known."""
    comment: str = ""


def read_inventory(inventory: Path) -> dict[str, dict[str, Any]]:
    """What the lock knows of each package: `{name: {version, licence, supplier, copyright, file, sha256, requires}}`.

    `requires` are names of the inventory, the rest is text. Raises: InputError naming each package where it is not so.
    """
    hint = "git checkout requirements; or nox -s lock"
    found = canonical.read(files.read_bytes(inventory), str(inventory))
    if not isinstance(found, dict) or not found:
        raise InputError(f"{inventory}: no packages in it", hint=hint)
    bad = [f"{name} ({', '.join(wrong)})" for name, known in found.items() if (wrong := wrong_fields(known, found))]
    if bad:
        raise InputError(f"{inventory}: missing, or not what they must be: {'; '.join(bad)}", hint=hint)
    return found


def wrong_fields(known: Any, inventory: Mapping[str, Any]) -> list[str]:
    """The fields of a package that are missing or not of their form."""
    fields = known if isinstance(known, dict) else {}
    texts = {name for name in FIELDS - {"requires"} if isinstance(fields.get(name), str)}
    requires = fields.get("requires")
    wrong = FIELDS - {"requires"} - texts
    known_names = isinstance(requires, list) and all(isinstance(name, str) and name in inventory for name in requires)
    wrong |= set() if known_names else {"requires"}
    wrong |= {"file"} if "file" in texts and not WHEEL_NAME.fullmatch(fields["file"]) else set()
    return sorted(wrong)


def pypi_component(name: str, known: Mapping[str, Any], *, filename: str = "", sha256: str = "") -> Component:
    """A package of the index; the file that the inventory names unless another is given."""
    filename, sha256 = filename or known["file"], sha256 or known["sha256"]
    return Component(
        spdx_id=f"SPDXRef-Package-{name}-{sha256[:12]}",
        name=name,
        version=known["version"],
        supplier=known["supplier"],
        licence=known["licence"],
        sha256=sha256,
        filename=filename,
        purl=Wheel(filename, sha256).purl,
        copyright=known["copyright"],
    )


def copyright_of(notices: str) -> Any:
    """Copyright notices as spdx-tools holds them."""
    from spdx_tools.spdx.model import SpdxNoAssertion, SpdxNone

    return {"": SpdxNoAssertion(), "NONE": SpdxNone()}.get(notices, notices)


@functools.cache
def expression(licence: str) -> Any:
    """A licence expression, parsed once."""
    from spdx_tools.common.spdx_licensing import spdx_licensing

    return spdx_licensing.parse(licence)


def licence_of(name: str, licence: str) -> Any:
    """The licence expression of a package or file as spdx-tools holds it.

    Raises: InputError where it is no expression.
    """
    from license_expression import ExpressionError
    from spdx_tools.spdx.model import SpdxNoAssertion

    if licence in ("", "NOASSERTION"):
        return SpdxNoAssertion()
    try:
        return expression(licence)
    except ExpressionError as err:
        message = f"{name}: licence {licence!r} is no SPDX expression: {err}"
        raise InputError(message, hint="git checkout requirements; or nox -s lock") from err


def package(component: Component, **more: Any) -> Package:
    """A component as an SPDX package."""
    from spdx_tools.spdx import model

    unknown = model.SpdxNoAssertion()
    by = model.Actor(model.ActorType.ORGANIZATION, component.supplier) if component.supplier else unknown
    category = model.ExternalPackageRefCategory.PACKAGE_MANAGER
    return model.Package(
        spdx_id=component.spdx_id,
        name=component.name,
        version=component.version,
        download_location=unknown,
        file_name=component.filename or None,
        supplier=by,
        checksums=[model.Checksum(model.ChecksumAlgorithm.SHA256, component.sha256)] if component.sha256 else [],
        license_concluded=licence_of(component.name, component.licence),
        license_declared=licence_of(component.name, component.licence),
        copyright_text=copyright_of(component.copyright),
        comment=component.comment or None,
        external_references=[model.ExternalPackageRef(category, "purl", component.purl)] if component.purl else [],
        **({"files_analyzed": False} | more),
    )


def relationship(source: str, kind: str, target: str | SpdxNone | SpdxNoAssertion) -> Relationship:
    """One edge, by the name of its type."""
    from spdx_tools.spdx import model

    return model.Relationship(source, model.RelationshipType[kind], target)


def dependencies(requires: Mapping[str, Iterable[str]]) -> Iterator[Relationship]:
    """The edges of `{id: ids it depends on}`; what depends on nothing says so by NONE (SPDX 2.3, 11.1), which is not silence."""
    from spdx_tools.spdx.model import SpdxNone

    for source, targets in requires.items():
        for target in tuple(targets) or (SpdxNone(),):
            yield relationship(source, "DEPENDS_ON", target)


def document(
    name: str, epoch: int, identity: str, packages: Iterable[Package], relationships: Iterable[Relationship]
) -> Document:
    """A document of these packages; `identity` is text that tells this content from any other."""
    from spdx_tools.spdx import model

    info = model.CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id="SPDXRef-DOCUMENT",
        name=name,
        document_namespace=f"{NAMESPACE}/{name}-{uuid.uuid5(uuid.NAMESPACE_URL, identity)}",
        creators=[
            model.Actor(model.ActorType.ORGANIZATION, AUTHOR),
            model.Actor(model.ActorType.TOOL, "lnm-release-kit"),
        ],
        created=dt.datetime.fromtimestamp(epoch, dt.UTC).replace(tzinfo=None),
    )
    ordered = sorted(packages, key=lambda item: item.spdx_id)
    edges = sorted(
        relationships,
        key=lambda edge: (edge.spdx_element_id, edge.relationship_type.name, str(edge.related_spdx_element_id)),
    )
    return model.Document(info, packages=ordered, relationships=edges)


def render(described: Document, name: str) -> bytes:
    """The document's canonical bytes.

    Raises: InputError with every complaint of the validator.
    """
    from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter

    complaints = spdx_rules.complaints(described)
    if complaints:
        message = f"{name}: not valid SPDX 2.3: {'; '.join(complaints)}"
        raise InputError(message, hint="is requirements/packages.json as nox -s lock wrote it?")
    return canonical.render(DocumentConverter().convert(described))
