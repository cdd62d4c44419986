"""scripts/wheelhouse.py: the wheels of the lock, by their hash and nothing else, fetched by real pip from a folder."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from scripts import wheelhouse
from scripts.errors import ChecksumError, InputError, ToolError
from scripts.wheelhouse import Wheel
from tests.conftest import ROOT

A, B = "a" * 64, "b" * 64
PURE = "some_thing-1.2.0-py3-none-any.whl"
NATIVE = "some_thing-1.2.0-cp312-cp312-manylinux2014_aarch64.manylinux_2_17_aarch64.whl"


def make_wheel(folder: Path, filename: str, text: str = "") -> Wheel:
    """A wheel that pip takes: one module, metadata, tags as in its name."""
    name, version, *tags = filename.removesuffix(".whl").split("-")
    info = f"{name}-{version}.dist-info"
    joined = "\n".join(f"Tag: {tags[0]}-{tags[1]}-{platform}" for platform in tags[2].split("."))
    files = {
        f"{name}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n{joined}\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data.encode()).digest()).decode().rstrip('=')},{len(data)}\n"
        for path, data in files.items()
    )
    with zipfile.ZipFile(folder / filename, "w") as packed:
        for path, data in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            packed.writestr(path, data)
    return Wheel(filename, hashlib.sha256((folder / filename).read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip may look at."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    (tmp_path / "index").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path / "index"


# ---- the lock


def lock_of(folder: Path, text: str) -> Path:
    (folder / "wheelhouse.lock").write_text(text, encoding="utf-8")
    return folder / "wheelhouse.lock"


def test_the_projects_lock_names_the_supported_pythons_and_machines() -> None:
    found = {
        (wheel.tags[0], platform.rpartition("_")[0] and wheel.filename.split("_")[-1])
        for wheel in wheelhouse.read_lock(ROOT / wheelhouse.LOCK)
        for platform in wheel.tags[2]
        if wheel.name == "pymongo"
    }
    assert found == {(python, f"{machine}.whl") for python in ("cp311", "cp312", "cp313") for machine in ("64", "aarch64")}


def test_a_lock_that_is_missing_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"wheelhouse\.lock: no such lock") as caught:
        wheelhouse.read_lock(tmp_path / "wheelhouse.lock")
    assert "git checkout" in caught.value.hint
    assert "nox -s lock" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n", "line 1"),
        (f"{A}  {PURE}\nsome words\n", "line 2"),
        (f"{A} {PURE}\n", "line 1"),
        (f"{A[1:]}  {PURE}\n", "line 1"),
        (f"{A}  {PURE}", "no newline"),
        (f"{A}  {PURE}\n{B}  {PURE}\n", "line 2"),
        (f"{A}  b-1-py3-none-any.whl\n{A}  a-1-py3-none-any.whl\n", "order"),
        (f"{A}  some_thing-1.2.0.tar.gz\n", "some_thing-1.2.0.tar.gz"),
        (f"{A}  something.whl\n", "something.whl"),
        (f"{A}  ../x/{PURE}\n", f"../x/{PURE}"),
        (f"{A}  sub/{PURE}\n", f"sub/{PURE}"),
    ],
)
def test_a_lock_of_another_form_is_refused_by_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=r"wheelhouse\.lock: ") as caught:
        wheelhouse.read_lock(lock_of(tmp_path, text))
    assert words in caught.value.message
    assert "git checkout" in caught.value.hint


# ---- a line of it


def test_a_line_says_name_version_tags_requirement_and_purl() -> None:
    wheel = Wheel(NATIVE, A)
    assert (wheel.name, wheel.version) == ("some-thing", "1.2.0")
    assert wheel.tags == ("cp312", "cp312", ["manylinux2014_aarch64", "manylinux_2_17_aarch64"])
    assert wheel.requirement == f"some-thing==1.2.0 --hash=sha256:{A}\n"
    assert wheel.purl == f"pkg:pypi/some-thing@1.2.0?file_name={NATIVE}"


def test_the_requirements_are_sorted_whatever_the_order_of_the_wheels() -> None:
    wheels = (Wheel(NATIVE, B), Wheel("zeta-2-py3-none-any.whl", A), Wheel(PURE, A))
    text = wheelhouse.requirements(wheels)
    assert text == wheelhouse.requirements(wheels[::-1])
    assert text == (f"some-thing==1.2.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\nzeta==2 \\\n    --hash=sha256:{A}\n")


# ---- pip


@pytest.mark.parametrize("filename", [PURE, NATIVE])
def test_the_wheel_of_the_hash_is_fetched_for_any_platform(index: Path, tmp_path: Path, filename: str) -> None:
    wheel = make_wheel(index, filename)
    make_wheel(index, "some_thing-1.3.0-py3-none-any.whl")
    found = wheelhouse.fetch([wheel], tmp_path / "out")
    assert hashlib.sha256((found / filename).read_bytes()).hexdigest() == wheel.sha256


def test_a_wheel_of_another_hash_is_refused(index: Path, tmp_path: Path) -> None:
    make_wheel(index, PURE)
    with pytest.raises(ChecksumError, match=f"^{PURE}: the index has a file with another sha256") as caught:
        wheelhouse.fetch([Wheel(PURE, A)], tmp_path / "out")
    assert caught.value.exit_code == 6
    assert A[:12] in caught.value.message
    assert "do not use" in caught.value.hint


def test_a_wheel_that_the_index_has_not_is_a_failed_tool(index: Path, tmp_path: Path) -> None:
    make_wheel(index, "some_thing-1.3.0-py3-none-any.whl")
    with pytest.raises(ToolError, match=f"^{PURE}: pip could not fetch it: .*some-thing==1.2.0") as caught:
        wheelhouse.fetch([Wheel(PURE, A)], tmp_path / "out")
    assert caught.value.exit_code == 10
    assert "pip config list" in caught.value.hint


def test_a_wheel_for_one_platform_only_is_not_taken_for_another(index: Path, tmp_path: Path) -> None:
    make_wheel(index, NATIVE.replace("aarch64", "x86_64"))
    with pytest.raises(ToolError):
        wheelhouse.fetch([Wheel(NATIVE, A)], tmp_path / "out")


def test_a_step_writes_the_bytes_of_the_wheel(index: Path, tmp_path: Path) -> None:
    wheel = make_wheel(index, PURE)
    lock = lock_of(tmp_path, f"{wheel.sha256}  {PURE}\n")
    out = io.BytesIO()
    wheelhouse.write(out, lock=lock, filename=PURE, fetched=wheel.sha256)
    assert out.getvalue() == (index / PURE).read_bytes()


def test_a_lock_that_changed_since_the_table_was_made_is_refused(index: Path, tmp_path: Path) -> None:
    wheel = make_wheel(index, PURE)
    lock = lock_of(tmp_path, f"{wheel.sha256}  {PURE}\n")
    with pytest.raises(ChecksumError, match="sha256 is "):
        wheelhouse.write(io.BytesIO(), lock=lock, filename=PURE, fetched=A)
    lock.write_text(f"{A}  other-1-py3-none-any.whl\n")
    with pytest.raises(InputError, match=f"found no {PURE}"):
        wheelhouse.write(io.BytesIO(), lock=lock, filename=PURE, fetched=wheel.sha256)


def test_the_requirements_file_of_the_kit_is_what_pip_needs_to_install_it(index: Path, tmp_path: Path) -> None:
    wheels = (make_wheel(index, PURE), make_wheel(index, "zeta-2-py3-none-any.whl"))
    out = io.BytesIO()
    wheelhouse.write_requirements(out, wheels=tuple(index / wheel.filename for wheel in wheels))
    assert out.getvalue().decode() == wheelhouse.requirements(wheels)
    (tmp_path / "requirements.txt").write_bytes(out.getvalue())
    fetched = wheelhouse.fetch(wheels, tmp_path / "out")
    assert sorted(path.name for path in fetched.glob("*.whl")) == [PURE, "zeta-2-py3-none-any.whl"]


# ---- a folder of them

ABI3 = "other-3-cp311-abi3-manylinux_2_28_x86_64.whl"


def test_a_folder_of_wheels_is_fetched_by_one_pip_for_each_kind(index: Path, tmp_path: Path) -> None:
    names = (PURE.replace("some", "pure"), NATIVE, NATIVE.replace("aarch64", "x86_64"), "zeta-2-py3-none-any.whl", ABI3)
    wheels = [make_wheel(index, name) for name in names]
    lock = lock_of(tmp_path, "".join(f"{wheel.sha256}  {wheel.filename}\n" for wheel in sorted(wheels, key=lambda w: w.filename)))
    assert [len(kind) for kind in wheelhouse.kinds(wheels)] == [2, 1, 1, 1]

    fetched = {wheel.filename: wheel.sha256 for wheel in wheels}
    wheelhouse.write_folder(tmp_path / "house", lock=lock, fetched=fetched)

    assert {path.name: path.read_bytes() for path in (tmp_path / "house").iterdir()} == {
        name: (index / name).read_bytes() for name in names
    }


def test_a_store_spares_the_index_and_cannot_lie(index: Path, tmp_path: Path) -> None:
    wheel = make_wheel(index, PURE)
    lock = lock_of(tmp_path, f"{wheel.sha256}  {PURE}\n")
    store = tmp_path / "store"
    store.mkdir()
    (index / PURE).rename(store / PURE)
    wheelhouse.write_folder(tmp_path / "house", lock=lock, fetched={PURE: wheel.sha256}, stores=(store,))
    assert (tmp_path / "house" / PURE).read_bytes() == (store / PURE).read_bytes()

    (store / PURE).write_bytes(b"another")
    with pytest.raises(ToolError, match=f"^{PURE}: pip could not fetch it"):
        wheelhouse.write_folder(tmp_path / "other", lock=lock, fetched={PURE: wheel.sha256}, stores=(store,))
    assert not (tmp_path / "other").exists()


def test_a_folder_of_another_lock_than_the_tables_is_refused(tmp_path: Path) -> None:
    lock = lock_of(tmp_path, f"{A}  {PURE}\n")
    with pytest.raises(InputError, match="was changed while the table was made"):
        wheelhouse.write_folder(tmp_path / "house", lock=lock, fetched={PURE: B})
