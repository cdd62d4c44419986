#!/usr/bin/env python3
# Python 3.8 cannot evaluate list[str] or `str | None`, and `from __future__ import annotations` would look for a __future__.py
# beside this script before rule (0) is in force; its zip() has no strict=, its itertools no pairwise():
# ruff: noqa: UP006, UP007, UP035, UP045, B905, RUF007
# Paths stay text: pathlib cannot open without following links. Numbers in comparisons are those of the formats that the
# docstrings name. A Wrong is raised where it is told, so that its file is named in one place:
# ruff: noqa: PTH116, PTH118, PTH123, PLR2004, TRY301
"""Verifies an offline kit, folder or tarball, with nothing but Python's standard library (3.8 or newer).

    python3 verify_kit.py --key KEY.pub [--key OTHER.pub ...] [--json] KIT.tar.gz|FOLDER

It opens no socket, unpacks nothing and writes nothing. The format is docs/kit-format.md; the authorities are in-toto Statement
v1, DSSE 1.0 (protocol.md: PAE), Sigstore bundle v0.3, RFC 4648 section 4, RFC 8785, RFC 8032 section 5.1, FIPS 186-5 section
6.4, POSIX.1 pax and ustar, RFC 1952. The rules, in the order in which they are enforced; the code repeats their numbers:

 stage 0, exit 2 or 4
 (0) No module is imported from the folder in which this script lies.
 (1) At least one key is given; each is a PEM SubjectPublicKeyInfo of ECDSA P-256 or Ed25519, its point fit to be trusted.
 stage 1, exit 6
 (2) A folder holds regular files and folders only; nothing is set-id, sticky or world-writable; what is read is what was seen.
 (3) A tarball is one gzip member, whole, with nothing after it.
 (4) In it is one tar archive: strict headers, types and modes, two zero blocks, then zeros alone.
 (5) Names obey the name rule; no two are equal, also under case folding; none is a folder; no folder is empty.
 (6) Nothing exceeds its budget.
 stage 2, exit 5
 (7) All six files of the envelope are there.
 (8) The key that SHA256SUMS.sigstore.json names was given, and SHA256SUMS.sig verifies under it.
 (9) SHA256SUMS.sig and SHA256SUMS.sigstore.json have their one byte form.
 stages 3 and 4, exit 6, every defect named
 (10) SHA256SUMS obeys its grammar, line by line.
 (11) Every listed file has its SHA-256.
 (12) Nothing that is listed is missing, nothing is there that is not listed.
 stage 5, exit 5
 (13) manifest.json is the payload of every manifest DSSE; each is signed by another given key, the first by the key of (8).
 (14) manifest.json is a canonical Statement about SHA256SUMS and each of its lines, with the right rootHash and version.
 (15) The two statements under attestations/ are there; each is signed by a given key and about this rootHash.
 (16) Each image has its folder attestations/<image>/, and each such folder its image; signature, provenance and SBOM statement
      in it are one given key's and about that image's manifest; every other byte in it follows from these three. Where the
      parts of manifest.json name an image, they tell this digest, or that it is absent.
 (17) The two keyless files are there both or not at all, each in its one form, about this SHA256SUMS and this manifest.json;
      trust "keyless" demands them.
 Below attestations/ there is nothing else.

Nothing is parsed as JSON before its signature was verified. What it does not do: compare the version with an earlier kit's,
look into wheels or into an image's layers, judge what stands in the fields of keyless (identity) signatures; those are for
`lnm kit verify`. As a command it refuses itself every socket, should something in it ever ask for one.
"""

import sys

# (0) A json.py or zlib.py beside this script must not run; `python3 -I` and `-P` leave the script's folder out by themselves.
if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]

import argparse
import binascii
import datetime as dt
import hashlib
import io
import json
import os
import re
import stat
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import (
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NoReturn,
    Optional,
    Pattern,
    Sequence,
    Set,
    TextIO,
    Tuple,
    Union,
)

__all__ = ["Failure", "Kind", "Manifest", "Part", "PublicKey", "Refused", "Report", "load_keys", "main", "read_keys", "verify"]

PathText = Union[str, "os.PathLike[str]"]

MIB = 1 << 20
READ = 256 << 10  # bytes of the archive read at once; more would only be copied again as zlib's unconsumed tail
CHUNK = MIB  # bytes inflated or hashed at once
LARGE_FILE = 8 * MIB  # from here on, hashing in a second thread is worth the hand-over (hashlib releases the GIL)
HASHING_THREADS = 2

# (6) The budgets of docs/kit-format.md; the last three are this verifier's own and far above any kit.
DECOMPRESSED_FLOOR = 64 * MIB
DECOMPRESSED_RATIO = 100
MAX_MEMBERS = 100_000
MAX_ENVELOPE_FILE = 64 * MIB
MAX_EXTENSION = 4096
MAX_MANIFEST = 64 << 10  # of an image
MAX_KEYLESS = 64 << 10  # of a keyless file, what it repeats of the kit not counted
MAX_FOLDERS = 100_000  # folders that names imply: at 32 a name they would be 3.2 million
MAX_KEPT = 256 * MIB  # all files that are held in memory
MAX_KEY_FILE = 64 << 10

SUMS, SUMS_SIG, SUMS_BUNDLE = "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.sigstore.json"
MANIFEST, MANIFEST_DSSE, MANIFEST_BUNDLE = "manifest.json", "manifest.dsse.json", "manifest.sigstore.json"
ENVELOPE = (SUMS, SUMS_SIG, SUMS_BUNDLE, MANIFEST, MANIFEST_DSSE, MANIFEST_BUNDLE)
SUMS_KEYLESS, MANIFEST_KEYLESS = "SHA256SUMS.keyless.sigstore.json", "manifest.keyless.sigstore.json"
KEYLESS = (SUMS_KEYLESS, MANIFEST_KEYLESS)
FURTHER_DSSE = re.compile(r"manifest\.([0-9a-f]{16})\.dsse\.json")
ATTESTATIONS = "attestations/"
PROVENANCE, SPDX = "attestations/slsa-provenance.dsse.json", "attestations/spdx.dsse.json"
KIT_SBOM = "sbom/lnm-kit.spdx.json"
BLOBS = "blobs/sha256/"
IMAGES = {"lnm-runner-linux-amd64": "amd64", "lnm-runner-linux-arm64": "arm64"}  # and the architecture of each

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MANIFEST_TYPE = "https://stella-ops.org/attestations/offline-update/1"
STATEMENTS = {PROVENANCE: "https://slsa.dev/provenance/v1", SPDX: "https://spdx.dev/Document"}

VERSION = r"[1-9][0-9]{3}\.(?:[1-9]|1[0-2])\.(?:0|[1-9][0-9]{0,8})"
ROOT_FOLDER = re.compile(rf"concelier-lnm-({VERSION})")


# --- failures -------------------------------------------------------------------------------------------------------------------


class Kind(Enum):
    """What was wrong, and its exit code (docs/kit-format.md, last table)."""

    ARGUMENT = ("argument", 2)
    KEY = ("key", 2)
    NOT_FOUND = ("not-found", 4)
    CONTAINER = ("container", 6)
    TRUNCATED = ("truncated", 6)
    ENVELOPE = ("envelope", 5)
    SIGNATURE = ("signature", 5)
    LIST = ("list", 6)
    DIGEST = ("digest", 6)
    MISSING = ("missing", 6)
    UNLISTED = ("unlisted", 6)
    STATEMENT = ("statement", 5)
    UNFORESEEN = ("unforeseen", 1)
    INTERRUPTED = ("interrupted", 130)

    def __init__(self, label: str, exit_code: int) -> None:
        """Splits the row of the table."""
        self.label = label
        self.exit_code = exit_code


@dataclass(frozen=True)
class Failure:
    """One reason for refusal; `file` is a name in the kit, "kit", or a path as it was given."""

    kind: Kind
    file: str
    found: str
    wanted: str

    def line(self) -> str:
        """The sentence for the operator."""
        return f"refused: {shown(self.file)}: {self.found}, {self.wanted}"

    def as_json(self) -> Dict[str, object]:
        """The members of the `failure` object."""
        code = self.kind.exit_code
        return {"kind": self.kind.label, "exit": code, "file": shown(self.file), "found": self.found, "wanted": self.wanted}


class Refused(Exception):  # noqa: N818 - «refused» is the word of the verdict
    """A kit, a key or an argument was refused; there is at least one failure, and the first one decides the exit code."""

    def __init__(self, first: Failure, *others: Failure) -> None:
        """Takes the failures in the order in which they are told."""
        super().__init__(first.line())
        self.failures = (first, *others)

    @property
    def exit_code(self) -> int:
        """The exit code of the first failure."""
        return self.failures[0].kind.exit_code


class Wrong(ValueError):  # noqa: N818 - half of a refusal, no error of its own
    """What is wrong inside one file; whoever knows the file turns it into a Refused."""

    def __init__(self, found: str, wanted: str) -> None:
        """Takes the two halves of the sentence."""
        super().__init__(f"{found}, {wanted}")
        self.found = found
        self.wanted = wanted

    def refused(self, kind: Kind, file: str) -> Refused:
        """The refusal of that file."""
        return refusal(kind, file, self.found, self.wanted)


def refusal(kind: Kind, file: str, found: str, wanted: str) -> Refused:
    """One failure, ready to be raised."""
    return Refused(Failure(kind, file, found, wanted))


def shown(text: str, most: int = 200) -> str:
    """Text that nobody has checked, as printable ASCII on one line, cut after `most` characters."""
    plain = text.encode("unicode_escape").decode("ascii")
    return plain if len(plain) <= most else plain[:most] + "..."


def shown_bytes(data: bytes) -> str:
    """The same for bytes."""
    return shown(data[:100].decode("ascii", "backslashreplace"), 80)


def shown_json(value: object) -> str:
    """A value of a statement as it would stand in a file, on one line."""
    return shown(json.dumps(value, separators=(",", ":")), 120)


def reason(err: Exception) -> str:
    """Why something could not be done, without its path."""
    return shown(getattr(err, "strerror", None) or str(err) or type(err).__name__)


# --- bytes ----------------------------------------------------------------------------------------------------------------------


def to_base64(data: bytes) -> bytes:
    """RFC 4648 section 4, padded, on one line."""
    return binascii.b2a_base64(data, newline=False)


def from_base64(text: bytes) -> bytes:
    """The bytes of canonical base64: encoding them again gives the same text. Wrong for any other text."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError as err:
        raise Wrong(f"broken base64 ({reason(err)})", "wanted base64") from None
    if to_base64(data) != text:
        raise Wrong("base64 that is not canonical", "wanted the one text for these bytes")
    return data


def sha256_hex(data: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def front(digest: str) -> str:
    """As much of a digest as people compare."""
    return digest[:12] + "..."


# --- ECDSA on P-256 (FIPS 186-5 section 6.4.2, SP 800-186 section 3.2.1.3) ------------------------------------------------------

Point = Tuple[int, ...]
P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
P256_G: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    1,
)
P256_ZERO: Point = (0, 1, 0)  # Jacobian: x = X/Z^2, y = Y/Z^3; Z = 0 is the point at infinity


def two_products(add: Callable[[Point, Point], Point], zero: Point, one: Tuple[int, Point], two: Tuple[int, Point]) -> Point:
    """a*P + b*Q in one pass over both scalars (Shamir's trick); its time tells them, but all of it is public."""
    (a, p), (b, q) = one, two
    table = (zero, p, q, add(p, q))
    total = zero
    for bit in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        total = add(total, total)
        chosen = (a >> bit & 1) | (b >> bit & 1) << 1
        if chosen:
            total = add(total, table[chosen])
    return total


def p256_double(point: Point) -> Point:
    """2*P, a being -3; infinity stays infinity, and no point of this curve has order 2."""
    x, y, z = point
    yy = y * y % P256_P
    s = 4 * x * yy % P256_P
    m = 3 * (x - z * z) * (x + z * z) % P256_P
    x2 = (m * m - 2 * s) % P256_P
    return x2, (m * (s - x2) - 8 * yy * yy) % P256_P, 2 * y * z % P256_P


def p256_add(one: Point, two: Point) -> Point:
    """P + Q, with the cases P = Q, P = -Q and infinity."""
    (x1, y1, z1), (x2, y2, z2) = one, two
    if z1 == 0 or z2 == 0:
        return two if z1 == 0 else one
    if one == two:
        return p256_double(one)
    zz1, zz2 = z1 * z1 % P256_P, z2 * z2 % P256_P
    u1, u2 = x1 * zz2 % P256_P, x2 * zz1 % P256_P
    s1, s2 = y1 * z2 * zz2 % P256_P, y2 * z1 * zz1 % P256_P
    if u1 == u2:
        return p256_double(one) if s1 == s2 else P256_ZERO
    h, r = u2 - u1, s2 - s1
    hh = h * h % P256_P
    hhh, v = h * hh % P256_P, u1 * hh % P256_P
    x3 = (r * r - hhh - 2 * v) % P256_P
    return x3, (r * (v - x3) - s1 * hhh) % P256_P, h * z1 * z2 % P256_P


def p256_point(encoded: bytes) -> Optional[Point]:
    """The point of 64 bytes x, y; None unless it lies on the curve."""
    x, y = int.from_bytes(encoded[:32], "big"), int.from_bytes(encoded[32:], "big")
    on_curve = x < P256_P and y < P256_P and (y * y - (x * x * x - 3 * x + P256_B)) % P256_P == 0
    return (x, y, 1) if on_curve else None


def der_integer(data: bytes) -> Tuple[int, bytes]:
    """The non-negative INTEGER at the front of `data`, and what follows it; ValueError unless it is DER (X.690 section 8.3)."""
    size = data[1] if len(data) > 1 and data[0] == 0x02 else 0
    body = data[2 : 2 + size]
    if size == 0 or len(body) != size or body[0] >= 0x80 or (size > 1 and body[0] == 0 and body[1] < 0x80):
        raise ValueError("not a DER INTEGER")
    return int.from_bytes(body, "big"), data[2 + size :]


def der_signature(signature: bytes) -> Tuple[int, int]:
    """r and s of DER SEQUENCE{r, s}, at most 72 bytes, hence with short lengths; ValueError for any other encoding."""
    if not 8 <= len(signature) <= 72 or signature[0] != 0x30 or signature[1] != len(signature) - 2:
        raise ValueError("not a DER SEQUENCE")
    r, rest = der_integer(signature[2:])
    s, rest = der_integer(rest)
    if rest:
        raise ValueError("bytes after s")
    return r, s


def ecdsa_verifies(public: Point, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is ECDSA P-256 with SHA-256 over `message`; low and high s both pass."""
    try:
        r, s = der_signature(signature)
    except ValueError:
        return False
    if not (0 < r < P256_N and 0 < s < P256_N):
        return False
    e = int.from_bytes(hashlib.sha256(message).digest(), "big")
    w = pow(s, -1, P256_N)
    x, _, z = two_products(p256_add, P256_ZERO, (e * w % P256_N, P256_G), (r * w % P256_N, public))
    return z != 0 and x * pow(z, -2, P256_P) % P256_P % P256_N == r


# --- Ed25519 (RFC 8032 section 5.1) ---------------------------------------------------------------------------------------------

ED_P = 2**255 - 19
ED_L = 2**252 + 27742317777372353535851937790883648493
ED_D = -121665 * pow(121666, -1, ED_P) % ED_P
ED_SQRT_MINUS_1 = pow(2, (ED_P - 1) // 4, ED_P)
ED_ZERO: Point = (0, 1, 1, 0)  # extended: x = X/Z, y = Y/Z, T = XY/Z
ED_BASE_X = 0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A
ED_BASE_Y = 4 * pow(5, -1, ED_P) % ED_P
ED_BASE: Point = (ED_BASE_X, ED_BASE_Y, 1, ED_BASE_X * ED_BASE_Y % ED_P)


def ed_add(one: Point, two: Point) -> Point:
    """P + Q; complete on this curve, hence 2*P as well (section 5.1.4)."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, two
    a, b = (y1 - x1) * (y2 - x2) % ED_P, (y1 + x1) * (y2 + x2) % ED_P
    c, d = 2 * t1 * t2 * ED_D % ED_P, 2 * z1 * z2 % ED_P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % ED_P, g * h % ED_P, f * g % ED_P, e * h % ED_P


def ed_encode(point: Point) -> bytes:
    """The 32 bytes of a point (section 5.1.2)."""
    inverse = pow(point[2], -1, ED_P)
    x, y = point[0] * inverse % ED_P, point[1] * inverse % ED_P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ed_decode(encoded: bytes) -> Optional[Point]:
    """The point of 32 bytes (section 5.1.3); None if there is none, or if `ed_encode` writes it in another way."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    square = (y * y - 1) * pow(ED_D * y * y + 1, -1, ED_P) % ED_P
    x = pow(square, (ED_P + 3) // 8, ED_P)
    if x * x % ED_P != square:
        x = x * ED_SQRT_MINUS_1 % ED_P
    if y >= ED_P or x * x % ED_P != square or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = ED_P - x
    return x, y, 1, x * y % ED_P


def ed_public(encoded: bytes) -> Optional[Point]:
    """The point of a public key; None also for the eight points of small order, under which anybody's signature verifies."""
    point = ed_decode(encoded)
    if point is None:
        return None
    multiple = point
    for _ in range(3):
        multiple = ed_add(multiple, multiple)
    return None if multiple[0] == 0 and multiple[1] == multiple[2] else point


def ed_verifies(public: Point, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is pure Ed25519 over `message` (section 5.1.7, no cofactor); R in another form never equals ours."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= ED_L:
        return False
    x, y, z, t = public
    k = int.from_bytes(hashlib.sha512(r + ed_encode(public) + message).digest(), "little") % ED_L
    negative = (-x % ED_P, y, z, -t % ED_P)
    return ed_encode(two_products(ed_add, ED_ZERO, (s, ED_BASE), (k, negative))) == r


# --- keys: rule (1) -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Algorithm:
    """A kind of key: how its SPKI begins and how long the rest is, how its point decodes, signatures verify, SSH writes it."""

    name: str
    prefix: bytes
    size: int
    decode: Callable[[bytes], Optional[Point]]
    check: Callable[[Point, bytes, bytes], bool]
    ssh: Callable[[bytes], Sequence[bytes]]


ALGORITHMS = (
    Algorithm(
        "ECDSA P-256",
        bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"),  # RFC 5480, with the 04 of an uncompressed point
        64,
        p256_point,
        ecdsa_verifies,
        lambda point: (b"ecdsa-sha2-nistp256", b"nistp256", b"\x04" + point),  # RFC 5656 section 3.1
    ),
    Algorithm(
        "Ed25519",
        bytes.fromhex("302a300506032b6570032100"),  # RFC 8410
        32,
        ed_public,
        ed_verifies,
        lambda point: (b"ssh-ed25519", point),  # RFC 8709 section 4
    ),
)


@dataclass(frozen=True)
class PublicKey:
    """A key that the operator trusts; `read_keys` makes it."""

    algorithm: Algorithm
    point: Point
    fingerprint: str  # SHA-256 of the SPKI in hex: what people compare
    hint: str  # the same in base64: how a bundle names it
    keyid: str  # its OpenSSH fingerprint: how a DSSE names it

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made `signature` over `message`."""
        return self.algorithm.check(self.point, message, signature)

    def __str__(self) -> str:
        """The key as the operator compares it."""
        return f"{self.algorithm.name} {self.fingerprint}"


PEM_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----[ \t]*\r?\n([A-Za-z0-9+/=\s]*)-----END PUBLIC KEY-----")


def read_keys(data: bytes, file: str) -> List[PublicKey]:
    """The keys of one PEM file, in its order; text around the blocks is a comment.

    Raises:
        Refused: it holds a private key (which is never repeated), no block, or another kind of key.
    """
    if b"PRIVATE KEY" in data:
        raise refusal(Kind.KEY, file, "this is a private key", "only the public one belongs near a kit")
    blocks = PEM_BLOCK.findall(data)
    if not blocks or b"-----" in PEM_BLOCK.sub(b"", data):
        raise refusal(Kind.KEY, file, "not a public key in PEM form", "wanted -----BEGIN PUBLIC KEY----- and its end")
    try:
        return [read_spki(from_base64(b"".join(block.split()))) for block in blocks]
    except Wrong as wrong:
        raise wrong.refused(Kind.KEY, file) from None


def read_spki(spki: bytes) -> PublicKey:
    """The key of a DER SubjectPublicKeyInfo; Wrong if it is none of ours."""
    for algorithm in ALGORITHMS:
        encoded = spki[len(algorithm.prefix) :]
        if not spki.startswith(algorithm.prefix) or len(encoded) != algorithm.size:
            continue
        point = algorithm.decode(encoded)
        if point is None:
            raise Wrong(f"its {algorithm.name} point is not to be trusted", "wanted a point of the curve, not of small order")
        ssh = b"".join(len(field).to_bytes(4, "big") + field for field in algorithm.ssh(encoded))
        keyid = "SHA256:" + to_base64(hashlib.sha256(ssh).digest()).decode("ascii").rstrip("=")
        digest = hashlib.sha256(spki)
        return PublicKey(algorithm, point, digest.hexdigest(), to_base64(digest.digest()).decode("ascii"), keyid)
    raise Wrong(other_kind(spki), "wanted ECDSA P-256 with an uncompressed point, or Ed25519")


RSA = "RSA"
OTHER_KINDS = (  # the OBJECT IDENTIFIER near the front of an SPKI, and what it says; words of an error, and no more
    ("06092a864886f70d010101", RSA),  # RFC 3279 section 2.3.1
    ("06092a864886f70d01010a", "RSA-PSS"),  # RFC 4055 section 1.2
    ("06072a8648ce380401", "DSA"),  # RFC 3279 section 2.3.2
    ("06052b81040021", "ECDSA P-224"),  # RFC 5480 section 2.1.1.1, and the next two
    ("06052b81040022", "ECDSA P-384"),
    ("06052b81040023", "ECDSA P-521"),
    ("06052b8104000a", "ECDSA secp256k1"),  # SEC 2 section A.2.1
    ("06082a8648ce3d030107", "ECDSA P-256 written in another way"),
    ("06072a8648ce3d0201", "ECDSA on another curve"),
    ("06032b656e", "X25519"),  # RFC 8410 section 3, and the next two
    ("06032b656f", "X448"),
    ("06032b6571", "Ed448"),
)


def other_kind(spki: bytes) -> str:
    """What a key that is none of ours is, as far as its front tells."""
    for identifier, kind in OTHER_KINDS:
        if bytes.fromhex(identifier) in spki[:40]:
            bits = rsa_bits(spki) if kind == RSA else 0
            size = f" of {bits} bits" if bits else ""
            rule = " (RSA below 3072 bits is refused anywhere, larger ones are not used here)" if kind == RSA else ""
            return kind + size + rule
    return "another kind of key"


def rsa_bits(spki: bytes) -> int:
    """The bits of the modulus in SEQUENCE{algorithm, BIT STRING{SEQUENCE{modulus, …}}} (RFC 8017 A.1.1); 0 if there is none."""
    try:
        algorithm = der_content(spki, 0)[0]
        key = der_content(spki, der_content(spki, algorithm)[1])[0] + 1  # the byte that counts unused bits
        start, end = der_content(spki, der_content(spki, key)[0])
    except IndexError:
        return 0
    return int.from_bytes(spki[start:end], "big").bit_length()


def der_content(data: bytes, at: int) -> Tuple[int, int]:
    """Where the content of the DER element at an offset begins and ends (X.690 section 8.1.3)."""
    start, size = at + 2, data[at + 1]
    if size & 0x80:
        start, size = start + (size & 0x7F), int.from_bytes(data[start : start + (size & 0x7F)], "big")
    return start, start + size


def load_keys(paths: Sequence[PathText]) -> Tuple[PublicKey, ...]:
    """(1) The keys of these files, each once, in their order; none if there is no path.

    Raises:
        Refused: a file that is not there (exit 4), or that is no public key (2).
    """
    keys: Dict[str, PublicKey] = {}
    for path in paths:
        name = os.fspath(path)
        for key in read_keys(read_key_file(name), name):
            keys.setdefault(key.fingerprint, key)
    return tuple(keys.values())


def read_key_file(path: str) -> bytes:
    """The bytes of a key file of reasonable length."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_KEY_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise refusal(Kind.NOT_FOUND, path, "no such key file", "wanted the publisher's public key") from None
    except OSError as err:
        raise refusal(Kind.KEY, path, f"cannot be read ({reason(err)})", "wanted the publisher's public key") from None
    if len(data) > MAX_KEY_FILE:
        raise refusal(Kind.KEY, path, f"more than {MAX_KEY_FILE} bytes", "wanted the publisher's public key")
    return data


# --- names: rule (5), and what may be held in memory: rule (6) ------------------------------------------------------------------

NAME_PART = re.compile(r"[A-Za-z0-9._+=@-]{1,255}")
MAX_PARTS, MAX_NAME = 32, 1024
DEVICES = frozenset(["con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))])
NAME_RULE = "wanted a name of parts of A-Z a-z 0-9 . _ + = @ -, no dot at their ends, no device, at most 32 and 1024 characters"


def name_fault(name: str) -> Optional[str]:
    """What is wrong with a name below the kit's root folder; None when it obeys the name rule."""
    parts = name.split("/")
    if len(parts) > MAX_PARTS or len(name) > MAX_NAME:
        return f"its name has {len(parts)} parts and {len(name)} characters"
    for part in parts:
        if NAME_PART.fullmatch(part) is None or part[0] == "." or part[-1] == ".":
            return f'its name has the part "{shown(part)}"'
        if part.partition(".")[0].lower() in DEVICES:
            return f'its name has the part "{part}", a device on Windows'
    return None


def in_envelope(name: str) -> bool:
    """Whether a name belongs to set E."""
    return name in ENVELOPE or name in KEYLESS or FURTHER_DSSE.fullmatch(name) is not None


def is_kept(name: str, size: int) -> bool:
    """Whether a file is held in memory: E, the statements that this verifier reads, and what may be an image's manifest."""
    return in_envelope(name) or name in STATEMENTS or image_of(name) is not None or may_be_manifest(name, size)


def may_be_manifest(name: str, size: int) -> bool:
    """Whether a file may be an image's manifest, which only the image's index tells."""
    return size <= MAX_MANIFEST and any(name.startswith(f"images/{image}/{BLOBS}") for image in IMAGES)


def image_of(name: str) -> Optional[str]:
    """The image in whose folder below attestations/ a file lies."""
    image = name.split("/")[1] if name.startswith(ATTESTATIONS) and name.count("/") > 1 else ""
    return image if image in IMAGES else None


def check_size(name: str, size: int, kept_bytes: int) -> None:
    """(6) The budgets of one file; `kept_bytes` is what is held already."""
    if (in_envelope(name) or name.startswith(ATTESTATIONS)) and size > MAX_ENVELOPE_FILE:
        raise refusal(Kind.CONTAINER, name, f"{size} bytes", f"at most {MAX_ENVELOPE_FILE} are allowed for this file")
    if is_kept(name, size) and kept_bytes + size > MAX_KEPT:
        raise refusal(Kind.CONTAINER, name, "one signed file too many", f"together they may have at most {MAX_KEPT} bytes")


class Tree:
    """The names of one kit taken together; each of them alone has passed `name_fault`."""

    def __init__(self) -> None:
        """Starts with none."""
        self.folders: Set[str] = set()
        self.paths: Dict[str, Tuple[str, bool]] = {}  # under ASCII case folding: how it is written, and whether it is a folder

    def add(self, name: str) -> None:
        """(5) Takes a name and the folders above it; Wrong if one of them cannot lie beside those before it."""
        for path, folder in [(name, False), *((above, True) for above in self.new_folders(name))]:
            other, other_is_folder = self.paths.setdefault(path.lower(), (path, folder))
            if other != path:
                raise Wrong(f"its name has {path}, which is {other} but for case", "wanted names that differ on every system")
            if other_is_folder != folder:
                raise Wrong(f"{path} is both a file and a folder", "wanted one of the two")

    def new_folders(self, name: str) -> List[str]:
        """The folders above a name that were not there before, the root folder left out."""
        made: List[str] = []
        folder = name.rpartition("/")[0]
        while folder and folder not in self.folders:
            made.append(folder)
            folder = folder.rpartition("/")[0]
        self.folders.update(made)
        if len(self.folders) > MAX_FOLDERS:  # (6)
            raise refusal(Kind.CONTAINER, "kit", f"more than {MAX_FOLDERS} folders", "wanted fewer")
        return made


def check_tree(files: Set[str], folders: Set[str]) -> None:
    """(5) The files and folders of a container, the root folder left out."""
    tree = Tree()
    failures: List[Failure] = []
    for name in sorted(files):
        try:
            tree.add(name)
        except Wrong as wrong:
            failures.append(Failure(Kind.CONTAINER, name, wrong.found, wrong.wanted))
    empty = sorted(folders - tree.folders)
    failures += [Failure(Kind.CONTAINER, folder, "an empty folder", "a kit has none") for folder in empty]
    if failures:
        raise Refused(*failures)


Digests = Dict[str, Union[str, Failure]]  # SHA-256 in hex, or why a file could not be read


@dataclass(frozen=True)
class Contents:
    """What a container holds, after stage 1."""

    names: Set[str]
    kept: Mapping[str, bytes]  # the files for which `is_kept` holds
    version: Optional[str]  # of the root folder; None where its name is free
    digests: Callable[[Set[str]], Digests]  # of some of the names; of a folder's files, only now


# --- the tarball: rules (3) and (4) ---------------------------------------------------------------------------------------------

BLOCK = 512
ZEROS = bytes(BLOCK)
USTAR_MAGIC, GNU_MAGIC = b"ustar\00000", b"ustar  \0"
OCTAL = re.compile(rb"([0-7]+)[ \0]+")
PAX_RECORD = re.compile(rb"([1-9][0-9]{0,3}) ([^=\n]+)=")
PAX_KEYS = (b"path", b"mtime", b"atime", b"ctime")
FILE_TYPES, FOLDER_TYPE = (b"0", b"\0"), b"5"
FILE_MODES, FOLDER_MODES = (0o644, 0o755), (0o755,)


def archive_refusal(found: str, wanted: str) -> Refused:
    """The refusal of an archive for something that is no single member's fault."""
    return refusal(Kind.CONTAINER, "kit", found, wanted)


def truncated(what: str) -> Refused:
    """The refusal of an archive that is not whole."""
    return refusal(Kind.TRUNCATED, "kit", f"truncated: {what} end early", "wanted a whole archive")


def inflate(archive: io.RawIOBase, limit: int) -> Iterator[bytes]:
    """(3) The bytes of the one gzip member, in chunks; zlib checks its CRC and length before the iterator ends."""
    engine = zlib.decompressobj(31)  # 31: one gzip header and trailer, and nothing else
    produced = 0
    while not engine.eof:
        data = engine.unconsumed_tail or archive.read(READ)
        if not data:
            raise truncated("the gzip data")
        try:
            chunk = engine.decompress(data, CHUNK)
        except zlib.error as err:
            found = f"damaged or truncated gzip data ({reason(err)})"
            raise refusal(Kind.TRUNCATED, "kit", found, "wanted one gzip member") from None
        produced += len(chunk)
        if produced > limit:  # (6)
            raise archive_refusal(f"it unpacks to more than {limit} bytes", "at most 64 MiB and 100 times its size are allowed")
        if chunk:
            yield chunk
    if engine.unused_data or archive.read(1):
        raise archive_refusal("bytes after the end of the gzip data", "nothing may follow its one member")


class Stream:
    """The inflated bytes, taken in pieces; only headers are copied."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Takes the chunks in their order."""
        self._chunks = chunks
        self._rest = memoryview(b"")

    def some(self, most: int) -> memoryview:
        """The next bytes, at least one and at most `most`; none at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes."""
        while size:
            piece = self.some(size)
            if not piece:
                raise truncated("the data of the tar archive")
            size -= len(piece)
            yield piece

    def block(self) -> bytes:
        """The next 512 bytes."""
        return b"".join(self.pieces(BLOCK))

    def data(self, size: int) -> Iterator[memoryview]:
        """(4) The `size` bytes of a member; zeros fill up its last block."""
        yield from self.pieces(size)
        if b"".join(self.pieces(-size % BLOCK)).strip(b"\0"):
            raise archive_refusal("bytes between two members", "only zeros may stand there")


@dataclass(frozen=True)
class Header:
    """What one header block says; `path` is not checked yet."""

    type: bytes
    mode: int
    size: int
    path: str


def read_header(block: bytes) -> Header:
    """(4) The header in 512 bytes (POSIX.1 pax, «ustar Interchange Format»; GNU tar's manual, «Basic Tar Format»)."""
    magic = block[257:265]
    if magic not in (USTAR_MAGIC, GNU_MAGIC):
        raise archive_refusal(f'not a tar header, its magic is "{shown_bytes(magic)}"', "wanted a tar archive, ustar or GNU")
    if octal(block[148:156], "checksum") != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise archive_refusal("a tar header with a wrong checksum", "wanted a whole archive")
    path, prefix = text_field(block[:100]), text_field(block[345:500])
    if (prefix and magic == GNU_MAGIC) or block[500:].strip(b"\0"):
        raise archive_refusal("a tar header with bytes in its prefix or filling", "wanted NULs there under its magic")
    if block[156:157] in (*FILE_TYPES, FOLDER_TYPE) and text_field(block[157:257]):
        raise refusal(Kind.CONTAINER, path, "a file or folder with a link's target", "links are not allowed")
    mode, size = octal(block[100:108], "mode"), octal(block[124:136], "size")
    return Header(block[156:157], mode, size, f"{prefix}/{path}" if prefix else path)


def octal(field: bytes, what: str) -> int:
    """A number of a tar header: octal digits, ended by spaces or NULs."""
    digits = OCTAL.fullmatch(field)
    if digits is None:
        raise archive_refusal(f'a tar header with the {what} "{shown_bytes(field)}"', "wanted octal digits and a NUL")
    return int(digits.group(1), 8)


def text_field(field: bytes) -> str:
    """The text of a tar header, filled up with NULs; what is not ASCII gets a backslash, which no name may have."""
    text = field.rstrip(b"\0")
    if b"\0" in text:
        raise archive_refusal(f'a tar header with bytes after a NUL, "{shown_bytes(text)}"', "wanted NULs alone there")
    return text.decode("ascii", "backslashreplace")


def read_long_name(data: bytes) -> str:
    """(4) The name in a GNU `L` record, ended by the only NUL in it."""
    if not data or data.find(b"\0") != len(data) - 1:
        raise archive_refusal(f'a GNU long name record "{shown_bytes(data)}"', "wanted a name and one NUL at its end")
    return data[:-1].decode("ascii", "backslashreplace")


def read_pax(data: bytes) -> Optional[str]:
    """(4) The `path` of a pax record, None if it has only times, which are ignored; any other key is refused."""
    values: Dict[bytes, bytes] = {}
    rest = data
    while rest or not values:
        match = PAX_RECORD.match(rest)
        size = 0 if match is None else int(match.group(1))
        if match is None or not match.end() < size <= len(rest) or rest[size - 1 : size] != b"\n":
            raise archive_refusal(f'a broken pax record "{shown_bytes(rest)}"', "wanted <length> <key>=<value>")
        key = match.group(2)
        if key not in PAX_KEYS or key in values:
            raise archive_refusal(f'a pax record with the key "{shown_bytes(key)}"', "only path and times are allowed, each once")
        values[key], rest = rest[match.end() : size - 1], rest[size:]
    return values[b"path"].decode("ascii", "backslashreplace") if b"path" in values else None


def read_headers(stream: Stream) -> Iterator[Header]:
    """(4) The members' headers, long names put in; before the next one, the caller takes the member's data off the stream."""
    recorded, path = False, None
    block = stream.block()
    while block != ZEROS:
        header = read_header(block)
        if header.type in (b"x", b"L"):
            if recorded:
                raise archive_refusal("two name records before one member", "at most one is allowed")
            if header.size > MAX_EXTENSION:  # (6)
                raise archive_refusal(f"a name record of {header.size} bytes", f"at most {MAX_EXTENSION} are allowed")
            data = b"".join(stream.data(header.size))
            recorded, path = True, read_pax(data) if header.type == b"x" else read_long_name(data)
        else:
            yield header if path is None else Header(header.type, header.mode, header.size, path)
            recorded, path = False, None
        block = stream.block()
    if recorded:
        raise archive_refusal("a name record with no member after it", "wanted a member")
    check_end(stream)


def check_end(stream: Stream) -> None:
    """(4) The second zero block, then zeros alone, to the end of the gzip data."""
    if stream.block() != ZEROS:
        raise archive_refusal("one zero block and something after it", "wanted two at the end of the archive")
    rest = stream.some(CHUNK)
    while rest:
        if rest != bytes(len(rest)):
            raise archive_refusal("bytes after the end of the tar archive", "only zeros may follow")
        rest = stream.some(CHUNK)


def check_member(header: Header) -> None:
    """(4) Type, mode and size of a member."""
    folder = header.type == FOLDER_TYPE
    if not folder and header.type not in FILE_TYPES:
        found = f'a member of type "{shown_bytes(header.type)}"'
        raise refusal(Kind.CONTAINER, header.path, found, "only files and folders are allowed, no links")
    modes = FOLDER_MODES if folder else FILE_MODES
    if header.mode not in modes:
        wanted = " or ".join(f"{mode:04o}" for mode in modes)
        raise refusal(Kind.CONTAINER, header.path, f"mode {header.mode:04o}", f"wanted {wanted}")
    if folder and header.size != 0:
        raise refusal(Kind.CONTAINER, header.path, f"a folder of {header.size} bytes", "wanted size 0")


class Tarball:
    """What has been read of an archive so far."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self.root = ""
        self.folders: Set[str] = set()
        self.digests: Digests = {}
        self.kept: Dict[str, bytes] = {}
        self.kept_bytes = 0

    def take(self, header: Header, stream: Stream) -> None:
        """One member: its rules first, then its bytes."""
        if len(self.digests) + len(self.folders) >= MAX_MEMBERS:  # (6)
            raise archive_refusal(f"more than {MAX_MEMBERS} members", "wanted fewer")
        check_member(header)
        name = self.below_root(header)
        if name in self.folders or name in self.digests:  # (5)
            raise refusal(Kind.CONTAINER, header.path, "twice in the archive", "each name is allowed once")
        if header.type == FOLDER_TYPE:
            self.folders.add(name)
        else:
            check_size(name, header.size, self.kept_bytes)
            self.digests[name] = self.read(name, header.size, stream)

    def read(self, name: str, size: int, stream: Stream) -> str:
        """SHA-256 of a file as it goes by; those of `is_kept` stay in memory."""
        if is_kept(name, size):
            self.kept[name] = b"".join(stream.data(size))
            self.kept_bytes += size
            return sha256_hex(self.kept[name])
        digest = hashlib.sha256()
        for piece in stream.data(size):
            digest.update(piece)
        return digest.hexdigest()

    def below_root(self, header: Header) -> str:
        """(4), (5) The name below the one root folder; empty for that folder itself."""
        folder = header.type == FOLDER_TYPE
        path = header.path[:-1] if folder and header.path.endswith("/") else header.path
        root, slash, name = path.partition("/")
        if ROOT_FOLDER.fullmatch(root) is None or self.root not in ("", root) or not (slash or folder):
            raise refusal(Kind.CONTAINER, path, "not below the root folder", "wanted concelier-lnm-<version>/ above every name")
        self.root = root
        fault = name_fault(name) if slash else None
        if fault is not None:
            raise refusal(Kind.CONTAINER, path, fault, NAME_RULE)
        return name


def read_tarball(archive: io.RawIOBase, size: int) -> Contents:
    """Stage 1 for a tarball of `size` bytes: one pass, every file hashed as it goes by."""
    stream = Stream(inflate(archive, DECOMPRESSED_FLOOR + DECOMPRESSED_RATIO * size))
    tarball = Tarball()
    for header in read_headers(stream):
        tarball.take(header, stream)
    if not tarball.digests:
        raise archive_refusal("an archive with no file in it", "wanted concelier-lnm-<version>/ and a kit below it")
    names = set(tarball.digests)
    check_tree(names, tarball.folders - {""})
    version = tarball.root.rpartition("-")[2]
    return Contents(names, tarball.kept, version, lambda some: {name: tarball.digests[name] for name in some})


# --- the folder: rule (2) -------------------------------------------------------------------------------------------------------

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # not through a link; a FIFO must not make us wait
REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: junctions and the like on Windows
WRONG_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | stat.S_IWOTH


def open_no_follow(path: str) -> io.FileIO:
    """A file, opened to be read, that is itself no link."""
    return io.FileIO(path, "rb", opener=lambda name, flags: os.open(name, flags | NO_FOLLOW))


def entry_fault(info: os.stat_result) -> Optional[Tuple[str, str]]:
    """(2) What was found and wanted, if a thing in a folder is not to be there."""
    if stat.S_ISLNK(info.st_mode) or getattr(info, "st_file_attributes", 0) & REPARSE_POINT:
        return "a link", "only files and folders are allowed"
    if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
        return "a special file", "only files and folders are allowed"
    if os.name == "posix" and info.st_mode & WRONG_BITS:  # elsewhere these bits are made up
        return f"mode {stat.S_IMODE(info.st_mode):04o}", "nothing may be set-id, sticky or world-writable"
    return None


def check_same_file(now: os.stat_result, then: os.stat_result) -> None:
    """(2) OSError unless two looks saw the same file or folder."""
    if (now.st_dev, now.st_ino, stat.S_IFMT(now.st_mode)) != (then.st_dev, then.st_ino, stat.S_IFMT(then.st_mode)):
        raise OSError("it was exchanged while the kit was read")


class Folder:
    """An unpacked kit: what a walk that follows no link saw, and the reading of just that."""

    def __init__(self, root: str) -> None:
        """Walks through `root`, which is itself no link."""
        self.root = root
        self.files: Dict[str, os.stat_result] = {}
        self.folders: Dict[str, os.stat_result] = {}
        self.failures: List[Failure] = []
        self.stopped = False
        waiting = [""] if self.look("", os.lstat(root)) else []
        while waiting:
            waiting += self.enter(waiting.pop())

    def check(self) -> None:
        """(2), (5) Refuses with everything that is not to be there."""
        failures = sorted(self.failures, key=lambda failure: failure.file)
        if failures:
            raise Refused(*failures)
        if not self.files:
            raise refusal(Kind.CONTAINER, "kit", "an empty folder", "wanted an unpacked kit")
        check_tree(set(self.files), set(self.folders) - {""})

    def path(self, name: str) -> str:
        """Where a name lies on the disk."""
        return os.path.join(self.root, *name.split("/")) if name else self.root

    def enter(self, folder: str) -> List[str]:
        """Looks at everything in one folder; the folders in it, to be entered next."""
        path, inner = self.path(folder), []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = f"{folder}/{entry.name}" if folder else entry.name
                    if self.look(name, os.lstat(entry.path)):
                        inner.append(name)
            check_same_file(os.lstat(path), self.folders[folder])
        except OSError as err:
            self.fail(folder, f"cannot be read ({reason(err)})", "wanted a folder that holds still")
        return inner

    def look(self, name: str, info: os.stat_result) -> bool:
        """Notes one thing, and what is wrong with it; whether it is a folder to enter."""
        if len(self.files) + len(self.folders) > MAX_MEMBERS:  # (6), the root folder not counted
            raise refusal(Kind.CONTAINER, "kit", f"more than {MAX_MEMBERS} files and folders", "wanted fewer")
        folder = stat.S_ISDIR(info.st_mode)
        (self.folders if folder else self.files)[name] = info
        fault, wrong_name = entry_fault(info), name_fault(name) if name else None
        if fault is not None:
            self.fail(name, *fault)
        if wrong_name is not None:
            self.fail(name, wrong_name, NAME_RULE)
        return folder and fault is None and wrong_name is None

    def fail(self, name: str, found: str, wanted: str) -> None:
        """Notes something that is not to be there."""
        self.failures.append(Failure(Kind.CONTAINER, name or "kit", found, wanted))

    def open(self, name: str) -> io.FileIO:
        """(2) The file that the walk saw; OSError if another lies there by now."""
        file = open_no_follow(self.path(name))
        try:
            check_same_file(os.fstat(file.fileno()), self.files[name])
        except OSError:
            file.close()
            raise
        return file

    def read_kept(self) -> Dict[str, bytes]:
        """The files that are held in memory, within their budgets."""
        kept: Dict[str, bytes] = {}
        kept_bytes = 0
        for name in sorted(self.files):
            size = self.files[name].st_size
            check_size(name, size, kept_bytes)
            if is_kept(name, size):
                kept[name] = self.read(name, size)
                kept_bytes += size
        return kept

    def read(self, name: str, size: int) -> bytes:
        """One file; if it has grown meanwhile, one byte too many, which no signature forgives."""
        try:
            with io.BufferedReader(self.open(name)) as file:
                return file.read(size + 1)
        except OSError as err:
            raise refusal(Kind.CONTAINER, name, f"cannot be read ({reason(err)})", "wanted a readable file") from None

    def digest(self, name: str) -> Union[str, Failure]:
        """SHA-256 of one file, or why there is none."""
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(min(CHUNK, self.files[name].st_size + 1)))
        try:
            with self.open(name) as file:
                count = file.readinto(buffer)
                while count and not self.stopped:
                    digest.update(buffer[:count])
                    count = file.readinto(buffer)
        except OSError as err:
            return Failure(Kind.DIGEST, name, f"cannot be read ({reason(err)})", "wanted a readable file")
        return digest.hexdigest()

    def digests(self, names: Set[str]) -> Digests:
        """SHA-256 of these files, the large ones in threads."""
        self.stopped = False
        small, large = set(names), {name for name in names if self.files[name].st_size >= LARGE_FILE}
        with ThreadPoolExecutor(HASHING_THREADS) as pool:  # starts no thread before there is work for one
            running: Dict[str, Future[Union[str, Failure]]] = {}
            try:
                for name in sorted(large):
                    running[name] = pool.submit(self.digest, name)
                found: Digests = {name: self.digest(name) for name in sorted(small - large)}
                found.update((name, future.result()) for name, future in running.items())
            finally:
                self.stopped = True  # after an interrupt nobody waits for hashes
                for future in running.values():
                    future.cancel()
        return found


def read_folder(root: str) -> Contents:
    """Stage 1 for a folder; the files that are not held in memory are read when stage 3 asks for their hashes."""
    folder = Folder(root)
    folder.check()
    kept = folder.read_kept()

    def digests(names: Set[str]) -> Digests:
        found = folder.digests(names - kept.keys())
        found.update((name, sha256_hex(kept[name])) for name in names & kept.keys())
        return found

    return Contents(set(folder.files), kept, None, digests)


def read_kit(kit: str) -> Contents:
    """The end of stage 0, the kit is there; then stage 1. `kit` may be a link to it; after that, none is followed."""
    try:
        root = os.path.realpath(kit)
        if stat.S_ISDIR(os.stat(root).st_mode):
            return read_folder(root)
        with open_no_follow(root) as archive:
            info = os.fstat(archive.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise refusal(Kind.CONTAINER, "kit", "neither a folder nor a file", "wanted KIT.tar.gz or a folder")
            return read_tarball(archive, info.st_size)
    except (FileNotFoundError, NotADirectoryError):
        raise refusal(Kind.NOT_FOUND, kit, "no such kit", "wanted KIT.tar.gz or a folder") from None
    except OSError as err:
        raise refusal(Kind.CONTAINER, "kit", f"cannot be read ({reason(err)})", "wanted a readable kit") from None


# --- the forms of the envelope: rules (9) and (13) ------------------------------------------------------------------------------

SUMS_BUNDLE_FORM = (
    b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
    b'"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"%s"},"signature":"%s"},'
    b'"verificationMaterial":{"publicKey":{"hint":"%s"},"tlogEntries":[]}}\n'
)
DSSE_FORM = b'{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"%s","sig":"%s"}]}\n'
DSSE_BUNDLE_FORM = (
    b'{"dsseEnvelope":%s,"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
    b'"verificationMaterial":{"publicKey":{"hint":"%s"},"tlogEntries":[]}}\n'
)
PAE_FORM = b"DSSEv1 28 application/vnd.in-toto+json %d %s"
BASE64, HINT, KEYID = rb"[A-Za-z0-9+/]*={0,2}", rb"[A-Za-z0-9+/]{43}=", rb"SHA256:[A-Za-z0-9+/]{43}"


def pattern_of(form: bytes, *fields: bytes) -> Pattern[bytes]:
    """The regular expression of a form: its text as it is, its `%s` as groups."""
    texts = [re.escape(text) for text in form.split(b"%s")]
    return re.compile(texts[0] + b"".join(b"(" + field + b")" + text for field, text in zip(fields, texts[1:])))


SUMS_BUNDLE_PATTERN = pattern_of(SUMS_BUNDLE_FORM, BASE64, BASE64, HINT)
DSSE_PATTERN = pattern_of(DSSE_FORM, BASE64, KEYID, BASE64)


def check_same(kind: Kind, file: str, found: bytes, wanted: bytes, what: str) -> None:
    """Refuses a file that is not byte for byte what it has to be."""
    if found != wanted:
        raise refusal(kind, file, f"its bytes are not those of {what}", "wanted the same bytes")


def given_key(kind: Kind, file: str, name: str, keys: Sequence[PublicKey]) -> PublicKey:
    """The given key that a file names, by hint or keyid; the two look different."""
    for key in keys:
        if name in (key.hint, key.keyid):
            return key
    signer = name if name.startswith("SHA256:") else binascii.a2b_base64(name).hex()
    given = shown(", ".join(f"{key} {key.keyid}" for key in keys), 400)
    raise refusal(kind, file, f"signed by key {signer}, which was not given", f"the given keys are {given}")


def check_dsse(file: str, data: bytes, keys: Sequence[PublicKey]) -> Tuple[bytes, PublicKey]:
    """(13), (15) The payload of a DSSE file, and the given key under which it verifies; the payload is not looked into.

    Fixed text around canonical base64 and the name of a given key can be written in one way, so its form is right as well.
    """
    match = DSSE_PATTERN.fullmatch(data)
    if match is None:
        raise refusal(Kind.STATEMENT, file, "not in the one form of a DSSE", "wanted payload, payloadType and one signature")
    key = given_key(Kind.STATEMENT, file, match.group(2).decode("ascii"), keys)
    try:
        payload, signature = from_base64(match.group(1)), from_base64(match.group(3))
    except Wrong as wrong:
        raise wrong.refused(Kind.STATEMENT, file) from None
    if not key.verifies(PAE_FORM % (len(payload), payload), signature):
        raise refusal(Kind.STATEMENT, file, "its signature does not verify", f"wanted one by {key}")
    return payload, key


# --- stage 2: rules (7), (8), (9) -----------------------------------------------------------------------------------------------


def check_signature(kept: Mapping[str, bytes], keys: Sequence[PublicKey]) -> PublicKey:
    """The key under which SHA256SUMS is signed."""
    absent = [Failure(Kind.ENVELOPE, name, "not in the kit", "a signed kit has it") for name in ENVELOPE if name not in kept]
    if absent:  # (7)
        raise Refused(*absent)
    match = SUMS_BUNDLE_PATTERN.fullmatch(kept[SUMS_BUNDLE])
    if match is None:  # (9)
        raise refusal(Kind.ENVELOPE, SUMS_BUNDLE, "not in the one form of a bundle", "wanted a signature, a digest and a hint")
    hint = match.group(3)
    key = given_key(Kind.SIGNATURE, SUMS_BUNDLE, hint.decode("ascii"), keys)  # (8)
    text = kept[SUMS_SIG][:-1]
    check_same(Kind.ENVELOPE, SUMS_SIG, kept[SUMS_SIG], text + b"\n", "one line of base64")  # (9)
    try:
        signature = from_base64(text)
    except Wrong as wrong:
        raise wrong.refused(Kind.ENVELOPE, SUMS_SIG) from None
    if not key.verifies(kept[SUMS], signature):
        raise refusal(Kind.SIGNATURE, SUMS, f"{SUMS_SIG} does not verify over it", f"wanted a signature by {key}")
    bundle = SUMS_BUNDLE_FORM % (to_base64(hashlib.sha256(kept[SUMS]).digest()), text, hint)
    check_same(Kind.ENVELOPE, SUMS_BUNDLE, kept[SUMS_BUNDLE], bundle, f"a bundle of {SUMS} and {SUMS_SIG}")
    return key


# --- stages 3 and 4: rules (10), (11), (12) -------------------------------------------------------------------------------------

SUM_LINE = re.compile(r"([0-9a-f]{64})  ([!-~]+)\n")


def read_sums(data: bytes) -> Tuple[Dict[str, str], List[Failure]]:
    """(10) {name: sha256} of the lines that can be used, and what is wrong with any line."""
    sums: Dict[str, str] = {}
    lines = re.findall(r"[^\n]*\n|[^\n]+", data.decode("ascii", "backslashreplace"))
    failures = [] if data else [Failure(Kind.LIST, SUMS, "it has no line", "wanted one for each file")]
    tree, last = Tree(), ""
    for number, line in enumerate(lines, 1):
        try:
            name, digest = read_sum(line, last)
            tree.add(name)
            sums[name], last = digest, name
        except Wrong as wrong:
            failures.append(Failure(Kind.LIST, SUMS, f"line {number}: {wrong.found}", wrong.wanted))
    return sums, failures


def read_sum(line: str, last: str) -> Tuple[str, str]:
    """(10) Name and sha256 of one line, whose predecessor's name is `last`; Wrong if it is none."""
    match = SUM_LINE.fullmatch(line)
    if match is None:
        raise Wrong(f'it reads "{shown(line, 80)}"', "wanted <64 lower-case hex>, two spaces, <name>, line feed")
    name = match.group(2)
    fault = name_fault(name)
    if fault is not None:
        raise Wrong(fault, NAME_RULE)
    if in_envelope(name):
        raise Wrong(f"it lists {name}", "no file of the envelope is listed")
    if name <= last:
        raise Wrong(f"{name} comes after {last}", "wanted ascending names, each once")
    return name, match.group(1)


def check_files(contents: Contents) -> Dict[str, str]:
    """{name: sha256} of SHA256SUMS, after every file was compared with it."""
    sums, failures = read_sums(contents.kept[SUMS])
    there = {name for name in contents.names if not in_envelope(name)}
    for name, digest in sorted(contents.digests(there & sums.keys()).items()):  # (11)
        if isinstance(digest, Failure):
            failures.append(digest)
        elif digest != sums[name]:
            wanted = f"{SUMS} says {front(sums[name])}"
            failures.append(Failure(Kind.DIGEST, name, f"its sha256 is {front(digest)}", wanted))
    for name in sorted(sums.keys() - there):  # (12)
        failures.append(Failure(Kind.MISSING, name, "not in the kit", f"{SUMS} lists it"))
    for name in sorted(there - sums.keys()):
        failures.append(Failure(Kind.UNLISTED, name, "in the kit", f"{SUMS} does not list it"))
    if failures:
        raise Refused(*failures)
    return sums


# --- statements: canonical JSON of a known shape; everything here raises Wrong --------------------------------------------------

MAX_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond it, not every reader sees the same number
MAX_DEPTH = 100  # objects and lists in one another; how deep the json module goes hangs on the version of Python
JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
Object = Dict[str, object]


def parse_canonical(data: bytes) -> object:
    """The value of canonical JSON (RFC 8785) and one LF, its numbers integers."""
    try:
        value: object = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=ascending_members,
            parse_int=small_integer,
            parse_float=no_number,
            parse_constant=no_number,
        )
        same = render_canonical(value) == data
    except Wrong:
        raise
    except (ValueError, RecursionError) as err:
        raise Wrong(f"no canonical JSON ({reason(err)})", "wanted RFC 8785") from None
    if not same:
        raise Wrong("JSON that is not canonical", "wanted RFC 8785 and one line end")
    if depth_of(data) > MAX_DEPTH:
        raise Wrong(f"JSON that is nested more than {MAX_DEPTH} deep", "wanted less")
    return value


def depth_of(data: bytes) -> int:
    """How many objects and lists of canonical JSON lie in one another at most."""
    depth = most = 0
    for bracket in JSON_STRING.sub(b"", data).translate(None, NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        most = max(most, depth)
    return most


def render_canonical(value: object) -> bytes:
    """Canonical JSON and one LF for a value whose objects have their members in order already."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8") + b"\n"


def ascending_members(pairs: List[Tuple[str, object]]) -> Object:
    """An object whose keys ascend by UTF-16 units (RFC 8785 section 3.2.3), so that none comes twice."""
    keys = [key for key, _ in pairs]
    units: Sequence[Union[str, bytes]] = keys
    if not all(map(str.isascii, keys)):  # of ASCII the order of the characters is that of the units
        units = [key.encode("utf-16-be", "surrogatepass") for key in keys]
    if any(one >= two for one, two in zip(units, units[1:])):  # type: ignore[operator]  # they are of one kind
        raise Wrong(f"members that do not ascend or come twice, {shown_json(keys)}", "wanted RFC 8785")
    return dict(pairs)


def small_integer(text: str) -> int:
    """An integer that every reader sees alike."""
    number = int(text) if len(text) < 18 else MAX_INTEGER + 1
    if abs(number) > MAX_INTEGER:
        raise Wrong(f"the number {shown(text, 40)}", "wanted none beyond 2**53 - 1")
    return number


def no_number(text: str) -> NoReturn:
    """Refuses fractions, exponents, NaN and infinities."""
    raise Wrong(f"the number {shown(text, 40)}", "wanted integers alone")


def subject_of(name: str, digest: str) -> Object:
    """One subject of a Statement."""
    return {"digest": {"sha256": digest}, "name": name}


def read_statement(payload: bytes, predicate_type: str, subjects: List[Object]) -> Object:
    """(14), (15) The predicate of a canonical Statement of this type about these subjects."""
    statement = members_of(parse_canonical(payload), "the statement", ("_type", "predicate", "predicateType", "subject"))
    one_of(statement["_type"], "_type", (STATEMENT_TYPE,))
    one_of(statement["predicateType"], "predicateType", (predicate_type,))
    predicate, found = statement["predicate"], statement["subject"]
    if not isinstance(found, list) or len(found) != len(subjects):
        many = f"{len(found)} subjects" if isinstance(found, list) else "no list of subjects"
        raise Wrong(f"it has {many}", f"wanted {len(subjects)}")
    for number, (there, wanted) in enumerate(zip(found, subjects), 1):
        if there != wanted:
            raise Wrong(f"its subject {number} is {shown_json(there)}", f"wanted {shown_json(wanted)}")
    if not isinstance(predicate, dict):
        raise Wrong(f"its predicate is {shown_json(predicate)}", "wanted an object")
    return predicate


def members_of(value: object, what: str, required: Sequence[str], optional: Sequence[str] = ()) -> Object:
    """The object with all of the required members and no others but the optional ones."""
    if not isinstance(value, dict):
        raise Wrong(f"{what} is {shown_json(value)}", "wanted an object")
    if not set(required) <= value.keys() <= {*required, *optional}:
        raise Wrong(f"{what} has the members {shown_json(list(value))}", f"wanted {', '.join(required)}")
    return value


def text_of(value: object, what: str, form: str, wanted: str) -> str:
    """The text that has this form, a regular expression."""
    if not isinstance(value, str) or re.fullmatch(form, value) is None:
        raise Wrong(f"{what} is {shown_json(value)}", f"wanted {wanted}")
    return value


def one_of(value: object, what: str, words: Sequence[str]) -> str:
    """The text that is one of these words."""
    return text_of(value, what, "|".join(map(re.escape, words)), " or ".join(words))


# --- the manifest's predicate ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A delivery, or something else that a kit can hold; a ready one has `digest` and `migration`, an absent one `reason`."""

    id: str
    status: str
    digest: Optional[str] = None
    migration: Optional[str] = None
    reason: Optional[str] = None

    def __str__(self) -> str:
        """The part in a few plain words."""
        remark = self.migration if self.status == "ready" else self.reason
        return f"{self.id} {self.status}" + ("" if remark is None else f" ({remark})")


@dataclass(frozen=True)
class Manifest:
    """The predicate of manifest.json."""

    channel: str
    created_at: str
    deliveries: Tuple[Part, ...]
    parts: Tuple[Part, ...]
    root_hash: str
    commit: Optional[str]
    state: str
    note: Optional[str]
    trust: str
    version: str


PREDICATE = ("channel", "created_at", "deliveries", "parts", "rootHash", "source", "trust", "version")
TEXT = "[ -~]+"


def read_predicate(value: object) -> Manifest:
    """(14) The predicate with exactly its members, each of its form."""
    members = members_of(value, "the predicate", PREDICATE)
    source = members_of(members["source"], "source", ("commit", "state"), ("note",))
    commit = source["commit"]
    return Manifest(
        channel=one_of(members["channel"], "channel", ("edge", "stable", "airgap")),
        created_at=time_of(members["created_at"], "created_at"),
        deliveries=read_parts(members["deliveries"], "deliveries", migrates=True),
        parts=read_parts(members["parts"], "parts", migrates=False),
        root_hash=text_of(members["rootHash"], "rootHash", "[0-9a-f]{64}", "64 lower-case hex"),
        commit=None if commit is None else text_of(commit, "source.commit", "[0-9a-f]{40}", "40 lower-case hex or null"),
        state=one_of(source["state"], "source.state", ("clean", "dirty", "unknown")),
        note=text_of(source["note"], "source.note", TEXT, "printable text") if "note" in source else None,
        trust=one_of(members["trust"], "trust", ("dev", "key", "keyless")),
        version=text_of(members["version"], "version", VERSION, "YYYY.M.patch"),
    )


def time_of(value: object, what: str) -> str:
    """A time that exists, as YYYY-MM-DDTHH:MM:SSZ."""
    wanted = "a time like 2026-01-31T12:00:00Z"
    text = text_of(value, what, r"[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z", wanted)
    try:
        dt.datetime.fromisoformat(text[:-1])
    except ValueError:
        raise Wrong(f"{what} is {text}", f"wanted {wanted}") from None
    return text


def read_parts(value: object, what: str, *, migrates: bool) -> Tuple[Part, ...]:
    """The list of deliveries, or of other parts; those have no migration, hence it may be left out or null."""
    if not isinstance(value, list):
        raise Wrong(f"{what} is {shown_json(value)}", "wanted a list")
    parts = tuple(read_part(item, f"{what} {number}", migrates=migrates) for number, item in enumerate(value, 1))
    if len({part.id for part in parts}) != len(parts):
        raise Wrong(f"{what} has one id twice", "wanted each once")
    return parts


def read_part(value: object, what: str, *, migrates: bool) -> Part:
    """One delivery or other part."""
    if isinstance(value, dict) and value.get("status") == "absent":
        part = members_of(value, what, ("id", "reason", "status"))
        return Part(part_id(part, what), "absent", reason=text_of(part["reason"], f"{what}: reason", TEXT, "printable text"))
    always = ("digest", "id", "migration", "status") if migrates else ("digest", "id", "status")
    part = members_of(value, what, always, ("migration",))
    migration = part.get("migration")
    if migrates or migration is not None:
        migration = text_of(migration, f"{what}: migration", NAME_PART.pattern, "a migration's id")
    return Part(
        part_id(part, what),
        one_of(part["status"], f"{what}: status", ("ready", "absent")),
        digest=text_of(part["digest"], f"{what}: digest", "(?:sha256:)?[0-9a-f]{64}", "a sha256"),
        migration=migration if isinstance(migration, str) else None,
    )


def part_id(part: Object, what: str) -> str:
    """The id of a delivery or other part."""
    return text_of(part["id"], f"{what}: id", NAME_PART.pattern, "an id")


# --- images: rule (16), OCI image-spec 1.1, and how cosign keeps what it signs --------------------------------------------------

IMAGE_NAME = "stella-ops.org/concelier/lnm-runner"
OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
OCI_MANIFEST, OCI_INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
OCI_CONFIG, OCI_EMPTY = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.empty.v1+json"
SIMPLE_SIGNING, DSSE_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IMAGE_STATEMENTS = (STATEMENTS[PROVENANCE], STATEMENTS[SPDX])  # the types, in their order
COSIGN, COSIGN_SIGNATURE = "dev.cosignproject.cosign/", "dev.cosignproject.cosign/signature"
REF_NAME = "org.opencontainers.image.ref.name"
NO_TIME = "0001-01-01T00:00:00Z"
DESCRIBED = re.compile(rb'(?<=[{,])"digest":"sha256:([0-9a-f]{64})"(?=[,}])')
SIGNED = re.compile(rb'(?<=[{,])"dev\.cosignproject\.cosign/signature":"([A-Za-z0-9+/=]*)"(?=[,}])')


@dataclass(frozen=True)
class Image:
    """An image whose statements are right; `digest` is that of its manifest."""

    image: str
    digest: str
    size: int  # of its manifest

    def __str__(self) -> str:
        """The image as the operator compares it."""
        return f"image {self.image} {self.digest}"


def sbom_of(image: str) -> str:
    """The name of an image's SBOM."""
    return f"sbom/{image}.spdx.json"


def document(**members: object) -> bytes:
    """An OCI document in its one byte form: canonical JSON without a line end, all of it ASCII."""
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode("ascii")


def oci_index(*manifests: Object) -> bytes:
    """An index of these descriptors."""
    return document(manifests=manifests, mediaType=OCI_INDEX, schemaVersion=2)


def oci_manifest(config: Object, layers: Sequence[Object], **more: object) -> bytes:
    """A manifest of descriptors, with further members."""
    return document(config=config, layers=layers, mediaType=OCI_MANIFEST, schemaVersion=2, **more)


class Rendered:
    """The blobs of a layout that is rendered; of each only its digest is kept."""

    def __init__(self) -> None:
        """Starts with none."""
        self.digests: Set[str] = set()

    def put(self, media_type: str, data: bytes, **more: object) -> Object:
        """Takes a blob; its descriptor, with further members."""
        digest = sha256_hex(data)
        self.digests.add(digest)
        return {"digest": f"sha256:{digest}", "mediaType": media_type, "size": len(data), **more}

    def legacy(self, layers: Sequence[Object]) -> Object:
        """What cosign 2 reads: a manifest of signatures or statements, which passes for that of an image."""
        rootfs = {"diff_ids": [layer["digest"] for layer in layers], "type": "layers"}
        history = [{"created": NO_TIME}] * len(layers)
        config = document(architecture="", config={}, created=NO_TIME, history=history, os="", rootfs=rootfs)
        return self.put(OCI_MANIFEST, oci_manifest(self.put(OCI_CONFIG, config), layers))

    def referrer(self, subject: Object, statement_type: str, bundle: bytes, created_at: str) -> Object:
        """What cosign 3 reads: a manifest of one bundle, its line end taken off, about a subject."""
        notes = {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": statement_type,
            "org.opencontainers.image.created": created_at,
        }
        config, layer = self.put(OCI_EMPTY, b"{}"), self.put(BUNDLE, bundle[:-1])
        manifest = oci_manifest(config, [layer], annotations=notes, artifactType=BUNDLE, subject=subject)
        return self.put(OCI_MANIFEST, manifest, annotations=notes, artifactType=BUNDLE)


def simple_signing(image: Image) -> bytes:
    """What an image's signature is over (containers/image, docs/atomic-signature.md, as cosign writes it)."""
    identity = {"docker-reference": IMAGE_NAME}
    critical = {
        "identity": identity,
        "image": {"docker-manifest-digest": image.digest},
        "type": "cosign container image signature",
    }
    return document(critical=critical, optional=None)


def image_descriptor(image: Image, version: str, **notes: str) -> Object:
    """What an index says of an image's manifest; `notes` are further annotations."""
    names = {"io.containerd.image.name": f"{IMAGE_NAME}:{version}", "org.opencontainers.image.ref.name": version, **notes}
    platform = {"architecture": IMAGES[image.image], "os": "linux"}
    return {"annotations": names, "digest": image.digest, "mediaType": OCI_MANIFEST, "platform": platform, "size": image.size}


def render_attestations(
    image: Image, signature: str, envelopes: Mapping[str, bytes], key: PublicKey, manifest: Manifest
) -> Tuple[bytes, Set[str]]:
    """(16) The index of attestations/<image>/, and the digests of its thirteen blobs; `envelopes` are by statement type."""
    blobs, tag = Rendered(), image.digest.replace(":", "-")
    notes = {COSIGN_SIGNATURE: signature}
    signatures = blobs.legacy([blobs.put(SIMPLE_SIGNING, simple_signing(image), annotations=notes)])
    statements = blobs.legacy(
        [
            blobs.put(DSSE_LAYER, envelope, annotations={COSIGN_SIGNATURE: "", "predicateType": kind})
            for kind, envelope in envelopes.items()
        ]
    )
    subject = {"digest": image.digest, "mediaType": OCI_MANIFEST, "size": image.size}
    referrers = [
        blobs.referrer(subject, kind, DSSE_BUNDLE_FORM % (envelope, key.hint.encode("ascii")), manifest.created_at)
        for kind, envelope in envelopes.items()
    ]
    index = oci_index(
        image_descriptor(image, manifest.version, kind=f"{COSIGN}image"),
        {**signatures, "annotations": {"kind": f"{COSIGN}sigs", REF_NAME: f"{tag}.sig"}},
        {**statements, "annotations": {"kind": f"{COSIGN}atts", REF_NAME: f"{tag}.att"}},
        blobs.put(OCI_INDEX, oci_index(*referrers), annotations={REF_NAME: tag}),
        *referrers,
    )
    return index, blobs.digests


def led_to(contents: Contents, file: str, pattern: Pattern[bytes], count: int) -> List[str]:
    """The first things of a kind in a file; whether they are the right ones is seen when all is rendered from them."""
    found = [match.group(1).decode("ascii") for _, match in zip(range(count), pattern.finditer(contents.kept.get(file, b"")))]
    if len(found) < count:
        raise refusal(Kind.STATEMENT, file, "it does not lead to a signature and statements", "docs/kit-format.md has its form")
    return found


def check_layout(folder: str, index: bytes, blobs: Set[str], sums: Mapping[str, str]) -> None:
    """(16) A layout is its index, the blobs of these digests, and nothing else."""
    wanted = {f"{folder}/oci-layout": sha256_hex(OCI_LAYOUT), f"{folder}/index.json": sha256_hex(index)}
    wanted.update((f"{folder}/{BLOBS}{digest}", digest) for digest in blobs)
    there = {name: digest for name, digest in sums.items() if name.startswith(f"{folder}/")}
    failures: List[Failure] = []
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            failures.append(Failure(Kind.STATEMENT, name, "not in the kit", "the image or its statements lead to it"))
        elif name not in wanted:
            failures.append(Failure(Kind.STATEMENT, name, "nothing leads to it", "wanted what the image and its statements need"))
        elif there[name] != wanted[name]:
            failures.append(Failure(Kind.STATEMENT, name, "its bytes are others", "docs/kit-format.md has its one form"))
    if failures:
        raise Refused(*failures)


def check_image_parts(manifest: Manifest, images: Sequence[Image]) -> None:
    """(16) What manifest.json says of images is so."""
    found = {image.image: image.digest for image in images}
    for part in manifest.parts:
        said = None if part.digest is None else "sha256:" + part.digest[-64:]
        if part.id in IMAGES and said != found.get(part.id):
            wanted = f"the kit has {found.get(part.id, 'no such image')}"
            raise refusal(Kind.STATEMENT, MANIFEST, f"its part {part.id} is {said or part.status}", wanted)


def check_image_statement(file: str, payload: bytes, statement_type: str, image: Image, sums: Mapping[str, str]) -> None:
    """(16) A statement of this type is about the image's manifest and nothing else."""
    try:
        predicate = read_statement(payload, statement_type, [subject_of(IMAGE_NAME, image.digest[7:])])
        if statement_type == STATEMENTS[SPDX] and sha256_hex(render_canonical(predicate)) != sums[sbom_of(image.image)]:
            raise Wrong("its predicate is another document", f"wanted that of {sbom_of(image.image)}")
    except Wrong as wrong:
        raise wrong.refused(Kind.STATEMENT, file) from None


def check_image_signature(file: str, signature: str, image: Image, key: PublicKey) -> None:
    """(16) The signature over the image's manifest is by the key of its provenance."""
    try:
        raw = from_base64(signature.encode("ascii"))
    except Wrong as wrong:
        raise wrong.refused(Kind.STATEMENT, file) from None
    if not key.verifies(simple_signing(image), raw):
        raise refusal(Kind.STATEMENT, file, f"its signature does not verify over {image}", f"wanted one by {key}")


def check_image(
    name: str, contents: Contents, keys: Sequence[PublicKey], sums: Mapping[str, str], manifest: Manifest
) -> Tuple[Image, PublicKey]:
    """(16) One image, its SBOM and its folder below attestations/, where at least one of these is there; and its signer."""
    layout, folder = f"images/{name}", f"{ATTESTATIONS}{name}"
    for part in (f"{layout}/index.json", f"{folder}/index.json", sbom_of(name)):
        if part not in sums:
            raise refusal(Kind.STATEMENT, part, "not in the kit", f"an image has its statements and SBOM, and they have {layout}")
    digest, signatures, statements = led_to(contents, f"{folder}/index.json", DESCRIBED, 3)
    file = f"{layout}/{BLOBS}{digest}"
    if sums.get(file) != digest or file not in contents.kept:
        raise refusal(Kind.STATEMENT, f"{folder}/index.json", f"it is about sha256:{digest}", f"wanted such a manifest as {file}")
    image = Image(name, f"sha256:{digest}", len(contents.kept[file]))
    blobs = {digest, *(blob.decode("ascii") for blob in DESCRIBED.findall(contents.kept[file]))}
    check_layout(layout, oci_index(image_descriptor(image, manifest.version)), blobs, sums)
    (signature,) = led_to(contents, f"{folder}/{BLOBS}{signatures}", SIGNED, 1)
    led = led_to(contents, f"{folder}/{BLOBS}{statements}", DESCRIBED, 3)[1:]
    signers: List[PublicKey] = []
    for statement_type, blob in zip(IMAGE_STATEMENTS, led):
        file = f"{folder}/{BLOBS}{blob}"
        payload, key = check_dsse(file, contents.kept.get(file, b"") + b"\n", keys)
        check_image_statement(file, payload, statement_type, image, sums)
        signers.append(key)
        if key != signers[0]:
            raise refusal(Kind.STATEMENT, file, f"signed by {key}", f"wanted the key of the provenance, {signers[0]}")
    check_image_signature(f"{folder}/{BLOBS}{signatures}", signature, image, signers[0])
    envelopes = {kind: contents.kept[f"{folder}/{BLOBS}{blob}"] for kind, blob in zip(IMAGE_STATEMENTS, led)}
    check_layout(folder, *render_attestations(image, signature, envelopes, signers[0], manifest), sums)
    return image, signers[0]


# --- stage 5: rules (13), (14), (15) --------------------------------------------------------------------------------------------


def check_manifest_signatures(kept: Mapping[str, bytes], signer: PublicKey, keys: Sequence[PublicKey]) -> Tuple[PublicKey, ...]:
    """(13) Who signed manifest.json, the signer of SHA256SUMS first."""
    signers: List[PublicKey] = []
    for name in (MANIFEST_DSSE, *sorted(filter(FURTHER_DSSE.fullmatch, kept))):
        payload, key = check_dsse(name, kept[name], keys)
        named = FURTHER_DSSE.fullmatch(name)
        if named is None and key != signer:
            raise refusal(Kind.STATEMENT, name, f"signed by {key}", f"wanted the signer of {SUMS}, {signer}")
        if named is not None and not key.fingerprint.startswith(named.group(1)):
            raise refusal(Kind.STATEMENT, name, f"signed by {key}", "wanted the key that the file's name tells")
        if key in signers:
            raise refusal(Kind.STATEMENT, name, f"signed by {key}", "that key signed the manifest already")
        check_same(Kind.STATEMENT, MANIFEST, kept[MANIFEST], payload, f"the payload of {name}")
        signers.append(key)
    bundle = DSSE_BUNDLE_FORM % (kept[MANIFEST_DSSE][:-1], signer.hint.encode("ascii"))
    check_same(Kind.STATEMENT, MANIFEST_BUNDLE, kept[MANIFEST_BUNDLE], bundle, f"a bundle of {MANIFEST_DSSE}")
    return tuple(signers)


def root_hash(sums: Mapping[str, str]) -> str:
    """SHA-256 of the lines of SHA256SUMS that are not about attestations."""
    lines = (f"{digest}  {name}\n" for name, digest in sums.items() if not name.startswith(ATTESTATIONS))
    return sha256_hex("".join(lines).encode("ascii"))


def check_manifest(contents: Contents, sums: Mapping[str, str]) -> Manifest:
    """(14) The manifest, found to be about this SHA256SUMS and, in a tarball, about this root folder."""
    data = contents.kept[MANIFEST]
    subjects = [subject_of(SUMS, sha256_hex(contents.kept[SUMS])), *(subject_of(name, digest) for name, digest in sums.items())]
    try:
        if not data.isascii():
            raise Wrong("bytes beyond ASCII", "wanted canonical JSON in ASCII")
        manifest = read_predicate(read_statement(data, MANIFEST_TYPE, subjects))
        one_of(manifest.root_hash, "rootHash", (root_hash(sums),))
        one_of(manifest.version, "version", (manifest.version if contents.version is None else contents.version,))
    except Wrong as wrong:
        raise wrong.refused(Kind.STATEMENT, MANIFEST) from None
    return manifest


def check_attestation(
    file: str, contents: Contents, keys: Sequence[PublicKey], sums: Mapping[str, str], manifest: Manifest
) -> PublicKey:
    """(15) Who signed one file below attestations/."""
    if file not in STATEMENTS:
        raise refusal(Kind.STATEMENT, file, "a statement that nobody here can check", f"known are {', '.join(STATEMENTS)}")
    if file not in contents.kept:
        raise refusal(Kind.STATEMENT, file, "not in the kit", "every kit has it")
    payload, signer = check_dsse(file, contents.kept[file], keys)
    try:
        subject = subject_of(f"concelier-lnm-{manifest.version}", manifest.root_hash)
        predicate = read_statement(payload, STATEMENTS[file], [subject])
        if file == SPDX and sha256_hex(render_canonical(predicate)) != sums.get(KIT_SBOM):
            raise Wrong("its predicate is another document", f"wanted that of {KIT_SBOM}")
    except Wrong as wrong:
        raise wrong.refused(Kind.STATEMENT, file) from None
    return signer


def check_attestations(
    contents: Contents, keys: Sequence[PublicKey], sums: Mapping[str, str], manifest: Manifest
) -> Tuple[Tuple[str, ...], Tuple[Image, ...], Tuple[PublicKey, ...]]:
    """(15), (16) The statements' names, the images, and who signed them; all that is wrong, missing or unknown is told."""
    attested = {name for name in sums if name.startswith(ATTESTATIONS)}
    names = sorted({name for name in attested if image_of(name) is None} | STATEMENTS.keys())
    there = {image_of(name) for name in attested} | {
        image for image in IMAGES if sums.keys() & {f"images/{image}/index.json", sbom_of(image)}
    }
    failures: List[Failure] = []
    images: List[Image] = []
    signers: List[PublicKey] = []
    for name in names:
        try:
            signers.append(check_attestation(name, contents, keys, sums, manifest))
        except Refused as refused:
            failures += refused.failures
    for image in filter(there.__contains__, IMAGES):
        try:
            checked, signer = check_image(image, contents, keys, sums, manifest)
            images.append(checked)
            signers.append(signer)
        except Refused as refused:
            failures += refused.failures
    if failures:
        raise Refused(*failures)
    check_image_parts(manifest, images)
    return tuple(names), tuple(images), tuple(key for key in keys if key in signers)


# --- identity signatures: rule (17); Sigstore bundle v0.3, Rekor v1, C2SP tlog-checkpoint ---------------------------------------

SUMS_KEYLESS_HEAD = (
    b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
    b'"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"%s"},"signature":"'
)
MANIFEST_KEYLESS_HEAD = b'{"dsseEnvelope":{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"'
MESSAGE_END, DSSE_END = b'"}', b'"}]},"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"'
KEYLESS_MATERIAL = (
    b',"verificationMaterial":{"certificate":{"rawBytes":"%s"},"timestampVerificationData":{"rfc3161Timestamps":[%s]},'
    b'"tlogEntries":[{"canonicalizedBody":"%s","inclusionPromise":{"signedEntryTimestamp":"%s"},'
    b'"inclusionProof":{"checkpoint":{"envelope":"%s"},"hashes":[%s],"logIndex":"%s","rootHash":"%s","treeSize":"%s"},'
    b'"integratedTime":"%s","kindVersion":{"kind":"%s","version":"0.0.1"},"logId":{"keyId":"%s"},"logIndex":"%s"}]}}\n'
)
NUMBER = rb"(?:0|[1-9][0-9]{0,18})"
ONE_DIGEST = rb"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="  # canonical base64 of 32 bytes
ONE_BASE64 = (  # canonical base64 of one byte or more
    rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)"
)
NOTE_LINE, NOTE_NAME = rb"[ !#-\[\]-~]+", rb"[!#-\[\]-~]+"  # printable, without what JSON would escape
CHECKPOINT = (  # origin, size, root, other lines; then a line for each signature, begun by an em dash
    NOTE_LINE + rb"\\n" + NUMBER + rb"\\n" + ONE_DIGEST + rb"\\n(?:" + NOTE_LINE + rb"\\n)*\\n"
    rb"(?:\xe2\x80\x94 " + NOTE_NAME + b" " + ONE_BASE64 + rb"\\n)+"
)
KEYLESS_FIELDS = (
    ONE_BASE64,
    rb'(?:\{"signedTimestamp":"' + ONE_BASE64 + rb'"\})?',
    ONE_BASE64,
    ONE_BASE64,
    CHECKPOINT,
    b'(?:"' + ONE_DIGEST + b'"(?:,"' + ONE_DIGEST + b'")*)?',
    NUMBER,
    ONE_DIGEST,
    NUMBER,
    NUMBER,
)


def keyless_pattern(end: bytes, kind: bytes) -> Pattern[bytes]:
    """What follows the head of a keyless file: a signature, the end of what it stands in, certificate and log entry."""
    return pattern_of(b"%s" + end + KEYLESS_MATERIAL, ONE_BASE64, *KEYLESS_FIELDS, kind, ONE_DIGEST, NUMBER)


SUMS_KEYLESS_PATTERN = keyless_pattern(MESSAGE_END, b"hashedrekord")
MANIFEST_KEYLESS_PATTERN = keyless_pattern(DSSE_END, b"dsse")


def check_keyless(kept: Mapping[str, bytes], trust: str) -> Dict[str, bytes]:
    """(17) The keyless files, where there are any, found to be about this kit; nobody has looked at what is signed in them."""
    there = {name: kept[name] for name in KEYLESS if name in kept}
    if there or trust == "keyless":
        why = "the other keyless file is there" if there else "trust is keyless"
        absent = [Failure(Kind.STATEMENT, name, "not in the kit", why) for name in KEYLESS if name not in there]
        if absent:
            raise Refused(*absent)
        sums_digest = to_base64(hashlib.sha256(kept[SUMS]).digest())
        check_keyless_file(SUMS_KEYLESS, there[SUMS_KEYLESS], SUMS_KEYLESS_HEAD % sums_digest, SUMS_KEYLESS_PATTERN, SUMS)
        payload = to_base64(kept[MANIFEST])
        check_keyless_file(
            MANIFEST_KEYLESS, there[MANIFEST_KEYLESS], MANIFEST_KEYLESS_HEAD % payload, MANIFEST_KEYLESS_PATTERN, MANIFEST
        )
    return there


def check_keyless_file(name: str, data: bytes, head: bytes, rest: Pattern[bytes], about: str) -> None:
    """(17) One keyless file: the head that this kit gives it, then nothing but fields in their one form."""
    if not data.startswith(head):
        raise refusal(Kind.STATEMENT, name, f"it is not about this {about}, or not in its one form", "wanted both")
    if len(data) - len(head) > MAX_KEYLESS:
        raise refusal(Kind.STATEMENT, name, f"{len(data)} bytes", f"at most {len(head) + MAX_KEYLESS} are allowed")
    if rest.fullmatch(data, len(head)) is None:
        wanted = "wanted a signature, a certificate and one entry of a Rekor v1 log, canonical"
        raise refusal(Kind.STATEMENT, name, "not in the one form of a keyless bundle", wanted)


# --- the whole ------------------------------------------------------------------------------------------------------------------


IDENTITY = "not checked here"  # what is said of identity signatures, where there are any


@dataclass(frozen=True)
class Report:
    """What is known of a kit that was verified."""

    manifest: Manifest
    signers: Tuple[PublicKey, ...]  # of the manifest; the first one signed SHA256SUMS as well
    sums: Mapping[str, str]  # {name: sha256}, the lines of SHA256SUMS in their order
    statements: Tuple[str, ...]
    images: Tuple[Image, ...]
    attesters: Tuple[PublicKey, ...]  # of the statements and images, each once
    signed: Mapping[str, bytes]  # SHA256SUMS, manifest.json and the DSSE of the provenance
    identity_bundles: Mapping[str, bytes]  # the keyless files: form and subject are right, the rest is not checked

    @property
    def version(self) -> str:
        """The kit's version."""
        return self.manifest.version

    @property
    def root_hash(self) -> str:
        """The kit's identity, 64 hex."""
        return self.manifest.root_hash

    @property
    def fingerprint(self) -> str:
        """Of the key that signed SHA256SUMS, 64 hex."""
        return self.signers[0].fingerprint

    def as_json(self) -> Dict[str, object]:
        """The members of the --json object, beside verdict and exit."""
        manifest = self.manifest
        return {
            "version": self.version,
            "rootHash": self.root_hash,
            "channel": manifest.channel,
            "trust": manifest.trust,
            "signers": [{"algorithm": key.algorithm.name, "fingerprint": key.fingerprint} for key in self.signers],
            "created_at": manifest.created_at,
            "source": {"commit": manifest.commit, "state": manifest.state, "note": manifest.note},
            "deliveries": [vars(part) for part in manifest.deliveries],
            "parts": [vars(part) for part in manifest.parts],
            "files": len(self.sums),
            "statements": list(self.statements),
            "images": [{"image": image.image, "digest": image.digest} for image in self.images],
            "identity": IDENTITY if self.identity_bundles else None,
        }

    def lines(self) -> List[str]:
        """What was checked, in plain words; the last line is the verdict."""
        manifest = self.manifest
        commit = "unknown" if manifest.commit is None else manifest.commit
        note = "" if manifest.note is None else f", {manifest.note}"
        lines = [
            f"checked: {SUMS} is signed by {self.signers[0]}",
            f"checked: {len(self.sums)} files have the sha256 that is listed; none is missing, none was added",
            f"checked: {MANIFEST} is signed by {', '.join(map(str, self.signers))}",
            f"checked: {len(self.statements)} statements are about this kit: {', '.join(self.statements)}",
            *(f"checked: {image}: signature, provenance and SBOM statement are about it" for image in self.images),
            f"checked: source commit {commit} ({manifest.state}{note})",
            f"checked: channel {manifest.channel}, made {manifest.created_at}",
            *(f"checked: delivery {part}" for part in manifest.deliveries),
            *(f"checked: part {part}" for part in manifest.parts),
        ]
        if self.identity_bundles:
            lines.append(f"identity signature: {IDENTITY}")
        if manifest.trust == "dev":
            lines.append("trust: dev: warning: a development key or log signed this kit; do not take it into production")
        return [*lines, f"verified: concelier-lnm-{self.version} rootHash {self.root_hash}"]


def verify(kit: PathText, keys: Sequence[PublicKey]) -> Report:
    """Verifies the folder or tarball `kit`, trusting `keys` and nothing else.

    Raises:
        Refused: with every failure of the first stage that failed.
    """
    if not keys:  # (1)
        raise refusal(Kind.KEY, "kit", "no key was given", "without the publisher's public key nothing can be verified")
    contents = read_kit(os.fspath(kit))
    signer = check_signature(contents.kept, keys)
    sums = check_files(contents)
    signers = check_manifest_signatures(contents.kept, signer, keys)
    manifest = check_manifest(contents, sums)
    statements, images, attesters = check_attestations(contents, keys, sums, manifest)
    signed = {name: contents.kept[name] for name in (SUMS, MANIFEST, PROVENANCE)}
    bundles = check_keyless(contents.kept, manifest.trust)
    return Report(manifest, signers, sums, statements, images, attesters, signed, bundles)


# --- the command ----------------------------------------------------------------------------------------------------------------

Verdict = Union[Report, Tuple[Failure, ...]]
NEXT = {
    2: "give the publisher's public key, which reached you by another way than the kit: --key KEY.pub; see --help",
    4: "check the path",
    5: "do not use this kit; compare the fingerprints with what the publisher told you, then fetch the kit again",
    6: "do not use this kit; copy it again from where it came, and if it is refused again, tell the publisher",
}


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are refusals like any other."""

    def error(self, message: str) -> NoReturn:
        """Refuses the arguments."""
        raise refusal(Kind.ARGUMENT, "arguments", shown(message), "wanted --key KEY.pub KIT")


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog="verify_kit.py",
        description="Verifies an offline kit with Python's standard library alone: no network, nothing unpacked or written.",
        epilog="exit codes: 0 verified; 1 unforeseen; 2 arguments or key; 4 no such file; 5 signature or statement; "
        "6 archive, checksum or inventory; 130 interrupted",
        allow_abbrev=False,
    )
    made.add_argument("kit", metavar="KIT", help="the kit: KIT.tar.gz, or the folder that was unpacked from it")
    made.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY.pub",
        help="public key to trust, PEM, ECDSA P-256 or Ed25519; may be repeated (default: the file that LNM_TRUSTED_KEY names)",
    )
    made.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    return made


def judge(arguments: Sequence[str]) -> Verdict:
    """The verdict; whatever goes wrong is a failure, so that nothing but a whole report can be taken for «verified»."""
    try:
        options = parser().parse_args(arguments)
        trusted = os.environ.get("LNM_TRUSTED_KEY", "")
        return verify(options.kit, load_keys(options.key if options.key or not trusted else [trusted]))
    except Refused as refused:
        return refused.failures
    except KeyboardInterrupt:
        return (Failure(Kind.INTERRUPTED, "kit", "interrupted", "nothing is known of this kit"),)
    except Exception as err:  # noqa: BLE001 - the operator gets a verdict, whatever happens
        found = f"unforeseen {type(err).__name__} ({reason(err)})"
        return (Failure(Kind.UNFORESEEN, "kit", found, "nothing is known of this kit"),)


def refused_lines(failures: Sequence[Failure]) -> List[str]:
    """The failures, and what to do next."""
    lines = [failure.line() for failure in failures]
    exit_code = failures[0].kind.exit_code
    return [*lines, f"next: {NEXT[exit_code]}"] if exit_code in NEXT else lines


def verdict_json(verdict: Verdict) -> str:
    """The --json object, on one line."""
    if isinstance(verdict, Report):
        return json.dumps({"verdict": "verified", "exit": 0, **verdict.as_json()})
    failures = [failure.as_json() for failure in verdict]
    return json.dumps({"verdict": "refused", "exit": failures[0]["exit"], "failure": failures[0], "failures": failures})


def tell(stream: Optional[TextIO], lines: Sequence[str]) -> bool:
    """Writes the lines; whether all of them went out."""
    if stream is None:  # it was closed before we started
        return False
    try:
        stream.write("".join(f"{line}\n" for line in lines))
        stream.flush()
    except (OSError, ValueError):
        silence(stream)
        return False
    return True


def silence(stream: TextIO) -> None:
    """Points a broken stream to nowhere, or the interpreter would trip over it once more when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def told(verdict: Verdict, *, as_json: bool) -> int:
    """Tells the verdict; the exit code, which is 0 only when «verified» got through."""
    if isinstance(verdict, Report):
        lines, exit_code = verdict.lines(), 0
    else:
        tell(sys.stderr, refused_lines(verdict))
        lines, exit_code = [], verdict[0].kind.exit_code
    if as_json:
        lines = [verdict_json(verdict)]
    if lines and not tell(sys.stdout, lines):
        tell(sys.stderr, ["refused: standard output: it cannot be written, the verdict did not get through"])
        return exit_code if exit_code != 0 else Kind.UNFORESEEN.exit_code
    return exit_code


def refuse_sockets(event: str, _: Tuple[object, ...]) -> None:
    """An audit hook (PEP 578), which nothing can take off again: whatever is about to use a socket gets an error instead."""
    if event.startswith("socket."):
        raise RuntimeError(f"this verifier asked for {event}, and needs no network")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Verifies, tells, and returns the exit code; as a command of its own, without `argv`, this process can open no socket."""
    if argv is None:
        sys.addaudithook(refuse_sockets)
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return told(judge(arguments), as_json="--json" in arguments)
    except KeyboardInterrupt:
        return Kind.INTERRUPTED.exit_code
    except SystemExit:  # argparse has told the --help
        return 0


if __name__ == "__main__":
    sys.exit(main())
