"""The two signature schemes of verify_kit.py against openssl's, through the `cryptography` package."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.tiny_kit import ECDSA, EDDSA, LAW, OTHER, Signer, ecdsa_signer, ed25519_signer, load

vk = load()
N, P = vk.P256_N, vk.P256_P
MAKERS = {"ecdsa": ecdsa_signer, "ed25519": ed25519_signer}
SIGNERS = {"ecdsa": ECDSA, "ed25519": EDDSA}
MESSAGE = b"the message"


def key_of(signer: Signer) -> Any:
    """The verifier's key."""
    return vk.read_spki(signer.spki)


def flipped(data: bytes, bit: int) -> bytes:
    """One bit changed."""
    return bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(data))


def integer(number: int) -> bytes:
    """A DER INTEGER."""
    body = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    return b"\x02" + bytes([len(body)]) + body


def sequence(*parts: bytes) -> bytes:
    """A DER SEQUENCE with a short length."""
    return b"\x30" + bytes([len(b"".join(parts))]) + b"".join(parts)


# -- both


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 1000, 100_000])
def test_signature_by_another_implementation_verifies(make: Callable[[], Signer], length: int) -> None:
    signer, message = make(), os.urandom(length)

    assert key_of(signer).verifies(message, signer.sign(message))


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
def test_signature_with_any_bit_flipped_is_refused(signer: Signer) -> None:
    key, signature = key_of(signer), signer.sign(MESSAGE)

    assert [bit for bit in range(len(signature) * 8) if key.verifies(MESSAGE, flipped(signature, bit))] == []


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
def test_message_with_any_bit_flipped_is_refused(signer: Signer) -> None:
    key, signature = key_of(signer), signer.sign(MESSAGE)

    assert [bit for bit in range(len(MESSAGE) * 8) if key.verifies(flipped(MESSAGE, bit), signature)] == []


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
def test_key_with_any_bit_flipped_is_refused_or_verifies_nothing(signer: Signer) -> None:
    signature = signer.sign(MESSAGE)

    for bit in range(len(signer.spki) * 8):
        try:
            key = vk.read_spki(flipped(signer.spki, bit))
        except vk.Wrong:
            continue
        assert not key.verifies(MESSAGE, signature)


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
def test_signature_with_any_length_but_its_own_is_refused(signer: Signer) -> None:
    key, signature = key_of(signer), signer.sign(MESSAGE)

    assert not any(key.verifies(MESSAGE, signature[:length]) for length in range(len(signature)))
    assert not key.verifies(MESSAGE, signature + b"\0")


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
def test_names_of_a_key_are_those_that_other_tools_give(signer: Signer) -> None:
    key = key_of(signer)

    assert (key.fingerprint, key.hint, key.keyid) == (signer.fingerprint, signer.hint, signer.keyid)


# -- ECDSA on P-256


def test_ecdsa_with_high_and_low_s_verifies() -> None:
    r, s = decode_dss_signature(ECDSA.sign(MESSAGE))

    for either in (s, N - s):
        assert key_of(ECDSA).verifies(MESSAGE, sequence(integer(r), integer(either)))


@pytest.mark.parametrize("private", [1, 2, 3, N - 2, N - 1])
def test_ecdsa_under_keys_near_the_generator_verifies(private: int) -> None:
    signer = Signer(ec.derive_private_key(private, ec.SECP256R1()))

    assert key_of(signer).verifies(MESSAGE, signer.sign(MESSAGE))
    assert not key_of(signer).verifies(MESSAGE + b"!", signer.sign(MESSAGE))


@LAW
@given(scalar=st.integers(1, N - 1), other=st.integers(0, N - 1))
def test_p256_products_are_those_of_openssl(scalar: int, other: int) -> None:
    total = (scalar + other) % N
    x, y, z = vk.two_products(vk.p256_add, vk.P256_ZERO, (scalar, vk.P256_G), (other, vk.P256_G))
    inverse = pow(z, -1, P) if total else 0

    if total:
        wanted = ec.derive_private_key(total, ec.SECP256R1()).public_key().public_numbers()
        assert (x * inverse**2 % P, y * inverse**3 % P) == (wanted.x, wanted.y)
    else:
        assert z == 0


def test_p256_point_and_its_opposite_are_nothing_together() -> None:
    x, y, z = vk.P256_G

    assert vk.p256_add((x, y, z), (x, P - y, z)) == vk.P256_ZERO
    assert vk.p256_add(vk.P256_ZERO, vk.P256_ZERO) == vk.P256_ZERO


def test_p256_equal_points_in_other_coordinates_are_doubled() -> None:
    x, y, _ = vk.P256_G
    scaled = (x * 4 % P, y * 8 % P, 2)

    x1, y1, z1 = vk.p256_add(vk.P256_G, scaled)
    x2, y2, z2 = vk.p256_double(vk.P256_G)

    assert x1 * z2**2 % P == x2 * z1**2 % P
    assert y1 * z2**3 % P == y2 * z1**3 % P


def test_ecdsa_whose_point_is_infinity_is_refused() -> None:
    """With e + r*d = 0 mod n the sum u1*G + u2*Q is the point at infinity, whatever s is."""
    private = 7
    signer = Signer(ec.derive_private_key(private, ec.SECP256R1()))
    e = int.from_bytes(bytes.fromhex(vk.sha256_hex(MESSAGE)), "big")
    r = -e * pow(private, -1, N) % N

    assert not key_of(signer).verifies(MESSAGE, sequence(integer(r), integer(5)))


R, S = decode_dss_signature(OTHER.sign(MESSAGE))
BAD_SIGNATURES = {
    "empty": b"",
    "r_zero": sequence(integer(0), integer(S)),
    "s_zero": sequence(integer(R), integer(0)),
    "r_is_n": sequence(integer(N), integer(S)),
    "s_is_n": sequence(integer(R), integer(N)),
    "r_plus_n": sequence(integer(R + N), integer(S)),
    "s_plus_n": sequence(integer(R), integer(S + N)),
    "r_negative": sequence(integer(R - N), integer(S)),
    "s_negative": sequence(integer(R), integer(S - N)),
    "r_negated": sequence(integer(N - R), integer(S)),
    "swapped": sequence(integer(S), integer(R)),
    "r_padded": sequence(b"\x02" + bytes([len(integer(R)) - 1]) + b"\0" + integer(R)[2:], integer(S)),
    "s_padded": sequence(integer(R), b"\x02" + bytes([len(integer(S)) - 1]) + b"\0" + integer(S)[2:]),
    "trailing_byte": sequence(integer(R), integer(S)) + b"\0",
    "trailing_byte_inside": sequence(integer(R), integer(S), b"\0"),
    "third_integer": sequence(integer(R), integer(S), integer(1)),
    "r_alone": sequence(integer(R)),
    "long_length": b"\x30\x81" + sequence(integer(R), integer(S))[1:],
    "longer_length": b"\x30\x82\0" + sequence(integer(R), integer(S))[1:],
    "long_length_of_r": sequence(b"\x02\x81" + integer(R)[1:], integer(S)),
    "indefinite_length": b"\x30\x80" + integer(R) + integer(S) + b"\0\0",
    "length_too_small": b"\x30" + bytes([len(integer(R) + integer(S)) - 1]) + integer(R) + integer(S),
    "length_too_big": b"\x30" + bytes([len(integer(R) + integer(S)) + 1]) + integer(R) + integer(S),
    "set": b"\x31" + sequence(integer(R), integer(S))[1:],
    "octet_string": sequence(b"\x04" + integer(R)[1:], integer(S)),
    "empty_integer": sequence(b"\x02\0", integer(S), b"\x05\0"),
    "empty_integers": sequence(b"\x02\0", b"\x02\0", b"\x02\0"),
    "raw": R.to_bytes(32, "big") + S.to_bytes(32, "big"),
    "huge_r": sequence(integer(2**800), integer(S)),
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_ecdsa_in_another_encoding_or_range_is_refused(signature: bytes) -> None:
    key = key_of(OTHER)

    assert key.verifies(MESSAGE, sequence(integer(R), integer(S)))
    assert not key.verifies(MESSAGE, signature)


@LAW
@given(r=st.integers(0, 2**256 - 1), s=st.integers(0, 2**256 - 1))
def test_der_signature_reads_what_der_writes(r: int, s: int) -> None:
    assert vk.der_signature(sequence(integer(r), integer(s))) == (r, s)


@LAW
@given(data=st.binary(max_size=80))
def test_der_signature_accepts_one_encoding_alone(data: bytes) -> None:
    try:
        r, s = vk.der_signature(data)
    except ValueError:
        return
    assert sequence(integer(r), integer(s)) == data


@pytest.mark.parametrize(
    ("x", "y"),
    [(0, 0), (vk.P256_G[0], vk.P256_G[1] ^ 1), (P, 0), (vk.P256_G[0] + P, vk.P256_G[1]), (2**256 - 1, 2**256 - 1)],
)
def test_p256_point_beside_the_curve_or_beyond_the_field_is_none(x: int, y: int) -> None:
    assert vk.p256_point((x % 2**256).to_bytes(32, "big") + y.to_bytes(32, "big")) is None


# -- Ed25519

# Section 7.1: public key, message, signature.
RFC_8032 = {
    "1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "sha_abc": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}
L = vk.ED_L


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032.values(), ids=RFC_8032)
def test_ed25519_vectors_of_the_rfc_verify(public: str, message: str, signature: str) -> None:
    point = vk.ed_public(bytes.fromhex(public))

    assert vk.ed_encode(point) == bytes.fromhex(public)
    assert vk.ed_verifies(point, bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize("times", [1, 2, 7])
def test_ed25519_with_s_beyond_l_is_refused(times: int) -> None:
    signature = EDDSA.sign(MESSAGE)
    s = int.from_bytes(signature[32:], "little") + times * L

    assert s < 2**256
    assert not key_of(EDDSA).verifies(MESSAGE, signature[:32] + s.to_bytes(32, "little"))


def small_order_encodings() -> dict[str, bytes]:
    """All encodings of the eight points of small order, those with y >= p among them."""
    y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
    numbers = {"0": 0, "1": 1, "minus_1": vk.ED_P - 1, "p": vk.ED_P, "p_plus_1": vk.ED_P + 1, "8": y8, "minus_8": vk.ED_P - y8}
    return {f"{name}_{sign}": (y | sign << 255).to_bytes(32, "little") for name, y in numbers.items() for sign in (0, 1)}


@pytest.mark.parametrize("encoded", small_order_encodings().values(), ids=small_order_encodings())
def test_ed25519_key_of_small_order_is_none(encoded: bytes) -> None:
    assert vk.ed_public(encoded) is None


@pytest.mark.parametrize("low", range(19))
def test_ed25519_key_with_y_beyond_p_is_none(low: int) -> None:
    assert vk.ed_public((vk.ED_P + low).to_bytes(32, "little")) is None


def test_ed25519_zero_with_a_sign_is_none() -> None:
    assert vk.ed_decode((1 | 1 << 255).to_bytes(32, "little")) is None
    assert vk.ed_decode((1).to_bytes(32, "little")) == vk.ED_ZERO


@pytest.mark.parametrize("encoded", [1, vk.ED_P + 1], ids=["canonical", "not_canonical"])
def test_ed25519_r_is_compared_as_it_is_written(encoded: int) -> None:
    """R = identity in its canonical form is a valid signature by whoever has the key; in another form it is none."""
    private = 12345
    public = vk.two_products(vk.ed_add, vk.ED_ZERO, (private, vk.ED_BASE), (0, vk.ED_BASE))
    public = vk.ed_decode(vk.ed_encode(public))
    r = encoded.to_bytes(32, "little")
    k = int.from_bytes(vk.hashlib.sha512(r + vk.ed_encode(public) + MESSAGE).digest(), "little") % L

    assert vk.ed_verifies(public, MESSAGE, r + (k * private % L).to_bytes(32, "little")) is (encoded == 1)


@LAW
@given(seed=st.binary(min_size=32, max_size=32))
def test_ed25519_keys_decode_and_encode_as_openssl_has_them(seed: bytes) -> None:
    encoded = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    assert vk.ed_encode(vk.ed_public(encoded)) == encoded


@LAW
@given(data=st.binary(min_size=32, max_size=32))
def test_ed25519_decoding_accepts_one_encoding_alone(data: bytes) -> None:
    point = vk.ed_decode(data)

    assert point is None or vk.ed_encode(point) == data
