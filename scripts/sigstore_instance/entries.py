"""Entries of the log, as Rekor writes them: `hashedrekord` 0.0.1 for a blob, `dsse` 0.0.1 for a statement.

Forms: sigstore/rekor pkg/types/{hashedrekord,dsse}/v0.0.1 (JSON schemas and `Canonicalize`). What is logged is made anew from
what was checked: nothing that a client sends gets into the log as it came. A signature that does not verify is not logged;
who issued the certificate is not asked, as Rekor does not ask either. One signature by one certificate is all there is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from scripts import canonical
from scripts.sigstore_instance.refusal import RefusedError

VERSION = "0.0.1"
SHA256_HEX = re.compile(r"[0-9a-f]{64}")


def body(proposed: object) -> bytes:
    """The canonical bytes of a proposed entry, after its signature was verified.

    Raises: RefusedError.
    """
    kinds = {"hashedrekord": hashedrekord, "dsse": dsse}
    kind, version = text(proposed, "kind"), text(proposed, "apiVersion")
    if kind not in kinds or version != VERSION:
        raise RefusedError(f"apiVersion, kind: wanted {VERSION} of {' or '.join(kinds)}")
    spec = kinds[kind](at(proposed, "spec"))
    return rfc8785.dumps({"apiVersion": VERSION, "kind": kind, "spec": spec})


def hashedrekord(spec: object) -> dict[str, Any]:
    """The entry of a blob that is known by its SHA-256."""
    digest = text(spec, "data", "hash", "value")
    if text(spec, "data", "hash", "algorithm") != "sha256" or not SHA256_HEX.fullmatch(digest):
        raise RefusedError("spec.data.hash: wanted sha256 and 64 lower-case hex digits")
    signature = decoded(spec, "signature", "content")
    certificate = certificate_of(decoded(spec, "signature", "publicKey", "content"), "spec.signature.publicKey.content")
    verify(certificate, signature, bytes.fromhex(digest))
    return blob_spec(digest, signature, certificate)


def dsse(spec: object) -> dict[str, Any]:
    """The entry of a statement in a DSSE envelope."""
    envelope = text(spec, "proposedContent", "envelope")
    parsed = parse_json(envelope.encode("utf-8"), "spec.proposedContent.envelope")
    signatures, verifiers = at(parsed, "signatures"), at(spec, "proposedContent", "verifiers")
    if not isinstance(signatures, list) or not isinstance(verifiers, list) or len(signatures) != 1 or len(verifiers) != 1:
        raise RefusedError("spec.proposedContent: wanted one signature and one verifier")
    payload, signature = decoded(parsed, "payload"), decoded(signatures[0], "sig")
    certificate = certificate_of(decoded({"verifier": verifiers[0]}, "verifier"), "spec.proposedContent.verifiers[0]")
    verify(certificate, signature, hashlib.sha256(pae(text(parsed, "payloadType"), payload)).digest())
    return statement_spec(envelope.encode("utf-8"), payload, signature, certificate)


def blob_spec(digest: str, signature: bytes, certificate: x509.Certificate) -> dict[str, Any]:
    """The spec of a hashedrekord entry."""
    return {
        "data": {"hash": {"algorithm": "sha256", "value": digest}},
        "signature": {"content": canonical.b64(signature), "publicKey": {"content": verifier(certificate)}},
    }


def statement_spec(envelope: bytes, payload: bytes, signature: bytes, certificate: x509.Certificate) -> dict[str, Any]:
    """The spec of a dsse entry: hashes of the envelope, as it was submitted, and of its payload."""
    return {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(envelope).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": canonical.b64(signature), "verifier": verifier(certificate)}],
    }


def verifier(certificate: x509.Certificate) -> str:
    """A certificate as entries hold it: PEM in base64."""
    return canonical.b64(certificate.public_bytes(Encoding.PEM))


def pae(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding; lengths count bytes."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def verify(certificate: x509.Certificate, signature: bytes, digest: bytes) -> None:
    """Checks an ECDSA signature over a SHA-256 digest.

    Raises: RefusedError.
    """
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise RefusedError("the certificate's key is not an ECDSA key")
    try:
        key.verify(signature, digest, ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        raise RefusedError("the signature does not verify under the certificate's key") from None


def certificate_of(pem: bytes, where: str) -> x509.Certificate:
    """Reads one certificate.

    Raises: RefusedError.
    """
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise RefusedError(f"{where}: no certificate in PEM") from None


def parse_json(data: bytes, where: str) -> object:
    """Reads JSON that a client sent.

    Raises: RefusedError.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise RefusedError(f"{where}: not JSON") from None


def at(value: object, *names: str) -> object:
    """The member of a member … of an object.

    Raises: RefusedError where one of them is not there.
    """
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise RefusedError(f"{'.'.join(names)}: missing")
        value = value[name]
    return value


def text(value: object, *names: str) -> str:
    """A member that is text, and no half of a UTF-16 pair in it.

    Raises: RefusedError.
    """
    found = at(value, *names)
    if not isinstance(found, str) or not is_unicode(found):
        raise RefusedError(f"{'.'.join(names)}: wanted text")
    return found


def is_unicode(text: str) -> bool:
    """True when UTF-8 can hold it; JSON can hold more."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def decoded(value: object, *names: str) -> bytes:
    """The bytes of a member in base64.

    Raises: RefusedError.
    """
    try:
        return base64.b64decode(text(value, *names), validate=True)
    except ValueError:
        raise RefusedError(f"{'.'.join(names)}: not base64") from None
