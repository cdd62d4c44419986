"""Edges that nothing else of verify_kit.py's tests walks along; each was shown by a mutant that survived (docs/mutation.md)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.verify.tiny_kit import ECDSA, keys, load

vk = load()
Y_OF_ZERO = pow(vk.P256_B, (vk.P256_P + 1) // 4, vk.P256_P)
"""Of the points whose x is zero: x beyond the field would be a second way to write it."""


def refused(function: Any, *arguments: Any) -> str:
    """The sentence of a refusal."""
    with pytest.raises((vk.Refused, vk.Wrong)) as caught:
        function(*arguments)
    return str(caught.value)


def test_a_point_of_p256_has_one_way_to_be_written() -> None:
    y = Y_OF_ZERO.to_bytes(32, "big")

    assert vk.p256_point(bytes(32) + y) == (0, Y_OF_ZERO, 1)
    assert vk.p256_point(vk.P256_P.to_bytes(32, "big") + y) is None


def test_a_gnu_long_name_has_one_nul() -> None:
    assert vk.read_long_name(b"a\0") == "a"
    for data in (b"", b"a", b"a\0b\0", b"\0a\0", b"a\0\0"):
        assert "a GNU long name record" in refused(vk.read_long_name, data)


@pytest.mark.parametrize("function", [vk.no_number, vk.small_integer])
def test_a_number_is_cut_where_it_is_told(function: Any) -> None:
    assert refused(function, "9" * 40).startswith(f"the number {'9' * 40}, wanted ")
    assert refused(function, "9" * 41).startswith(f"the number {'9' * 40}..., wanted ")


def test_an_image_signature_that_is_no_base64_is_told_with_its_file() -> None:
    image, (key,) = vk.Image("lnm-runner-linux-amd64", "sha256:" + "0" * 64, 1), keys(ECDSA)

    with pytest.raises(vk.Refused) as caught:
        vk.check_image_signature("a/file", "AA=", image, key)

    (failure,) = caught.value.failures
    assert (failure.kind, failure.file, failure.wanted) == (vk.Kind.STATEMENT, "a/file", "wanted base64")
