"""scripts/checksums.py: a list that sha256sum reads, in one form only."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import checksums
from scripts.errors import ChecksumError, MissingError

PARTS = st.from_regex(re.compile(r"(?!\.)[A-Za-z0-9._+=@-]{1,12}(?<!\.)"), fullmatch=True)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
SUMS = st.dictionaries(NAMES, st.binary(max_size=3).map(lambda data: hashlib.sha256(data).hexdigest()), max_size=6)
A, B = "a" * 64, "b" * 64
GOOD = f"{A}  a.txt\n{B}  b/c.txt\n"


def grown(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """Files whose content is their name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return tuple(folder / name for name in names)


@given(SUMS)
def test_parsing_what_was_rendered_gives_the_sums(sums: dict[str, str]) -> None:
    assert checksums.parse(checksums.render(sums), "SHA256SUMS") == sums


@given(SUMS)
def test_names_come_in_the_order_of_their_bytes(sums: dict[str, str]) -> None:
    names = [line.split(b"  ")[1] for line in checksums.render(sums).splitlines()]
    assert names == sorted(names)


@given(SUMS.filter(bool), st.data())
def test_one_changed_byte_is_refused_or_says_something_else(sums: dict[str, str], data: st.DataObject) -> None:
    listed = bytearray(checksums.render(sums))
    place = data.draw(st.integers(0, len(listed) - 1))
    listed[place] ^= data.draw(st.integers(1, 255))
    try:
        found = checksums.parse(bytes(listed), "SHA256SUMS")
    except ChecksumError:
        return
    assert found != sums


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD.replace("  a", " a"), "line 1"),
        (GOOD.replace("  a", "   a"), "line 1"),
        (GOOD.replace("  a", " *a"), "line 1"),
        (GOOD.replace(f"{A}  ", f"\\{A}  "), "line 1"),
        (GOOD.replace("a" * 64, "A" * 64), "line 1"),
        (GOOD.replace("a" * 64, "a" * 63), "line 1"),
        (GOOD.replace("a" * 64, "a" * 65), "line 1"),
        (GOOD.replace("\n", "\r\n"), ""),
        (GOOD.replace("\n", "\n\n", 1), "line 2"),
        (GOOD + "\n", "line 3"),
        (GOOD + "# a comment\n", "line 3"),
        (GOOD + f"{A}  b/c.txt\n", "line 3"),
        (GOOD + f"SHA256 (d) = {A}\n", "line 3"),
        (GOOD.replace("b/c", "b c"), "line 2"),
        (GOOD.replace("b/c", "ü"), "line 2"),
        (GOOD.replace("\n", "\x0c", 1), ""),
        (GOOD.replace("b/c", "0"), "not in the order"),
        (GOOD.removesuffix("\n"), "no newline"),
        ("\ufeff" + GOOD, "line 1"),
    ],
)
def test_any_other_form_is_refused_and_the_place_is_named(text: str, line: str) -> None:
    with pytest.raises(ChecksumError, match=r"^lists/SUMS: ") as caught:
        checksums.parse(text.encode(), "lists/SUMS")
    assert line in caught.value.message


def test_sha256sum_accepts_the_list(tmp_path: Path) -> None:
    tree = grown(tmp_path, ("b/c", "a.txt", "b/a-1", "b.d", "B"))
    out = io.BytesIO()
    checksums.write_tree(out, tree=tree, base=tmp_path)
    (tmp_path / "SUMS").write_bytes(out.getvalue())
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SUMS"], cwd=tmp_path, check=True)
    assert len(out.getvalue().splitlines()) == len(tree)


def test_the_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    tree = grown(tmp_path, ("a", "b", "c"))
    first, second = io.BytesIO(), io.BytesIO()
    checksums.write_tree(first, tree=tree, base=tmp_path)
    checksums.write_tree(second, tree=tree[::-1], base=tmp_path)
    assert first.getvalue() == second.getvalue()


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="gone: no such file"):
        checksums.write_tree(io.BytesIO(), tree=(tmp_path / "gone",), base=tmp_path)


def test_root_hash_is_what_a_shell_computes_from_the_joined_list(tmp_path: Path) -> None:
    payload = grown(tmp_path, ("a", "attestationsx/b", "z/attestations/c"))
    attestations = grown(tmp_path, ("attestations/s.dsse.json",))
    listed, joined = io.BytesIO(), io.BytesIO()
    checksums.write_tree(listed, tree=payload, base=tmp_path)
    (tmp_path / "payload.sums").write_bytes(listed.getvalue())

    checksums.write_joined(joined, payload=tmp_path / "payload.sums", attestations=attestations, base=tmp_path)
    (tmp_path / "SHA256SUMS").write_bytes(joined.getvalue())

    command = "grep -v '  attestations/' SHA256SUMS | sha256sum"
    said = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == checksums.root_hash(listed.getvalue())
    assert set(checksums.parse(joined.getvalue(), "SHA256SUMS")) == {
        "a",
        "attestationsx/b",
        "z/attestations/c",
        "attestations/s.dsse.json",
    }


def test_the_file_beside_a_tarball_names_it_without_its_folder(tmp_path: Path) -> None:
    out = io.BytesIO()
    checksums.write_single(out, file=grown(tmp_path, ("x/kit.tar.gz",))[0])
    (tmp_path / "x/kit.tar.gz.sha256").write_bytes(out.getvalue())
    subprocess.run(["sha256sum", "--check", "--strict", "kit.tar.gz.sha256"], cwd=tmp_path / "x", check=True, capture_output=True)
