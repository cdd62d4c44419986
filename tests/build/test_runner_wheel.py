"""scripts/runner_wheel.py: the wheel of the runner, laid down again so that its bytes are the same everywhere."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import runner_wheel
from scripts.errors import InputError, ToolError
from tests.build.trees import Tree


@pytest.fixture(scope="session")
def wheel(built: Tree) -> Path:
    return built.kit / "runner/wheelhouse" / runner_wheel.name(built.version)


def repacked(wheel: Path) -> bytes:
    out = io.BytesIO()
    runner_wheel.repack(wheel, out)
    return out.getvalue()


def test_members_are_stored_sorted_without_time_and_with_one_mode(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        assert packed.testzip() is None
        infos = packed.infolist()
        assert packed.comment == b""
    names = [info.filename for info in infos]
    content = [name for name in names if ".dist-info/" not in name]
    assert names == sorted(content) + sorted(set(names) - set(content))
    assert len(names) == len(set(names))
    assert {(info.compress_type, info.date_time, info.external_attr >> 16, info.create_system, info.extra) for info in infos} == {
        (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644, 3, b"")
    }


def test_record_lists_every_member_with_its_hash_and_size(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        record = next(name for name in packed.namelist() if name.endswith(".dist-info/RECORD"))
        rows = {name: (digest, size) for name, digest, size in csv.reader(packed.read(record).decode().splitlines())}
        assert set(rows) == set(packed.namelist())
        for name in set(rows) - {record}:
            digest = base64.urlsafe_b64encode(hashlib.sha256(packed.read(name)).digest()).decode().rstrip("=")
            assert rows[name] == (f"sha256={digest}", str(packed.getinfo(name).file_size))


def test_the_wheel_holds_the_runner_the_verifier_and_nothing_that_running_left(wheel: Path, built: Tree) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
        verifier = packed.read("lnm_runner/kit/verify_kit.py")
        metadata = packed.read(f"lnm_runner-{built.version}.dist-info/METADATA").decode()
    sources = built.root / "runner/src"
    wanted = {path.relative_to(sources).as_posix() for path in sources.rglob("*") if path.is_file()}
    shared = {f"lnm_runner/private_key/{path.name}" for path in (built.root / "scripts/private_key").glob("*.py")}
    assert len(shared) > 1
    assert names == {name for name in wanted if "__pycache__" not in name} | {"lnm_runner/kit/verify_kit.py"} | shared
    assert verifier == (built.root / "bundle-layout/verify_kit.py").read_bytes()
    assert f"\nVersion: {built.version}\n" in metadata


def test_order_compression_and_times_of_the_members_do_not_matter(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        members = [(name, packed.read(name)) for name in packed.namelist()]
    random.Random(1).shuffle(members)  # noqa: S311 - an order, no secret
    with zipfile.ZipFile(tmp_path / wheel.name, "w", zipfile.ZIP_DEFLATED) as other:
        for number, (name, data) in enumerate(members):
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, number % 60))
            info.external_attr = 0o100600 << 16
            other.writestr(info, data, zipfile.ZIP_DEFLATED)
    assert repacked(tmp_path / wheel.name) == wheel.read_bytes()


def test_pip_installs_it(wheel: Path, built: Tree, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(tmp_path), str(wheel)]
    done = subprocess.run(pip, env=dict(built.environment), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lnm_runner/kit/verify_kit.py").is_file()
    assert (tmp_path / "bin/lnm").is_file()


def test_hatchling_writes_nothing_into_the_source(built: Tree, tmp_path: Path) -> None:
    shutil.copytree(built.root / "runner", tmp_path / "runner")
    for read in ("bundle-layout", "scripts/private_key"):
        shutil.copytree(built.root / read, tmp_path / read, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(built.root / "VERSION", tmp_path / "VERSION")
    before = sorted(tmp_path.rglob("*"))
    (tmp_path / "runner").chmod(0o555)
    out = io.BytesIO()
    name = runner_wheel.name(built.version)
    runner_wheel.write(out, sources=(tmp_path / "VERSION",), project=tmp_path / "runner", filename=name)
    assert sorted(tmp_path.rglob("*")) == before
    assert out.getvalue() == (built.kit / "runner/wheelhouse" / name).read_bytes()


def test_another_version_than_the_one_wanted_is_refused(built: Tree) -> None:
    with pytest.raises(InputError, match=r"built lnm_runner-.* wanted lnm_runner-1999\.1\.0-py3-none-any\.whl"):
        runner_wheel.write(
            io.BytesIO(),
            sources=(built.root / "VERSION",),
            project=built.root / "runner",
            filename=runner_wheel.name("1999.1.0"),
        )


def test_no_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no source files"):
        runner_wheel.write(io.BytesIO(), sources=(), project=tmp_path, filename="x.whl")


def test_what_hatchling_cannot_build_is_a_failed_tool(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(ToolError, match=r"hatchling made no wheel: .") as caught:
        runner_wheel.build(tmp_path, tmp_path)
    assert "pyproject.toml" in caught.value.hint
