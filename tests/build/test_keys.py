"""scripts/keys.py: which key signs, what is refused, and that nothing of a private key or password is ever said."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from scripts import keys
from scripts.errors import InputError, KitError, MissingError
from scripts.private_key import form, reading
from tests.build.trees import powerless
from tests.conftest import ROOT

PASSWORD = "correct horse battery staple"
Make = Callable[[], PrivateKeyTypes]
P256: Make = lambda: ec.generate_private_key(ec.SECP256R1())  # noqa: E731 - a table of makers
ED25519: Make = ed25519.Ed25519PrivateKey.generate
WEAK = 1024  # bits
WRONG_KINDS: dict[str, tuple[Make, str]] = {
    "rsa_1024": (lambda: rsa.generate_private_key(65537, WEAK), f"RSA of 1024 bits ({form.RSA_RULE})"),
    "rsa_2048": (lambda: rsa.generate_private_key(65537, 2048), f"RSA of 2048 bits ({form.RSA_RULE})"),
    "rsa_3072": (lambda: rsa.generate_private_key(65537, 3072), f"RSA of 3072 bits ({form.RSA_RULE})"),
    "dsa": (lambda: dsa.generate_private_key(WEAK), "DSA of 1024 bits"),
    "p224": (lambda: ec.generate_private_key(ec.SECP224R1()), "ECDSA on P-224"),
    "p384": (lambda: ec.generate_private_key(ec.SECP384R1()), "ECDSA on P-384"),
    "p521": (lambda: ec.generate_private_key(ec.SECP521R1()), "ECDSA on P-521"),
    "secp256k1": (lambda: ec.generate_private_key(ec.SECP256K1()), "ECDSA on secp256k1"),
    "ed448": (ed448.Ed448PrivateKey.generate, "Ed448"),
    "x25519": (x25519.X25519PrivateKey.generate, "X25519"),
}


def pem_of(key: PrivateKeyTypes, password: str | bytes | None = None) -> bytes:
    secret = password.encode() if isinstance(password, str) else password
    seal = ser.BestAvailableEncryption(secret) if secret else ser.NoEncryption()
    return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, seal)


def traditional(key: PrivateKeyTypes, password: str | None = None) -> bytes:
    """PKCS#1, SEC 1 or OpenSSL's own for DSA; encrypted, it is RFC 1421 with MD5."""
    seal = ser.BestAvailableEncryption(password.encode()) if password else ser.NoEncryption()
    return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.TraditionalOpenSSL, seal)


def stored(folder: Path, pem: bytes, mode: int = 0o600) -> Path:
    path = folder / "key.pem"
    path.write_bytes(pem)
    path.chmod(mode)
    return path


def refused(*, key: Path, **environment: str) -> KitError:
    """The error of loading a key; what it must never hold is checked for every one of them."""
    out, err = io.StringIO(), io.StringIO()
    source = keys.source({"LNM_SIGNING_KEY": str(key), **environment})
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(KitError) as caught:
        source.load()
    body = b"".join(key.read_bytes().splitlines()[1:2]) if key.is_file() else b""
    said = [str(caught.value), repr(caught.value), repr(source), str(source), out.getvalue(), err.getvalue()]
    for text in said:
        assert PASSWORD not in text
        assert len(body) < 30 or body.decode("ascii", "replace") not in text
    assert caught.value.hint
    return caught.value


# ---- one's own key


@pytest.mark.parametrize("make", [P256, ED25519], ids=["p256", "ed25519"])
def test_a_key_of_the_two_kinds_is_loaded(tmp_path: Path, make: Make) -> None:
    key = make()
    source = keys.source({"LNM_SIGNING_KEY": str(stored(tmp_path, pem_of(key)))})
    assert pem_of(source.load()) == pem_of(key)
    assert not source.is_development


@pytest.mark.parametrize("make", [P256, ED25519], ids=["p256", "ed25519"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nsecond line\n"])
def test_an_encrypted_key_opens_with_the_password_of_variable_or_file(tmp_path: Path, make: Make, end: str) -> None:
    key = make()
    path = stored(tmp_path, pem_of(key, PASSWORD))
    (tmp_path / "password").write_text(PASSWORD + end, newline="")
    ways = ({"LNM_SIGNING_KEY_PASSWORD": PASSWORD}, {"LNM_SIGNING_KEY_PASSWORD_FILE": str(tmp_path / "password")})
    for way in ways:
        assert pem_of(keys.source({"LNM_SIGNING_KEY": str(path), **way}).load()) == pem_of(key)


def test_openssls_own_keys_are_loaded(tmp_path: Path) -> None:
    """The command of the hint makes a key that is taken; so does openssl's encryption."""
    plain, sealed = tmp_path / "plain.pem", tmp_path / "sealed.pem"
    generate = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    assert " ".join(generate) in reading.MADE
    subprocess.run([*generate, "-out", plain], check=True, capture_output=True)
    subprocess.run([*generate, "-aes-256-cbc", "-pass", f"pass:{PASSWORD}", "-out", sealed], check=True, capture_output=True)
    for path in (plain, sealed):
        path.chmod(0o600)
        keys.source({"LNM_SIGNING_KEY": str(path), "LNM_SIGNING_KEY_PASSWORD": PASSWORD}).load()


def test_a_password_need_not_be_utf_8(tmp_path: Path) -> None:
    password = b"pass\xffword"
    path = stored(tmp_path, pem_of(P256(), password))
    (tmp_path / "password").write_bytes(password)
    keys.source({"LNM_SIGNING_KEY": str(path), "LNM_SIGNING_KEY_PASSWORD_FILE": str(tmp_path / "password")}).load()
    keys.source({"LNM_SIGNING_KEY": str(path), "LNM_SIGNING_KEY_PASSWORD": os.fsdecode(password)}).load()


@pytest.mark.parametrize("kind", WRONG_KINDS)
def test_every_other_kind_of_key_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    make, said = WRONG_KINDS[kind]
    key = make()
    for password in (None, PASSWORD):
        error = refused(key=stored(tmp_path, pem_of(key, password)), LNM_SIGNING_KEY_PASSWORD=PASSWORD)
        assert isinstance(error, InputError)
        assert error.message == f"{tmp_path}/key.pem: found {said}, wanted ECDSA on P-256 or Ed25519"


def test_rsa_and_dsa_in_their_old_forms_are_refused_by_name(tmp_path: Path) -> None:
    for kind, label in (("rsa_1024", b"RSA PRIVATE KEY"), ("dsa", b"DSA PRIVATE KEY"), ("p384", b"EC PRIVATE KEY")):
        make, said = WRONG_KINDS[kind]
        pem = traditional(make())
        assert label in pem
        assert f"found {said}, wanted" in refused(key=stored(tmp_path, pem)).message


def test_sec_1_is_read_as_openssl_writes_it(tmp_path: Path) -> None:
    generate = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", str(tmp_path / "key.pem")]
    subprocess.run(generate, check=True, capture_output=True)
    path = stored(tmp_path, (tmp_path / "key.pem").read_bytes())
    assert path.read_bytes().startswith(b"-----BEGIN EC PARAMETERS-----")
    assert b"BEGIN EC PRIVATE KEY" in path.read_bytes()
    keys.source({"LNM_SIGNING_KEY": str(path)}).load()


@pytest.mark.parametrize("make", [P256, lambda: rsa.generate_private_key(65537, WEAK)], ids=["ec", "rsa"])
def test_a_key_encrypted_by_md5_of_its_password_is_refused_and_openssl_mends_it(tmp_path: Path, make: Make) -> None:
    key = make()
    path = stored(tmp_path, traditional(key, PASSWORD))
    error = refused(key=path, LNM_SIGNING_KEY_PASSWORD=PASSWORD)
    assert "Proc-Type: 4,ENCRYPTED, a password hashed once by MD5), wanted PKCS#8" in error.message
    command = error.hint.split(" && ")[0].replace("NEW.pem", str(tmp_path / "new.pem"))
    subprocess.run([*command.split(), "-passin", f"pass:{PASSWORD}", "-passout", "pass:new"], check=True, capture_output=True)
    assert pem_of(ser.load_pem_private_key((tmp_path / "new.pem").read_bytes(), b"new")) == pem_of(key)


@pytest.mark.parametrize("password", [None, PASSWORD], ids=["plain", "sealed"])
def test_a_key_of_openssh_is_refused_and_ssh_keygen_mends_it(tmp_path: Path, password: str | None) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen (openssh-client) is not on the PATH")
    path = tmp_path / "key.pem"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", password or "", "-f", path], check=True)
    error = refused(key=path, LNM_SIGNING_KEY_PASSWORD=PASSWORD)
    assert error.message == f"{path}: found a private key in OpenSSH's own form, wanted PKCS#8 in PEM"
    command = f"{error.hint.replace('NEW.pem', 'new.pem')} -q -P '{password or ''}' -N ''"
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    mended = keys.source({"LNM_SIGNING_KEY": str(tmp_path / "new.pem")}).load()
    assert ssh_public(mended).split()[1] == (tmp_path / "key.pem.pub").read_bytes().split()[1]


@pytest.mark.parametrize("way", ["variable", "file", "empty"])
def test_a_wrong_password_is_said_and_not_repeated(tmp_path: Path, way: str) -> None:
    path = stored(tmp_path, pem_of(P256(), "another one"))
    (tmp_path / "password").write_text(PASSWORD)
    environment = {
        "variable": {"LNM_SIGNING_KEY_PASSWORD": PASSWORD},
        "file": {"LNM_SIGNING_KEY_PASSWORD_FILE": str(tmp_path / "password")},
        "empty": {"LNM_SIGNING_KEY_PASSWORD": ""},
    }[way]
    error = refused(key=path, **environment)
    assert error.message == f"{path}: the password is wrong, or the file is damaged"


def test_an_encrypted_key_without_a_password_says_where_to_put_it(tmp_path: Path) -> None:
    error = refused(key=stored(tmp_path, pem_of(P256(), PASSWORD)))
    assert "encrypted and no password was given" in error.message
    assert "LNM_SIGNING_KEY_PASSWORD_FILE" in error.hint


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = stored(tmp_path, pem_of(P256(), PASSWORD))
    error = refused(key=path, LNM_SIGNING_KEY_PASSWORD_FILE=str(tmp_path / "gone"))
    assert error.message.startswith(f"LNM_SIGNING_KEY_PASSWORD_FILE: {tmp_path}/gone: ")


def test_a_key_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    error = refused(key=tmp_path / "gone.pem")
    assert isinstance(error, MissingError)
    assert "gone.pem: no such key file" in error.message


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    assert "directory" in refused(key=tmp_path).message


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = stored(tmp_path, pem_of(P256()), mode)
    error = refused(key=path)
    assert f"mode {mode:04o}" in error.message
    assert error.hint == f"chmod 600 {path}"


def test_a_key_that_its_owner_alone_reads_is_taken(tmp_path: Path) -> None:
    keys.source({"LNM_SIGNING_KEY": str(stored(tmp_path, pem_of(P256()), 0o400))}).load()


def test_a_key_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    path = stored(tmp_path, pem_of(P256()), 0o000)
    code = "import sys; from scripts import keys\ntry: keys.source({'LNM_SIGNING_KEY': sys.argv[1]}).load()\n"
    code += "except keys.InputError as err: print(err)"
    command = [*powerless(), sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"{path}: the key cannot be read: Permission denied" in done.stdout


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage that is long enough to be noticed where it must not be\n" * 2,
        b"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % (b"A" * 64),
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n%s\n-----END ENCRYPTED PRIVATE KEY-----\n" % (b"A" * 64),
        b"-----BEGIN PRIVATE KEY-----\n\xff\xfe\n-----END PRIVATE KEY-----\n",
        bytes(range(256)),
    ],
    ids=["empty", "text", "plain", "sealed", "bytes", "binary"],
)
def test_what_is_no_key_is_refused(tmp_path: Path, data: bytes) -> None:
    error = refused(key=stored(tmp_path, data), LNM_SIGNING_KEY_PASSWORD=PASSWORD)
    assert isinstance(error, InputError)
    assert error.message.startswith(f"{tmp_path}/key.pem: ")


def test_a_public_key_is_no_private_one(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    assert "no private key in PKCS#8 PEM" in refused(key=stored(tmp_path, keys.public_pem(key))).message


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    pem = pem_of(P256()).splitlines(keepends=True)
    assert "no private key" in refused(key=stored(tmp_path, b"".join([pem[0], *pem[2:]]))).message


# ---- the development key


def test_the_development_key_is_made_once_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = keys.source({"XDG_STATE_HOME": str(tmp_path / "state")})
    first, second = source.load(), source.load()
    path = source.development_path()
    assert pem_of(first) == pem_of(second) == path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    said = capsys.readouterr()
    assert said.out.count("made a development key") == 1
    assert path.read_text().splitlines()[1] not in said.out + said.err
    assert source.is_development


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_development_key_is_its_owners_alone_under_every_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "state").mkdir()
    before = os.umask(umask)
    try:
        keys.source({"XDG_STATE_HOME": str(tmp_path / "state")}).load()
    finally:
        os.umask(before)
    folder = tmp_path / "state/lnm-build"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / keys.DEVELOPMENT_KEY).stat().st_mode) == 0o600


def test_many_builds_that_make_the_development_key_at_once_have_one_key(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from scripts import keys
import cryptography.hazmat.primitives.asymmetric.ec
print("ready", flush=True)
sys.stdin.readline()
key = keys.source({"XDG_STATE_HOME": sys.argv[1]}).load()
print(keys.fingerprint(keys.public_pem(key)))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    fingerprints = {process.communicate("go\n")[0].splitlines()[-1] for process in started}
    assert len(fingerprints) == 1
    assert [item.name for item in (tmp_path / "lnm-build").iterdir()] == [keys.DEVELOPMENT_KEY]


def test_the_development_key_is_kept_in_the_state_folder_of_the_home(tmp_path: Path) -> None:
    assert keys.source({"HOME": "/home/x"}).development_path() == Path("/home/x/.local/state/lnm-build", keys.DEVELOPMENT_KEY)
    both = {"HOME": "/home/x", "XDG_STATE_HOME": str(tmp_path)}
    assert keys.source(both).development_path() == tmp_path / "lnm-build" / keys.DEVELOPMENT_KEY


def test_a_relative_state_folder_is_ignored_as_the_standard_says() -> None:
    """XDG Base Directory Specification: a relative path is invalid. It would put a private key into the work tree."""
    found = keys.source({"HOME": "/home/x", "XDG_STATE_HOME": "artifacts/lnm"}).development_path()
    assert found == Path("/home/x/.local/state/lnm-build", keys.DEVELOPMENT_KEY)


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "", "XDG_STATE_HOME": ""}])
def test_without_a_home_there_is_no_development_key(environment: dict[str, str]) -> None:
    with pytest.raises(InputError, match="no folder for the development key") as caught:
        keys.source(environment).load()
    assert "LNM_SIGNING_KEY" in caught.value.hint


def test_without_a_home_ones_own_key_still_signs(tmp_path: Path) -> None:
    source = keys.source({"LNM_SIGNING_KEY": str(stored(tmp_path, pem_of(P256())))})
    source.load()
    assert not source.is_development


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(InputError, match="the development key cannot be made") as caught:
        keys.source({"XDG_STATE_HOME": str(tmp_path / "state")}).load()
    assert "LNM_SIGNING_KEY" in caught.value.hint


def test_a_development_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    source = keys.source({"XDG_STATE_HOME": str(tmp_path)})
    source.load()
    source.development_path().chmod(0o644)
    with pytest.raises(InputError, match="mode 0644"):
        source.load()


def test_a_damaged_development_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    source = keys.source({"XDG_STATE_HOME": str(tmp_path)})
    source.load()
    source.development_path().write_bytes(b"")
    with pytest.raises(InputError, match="no private key"):
        source.load()
    assert source.development_path().read_bytes() == b""


def test_naming_the_development_key_as_ones_own_is_still_trust_dev(tmp_path: Path) -> None:
    path = keys.source({"XDG_STATE_HOME": str(tmp_path)})
    path.load()
    named = {"XDG_STATE_HOME": str(tmp_path), "LNM_SIGNING_KEY": str(path.development_path())}
    assert keys.source(named).is_development
    (tmp_path / "link").symlink_to(path.development_path())
    assert keys.source({**named, "LNM_SIGNING_KEY": str(tmp_path / "link")}).is_development
    (tmp_path / "copy.pem").write_bytes(path.development_path().read_bytes())
    assert keys.source({**named, "LNM_SIGNING_KEY": str(tmp_path / "copy.pem")}).is_development


# ---- the public half


def ssh_public(key: PrivateKeyTypes) -> bytes:
    assert isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey))
    return key.public_key().public_bytes(ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH)


@pytest.mark.parametrize("make", [P256, ED25519], ids=["p256", "ed25519"])
def test_the_keyid_is_the_openssh_fingerprint_that_cryptography_computes(tmp_path: Path, make: Make) -> None:
    key = reading.checked(tmp_path, make())
    digest = ser.ssh_key_fingerprint(key.public_key(), hashes.SHA256())
    assert keys.keyid(keys.public_pem(key)) == "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize("make", [P256, ED25519], ids=["p256", "ed25519"])
def test_the_keyid_is_what_ssh_keygen_prints(tmp_path: Path, make: Make) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen (openssh-client) is not on the PATH")
    key = reading.checked(tmp_path, make())
    (tmp_path / "key.pub").write_bytes(ssh_public(key) + b"\n")
    said = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == keys.keyid(keys.public_pem(key))


@pytest.mark.parametrize("make", [P256, ED25519], ids=["p256", "ed25519"])
def test_the_fingerprint_is_what_openssl_computes_and_the_hint_its_base64(tmp_path: Path, make: Make) -> None:
    public = keys.public_pem(reading.checked(tmp_path, make()))
    (tmp_path / "key.pub").write_bytes(public)
    command = "openssl pkey -pubin -in key.pub -outform DER | openssl dgst -sha256 -r"
    said = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == keys.fingerprint(public)
    assert base64.b64decode(keys.hint(public), validate=True).hex() == keys.fingerprint(public)
    assert len(keys.spki_of(public)) == (91 if make is P256 else 44)


def test_the_written_public_key_is_current_until_the_key_is_another(tmp_path: Path) -> None:
    source = keys.source({"XDG_STATE_HOME": str(tmp_path)})
    written = tmp_path / "signing-key.pub"
    assert not keys.is_current(source, written)
    out = io.BytesIO()
    keys.write_public(out, key=source)
    written.write_bytes(out.getvalue())
    assert keys.is_current(source, written)

    other = keys.source({"LNM_SIGNING_KEY": str(stored(tmp_path, pem_of(P256())))})
    assert not keys.is_current(other, written)
    with pytest.raises(InputError, match=r"signing-key\.pub: the signing key was changed during the build"):
        keys.load_matching(other, written)
    assert pem_of(keys.load_matching(source, written)) == pem_of(source.load())


def test_a_key_that_cannot_be_loaded_is_not_current(tmp_path: Path) -> None:
    (tmp_path / "signing-key.pub").write_bytes(b"")
    assert not keys.is_current(keys.source({"LNM_SIGNING_KEY": "/nowhere"}), tmp_path / "signing-key.pub")


def test_writing_the_public_key_says_trust_and_fingerprint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.BytesIO()
    keys.write_public(out, key=keys.source({"XDG_STATE_HOME": str(tmp_path)}))
    assert f"trust dev, fingerprint sha256:{keys.fingerprint(out.getvalue())}" in capsys.readouterr().err
    keys.write_public(out, key=keys.source({"LNM_SIGNING_KEY": str(stored(tmp_path, pem_of(P256())))}))
    assert "trust key, " in capsys.readouterr().err
