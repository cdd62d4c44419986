"""scripts/canonical.py: one form for every JSON value."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from scripts import canonical
from scripts.errors import InputError

SAFE_INTEGER = 2**53 - 1  # RFC 8785, appendix D
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE_INTEGER, SAFE_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


@given(VALUES)
def test_reading_what_was_rendered_gives_the_value(value: Any) -> None:
    assert canonical.read(canonical.render(value), "x.json") == value


@given(VALUES)
def test_the_quick_way_gives_what_the_library_gives(value: Any) -> None:
    assert canonical.render(value) == rfc8785.dumps(value) + b"\n"


@given(st.dictionaries(st.text(st.characters(max_codepoint=127)), TEXT | st.integers(-SAFE_INTEGER, SAFE_INTEGER)))
def test_the_quick_way_is_taken_for_ascii_names_and_gives_the_same(value: dict[str, Any]) -> None:
    assert canonical.is_plain(value)
    assert canonical.render(value) == rfc8785.dumps(value) + b"\n"


@pytest.mark.parametrize(
    "value", [1.0, 1e30, float("nan"), 2**53, -(2**53), {"é": 1}, {1: 2}, [{"a": (0.5,)}], b"x", {"a": {1}}, "\ud800"]
)
def test_what_is_not_plain_is_left_to_the_library(value: Any) -> None:
    def outcome(render: Callable[[Any], bytes]) -> bytes | type[BaseException]:
        try:
            return render(value)
        except Exception as err:  # noqa: BLE001 - whichever it is
            return ValueError if isinstance(err, ValueError) else type(err)

    assert not canonical.is_plain(value) or value == "\ud800"
    assert outcome(canonical.render) == outcome(lambda value: rfc8785.dumps(value) + b"\n")


@given(st.dictionaries(TEXT, st.integers(0, 9)), st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(value: dict[str, int], random: Any) -> None:
    shuffled = list(value.items())
    random.shuffle(shuffled)
    assert canonical.render(dict(shuffled)) == canonical.render(value)


@given(VALUES)
def test_a_file_is_one_line_with_one_newline(value: Any) -> None:
    data = canonical.render(value)
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1


def test_members_are_sorted_as_rfc_8785_shows_it() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}  # section 3.2.3
    assert list(json.loads(canonical.render(value))) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_nothing_is_escaped_that_need_not_be() -> None:
    assert canonical.render({"é/": '\t"\\\x01'}) == '{"é/":"\\t\\"\\\\\\u0001"}\n'.encode()


@pytest.mark.parametrize("data", [b"", b"{", b"{}{}", b"\xff", b'{"a":1,}'])
def test_what_is_not_json_is_refused_by_its_name(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^records/x\.json: not JSON: ") as caught:
        canonical.read(data, "records/x.json")
    assert caught.value.hint


@given(st.binary())
def test_base64_is_padded_and_on_one_line(data: bytes) -> None:
    text = canonical.b64(data)
    assert len(text) % 4 == 0
    assert "\n" not in text
    assert base64.b64decode(text, validate=True) == data
