"""Who signs evidence, with which key, and that others can verify it; nothing of a key or its password is ever said."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from lnm_runner.errors import EvidenceError, InputError, NotFoundError, RunnerError
from lnm_runner.evidence import judging, keys, signing, statement
from lnm_runner.evidence.statement import Facts
from lnm_runner.kit import VerifiedKit
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from tests.build.cosign_box import sealed as boxed
from tests.conftest import WHEEL
from tests.faults.keys import MAIN
from tests.runner import rehearsals
from tests.runner.policies import BUILDER, made
from tests.runner.rehearsals import WHOLE, begun, lines

PASSWORD = "evidence-sentinel-5b1d"
Make = Callable[[], PrivateKeyTypes]
MAKES: dict[str, Make] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> VerifiedKit:
    return rehearsals.kit(tmp_path_factory.mktemp("kit"))


def stated(known: VerifiedKit, trust: str = "key", facts: Facts = rehearsals.FACTS) -> bytes:
    return statement.render(rehearsals.entries(lines(begun(known), WHOLE)), known, replace(facts, trust=trust))


def stored(folder: Path, key: PrivateKeyTypes, password: str | None = None, mode: int = 0o600) -> Path:
    seal = ser.BestAvailableEncryption(password.encode()) if password else ser.NoEncryption()
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, seal))
    path.chmod(mode)
    return path


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"LNM_STATE_DIR": str(folder / "state"), **more}


@pytest.mark.parametrize("kind", MAKES)
def test_what_is_signed_openssl_and_securesystemslib_verify(known: VerifiedKit, tmp_path: Path, kind: str) -> None:
    there = environment(tmp_path, LNM_EVIDENCE_KEY=str(stored(tmp_path, MAKES[kind]())))
    said = signing.written(tmp_path, stated(known), there)

    dsse = (tmp_path / signing.FILE).read_bytes()
    public = (tmp_path / signing.PUBLIC_KEY).read_bytes()
    key = SSlibKey.from_crypto(ser.load_pem_public_key(public), json.loads(dsse)["signatures"][0]["keyid"])
    Envelope.from_dict(json.loads(dsse)).verify([key], 1)

    (tmp_path / "pae").write_bytes(rehearsals.pae(dsse))
    (tmp_path / "sig").write_bytes(signature_of(dsse))
    rest = ["-sigfile", "sig", "-in", "pae", "-rawin"]
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", signing.PUBLIC_KEY, *rest]
    command += ["-digest", "sha256"] if kind == "p256" else []
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Verified Successfully" in done.stdout
    assert said[0].startswith("signing with trust key, fingerprint sha256:")
    assert not list(tmp_path.glob("*.part"))


def signature_of(dsse: bytes) -> bytes:
    return base64.b64decode(json.loads(dsse)["signatures"][0]["sig"])


@pytest.mark.parametrize("kind", MAKES)
def test_the_same_key_over_the_same_statement_gives_the_same_bytes(known: VerifiedKit, tmp_path: Path, kind: str) -> None:
    there = environment(tmp_path, LNM_EVIDENCE_KEY=str(stored(tmp_path, MAKES[kind]())))
    assert signing.sealed(stated(known), there) == signing.sealed(stated(known), there)


@pytest.mark.parametrize("sealing", ["pkcs8", "cosign"])
@pytest.mark.parametrize("way", ["variable", "file"])
def test_a_sealed_key_signs_and_its_password_is_said_nowhere(known: VerifiedKit, tmp_path: Path, sealing: str, way: str) -> None:
    key = MAKES["p256"]()
    path = stored(tmp_path, key, PASSWORD)
    if sealing == "cosign":
        path.write_bytes(boxed(key, PASSWORD.encode()))
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    named = {"variable": ("PASSWORD", PASSWORD), "file": ("PASSWORD_FILE", str(tmp_path / "password"))}[way]
    there = environment(tmp_path, **{"LNM_EVIDENCE_KEY": str(path), f"LNM_EVIDENCE_KEY_{named[0]}": named[1]})
    told = signing.written(tmp_path, stated(known), there)
    assert PASSWORD not in "".join(told) + repr(keys.signer(there)) + (tmp_path / signing.FILE).read_text()
    with pytest.raises(InputError, match="the password is wrong, or the file is damaged") as caught:
        keys.signer({**there, "LNM_EVIDENCE_KEY_PASSWORD": f"not {PASSWORD}"})
    assert PASSWORD not in f"{caught.value!r} {caught.value.hint} {caught.value.as_json()}"


def test_without_a_key_a_development_key_is_made_once_and_said(known: VerifiedKit, tmp_path: Path) -> None:
    there = environment(tmp_path)
    first, second = keys.signer(there), keys.signer(there)
    path = tmp_path / "state/dev-evidence-key.pem"
    assert first.fingerprint == second.fingerprint
    assert (first.trust, signing.trust(there)) == ("dev", "dev")
    assert "a development key was made" in first.lines[0]
    assert len(second.lines) == 1
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert keys.signer({**there, "LNM_EVIDENCE_KEY": str(path)}).trust == "dev"
    assert path.read_text().splitlines()[1] not in "".join(first.lines) + repr(first)
    signing.sealed(stated(known, "dev"), there)


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    keys.signer(environment(tmp_path))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "state/dev-evidence-key.pem").stat().st_mode) == 0o600


def test_the_evidence_of_a_development_key_is_judged_as_such(known: VerifiedKit, tmp_path: Path) -> None:
    there = environment(tmp_path)
    signing.written(tmp_path, stated(known, "dev"), there)
    signer = f'[[signer]]\nname = "Own"\nrole = "rehearsal"\nfingerprint = "sha256:{keys.signer(there).fingerprint}"\n'
    lent = (tmp_path / signing.PUBLIC_KEY,)
    path = tmp_path / signing.FILE
    taken = judging.require(path, kit=known, policy=made(BUILDER, signer, development=True), keys=lent, now=rehearsals.NOW)
    assert taken.signer == "Own"
    with pytest.raises(EvidenceError, match="a development key signed it"):
        judging.require(path, kit=known, policy=made(BUILDER, signer), keys=lent, now=rehearsals.NOW)


def test_a_statement_of_another_trust_than_the_keys_is_not_signed(known: VerifiedKit, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="says that the trust of its key is key, and the key's is dev"):
        signing.sealed(stated(known, "key"), environment(tmp_path))


REFUSED: dict[str, tuple[Callable[[Path], dict[str, str]], str, type[RunnerError]]] = {
    "not there": (lambda place: {"LNM_EVIDENCE_KEY": str(place / "gone.pem")}, "gone.pem: no such key file", NotFoundError),
    "open to others": (
        lambda place: {"LNM_EVIDENCE_KEY": str(stored(place, MAKES["p256"](), mode=0o644))},
        "mode 0644, others can read the private key",
        InputError,
    ),
    "rsa": (
        lambda place: {"LNM_EVIDENCE_KEY": str(stored(place, rsa.generate_private_key(65537, 2048)))},
        "found RSA of 2048 bits",
        InputError,
    ),
    "sealed": (
        lambda place: {"LNM_EVIDENCE_KEY": str(stored(place, MAKES["p256"](), PASSWORD))},
        "the key is encrypted and no password was given",
        InputError,
    ),
    "no password file": (
        lambda place: {
            "LNM_EVIDENCE_KEY": str(stored(place, MAKES["p256"](), PASSWORD)),
            "LNM_EVIDENCE_KEY_PASSWORD_FILE": str(place / "gone"),
        },
        "LNM_EVIDENCE_KEY_PASSWORD_FILE: ",
        InputError,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_key_that_cannot_be_used_is_refused_under_the_name_of_its_variable(tmp_path: Path, case: str) -> None:
    make, words, kind = REFUSED[case]
    with pytest.raises(kind) as caught:
        keys.signer(environment(tmp_path, **make(tmp_path)))
    assert words in caught.value.message
    assert "LNM_SIGNING_KEY" not in caught.value.message + caught.value.hint


def test_a_full_or_closed_disk_is_told(known: VerifiedKit, tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        signing.written(tmp_path / "gone", stated(known, "dev"), environment(tmp_path))
    assert (caught.value.exit_code, "cannot be written" in caught.value.message) == (10, True)


# ---- where cryptography is not installed, as in the image

WITHOUT = """
import sys
sys.modules["cryptography"] = None
sys.path.append(sys.argv[1])
from pathlib import Path
from lnm_runner.errors import RunnerError
from lnm_runner.evidence import keys, signing
try:
    assert signing.trust({}) == "key"
    print(*signing.written(Path(), Path("statement.json").read_bytes(), {}), sep="\\n")
except RunnerError as err:
    print(f"{err.message}\\n{err.hint}")
    sys.exit(err.exit_code)
"""


def test_where_cryptography_is_not_installed_openssl_signs_and_the_signature_is_taken(known: VerifiedKit, tmp_path: Path) -> None:
    def again(wanted: int) -> str:
        command = [sys.executable, "-c", WITHOUT, str(WHEEL)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})
        assert done.returncode == wanted, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "statement.json").write_bytes(stated(known))
    key = stored(tmp_path, MAKES["p256"]())
    said = again(2)
    assert "cryptography is not installed here" in said
    assert "requirements-extras.txt" in said
    command = said[said.index("openssl dgst") : said.index(", put both beside")].replace("KEY.pem", key.name)
    command = re.sub(r"\(of an Ed25519 key: .*?\)", "", command)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    measured = replace(rehearsals.FACTS, stored_bytes=1)  # the server compresses what lies there, now and then
    (tmp_path / "statement.json").write_bytes(stated(known, facts=measured))
    assert "signed by the signature in rehearsal-evidence.sig" in again(0)

    there = environment(tmp_path, LNM_EVIDENCE_KEY=str(key))
    own = f'[[signer]]\nname = "Own"\nrole = "rehearsal"\nfingerprint = "sha256:{keys.signer(there).fingerprint}"\n'
    found = judging.require(
        tmp_path / signing.FILE,
        kit=known,
        policy=made(BUILDER, own),
        keys=(tmp_path / signing.PUBLIC_KEY,),
        now=rehearsals.NOW,
    )
    assert found.signer == "Own"

    (tmp_path / signing.SIGNATURE).write_bytes(b"another one")
    assert "is not the signature of rehearsal-evidence.pae" in again(2)
    (tmp_path / signing.PUBLIC_KEY).write_bytes(MAIN.pem * 2)
    assert "2 keys, wanted one" in again(2)
    (tmp_path / signing.PUBLIC_KEY).write_bytes(key.read_bytes())
    assert "this is a private key" in again(2)
