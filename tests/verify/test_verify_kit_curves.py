"""The arithmetic of verify_kit.py's two curves, by laws that a wrong formula breaks: the order of the base points and their mirrors."""

from __future__ import annotations

import pytest

from tests.verify.tiny_kit import load

vk = load()
MIRROR = (vk.ED_P - vk.ED_BASE_X, vk.ED_BASE_Y, 1, (vk.ED_P - vk.ED_BASE_X) * vk.ED_BASE_Y % vk.ED_P)
"""The base point of Ed25519 with the other sign: minus one times it."""
TWICE = bytes.fromhex("c9a3f86aae465f0e56513864510f3997561fa2c9e85ea21dc2292309f3cd6022")
"""Two times the base point, as libsodium's ed25519_scalarmult_base_noclamp(2) has it."""


def ed_times(number: int) -> bytes:
    """So many times the base point of Ed25519."""
    return bytes(vk.ed_encode(vk.two_products(vk.ed_add, vk.ED_ZERO, (number, vk.ED_BASE), (0, vk.ED_ZERO))))


def p256_times(number: int) -> tuple[int, ...]:
    """So many times the base point of P-256, its z one or zero."""
    x, y, z = vk.two_products(vk.p256_add, vk.P256_ZERO, (number, vk.P256_G), (0, vk.P256_ZERO))
    if z == 0:
        return (0, 0, 0)
    inverse = pow(z, -1, vk.P256_P)
    return (x * inverse**2 % vk.P256_P, y * inverse**3 % vk.P256_P, 1)


def test_the_base_point_of_ed25519_has_its_order() -> None:
    assert ed_times(0) == ed_times(vk.ED_L) == bytes([1]).ljust(32, b"\0")
    assert ed_times(1) == ed_times(vk.ED_L + 1) == bytes.fromhex("58" + 31 * "66")
    assert ed_times(vk.ED_L - 1) == vk.ed_encode(MIRROR) == bytes.fromhex("58" + 30 * "66" + "e6")
    assert ed_times(2) == TWICE


def test_a_point_of_ed25519_is_read_as_it_is_written() -> None:
    for point in (vk.ED_BASE, MIRROR):
        assert vk.ed_decode(vk.ed_encode(point)) == vk.ed_public(vk.ed_encode(point)) == point
    x, y, z, t = vk.ed_decode(TWICE)
    assert (z, t) == (1, x * y % vk.ED_P)
    assert vk.ed_encode((x * 7, y * 7, 7, t * 7)) == TWICE
    assert vk.ed_decode((2).to_bytes(32, "little")) is None  # no point has this y


def test_no_point_of_small_order_is_a_key_of_ed25519() -> None:
    root = vk.ED_SQRT_MINUS_1
    of_eight = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
    small = [vk.ed_encode(vk.ED_ZERO), vk.ed_encode((0, vk.ED_P - 1, 1, 0)), vk.ed_encode((root, 0, 1, 0)), of_eight]

    for encoded in small:
        assert vk.ed_decode(encoded) is not None
        assert vk.ed_public(encoded) is None


def test_the_base_point_of_p256_has_its_order() -> None:
    x, y, _ = vk.P256_G
    mirror = (x, vk.P256_P - y, 1)

    assert p256_times(0) == p256_times(vk.P256_N) == (0, 0, 0)
    assert p256_times(1) == p256_times(vk.P256_N + 1) == vk.P256_G
    assert p256_times(vk.P256_N - 1) == mirror
    assert vk.p256_add(vk.P256_G, mirror) == vk.P256_ZERO
    three = vk.p256_add(vk.P256_G, vk.p256_double(vk.P256_G))
    assert vk.p256_add(vk.p256_double(vk.P256_G), vk.P256_G)[2] != 0
    assert vk.p256_point(b"".join(part.to_bytes(32, "big") for part in p256_times(3)[:2])) == p256_times(3)
    assert three[0] * pow(three[2], -2, vk.P256_P) % vk.P256_P == p256_times(3)[0]


def test_equal_points_in_other_coordinates_are_doubled() -> None:
    x, y, _ = vk.P256_G
    other = (x * 4 % vk.P256_P, y * 8 % vk.P256_P, 2)

    doubled = vk.p256_add(vk.P256_G, other)

    assert doubled == vk.p256_double(vk.P256_G)
    assert vk.p256_add(vk.P256_ZERO, other) == vk.p256_add(other, vk.P256_ZERO) == other


@pytest.mark.parametrize("a", [0, 1, 5])
@pytest.mark.parametrize("b", [0, 1, 6])
def test_two_products_are_their_sum(a: int, b: int) -> None:
    double = vk.ed_add(vk.ED_BASE, vk.ED_BASE)

    both = vk.two_products(vk.ed_add, vk.ED_ZERO, (a, vk.ED_BASE), (b, double))

    assert vk.ed_encode(both) == ed_times(a + 2 * b)
