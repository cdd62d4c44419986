"""scripts/sbom*.py: SPDX 2.3 that spdx-tools accepts, complete, and the same whatever the order of the input."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scripts import sbom, sbom_files, sbom_gate, sbom_kit, sbom_tooling
from scripts.errors import InputError
from tests.build.trees import Tree, is_payload
from tests.conftest import ROOT

LOCK, INVENTORY = ROOT / "requirements/build.txt", ROOT / "requirements/packages.json"
EPOCH, VERSION = 1764547200, "2026.11.0"
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
UNKNOWN = {"licenseConcluded": 0, "licenseDeclared": 0, "supplier": 0}
"""How many packages of a document have NOASSERTION there: a new one is looked at, then this is raised or scripts/lock.py mended."""
NAMES = (sbom_kit.ITSELF, "sbom/lnm-tooling.spdx.json")


def tooling(lock: Path = LOCK, inventory: Path = INVENTORY, epoch: int = EPOCH, version: str = VERSION) -> bytes:
    out = io.BytesIO()
    sbom_tooling.write(out, lock=lock, inventory=inventory, version=version, epoch=epoch)
    return out.getvalue()


def kit(base: Path, tree: tuple[Path, ...], inventory: Path = INVENTORY) -> bytes:
    out = io.BytesIO()
    name = f"concelier-lnm-{VERSION}"
    sbom_kit.write(out, tree=tree, inventory=inventory, base=base, kit_name=name, version=VERSION, epoch=EPOCH)
    return out.getvalue()


def known() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(INVENTORY.read_bytes())
    return found


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The inventory of the project with a change in it."""
    packages = known()
    change(packages)
    (folder / "packages.json").write_text(json.dumps(packages))
    return folder / "packages.json"


@pytest.fixture
def content(tmp_path: Path) -> tuple[Path, ...]:
    """Files of a small kit, two wheels among them; their bytes are those of an empty one."""
    names = ("README.md", "migrations/21-101/migration.py", *(f"runner/wheelhouse/{name}" for name in wheel_names()))
    for name in names:
        (tmp_path / "kit" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kit" / name).write_bytes(EMPTY_ZIP if name.endswith(".whl") else name.encode())
    return tuple(tmp_path / "kit" / name for name in names)


def wheel_names() -> tuple[str, str]:
    return known()["pymongo"]["file"], f"lnm_runner-{VERSION}-py3-none-any.whl"


def document(built: Tree, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((built.kit / name).read_bytes())
    return found


# ---- both, as they were built


@pytest.mark.parametrize("name", NAMES)
def test_spdx_tools_accepts_the_document(built: Tree, name: str) -> None:
    assert validate_full_spdx_document(parse_file(str(built.kit / name))) == []


def described(found: dict[str, Any]) -> dict[str, Any]:
    """The package that a document describes."""
    (root,) = [edge["relatedSpdxElement"] for edge in found["relationships"] if edge["relationshipType"] == "DESCRIBES"]
    (package,) = [package for package in found["packages"] if package["SPDXID"] == root]
    return dict(package)


@pytest.mark.parametrize("name", NAMES)
def test_every_package_even_the_described_one_has_hash_purl_supplier_version_and_licence(built: Tree, name: str) -> None:
    found = document(built, name)
    root = described(found)["name"]
    for package in found["packages"]:
        assert package["versionInfo"]
        assert re.match(r"Organization: .|NOASSERTION$", package["supplier"])
        assert package["licenseConcluded"]
        assert package["copyrightText"]
        (checksum,) = package["checksums"]
        assert checksum["algorithm"] == "SHA256"
        assert re.fullmatch(r"[0-9a-f]{64}", checksum["checksumValue"])
        (reference,) = package["externalRefs"]
        pypi = f"pkg:pypi/{package['name']}@{package['versionInfo']}?file_name={package.get('packageFileName')}"
        generic = f"pkg:generic/{package['name']}@{package['versionInfo']}"
        wanted = generic if package["name"] == root else pypi
        assert (reference["referenceType"], reference["referenceLocator"]) == ("purl", wanted)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_known_of_packages_is_counted(built: Tree, name: str) -> None:
    packages = document(built, name)["packages"]
    assert {field: sum(package[field] == "NOASSERTION" for package in packages) for field in UNKNOWN} == UNKNOWN


@pytest.mark.parametrize("name", NAMES)
def test_a_package_says_what_it_depends_on_or_that_it_depends_on_nothing(built: Tree, name: str) -> None:
    found = document(built, name)
    edges: dict[str, list[str]] = {}
    for edge in found["relationships"]:
        if edge["relationshipType"] == "DEPENDS_ON":
            edges.setdefault(edge["spdxElementId"], []).append(edge["relatedSpdxElement"])
    silent = {package["SPDXID"] for package in found["packages"]} - set(edges)
    assert silent == ({described(found)["SPDXID"]} if name == sbom_kit.ITSELF else set())
    assert all(targets == ["NONE"] or "NONE" not in targets for targets in edges.values())


def test_the_tooling_document_describes_the_lock_by_its_digest(built: Tree) -> None:
    root = described(document(built, NAMES[1]))
    assert (root["name"], root["packageFileName"]) == ("lnm-tooling", "requirements/build.txt")
    assert root["checksums"][0]["checksumValue"] == hashlib.sha256(LOCK.read_bytes()).hexdigest()


def test_the_kits_digest_is_what_the_command_in_its_comment_says(built: Tree) -> None:
    root = described(document(built, sbom_kit.ITSELF))
    command = root["comment"].partition(" Again: ")[2]
    assert command
    said = subprocess.run(["sh", "-c", command], cwd=built.kit, capture_output=True, text=True, check=True)
    assert said.stdout == f"{root['checksums'][0]['checksumValue']}  -\n"


def test_every_file_of_the_kit_has_a_kind_a_licence_and_a_word_on_copyright(built: Tree) -> None:
    entries = {entry["fileName"]: entry for entry in document(built, sbom_kit.ITSELF)["files"]}
    for name, entry in entries.items():
        assert len(entry["fileTypes"]) == 1, name
        assert "NOASSERTION" not in {entry["licenseConcluded"], entry["copyrightText"]}, name
    kinds = {name.rpartition(".")[2]: entry["fileTypes"][0] for name, entry in entries.items()}
    assert {kinds[suffix] for suffix in ("md", "py", "sh", "whl")} == {"DOCUMENTATION", "SOURCE", "ARCHIVE"}
    assert entries["./sbom/lnm-tooling.spdx.json"]["licenseConcluded"] == document(built, NAMES[1])["dataLicense"]
    assert entries["./LICENSE"]["licenseConcluded"] == "Apache-2.0"
    assert entries["./LICENSE"]["copyrightText"] == "NONE"


def test_a_copyright_notice_in_a_file_of_ours_is_taken_over(content: tuple[Path, ...], tmp_path: Path) -> None:
    content[0].write_text("text\nCopyright (c) 2026 A. Nobody\nmore\n")
    found = {entry["fileName"]: entry["copyrightText"] for entry in json.loads(kit(tmp_path / "kit", content))["files"]}
    assert found["./README.md"] == "Copyright (c) 2026 A. Nobody"
    assert found["./migrations/21-101/migration.py"] == "NONE"


def test_what_the_runner_depends_on_is_what_its_project_declares() -> None:
    project = tomllib.loads((ROOT / "runner/pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for declared, known in ((project["dependencies"], sbom_files.RUNNER_REQUIRES), (extras, sbom_files.RUNNER_EXTRAS)):
        assert tuple(sorted(re.split(r"[^A-Za-z0-9_-]", line)[0].lower() for line in declared)) == known


def test_the_names_of_the_documents_are_those_that_the_gate_knows() -> None:
    assert {sbom_gate.KIT, sbom_gate.TOOLING} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_only_time_is_the_epoch(built: Tree, name: str) -> None:
    created = document(built, name)["creationInfo"]["created"]
    manifest = json.loads(built.manifest)
    assert created == manifest["predicate"]["created_at"]


def test_the_kits_document_lists_each_file_of_the_payload_once_with_its_hash(built: Tree) -> None:
    wanted = {
        f"./{path.relative_to(built.kit).as_posix()}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in built.kit.rglob("*")
        if path.is_file() and is_payload(path.relative_to(built.kit).as_posix())
    }
    del wanted[f"./{sbom_kit.ITSELF}"]
    found = [
        (entry["fileName"], item["checksumValue"])
        for entry in document(built, sbom_kit.ITSELF)["files"]
        for item in entry["checksums"]
        if item["algorithm"] == "SHA256"
    ]
    assert sorted(found) == sorted(wanted.items())


def test_the_kits_document_has_a_package_for_each_wheel_with_the_hash_of_the_file(built: Tree) -> None:
    wheels = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built.kit.glob("runner/wheelhouse*/*")}
    found = document(built, sbom_kit.ITSELF)["packages"]
    packages = [package for package in found if package["name"] != "concelier-lnm"]
    assert {package["packageFileName"]: package["checksums"][0]["checksumValue"] for package in packages} == wheels
    assert len(packages) == len(wheels)


def test_the_kits_verification_code_is_that_of_spdx_7_9(built: Tree) -> None:
    found = document(built, sbom_kit.ITSELF)
    (kit_package,) = [package for package in found["packages"] if package.get("filesAnalyzed", True)]
    files = [built.kit / entry["fileName"] for entry in found["files"]]
    joined = "".join(sorted(hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest() for path in files))
    assert kit_package["packageVerificationCode"] == {
        "packageVerificationCodeExcludedFiles": [f"./{sbom_kit.ITSELF}"],
        "packageVerificationCodeValue": hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest(),
    }


def test_the_tooling_document_has_each_package_of_the_lock(built: Tree) -> None:
    wanted = sbom_tooling.locked(LOCK)
    found = {package["name"]: package["versionInfo"] for package in document(built, NAMES[1])["packages"]}
    assert found.pop("lnm-tooling") == built.version
    assert found == wanted
    assert {"doit", "nox", "cryptography", "spdx-tools"} <= set(found)


@pytest.mark.parametrize("name", NAMES)
def test_every_element_can_be_reached_from_the_document(built: Tree, name: str) -> None:
    found = document(built, name)
    edges: dict[str, list[str]] = {}
    for edge in found["relationships"]:
        edges.setdefault(edge["spdxElementId"], []).append(edge["relatedSpdxElement"])
    reached, waiting = set(), ["SPDXRef-DOCUMENT"]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += edges.get(node, [])
    assert {item["SPDXID"] for item in [*found["packages"], *found.get("files", [])]} <= reached


# ---- determinism


def test_the_tooling_document_is_the_same_each_time_and_for_any_order_of_the_inventory(tmp_path: Path) -> None:
    shuffled = list(known().items())
    random.Random(1).shuffle(shuffled)  # noqa: S311 - an order, no secret
    (tmp_path / "packages.json").write_text(json.dumps(dict(shuffled)))
    assert tooling() == tooling()
    namespace = json.loads(tooling())["documentNamespace"]
    other = json.loads(tooling(inventory=tmp_path / "packages.json"))
    assert {**other, "documentNamespace": namespace} == json.loads(tooling())


def test_the_kits_document_is_the_same_for_any_order_of_its_files(content: tuple[Path, ...], tmp_path: Path) -> None:
    assert kit(tmp_path / "kit", content) == kit(tmp_path / "kit", content[::-1])


def test_another_content_has_another_namespace(content: tuple[Path, ...], tmp_path: Path) -> None:
    before = json.loads(kit(tmp_path / "kit", content))["documentNamespace"]
    content[0].write_text("changed")
    assert json.loads(kit(tmp_path / "kit", content))["documentNamespace"] != before
    built = [tooling(epoch=epoch, version=version) for epoch in (0, 1) for version in ("1", "2")]
    assert len({json.loads(data)["documentNamespace"] for data in built}) == 4


def test_epoch_zero_is_a_time(tmp_path: Path) -> None:
    (tmp_path / "tooling.spdx.json").write_bytes(tooling(epoch=0))
    assert json.loads(tooling(epoch=0))["creationInfo"]["created"] == "1970-01-01T00:00:00Z"
    assert validate_full_spdx_document(parse_file(str(tmp_path / "tooling.spdx.json"))) == []


# ---- lock and inventory that disagree


def refused(write: Callable[[], bytes]) -> InputError:
    with pytest.raises(InputError) as caught:
        write()
    assert caught.value.hint
    return caught.value


def test_a_package_of_the_lock_that_the_inventory_lacks_is_named(tmp_path: Path) -> None:
    inventory = changed(tmp_path, lambda packages: (packages.pop("doit"), packages.pop("nox")))
    message = refused(lambda: tooling(inventory=inventory)).message
    assert "doit" in message
    assert "nox" in message


def test_a_package_of_another_version_than_the_lock_is_named(tmp_path: Path) -> None:
    inventory = changed(tmp_path, lambda packages: packages["doit"].update(version="0.1"))
    assert "doit" in refused(lambda: tooling(inventory=inventory)).message


def test_a_hash_that_the_lock_has_not_is_an_error(tmp_path: Path) -> None:
    inventory = changed(tmp_path, lambda packages: packages["doit"].update(sha256="0" * 64))
    assert "doit" in refused(lambda: tooling(inventory=inventory)).message


@pytest.mark.parametrize("field", ["copyright", "version", "licence", "supplier", "file", "sha256", "requires"])
def test_a_package_without_a_field_is_named(tmp_path: Path, field: str) -> None:
    inventory = changed(tmp_path, lambda packages: packages["doit"].pop(field))
    assert "doit" in refused(lambda: tooling(inventory=inventory)).message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requires", None),
        ("requires", "rich"),
        ("requires", ["nobody-knows-it"]),
        ("requires", [["rich"]]),
        ("file", "x"),
        ("supplier", ["a"]),
        ("version", 1),
        ("copyright", None),
    ],
)
def test_a_package_with_a_field_of_another_form_is_named_with_it(tmp_path: Path, field: str, value: Any) -> None:
    inventory = changed(tmp_path, lambda packages: packages["doit"].update({field: value}))
    assert f"doit ({field})" in refused(lambda: tooling(inventory=inventory)).message


def test_a_licence_that_is_no_expression_is_named(tmp_path: Path) -> None:
    inventory = changed(tmp_path, lambda packages: packages["doit"].update(licence="do what you ( like"))
    refused(lambda: tooling(inventory=inventory))


def test_a_wheel_of_the_kit_that_the_inventory_lacks_is_named(content: tuple[Path, ...], tmp_path: Path) -> None:
    inventory = changed(tmp_path, lambda packages: packages.pop("pymongo"))
    assert "pymongo" in refused(lambda: kit(tmp_path / "kit", content, inventory)).message


def test_a_wheel_of_the_kit_of_another_version_than_the_inventory_is_named(content: tuple[Path, ...], tmp_path: Path) -> None:
    inventory = changed(tmp_path, lambda packages: packages["pymongo"].update(version="4.0"))
    assert "pymongo" in refused(lambda: kit(tmp_path / "kit", content, inventory)).message


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", "not json", '{"doit": 1}', '{"doit": {}}'])
def test_an_inventory_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "packages.json").write_text(text)
    refused(lambda: tooling(inventory=tmp_path / "packages.json"))


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"\xff\xfe"])
def test_a_lock_without_packages_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "build.txt").write_bytes(text)
    assert "build.txt" in refused(lambda: tooling(lock=tmp_path / "build.txt")).message


def test_an_invalid_document_is_refused_with_what_the_validator_says() -> None:
    one = sbom.Component("SPDXRef-Package-a", "a", "1", "A", "MIT", sha256="short")
    two = sbom.Component("SPDXRef-Package-b", "b", "1", "A", "no licence of the list")
    bad = sbom.document("x", 0, "x", [sbom.package(one), sbom.package(two)], [])
    with pytest.raises(InputError, match=r"^x: not valid SPDX 2\.3: ") as caught:
        sbom.render(bad, "x")
    assert "hexadecimal" in caught.value.message
    assert "no licence of the list" in caught.value.message
