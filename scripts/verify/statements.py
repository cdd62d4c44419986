"""Checks the signed statements with implementations that are not ours.

(1) securesystemslib verifies every DSSE of the kit and every provenance beside it; (2) the subject is the file it
stands beside, by its SHA-256, or the kit by its rootHash; (3) the type is the one that its place promises; (4)
cosign, where it is on the PATH, accepts the statement for that file.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import SSlibKey

from scripts.verify import tools
from scripts.verify.outcome import WRONG_CHECKSUM, WRONG_SIGNATURE, Built, Outcome, failed, ok

SLSA = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"
MANIFEST = "https://stella-ops.org/attestations/offline-update/1"


def statements(built: Built) -> Iterator[Outcome]:
    """Every statement of the build."""
    sums = (built.kit / "SHA256SUMS").read_bytes()
    payload = b"".join(line for line in sums.splitlines(keepends=True) if b"  attestations/" not in line)
    root = (built.kit_name, hashlib.sha256(payload).hexdigest())
    yield judge(built, built.kit / "attestations/slsa-provenance.dsse.json", root, SLSA)
    yield judge(built, built.kit / "attestations/spdx.dsse.json", root, SPDX)
    first = ("SHA256SUMS", hashlib.sha256(sums).hexdigest())
    yield judge(built, built.kit / "manifest.dsse.json", first, MANIFEST)
    yield foreign(built, built.kit / "manifest.sigstore.json", built.kit / "SHA256SUMS", MANIFEST)
    for blob in filter(Path.is_file, (*built.bundles, built.tarball)):
        claim = Path(f"{blob}.provenance.sigstore.json")
        subject = (blob.name, hashlib.sha256(blob.read_bytes()).hexdigest())
        yield judge(built, claim, subject, SLSA)
        yield foreign(built, claim, blob, SLSA)


def judge(built: Built, path: Path, subject: tuple[str, str], predicate_type: str) -> Outcome:
    """One statement by securesystemslib, its type and its first subject."""
    name = path.relative_to(built.dist).as_posix()
    try:
        document = json.loads(path.read_bytes())
        envelope = document.get("dsseEnvelope", document)
        complaint = unsigned(envelope, built.key)
        statement = json.loads(base64.b64decode(envelope["payload"]))
        found = statement["subject"][0]
    except FileNotFoundError:
        return failed(name, "is not there", WRONG_CHECKSUM)
    except (ValueError, LookupError, TypeError, AttributeError) as err:
        return failed(name, f"is no signed statement: {type(err).__name__}: {err}", WRONG_SIGNATURE)
    if complaint:
        return failed(name, f"securesystemslib refuses it: {complaint}", WRONG_SIGNATURE)
    if (found["name"], found["digest"].get("sha256")) != subject:
        return failed(name, f"is about {found['name']}, {found['digest']}, wanted {subject}", WRONG_SIGNATURE)
    if statement["predicateType"] != predicate_type:
        return failed(name, f"is a {statement['predicateType']}, wanted a {predicate_type}", WRONG_SIGNATURE)
    return ok(name, f"signed (securesystemslib), about {subject[0]}, {predicate_type.removeprefix('https://')}")


def unsigned(envelope: dict[str, Any], key: Path) -> str:
    """Why securesystemslib does not accept an envelope; empty where it does."""
    public = load_pem_public_key(key.read_bytes())
    keyid = envelope["signatures"][0].get("keyid", "")
    try:
        Envelope.from_dict(json.loads(json.dumps(envelope))).verify([SSlibKey.from_crypto(public, keyid=keyid)], 1)
    except (VerificationError, UnverifiedSignatureError, KeyError, ValueError) as err:
        return f"{type(err).__name__}: {err}"
    return ""


def foreign(built: Built, claim: Path, blob: Path, predicate_type: str) -> Outcome:
    """One statement by cosign."""
    name = claim.relative_to(built.dist).as_posix()
    if not tools.present("cosign"):
        return Outcome("skipped", name, "cosign is not on the PATH")
    answer = tools.cosign_verifies_statement(built.key, blob, claim, predicate_type)
    if not answer.accepted:
        return failed(name, f"cosign refuses it for {blob.name}: {answer.complaint}", WRONG_SIGNATURE)
    return ok(name, f"accepted by cosign for {blob.name}")
