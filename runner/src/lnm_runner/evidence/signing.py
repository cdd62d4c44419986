"""Signs a statement: a DSSE (DSSE 1.0, protocol.md) in the one form that a kit's own have, with one signature.

ECDSA signatures are those of RFC 6979, so the same key over the same statement gives the same bytes. Where cryptography is not
installed, openssl signs: `written` leaves what is to be signed, and when it is called again takes the signature that lies there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lnm_runner.errors import EvidenceError, InputError, RetryableError
from lnm_runner.evidence import keys
from lnm_runner.kit import core
from lnm_runner.kit.core import PublicKey

IN_TOTO: Final = "application/vnd.in-toto+json"
FILE, PUBLIC_KEY = "rehearsal-evidence.dsse.json", "evidence-key.pub"
TO_SIGN, SIGNATURE = "rehearsal-evidence.pae", "rehearsal-evidence.sig"


def trust(environment: Mapping[str, str]) -> str:
    """The trust of the key that will sign, for the statement's own words; openssl signs with a key of one's own.

    Raises: RunnerError where there is none.
    """
    return keys.signer(environment).trust if keys.is_there() else keys.OWN


def pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding; lengths count bytes."""
    return b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode("ascii"), len(payload), payload)


def envelope(payload: bytes, signature: str, keyid: str) -> bytes:
    """The file's bytes; `signature` is base64."""
    document = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": IN_TOTO,
        "signatures": [{"keyid": keyid, "sig": signature}],
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def sealed(statement: bytes, environment: Mapping[str, str]) -> bytes:
    """The DSSE of a statement.

    Raises: RunnerError where there is no key; EvidenceError where the statement tells another trust than this key has.
    """
    return by(keys.signer(environment), statement)


def by(signer: keys.Signer, statement: bytes) -> bytes:
    """The same, by a key that is there.

    Raises: EvidenceError where the statement tells another trust than this key has.
    """
    told = json.loads(statement)["predicate"]["trust"]
    if told != signer.trust:
        raise EvidenceError(
            f"the statement says that the trust of its key is {told}, and the key's is {signer.trust}",
            hint=f"leave {keys.VARIABLE} as it is while evidence is made, and make it again",
        )
    return envelope(statement, signer.signature(pae(statement)), signer.keyid)


def written(folder: Path, statement: bytes, environment: Mapping[str, str]) -> list[str]:
    """Writes the evidence and the public key beside it, each whole or not at all; what was done, in words.

    Raises: InputError where it cannot be signed here, with what to do; EvidenceError as `by`; RetryableError of a full disk.
    """
    if keys.is_there():
        signer = keys.signer(environment)
        data = by(signer, statement)
        replace(folder / PUBLIC_KEY, signer.public_pem)
        told = list(signer.lines)
    else:
        data, told = attached(folder, statement), [f"signed by the signature in {SIGNATURE}"]
    replace(folder / FILE, data)
    return [*told, f"{FILE}: sha256:{hashlib.sha256(data).hexdigest()}"]


def attached(folder: Path, statement: bytes) -> bytes:
    """The DSSE with the signature that openssl has made, over this statement or over the one that was left to be signed.

    Raises: InputError where there is none yet, or it is not by the key beside it over that statement.
    """
    hint = (
        f"install the runner's extras: {keys.INSTALL}; or, where the key is: openssl dgst -sha256 -sign KEY.pem -out {SIGNATURE} "
        f"{TO_SIGN} (of an Ed25519 key: openssl pkeyutl -sign -rawin -inkey KEY.pem -in {TO_SIGN} -out {SIGNATURE}) "
        f"&& openssl pkey -in KEY.pem -pubout -out {PUBLIC_KEY}, put both beside it, and do this again"
    )
    chosen = left_to_sign(folder, statement)
    replace(folder / TO_SIGN, pae(chosen))
    try:
        signature, public = (folder / SIGNATURE).read_bytes(), (folder / PUBLIC_KEY).read_bytes()
    except FileNotFoundError as err:
        what = f"cryptography is not installed here, which signs evidence; what is to be signed is in {TO_SIGN}"
        raise InputError(what, hint=hint) from err
    except OSError as err:
        raise InputError(f"{SIGNATURE}, {PUBLIC_KEY}: cannot be read: {err.strerror}", hint=hint) from err
    key = only_key(public)
    if not key.verifies(pae(chosen), signature):
        raise InputError(f"{SIGNATURE}: is not the signature of {TO_SIGN} by sha256:{key.fingerprint}", hint=hint)
    return envelope(chosen, base64.b64encode(signature).decode("ascii"), key.keyid)


def left_to_sign(folder: Path, statement: bytes) -> bytes:
    """The statement that was left to be signed, if it is this one but for what the server measures each time; else this one."""
    try:
        left = (folder / TO_SIGN).read_bytes()
        before = left[left.index(b"{") :]
        is_same = but_measured(before) == but_measured(statement)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return statement
    return before if is_same else statement


def but_measured(statement: bytes) -> object:
    """A statement without its rates."""
    said = json.loads(statement)
    return {**said, "predicate": {name: held for name, held in said["predicate"].items() if name != "forecast"}}


def only_key(public: bytes) -> PublicKey:
    """The key of a PEM file with one.

    Raises: InputError.
    """
    verifier = core.verifier()
    try:
        found = verifier.read_keys(public, PUBLIC_KEY)
    except verifier.Refused as refused:
        raise core.refused(refused) from refused
    if len(found) != 1:
        raise InputError(f"{PUBLIC_KEY}: {len(found)} keys, wanted one", hint="openssl pkey -in KEY.pem -pubout")
    return found[0]


def replace(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises: RetryableError where the disk does not take it.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as err:
        raise RetryableError(f"{path.name}: cannot be written: {err.strerror}", hint="make room, and do this again") from err
