"""scripts/provenance.py: what the build recorded, all of it, and nothing that would differ on another machine."""

from __future__ import annotations

import base64
import getpass
import hashlib
import io
import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import checksums, foreign_base, provenance
from scripts.errors import InputError, MissingError
from tests.build.trees import Tree, payload
from tests.conftest import ROOT

LOCK = ROOT / "requirements/build.txt"
RELEASE: dict[str, Any] = {"channel": "edge", "version": "1", "epoch": 0, "source": {"commit": None, "state": "unknown"}}
KIT = "kit-1"


def recorded(folder: Path, name: str, sha256: str, **more: Any) -> Path:
    """A record as a step leaves it."""
    path = folder / f"{len(list(folder.glob('*.record')))}.record"
    record = {
        "task": f"layout:{name}",
        "step": "scripts.layout.write",
        "inputs": {},
        "code": {},
        "outputs": {f"artifacts/lnm/{KIT}/{name}": sha256},
        "settings": {},
        "tools": {},
        **more,
    }
    path.write_text(json.dumps(record))
    return path


def listed(folder: Path, **names: str) -> Path:
    (folder / "payload.sums").write_bytes(checksums.render(names))
    return folder / "payload.sums"


def kit_statement(payload_sums: Path, *records: Path) -> dict[str, Any]:
    out = io.BytesIO()
    provenance.write_kit(out, payload=payload_sums, records=records, lock=LOCK, kit_name=KIT, release=RELEASE)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def claims(built: Tree) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every provenance of a build: of the kit, the tarball and the bundles."""
    for path in (built.kit / "attestations/slsa-provenance.dsse.json", *built.dist.glob("*.provenance.sigstore.json")):
        document = json.loads(path.read_bytes())
        yield path.name, json.loads(base64.b64decode(document.get("dsseEnvelope", document)["payload"]))


def tasks_of(statement: dict[str, Any]) -> list[dict[str, Any]]:
    """Every task that a provenance tells of, each with the code and the tools of its step."""
    steps = statement["predicate"]["buildDefinition"]["internalParameters"]["steps"]
    return [{**task, **{name: step[name] for name in ("step", "code", "tools")}} for step in steps for task in step["tasks"]]


# ---- as it was built


def test_there_is_one_for_the_kit_the_tarball_and_each_bundle(built: Tree) -> None:
    found = {statement["subject"][0]["name"]: statement for _, statement in claims(built)}
    bundles = {f"lnm-{delivery}-{built.version}.tar.gz" for delivery in ("21-101", "21-102", "21-103")}
    assert set(found) == {built.kit.name, built.tarball.name, *bundles}
    for name in {built.tarball.name, *bundles}:
        assert found[name]["subject"][0]["digest"]["sha256"] == hashlib.sha256((built.dist / name).read_bytes()).hexdigest()
    assert {statement["predicateType"] for statement in found.values()} == {"https://slsa.dev/provenance/v1"}


def test_every_file_of_the_payload_is_the_output_of_a_recorded_task(built: Tree) -> None:
    statement = dict(claims(built))["slsa-provenance.dsse.json"]
    tasks = tasks_of(statement)
    outputs = {name: sha256 for task in tasks for name, sha256 in task["outputs"].items()}
    wanted = {f"artifacts/lnm/{built.kit.name}/{name}": sha256 for name, sha256 in payload(built.kit).items()}
    assert outputs == wanted
    assert len(tasks) == len({task["task"] for task in tasks})


def test_every_input_and_every_line_of_our_code_is_named_with_its_hash(built: Tree) -> None:
    for _, statement in claims(built):
        definition = statement["predicate"]["buildDefinition"]
        found = {item["uri"]: item["digest"]["sha256"] for item in definition["resolvedDependencies"]}
        for uri, sha256 in found.items():
            if uri.startswith("file:"):
                assert hashlib.sha256((built.root / uri.removeprefix("file:")).read_bytes()).hexdigest() == sha256
        tasks = tasks_of(statement)
        made = {name for task in tasks for name in task["outputs"]}
        read = {name for task in tasks for name in [*task["inputs"], *task["code"]]}
        assert {f"file:{name}" for name in read - made} <= set(found)
        assert "file:requirements/build.txt" in found


def test_every_fetched_wheel_is_a_dependency_by_its_purl(built: Tree) -> None:
    statement = dict(claims(built))["slsa-provenance.dsse.json"]
    found = {
        item["uri"]: item["digest"]["sha256"]
        for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        if item["uri"].startswith("pkg:")
    }
    locks = [built.root / "requirements" / name for name in ("wheelhouse.lock", "wheelhouse-extras.lock")]
    locked = {name: sha256 for lock in locks for name, sha256 in checksums.parse(lock.read_bytes(), lock.name).items()}
    assert {uri.rpartition("file_name=")[2]: sha256 for uri, sha256 in found.items()} == locked


def test_what_an_image_is_built_on_is_a_dependency_by_its_purl(tmp_path: Path) -> None:
    """Debian packages by the names of their files, another layout by the digest of its manifest."""
    one, other = "a" * 64, "b" * 64
    folder = "artifacts/.build/image/linux-amd64/debs"
    debs = {
        f"{folder}/libssl3_3.0.22-1~deb12u2_amd64.deb": one,
        f"{folder}/zlib1g_1%3a1.2.13_amd64.deb": other,
        f"{folder}/debian.lock": one,
    }
    fetched = recorded(tmp_path, "debs", one, step="scripts.debian_packages.write", outputs=debs)
    step = f"{foreign_base.__name__}.{foreign_base.write.__name__}"
    taken = recorded(tmp_path, "base", one, step=step, settings={"digest": f"sha256:{other}"})

    statement = kit_statement(listed(tmp_path, x=one), fetched, taken, recorded(tmp_path, "x", one))

    found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {item["uri"]: item["digest"]["sha256"] for item in found if item["uri"].startswith("pkg:")} == {
        "pkg:deb/debian/libssl3@3.0.22-1~deb12u2?arch=amd64&distro=debian-12": one,
        "pkg:deb/debian/zlib1g@1:1.2.13?arch=amd64&distro=debian-12": other,
        f"pkg:oci/base@sha256%3A{other}": other,
    }


def test_the_versions_of_the_tools_are_those_that_ran(built: Tree) -> None:
    for _, statement in claims(built):
        versions = statement["predicate"]["runDetails"]["builder"]["version"]
        assert {"python", "doit", "cryptography", "hatchling", "spdx-tools", "zlib-ng"} <= set(versions)
        assert all(re.fullmatch(r"[0-9][0-9A-Za-z.+]*", version) for version in versions.values())


def test_no_place_person_host_or_time_but_the_epoch_is_in_it(built: Tree) -> None:
    epoch = json.loads(built.manifest)["predicate"]["created_at"]
    for name, statement in claims(built):
        text = json.dumps(statement)
        for place in (str(built.root), "/home/", "/root/", "/tmp/", sys.prefix):  # noqa: S108 - what must not be there
            assert place not in text, name
        for word in {getpass.getuser(), socket.gethostname()} - {"root", "localhost"}:
            assert not re.search(rf"\b{re.escape(word)}\b", text), name
        assert set(re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z", text)) <= {epoch}, name
        assert not {"invocationId", "startedOn", "finishedOn"} & set(statement["predicate"]["runDetails"].get("metadata", {}))
        assert not re.search(r'"(file:)?/', text), name


def test_no_level_above_one_is_claimed(built: Tree) -> None:
    for _, statement in claims(built):
        assert not re.search(r"(?i)slsa[ _-]?(build[ _-]?)?l(evel)?[ _-]?[2-4]", json.dumps(statement))


def test_a_git_commit_is_a_dependency_and_no_commit_is_none() -> None:
    commit = {**RELEASE, "source": {"commit": "c" * 40, "state": "clean"}}
    assert provenance.dependencies([], commit) == [{"digest": {"gitCommit": "c" * 40}, "uri": "git+file:."}]
    assert provenance.dependencies([], RELEASE) == []


# ---- what is refused


def test_a_payload_with_a_record_for_each_file_is_described(tmp_path: Path) -> None:
    sums = listed(tmp_path, a="1" * 64, b="2" * 64)
    statement = kit_statement(sums, recorded(tmp_path, "b", "2" * 64), recorded(tmp_path, "a", "1" * 64))
    assert statement["subject"] == [{"digest": {"sha256": hashlib.sha256(sums.read_bytes()).hexdigest()}, "name": KIT}]
    tasks = tasks_of(statement)
    assert [task["task"] for task in tasks] == ["layout:a", "layout:b"]


def test_the_code_of_a_step_is_told_once_and_never_taken_for_another(tmp_path: Path) -> None:
    sums = listed(tmp_path, a="1" * 64, b="2" * 64, c="3" * 64)
    one, other = {"code": {"scripts/x.py": "4" * 64}}, {"code": {"scripts/x.py": "5" * 64}}
    records = [
        recorded(tmp_path, name, number * 64, **code)
        for name, number, code in (("a", "1", one), ("b", "2", one), ("c", "3", other))
    ]
    statement = kit_statement(sums, *records)
    steps = statement["predicate"]["buildDefinition"]["internalParameters"]["steps"]
    assert [[task["task"] for task in step["tasks"]] for step in steps] == [["layout:a", "layout:b"], ["layout:c"]]
    assert [step["code"]["scripts/x.py"][:1] for step in steps] == ["4", "5"]


def test_every_file_without_a_record_is_named(tmp_path: Path) -> None:
    sums = listed(tmp_path, a="1" * 64, b="2" * 64, c="3" * 64)
    with pytest.raises(InputError, match="no task recorded these files as they are: a, c") as caught:
        kit_statement(sums, recorded(tmp_path, "b", "2" * 64))
    assert caught.value.hint


def test_a_file_of_another_hash_than_its_record_is_named(tmp_path: Path) -> None:
    sums = listed(tmp_path, a="1" * 64)
    with pytest.raises(InputError, match=r"as they are: a\n"):
        kit_statement(sums, recorded(tmp_path, "a", "2" * 64))


def test_a_record_of_a_file_whose_name_ends_alike_does_not_count(tmp_path: Path) -> None:
    sums = listed(tmp_path, **{"README.md": "1" * 64})
    with pytest.raises(InputError, match=r"README\.md"):
        kit_statement(sums, recorded(tmp_path, "migrations/21-101/README.md", "1" * 64))


def test_a_record_of_another_kit_does_not_count(tmp_path: Path) -> None:
    sums = listed(tmp_path, a="1" * 64)
    other = recorded(tmp_path, "a", "1" * 64, outputs={f"artifacts/lnm/other-{KIT}/a": "1" * 64})
    with pytest.raises(InputError):
        kit_statement(sums, other)


def test_a_record_that_is_gone_or_damaged_is_named(tmp_path: Path) -> None:
    sums = listed(tmp_path, a="1" * 64)
    with pytest.raises(MissingError, match=r"gone\.record"):
        kit_statement(sums, tmp_path / "gone.record")
    (tmp_path / "bad.record").write_text("{")
    with pytest.raises(InputError, match=r"bad\.record: not JSON"):
        kit_statement(sums, tmp_path / "bad.record")


def test_the_provenance_of_an_archive_is_about_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"x")
    sha256 = hashlib.sha256(b"x").hexdigest()
    record = recorded(tmp_path, "x", sha256, outputs={"artifacts/lnm/x.tar.gz": sha256})
    out = io.BytesIO()
    provenance.write_file(out, file=tmp_path / "x.tar.gz", records=(record,), lock=LOCK, release=RELEASE)
    assert json.loads(out.getvalue())["subject"] == [{"digest": {"sha256": sha256}, "name": "x.tar.gz"}]


def test_an_archive_of_another_hash_than_its_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"x")
    record = recorded(tmp_path, "x", "0" * 64, outputs={"artifacts/lnm/x.tar.gz": "0" * 64})
    with pytest.raises(InputError, match=r"x\.tar\.gz"):
        provenance.write_file(io.BytesIO(), file=tmp_path / "x.tar.gz", records=(record,), lock=LOCK, release=RELEASE)
