"""scripts/verify/sbom_images.py: the SBOM of an image against its layers; each rule has a lie that it catches."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import layer, oci
from scripts.verify import sbom_documents, sbom_images, sbom_tools, sboms
from scripts.verify.outcome import FAILED, OK, Built, Outcome
from tests import small_image
from tests.small_image import EPOCH, MIGRATIONS, SITE, STATUS, Small

NAME = "sbom/lnm-runner-linux-amd64.spdx.json"


def with_document(folder: Path, version: str, *, foreign: bool = False) -> tuple[Small, Built]:
    """A small kit with an image and its document, and nothing else that the checks ask for."""
    small = small_image.make(folder / "parts", foreign=foreign)
    built = Built(folder, version, folder / "key", folder)
    small.kit.rename(built.kit)
    small = dataclasses.replace(small, kit=built.kit, wheels=tuple(sorted((built.kit / "runner/wheelhouse").iterdir())))
    (built.kit / "sbom").mkdir()
    (built.kit / NAME).write_bytes(small.sbom())
    return small, built


@pytest.fixture
def both(tmp_path: Path, version: str) -> tuple[Small, Built]:
    return with_document(tmp_path, version)


def told(built: Built) -> list[Outcome]:
    """What is said of the image's document."""
    return [outcome for outcome in sboms.sboms(built) if outcome.subject == NAME]


def edit(path: Path, change: Callable[[Any], object]) -> None:
    found = json.loads(path.read_bytes())
    change(found)
    path.write_text(json.dumps(found))


def test_a_document_of_what_is_in_the_layers_is_accepted(both: tuple[Small, Built]) -> None:
    (outcome,) = told(both[1])
    assert outcome.state == OK
    assert outcome.words == "valid SPDX 2.3, complete: 10 packages, 2 files; unknown: 0 licences, 0 suppliers"


def test_packages_of_a_foreign_base_need_no_hash_of_their_own_and_that_is_said(tmp_path: Path, version: str) -> None:
    _, built = with_document(tmp_path, version, foreign=True)
    (outcome,) = told(built)
    assert outcome.state == OK
    assert outcome.words.endswith("; unknown: 7 licences, 2 suppliers, 6 hashes, of what came in a base image")


def package(found: Any, name: str) -> Any:
    (one,) = [item for item in found["packages"] if item["name"] == name and "pkg:oci" not in json.dumps(item)]
    return one


def drop(found: Any, name: str) -> None:
    gone = package(found, name)["SPDXID"]
    found["packages"] = [item for item in found["packages"] if item["SPDXID"] != gone]
    found["relationships"] = [edge for edge in found["relationships"] if gone not in edge.values()]


def rename(found: Any, name: str, other: str) -> None:
    one = package(found, name)
    one["name"] = other
    reference = one["externalRefs"][0]
    reference["referenceLocator"] = reference["referenceLocator"].replace(name, other)


def update(found: Any, name: str, old: str, new: str) -> None:
    """Another version of a package, in all that is said of it."""
    one = package(found, name)
    one["versionInfo"] = new
    one["externalRefs"][0]["referenceLocator"] = one["externalRefs"][0]["referenceLocator"].replace(f"@{old}?", f"@{new}?")


def without_base_image(found: Any) -> None:
    """A document of a foreign base, whose package has no digest."""
    package_of_base(found).pop("checksums")


def package_of_base(found: Any) -> Any:
    (one,) = [item for item in found["packages"] if item["name"] == "base-image"]
    return one


@dataclasses.dataclass(frozen=True)
class Lie:
    name: str
    tell: Callable[[Any], object]
    words: str


LIES = (
    Lie(
        "(2) something else described too",
        lambda found: found["relationships"].append(
            {**found["relationships"][0], "relationshipType": "DESCRIBES", "spdxElementId": "SPDXRef-DOCUMENT"}
        ),
        "describes 2 elements, wanted the image alone",
    ),
    Lie(
        "(2) another digest",
        lambda found: sbom_documents.described(found)["checksums"][0].update(checksumValue="0" * 64),
        "the hash of its first package is not that of the image's manifest",
    ),
    Lie(
        "(3) a package of Debian missing",
        lambda found: drop(found, "netbase"),
        "deb netbase 6.4 is in the image and not in the doc",
    ),
    Lie(
        "(3) a wheel missing",
        lambda found: drop(found, "dnspython"),
        "pypi dnspython 2.9.2 is in the image and not in the document",
    ),
    Lie(
        "(3) a package too many",
        lambda found: rename(found, "netbase", "bash"),
        "deb bash 6.4 is in the document and not in the image",
    ),
    Lie(
        "(3) another version",
        lambda found: update(found, "pymongo", "4.20.0", "4.20.1"),
        "pypi pymongo 4.20.1 is in the document and not in the image",
    ),
    Lie(
        "(3) a package URL of another version",
        lambda found: package(found, "pymongo").update(versionInfo="4.20.1"),
        "pypi pymongo 4.20.0 as pymongo 4.20.1 is in the document and not in the image",
    ),
    Lie(
        "(3) a package twice",
        lambda found: (
            found["packages"].append({**package(found, "netbase"), "SPDXID": "SPDXRef-Package-again"}),
            found["relationships"].append({**found["relationships"][-1], "relatedSpdxElement": "SPDXRef-Package-again"}),
        ),
        "deb netbase 6.4 is in the document twice",
    ),
    Lie(
        "(4) another hash of a file",
        lambda found: found["files"][0]["checksums"][1].update(checksumValue="0" * 64),
        "lnm-migrations: 21-101/README.md has another hash in the image",
    ),
    Lie(
        "(4) a file that is not in the image",
        lambda found: found["files"][1].update(fileName="./21-101/other.py"),
        "lnm-migrations: 21-101/other.py is not in the image below /opt/lnm/migrations/",
    ),
    Lie(
        "(4) no file of the image",
        lambda found: [item.update(fileName=f"./x{item['fileName'][2:]}") for item in found["files"]],
        "x21-101/README.md: found in no layer",
    ),
    Lie(
        "(4) no package of migrations",
        lambda found: rename(found, "lnm-migrations", "x"),
        "0 packages lnm-migrations with 0 files",
    ),
    Lie("no hash", lambda found: package(found, "libc6").pop("checksums"), "libc6: no SHA-256"),
    Lie("an image's without a hash", lambda found: sbom_documents.described(found).pop("checksums"), "lnm-runner: no SHA-256"),
    Lie("no supplier", lambda found: package(found, "libc6").pop("supplier"), "libc6: no supplier"),
)


@pytest.mark.parametrize("lie", LIES, ids=[lie.name for lie in LIES])
def test_a_document_that_is_about_something_else_is_refused(both: tuple[Small, Built], lie: Lie) -> None:
    edit(both[1].kit / NAME, lie.tell)
    outcomes = told(both[1])
    assert {outcome.state for outcome in outcomes} == {FAILED}
    assert any(lie.words in outcome.words for outcome in outcomes), outcomes


def test_nobody_vouches_for_a_package_without_a_hash_but_a_base_image_that_has_one(tmp_path: Path, version: str) -> None:
    _, built = with_document(tmp_path, version, foreign=True)
    edit(built.kit / NAME, without_base_image)
    assert {outcome.words for outcome in told(built)} >= {"base-image: no SHA-256", "libc6: no SHA-256"}


# ---- an image that changed


def with_layers(small: Small, *changed: dict[str, layer.Entry]) -> None:
    """The image with other layers on top, and a document that has its digest."""
    baked = {
        f"{MIGRATIONS}/{path.relative_to(small.kit / 'migrations')}": layer.file(path.read_bytes()) for path in small.migrations
    }
    small_image.lay_out(small.image, (small_image.base_entries(), small_image.wheel_entries(), baked, *changed))
    digest = oci.read_index(small.image)[0]["digest"].removeprefix("sha256:")
    edit(small.kit / NAME, lambda found: sbom_documents.described(found)["checksums"][0].update(checksumValue=digest))


IMAGES: tuple[tuple[str, dict[str, layer.Entry], str], ...] = (
    ("nothing else", {"etc/x": layer.file(b"")}, ""),
    (
        "a wheel more",
        {f"{SITE}/x_y-1.dist-info/METADATA": small_image.a_file("X.Y", "1")},
        "pypi x-y 1 is in the image and not in",
    ),
    (
        "a package more",
        {f"{STATUS}/bash": layer.file(b"Package: bash\nVersion: 5.2\n")},
        "deb bash 5.2 is in the image and not in the document",
    ),
    (
        "one in dpkg's own list, and one that was removed",
        {
            "var/lib/dpkg/status": layer.file(
                b"Package: bash\nStatus: install ok installed\nVersion: 5.2\n\n"
                b"Package: dash\nStatus: deinstall ok config-files\nVersion: 1\n"
            )
        },
        "deb bash 5.2 is in the image and not in the document",
    ),
    (
        "a newer one over it",
        {f"{STATUS}/netbase": layer.file(b"Package: netbase\nVersion: 7\n")},
        "deb netbase 7 is in the image",
    ),
    ("one taken away", {f"{STATUS}/.wh.netbase": layer.file(b"")}, "deb netbase 6.4 is in the document and not in the image"),
    (
        "a folder taken away",
        {f"{STATUS}/.wh..wh..opq": layer.file(b"")},
        "deb libc6 2.36-9+deb12u13 is in the document and not in",
    ),
    ("a migration changed", {f"{MIGRATIONS}/21-101/migration.py": layer.file(b"x")}, "21-101/migration.py has another hash"),
    ("a migration more", {f"{MIGRATIONS}/21-109/migration.py": layer.file(b"x")}, "21-109/migration.py is not in the document"),
    (
        "a migration that is a link",
        {f"{MIGRATIONS}/21-101/migration.py": layer.link("x")},
        "21-101/migration.py is not in the image",
    ),
    ("the same migrations again", {"srv/21-101/README.md": layer.file(b"text\n")}, ""),
)


@pytest.mark.parametrize(("entries", "words"), [case[1:] for case in IMAGES], ids=[case[0] for case in IMAGES])
def test_an_image_with_something_else_in_it_is_refused(
    both: tuple[Small, Built], entries: dict[str, layer.Entry], words: str
) -> None:
    with_layers(both[0], entries)
    outcomes = told(both[1])
    assert {outcome.state for outcome in outcomes} == {FAILED if words else OK}, outcomes
    assert words in outcomes[0].words


def test_a_hard_link_is_a_file_with_the_content_of_the_other(both: tuple[Small, Built]) -> None:
    path = f"{MIGRATIONS}/21-101/again.py"
    source = f"{MIGRATIONS}/21-101/migration.py"
    with_layers(both[0], {source: layer.file(b"x"), path: layer.Entry(0o644, same_as=source)})
    image = sbom_images.read_image(both[0].image)
    assert image.sums[path] == image.sums[source] == hashlib.sha256(b"x").hexdigest()


def test_a_layer_that_is_not_compressed_is_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layer", "w") as archive:
        info = tarfile.TarInfo("./etc/x")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"1"))
    image = sbom_images.Image("")
    sbom_images.add_layer(image, tmp_path / "layer")
    assert image.sums == {"etc/x": hashlib.sha256(b"1").hexdigest()}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_layer_with_other_bytes_is_refused(both: tuple[Small, Built], position: int) -> None:
    small, built = both
    item = oci.read_document(small.image, oci.read_index(small.image)[0])["layers"][position]
    out = io.BytesIO()
    layer.write(out, {"etc/x": layer.file(b"")}, EPOCH)
    oci.blob(small.image, item["digest"]).write_bytes(out.getvalue())
    (outcome,) = told(built)
    assert "has other bytes than its digest or size says" in outcome.words


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"manifests": []}', '{"manifests": [{"digest": "../x", "size": 1}]}'])
def test_a_layout_that_is_none_is_refused(both: tuple[Small, Built], text: str) -> None:
    (both[0].image / oci.INDEX_FILE).write_text(text)
    (outcome,) = told(both[1])
    assert outcome.state == FAILED


# ---- which documents there must be


def test_an_image_without_a_document_and_a_document_without_an_image_are_refused(both: tuple[Small, Built]) -> None:
    _, built = both
    other = built.kit / NAME.replace("amd64", "arm64")
    (built.kit / NAME).rename(other)
    found = {outcome.subject: outcome.words for outcome in sboms.sboms(built)}
    assert found[NAME] == f"{NAME} is not there"
    assert found["sbom/lnm-runner-linux-arm64.spdx.json"] == "is about nothing in this kit"


def test_the_tools_of_others_look_at_the_documents_of_images_too(both: tuple[Small, Built]) -> None:
    found = [outcome for outcome in sbom_tools.foreign(both[1]) if outcome.subject == NAME]
    assert [outcome.words.partition(":")[0] for outcome in found] == [tool.name for tool in sbom_tools.TOOLS]
    assert [outcome.state for outcome in found] == [OK, OK, OK], found


def test_sbomaudit_takes_a_supplier_that_nobody_knows_for_what_is_not_known(tmp_path: Path, version: str) -> None:
    """A base image of somebody else; that the same tool minds any other defect is shown for the kit's document."""
    _, built = with_document(tmp_path, version, foreign=True)
    (command,) = filter(None, [sbom_tools.find("sbomaudit")])
    accepted, words = sbom_tools.sbomaudit(command, built.kit / NAME)
    assert accepted, words
    assert words.endswith(", all of them opinions on licences, or a supplier that nobody knows")
    edit(built.kit / NAME, lambda found: package(found, "libc6").pop("externalRefs"))
    accepted, words = sbom_tools.sbomaudit(command, built.kit / NAME)
    assert not accepted
    assert "libc6" in words
