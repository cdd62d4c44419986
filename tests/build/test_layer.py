"""scripts/layer.py: a layer depends on its entries and the epoch alone, and others unpack it to what was put in."""

from __future__ import annotations

import gzip
import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from scripts import layer
from scripts.errors import InputError
from tests.conftest import ROOT

EPOCH = 1764547200
ENTRIES = {
    "usr/share/b": layer.Entry(0o644, same_as="usr/share/c"),
    "usr/share/c": layer.file(b"same"),
    "usr/share/d": layer.Entry(0o644, same_as="usr/share/b"),
    "bin": layer.link("usr/bin"),
    "usr/bin/lnm": layer.file(b"#!/usr/bin/python3.11\n", 0o755),
    "tmp": layer.Entry(0o1777),
    "var/lib/lnm": layer.Entry(0o700, owner=65532),
    "etc/old": layer.Entry(0o600, b"old", mtime=1000),
    "etc/new": layer.Entry(0o644, b"", mtime=EPOCH + 1),
}


def written(entries: layer.Entries) -> tuple[bytes, layer.Layer]:
    """The bytes, and what is said of them."""
    out = io.BytesIO()
    made = layer.write(out, entries, EPOCH)
    return out.getvalue(), made


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        return {member.name: member for member in packed}


def test_what_is_said_of_a_layer_is_what_it_is() -> None:
    data, made = written(ENTRIES)

    assert made.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert made.size == len(data)
    assert made.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}"
    assert made.descriptor()["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"


def test_the_order_in_which_entries_come_makes_no_difference() -> None:
    assert written(ENTRIES)[0] == written(dict(reversed(ENTRIES.items())))[0]


def test_folders_come_before_what_is_in_them_and_a_file_before_its_other_names() -> None:
    found = members(written(ENTRIES)[0])

    assert list(found) == sorted(found)
    assert {"usr", "usr/bin", "usr/share", "var", "var/lib"} <= set(found)
    assert (found["usr/share/b"].isreg(), found["usr/share/b"].size) == (True, 4)
    assert [found[f"usr/share/{name}"].linkname for name in "cd"] == ["usr/share/b"] * 2


def test_modes_owners_and_times_are_those_of_the_entries_and_no_time_is_later_than_the_epoch() -> None:
    found = members(written(ENTRIES)[0])

    assert (found["tmp"].mode, found["usr/bin/lnm"].mode, found["usr"].mode) == (0o1777, 0o755, 0o755)
    assert [(one.uid, one.gid) for one in (found["var/lib/lnm"], found["var/lib"])] == [(65532, 65532), (0, 0)]
    assert [found[name].mtime for name in ("etc/old", "etc/new", "usr")] == [1000, EPOCH, EPOCH]
    assert found["bin"].linkname == "usr/bin"


@pytest.mark.parametrize("entries", [
    {"a": layer.file(b""), "a/b": layer.file(b"")},
    {"a": layer.link("b"), "a/b": layer.file(b"")},
    {"a": layer.Entry(0o644, same_as="b")},
    {"a": layer.Entry(0o644, same_as="b"), "b": layer.Entry()},
    {"a": layer.Entry(0o644, same_as="b"), "b": layer.Entry(0o644, same_as="a")},
])  # fmt: skip
def test_what_cannot_be_unpacked_is_refused(entries: layer.Entries) -> None:
    with pytest.raises(InputError, match="layer: a "):
        written(entries)


def test_a_folder_of_a_layer_says_what_the_layer_is(tmp_path: Path) -> None:
    layer.write_folder(tmp_path / "x", ENTRIES, EPOCH)

    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == sorted(layer.HOLDS)
    assert layer.read_folder(tmp_path / "x" / layer.FACTS) == written(ENTRIES)[1]
    (tmp_path / "x" / layer.FACTS).write_text("{}")
    with pytest.raises(InputError, match="wanted digest, diff_id, size"):
        layer.read_folder(tmp_path / "x" / layer.FACTS)


@pytest.mark.parametrize("model", ["core2duo", "Haswell-noTSX"])
def test_the_bytes_of_a_layer_do_not_depend_on_the_cpu(model: str) -> None:
    if shutil.which("qemu-x86_64") is None or platform.machine() != "x86_64":
        pytest.skip("no qemu-x86_64: ci/apt.txt")
    program = (
        "import io, random\n"
        "from scripts import layer\n"
        "chance = random.Random(1)\n"
        "words = [chance.randbytes(chance.randrange(2, 9)) for _ in range(999)]\n"
        "data = b''.join(chance.choices(words, k=400_000)) + chance.randbytes(1 << 20) + bytes(1 << 20)\n"
        "print(layer.write(io.BytesIO(), {'x': layer.file(data)}, 0))\n"
    )
    said = [
        subprocess.run([*before, sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for before in ((), ("qemu-x86_64", "-cpu", model))
    ]

    assert said[0] == said[1]
