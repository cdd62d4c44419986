"""scripts/private_key/cosign.py: keys as cosign seals them; cosign's own published ones, every cost, every way in which one can be broken."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from scripts import keys
from scripts.errors import InputError
from scripts.private_key import cosign
from tests.build.cosign_box import COSIGN, NONCE, SALT, SIGSTORE, around, b64, block, boxed, sealed
from tests.build.test_keys import ED25519, P256, PASSWORD, Make, pem_of, refused, stored
from tests.conftest import ROOT

SECRET = PASSWORD.encode()
VARIABLE = {"LNM_SIGNING_KEY_PASSWORD": PASSWORD}

UNOPENED = bytes(200)
"""What nothing opens: for what is refused before."""

# From cosign's pkg/cosign/keys_test.go (Apache-2.0), where the password is «hello»: pemcosignkey, pemsigstorekey, pemcosigneckey.
PUBLISHED = {
    "cosign": (
        COSIGN,
        "xYghsOIMLTXcNODlrSH9CJsQe9Qgfcure+1yKtxuNY0=",
        "4q/OJUfirdII+R6tj6A2g2CBj/nqtSbp",
        (
            "+0xCsspStY+As7Jjri9kllpVwbaqB8ebMukhy/ZTMLItl/pua/cYRoo+KDlLYgf9mdJ98+QgAohNKhbrO1700wAcRS21C8N3ACIEEYij"
            "N2YA6s+hbRnHcRwxxhC01moao/GNcZflBayvLWzWnZ8wcCgfiOZ5UyQLAI0xtvtztHwq7CWUawuxFXe46srOSPOR4szo+Zma+Pj/HQ=="
        ),
    ),
    "sigstore": (
        SIGSTORE,
        "7OuFwelmfY5uHwchiDRsmtjspgfef1F2Ne8aCN5KaZY=",
        "P4y88hBovSkOLmstlUAhbpt2t+lS5LPH",
        (
            "2puC7rfWI9hwnreCk8iFCFUpBTkK4I6R/lPErpCzJWPjIYyxxeH/P6UnvpRGuXekSMorLthKjghCRe7/645GAkhVmKD/vxAtKa/lMZlC"
            "RCqezBFPWuw3ixTmglaobudURmElncF8iYo0S1YzcVN1QpcbvsGMqIXG5engmxjyt+Aqyre1tCF4WMmSPehIc6PjwhuClGiZIQdoLg=="
        ),
    ),
    "sec1": (
        COSIGN,
        "G+qyY6+78MKBs1sFLk5j60q/dKvus0VVHeHvrl/O91w=",
        "QsbFtmwX4C+kmWvBqTZ0AF9AXvMcFh5H",
        (
            "DC9Oo3zWbaT3Iv0tUgXGrr51amljl06T913OVLOmjn1hg+j6YtTmh7HhYJV57byxa4Co5lOXbdjm2wjInlGuRnZd+y8L"
            "gzJR71RxHJW8+ZdepRfabLN7Gl8+HVDpDUCsqBtaVx2nZFlQ0YIujvplZanSFiEotDKTi1guaQr0PssaM55vqm4XY/k="
        ),
    ),
}


def published(name: str) -> bytes:
    """One of cosign's own."""
    label, salt, nonce, ciphertext = PUBLISHED[name]
    cost = 65536 if name == "sec1" else 32768
    kdf = {"name": "scrypt", "params": {"N": cost, "r": 8, "p": 1}, "salt": salt}
    return block({"kdf": kdf, "cipher": {"name": "nacl/secretbox", "nonce": nonce}, "ciphertext": ciphertext}, label)


@pytest.mark.parametrize("name", ["cosign", "sigstore"])
def test_a_key_that_cosign_has_published_is_opened(tmp_path: Path, name: str) -> None:
    key = keys.parse(stored(tmp_path, published(name)), b"hello")

    assert isinstance(key, ec.EllipticCurvePrivateKey)


def test_the_published_key_that_cosign_opens_and_refuses_is_opened_and_refused(tmp_path: Path) -> None:
    """It holds SEC 1 instead of PKCS#8: cosign says «use ParseECPrivateKey instead for this key format»."""
    path = stored(tmp_path, published("sec1"))

    assert b"-----BEGIN PRIVATE KEY-----\nMHcCAQEEI" in cosign.pkcs8(path, path.read_bytes(), b"hello", "LNM_SIGNING_KEY")
    with pytest.raises(InputError, match=r"the password is right, and what it opens is no private key in PKCS#8"):
        keys.parse(path, b"hello")


@pytest.mark.parametrize(
    ("make", "label", "cost"),
    [(P256, COSIGN, 32768), (ED25519, SIGSTORE, 65536), (P256, SIGSTORE, 131072)],
    ids=["legacy", "standard", "owasp"],
)
def test_a_sealed_key_opens_at_each_cost_that_cosign_reads(tmp_path: Path, make: Make, label: str, cost: int) -> None:
    key = make()
    source = keys.source({"LNM_SIGNING_KEY": str(stored(tmp_path, sealed(key, SECRET, cost, label))), **VARIABLE})

    assert cost in cosign.COSTS
    assert pem_of(source.load()) == pem_of(key)
    assert not source.is_development


def test_the_password_of_a_sealed_key_is_the_first_line_of_a_file(tmp_path: Path) -> None:
    key = ED25519()
    path = stored(tmp_path, sealed(key, SECRET))
    (tmp_path / "password").write_bytes(SECRET + b"\r\nsecond line\n")

    way = {"LNM_SIGNING_KEY_PASSWORD_FILE": str(tmp_path / "password")}
    assert pem_of(keys.source({"LNM_SIGNING_KEY": str(path), **way}).load()) == pem_of(key)


def test_a_key_that_was_sealed_with_an_empty_password_opens_with_it_and_not_without(tmp_path: Path) -> None:
    key = P256()
    path = stored(tmp_path, sealed(key, b""))

    assert pem_of(keys.parse(path, b"")) == pem_of(key)
    error = refused(key=path)
    assert error.message == f"{path}: the key is encrypted and no password was given"


@pytest.mark.parametrize("password", ["another one", ""])
def test_a_wrong_password_is_refused_and_not_repeated(tmp_path: Path, password: str) -> None:
    path = stored(tmp_path, sealed(P256(), SECRET))
    error = refused(key=path, LNM_SIGNING_KEY_PASSWORD=password)
    assert error.message == f"{path}: the password is wrong, or the file is damaged"
    assert "another one" not in error.hint


def test_a_box_with_any_byte_changed_is_refused(tmp_path: Path) -> None:
    """One of the tag and one of the content: each costs a turn of scrypt."""
    box = boxed(b"content", SECRET)
    for at in (0, len(box) - 1):
        changed = bytes(byte ^ (at == place) for place, byte in enumerate(box))
        path = stored(tmp_path, block(around(changed)))
        assert "the password is wrong, or the file is damaged" in refused(key=path, **VARIABLE).message


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"N": 1 << 30, "r": 8, "p": 1}, "N=1073741824, r=8, p=1"),  # 1 TiB
        ({"N": 65536, "r": 1 << 20, "p": 1}, "N=65536, r=1048576, p=1"),
        ({"N": 65536, "r": 8, "p": 1 << 20}, "N=65536, r=8, p=1048576"),  # no memory, but days
        ({"N": 2, "r": 8, "p": 1}, "N=2, r=8, p=1"),
        ({"N": 16384, "r": 8, "p": 1}, "N=16384, r=8, p=1"),
        ({"N": -65536, "r": 8, "p": 1}, "N=-65536, r=8, p=1"),
        ({"N": 10**40, "r": 8, "p": 1}, "r=8, p=1"),
        ({"N": PASSWORD, "r": [], "p": {}}, "no numbers"),
        ({}, "no numbers"),
        (None, "no numbers"),
    ],
)
def test_other_scrypt_parameters_are_refused_before_anything_is_computed(tmp_path: Path, params: object, said: str) -> None:
    honest = around(UNOPENED)
    honest["kdf"]["params"] = params
    started = time.monotonic()
    error = refused(key=stored(tmp_path, block(honest)), **VARIABLE)
    assert time.monotonic() - started < 1
    assert f"found other scrypt parameters ({said}), wanted N=32768, 65536 or 131072 with r=8, p=1" in error.message


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import nacl.secret
from scripts import keys
from scripts.errors import ToolError
from scripts.private_key import cosign
box = cosign.Box(131072, bytes(32), bytes(24), bytes(200))
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (40 << 20),) * 2)
try:
    with keys.translated():
        cosign.opened(Path("cosign.key"), box, b"the password", "LNM_SIGNING_KEY")
except ToolError as err:
    print(err)
"""


def test_too_little_memory_is_told_in_words() -> None:
    done = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cosign.key: scrypt failed, which needs 128 MiB: ")
    assert done.stdout.endswith("[exit 10]\n")
    assert "the password" not in done.stdout


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, tuple[Change, str]] = {
    "another kdf": (lambda whole: whole["kdf"].update(name=PASSWORD), "found another kdf, or none, wanted scrypt"),
    "no kdf": (lambda whole: whole.pop("kdf"), "found another kdf"),
    "kdf that is text": (lambda whole: whole.update(kdf="scrypt"), "found another kdf"),
    "another cipher": (
        lambda whole: whole["cipher"].update(name="aes-256-gcm"),
        "found another cipher, or none, wanted nacl/secretbox",
    ),
    "no cipher": (lambda whole: whole.pop("cipher"), "found another cipher"),
    "no salt": (lambda whole: whole["kdf"].pop("salt"), "found no bytes of base64 as its salt, wanted 32 bytes"),
    "short salt": (lambda whole: whole["kdf"].update(salt=b64(bytes(31))), "found 31 bytes of base64 as its salt"),
    "salt that is no base64": (lambda whole: whole["kdf"].update(salt="!" * 44), "found no bytes of base64 as its salt"),
    "salt that is a number": (lambda whole: whole["kdf"].update(salt=5), "found no bytes of base64 as its salt"),
    "long nonce": (
        lambda whole: whole["cipher"].update(nonce=b64(bytes(25))),
        "found 25 bytes of base64 as its nonce, wanted 24",
    ),
    "no ciphertext": (lambda whole: whole.pop("ciphertext"), "found no bytes of base64 as its ciphertext"),
    "a tag alone": (lambda whole: whole.update(ciphertext=b64(bytes(16))), "found 16 bytes of base64 as its ciphertext"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_box_of_another_form_is_refused_in_words(tmp_path: Path, name: str) -> None:
    change, said = CHANGES[name]
    whole = around(UNOPENED)
    change(whole)
    error = refused(key=stored(tmp_path, block(whole)), **VARIABLE)
    assert said in error.message
    assert error.message.startswith(f"{tmp_path}/key.pem: not a key as cosign keeps it: ")


WHOLE = block(around(UNOPENED))
FILES = {
    "no JSON": (block(b"what a pity, this is not JSON at all"), "found no JSON in base64 in its block"),
    "deep JSON": (block(b"[" * 100_000), "found no JSON"),
    "bytes": (block(bytes(range(256))), "found no JSON"),
    "no base64": (WHOLE.replace(b"\neyJ", b"\neyJ="), "found no JSON"),
    "a list": (block([]), "found another kdf"),
    "a number": (block(b"5"), "found another kdf"),
    "null": (block(b"null"), "found another kdf"),
    "empty": (block(b""), "found no whole PEM block"),
    "two keys": (WHOLE + WHOLE, "found no whole PEM block, or more than one"),
    "beside a plain one": (WHOLE + pem_of(P256()), "found no whole PEM block, or more than one"),
    "without its end": (WHOLE.split(b"-----END")[0], "found no whole PEM block"),
    "ended by another label": (WHOLE.replace(b"END ENCRYPTED SIGSTORE", b"END ENCRYPTED COSIGN"), "found no whole PEM block"),
    "with headers": (WHOLE.replace(b"KEY-----\n", b"KEY-----\nHash: x\n\n", 1), "found no whole PEM block"),
    "after some text": (b"my key\n" + WHOLE, "found no whole PEM block"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_whole_sealed_key_is_refused_in_words(tmp_path: Path, name: str) -> None:
    data, said = FILES[name]
    error = refused(key=stored(tmp_path, data), **VARIABLE)
    assert said in error.message
    assert "wanted" in error.message


def test_a_sealed_key_with_crlf_and_blanks_around_it_is_read(tmp_path: Path) -> None:
    crlf = b"\r\n" + WHOLE.replace(b"\n", b"\r\n") + b"\r\n"
    assert cosign.read(tmp_path, crlf) == cosign.Box(32768, SALT, NONCE, UNOPENED)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), "found ECDSA on P-384, wanted ECDSA on P-256 or Ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "found RSA of 2048 bits"),
    ],
    ids=["p384", "rsa"],
)
def test_another_kind_of_key_in_the_box_is_refused_by_name(tmp_path: Path, make: Make, said: str) -> None:
    assert said in refused(key=stored(tmp_path, sealed(make(), SECRET)), **VARIABLE).message


@pytest.mark.parametrize("content", [b"", b"not DER, and long enough to be noticed where it must not be"])
def test_what_is_no_key_in_the_box_is_refused(tmp_path: Path, content: bytes) -> None:
    error = refused(key=stored(tmp_path, block(around(boxed(content, SECRET)))), **VARIABLE)
    wanted = "no private key in PKCS#8" if content else "found 16 bytes of base64 as its ciphertext"
    assert wanted in error.message
    assert "noticed" not in str(error)
