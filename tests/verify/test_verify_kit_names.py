"""The name rule, alone and for all names of a kit together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.tiny_kit import ENVELOPE, LAW, load

vk = load()
PART = "[A-Za-z0-9_+=@-]{1,8}"

GOOD = (
    "a",
    "README.md",
    "a/b/c",
    "-rf",
    "a..b",
    "a.b.c",
    "_+=@-",
    "con-1",
    "com",
    "com10",
    "lpt",
    "xcon",
    "a.con",
    "nullable",
    "n" * 255,
    "/".join("d" * 32),
    "/".join(["n" * 204] * 5),
)
BAD = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "./a",
    ".a",
    "a.",
    "a/.b/c",
    "a./b",
    "a b",
    " a",
    "a ",
    "a\n",
    "\na",
    "a\tb",
    "a\0b",
    "a\\b",
    "C:",
    "a:b",
    "a*",
    "a?",
    'a"b',
    "a|b",
    "~a",
    "#a",
    "a%b",
    "a,b",
    "caf\u00e9",
    "cafe\u0301",
    "\uff21",
    "\u212aelvin",
    "a\u200b",
    "a\udcff",
    "CON",
    "con",
    "Con.txt",
    "con.tar.gz",
    "PRN",
    "aux/a",
    "a/nul",
    "a/NUL.md/b",
    *(f"{port}{digit}" for port in ("COM", "lpt") for digit in range(10)),
    "n" * 256,
    "/".join("d" * 33),
    "/".join(["n" * 204] * 5) + "n",
)


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_name_obeys_the_rule(name: str) -> None:
    assert vk.name_fault(name) is None


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_name_breaks_the_rule(name: str) -> None:
    fault = vk.name_fault(name)

    assert fault is not None
    assert fault.isascii()
    assert fault.isprintable()


@LAW
@given(parts=st.lists(st.from_regex(PART, fullmatch=True), min_size=1, max_size=32))
def test_name_of_plain_parts_obeys_the_rule_unless_a_part_is_a_device(parts: list[str]) -> None:
    device = any(part.lower() in vk.DEVICES for part in parts)

    assert (vk.name_fault("/".join(parts)) is None) is not device


@pytest.mark.parametrize("name", [*ENVELOPE, "manifest.0123456789abcdef.dsse.json"])
def test_name_is_of_the_envelope(name: str) -> None:
    assert vk.in_envelope(name)


@pytest.mark.parametrize(
    "name",
    [
        "sha256sums",
        "a/SHA256SUMS",
        "manifest.0123456789ABCDEF.dsse.json",
        "manifest.0123456789abcde.dsse.json",
        "manifest.0123456789abcdef0.dsse.json",
        "manifest.0123456789abcdef.dsse.json\n",
        "manifest..dsse.json",
        "attestations/spdx.dsse.json",
    ],
)
def test_name_is_not_of_the_envelope(name: str) -> None:
    assert not vk.in_envelope(name)


def fault_of(*names: str, folders: tuple[str, ...] = ()) -> str:
    """What is told of these names together; empty if they can lie in one kit."""
    try:
        vk.check_tree(set(names), set(folders))
    except vk.Refused as refused:
        return "\n".join(failure.line() for failure in refused.failures)
    return ""


@pytest.mark.parametrize("names", [("a", "b"), ("a/b", "a/c"), ("a/b", "b/a"), ("a/A",), ("A/b/c", "A/c"), ("a.b", "a/b")])
def test_names_can_lie_together(names: tuple[str, ...]) -> None:
    assert fault_of(*names) == ""


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (("a", "A"), "case"),
        (("a/b", "A/c"), "case"),
        (("a/b/c", "a/B/d"), "case"),
        (("Foo", "foo/bar"), "case"),
        (("a", "a/b"), "both"),
        (("a/b", "a/b/c"), "both"),
        (("SHA256SUMS", "sha256sums"), "case"),
        (("SHA256SUMS", "SHA256SUMS/a"), "both"),
    ],
)
def test_names_cannot_lie_together(names: tuple[str, ...], word: str) -> None:
    assert word in fault_of(*names)


def test_empty_folders_are_refused_each() -> None:
    said = fault_of("a/b", folders=("a", "c", "a/d"))

    assert said.count("refused: ") == 2
    assert "refused: a/d: an empty folder" in said
    assert "refused: c: an empty folder" in said


def test_all_collisions_are_told() -> None:
    assert fault_of("a", "A", "b", "B").count("refused: ") == 2


def test_folders_that_names_imply_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vk, "MAX_FOLDERS", 30)

    assert fault_of("/".join("a" * 31)) == ""
    assert "more than 30 folders" in fault_of("/".join("a" * 32))
