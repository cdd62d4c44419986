"""Signatures by identity made by hand, so that one part of them can be made wrong and all the others stay right.

It uses the instance's own modules below their checks: certificates of any profile and moment, entries that no log would take,
promises and checkpoints over anything. What it makes with nothing changed must pass (test_bundle_lies.py).
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from scripts import canonical
from scripts.sigstore_instance import ct, entries
from scripts.sigstore_instance.certificates import Authority, self_signed
from scripts.sigstore_instance.instance import IDENTITY, ISSUER, Instance, now
from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.log import Log

Json = dict[str, Any]
Certify = Callable[[EllipticCurvePublicKey], x509.Certificate]


@dataclass(frozen=True)
class Content:
    """What is signed: a blob, known by its digest, or a statement."""

    digest: bytes
    """SHA-256 of what the signature is over."""
    payload: bytes | None = None
    """Of a statement."""

    def body(self, signature: bytes, certificate: x509.Certificate) -> Json:
        """The log's entry about it, as JSON."""
        if self.payload is None:
            return entry_of("hashedrekord", entries.blob_spec(self.digest.hex(), signature, certificate))
        return entry_of("dsse", entries.statement_spec(b"{}", self.payload, signature, certificate))


def entry_of(kind: str, spec: Json, version: str = "0.0.1") -> Json:
    """An entry of the log."""
    return {"apiVersion": version, "kind": kind, "spec": spec}


def content_of(bundle: Json) -> Content:
    """What a bundle signs."""
    if envelope := bundle.get("dsseEnvelope"):
        payload = base64.b64decode(envelope["payload"])
        return Content(hashlib.sha256(entries.pae(envelope["payloadType"], payload)).digest(), payload)
    return Content(base64.b64decode(bundle["messageSignature"]["messageDigest"]["digest"]))


def is_statement(bundle: Json) -> bool:
    return "dsseEnvelope" in bundle


def moment() -> dt.datetime:
    """Now, in whole seconds, as certificates have it."""
    return now().replace(microsecond=0)


def signature_over(key: KeyPair, digest: bytes) -> bytes:
    return key.private.sign(digest, ECDSA(Prehashed(SHA256())))


def again(
    good: Json,
    inst: Instance,
    *,
    content: Content | None = None,
    certify: Certify | None = None,
    integrated: dt.datetime | None = None,
    log: Log | None = None,
    sign: Callable[[KeyPair, bytes], bytes] = signature_over,
    enter: Callable[[Json], Json] = lambda body: body,
) -> Json:
    """The same content signed once more, with what is given done otherwise; proofs and promise fit what was entered."""
    content, log = content or content_of(good), log or inst.log
    key = KeyPair.make()
    certificate = (certify or certified(inst))(key.private.public_key())
    signature = sign(key, content.digest)
    body = enter(content.body(signature, certificate))
    made = with_signature(good, signature)
    made["verificationMaterial"]["certificate"]["rawBytes"] = canonical.b64(certificate.public_bytes(Encoding.DER))
    made["verificationMaterial"]["tlogEntries"] = [entered(log, body, integrated or moment())]
    return made


def with_signature(bundle: Json, signature: bytes) -> Json:
    """A copy with another signature over the content."""
    made = copy.deepcopy(bundle)
    if is_statement(made):
        made["dsseEnvelope"]["signatures"][0]["sig"] = canonical.b64(signature)
    else:
        made["messageSignature"]["signature"] = canonical.b64(signature)
    return made


def entered(log: Log, body: Json, integrated: dt.datetime) -> Json:
    """An entry in the log, checked by nobody, in the form of a bundle."""
    data = rfc8785.dumps(body)
    (answer,) = log.entry(data, log.append(data), int(integrated.timestamp())).values()
    proof = answer["verification"]["inclusionProof"]
    return {
        "logIndex": str(answer["logIndex"]),
        "logId": {"keyId": b64_of_hex(answer["logID"])},
        "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
        "integratedTime": str(answer["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": answer["verification"]["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": b64_of_hex(proof["rootHash"]),
            "treeSize": str(proof["treeSize"]),
            "hashes": [b64_of_hex(digest) for digest in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": answer["body"],
    }


def b64_of_hex(digits: str) -> str:
    return canonical.b64(bytes.fromhex(digits))


# ---- certificates


def certified(
    inst: Instance,
    *,
    identity: str = IDENTITY,
    issuer: str = ISSUER,
    at: dt.datetime | None = None,
    authority: Authority | None = None,
    with_sct: bool = True,
) -> Certify:
    """Makes certificates of the instance, or of another authority."""

    def certify(public: EllipticCurvePublicKey) -> x509.Certificate:
        return (authority or inst.authority).issue(public, identity, issuer, at or moment(), with_sct=with_sct)

    return certify


def other_authority(inst: Instance) -> Authority:
    """One of the same name that nobody trusts, with the instance's own certificate log."""
    key = KeyPair.make()
    return Authority(key, self_signed(key, moment() - dt.timedelta(minutes=5)), inst.authority.log)


def remade(
    inst: Instance,
    change: Callable[[list[x509.ExtensionType]], Iterable[x509.ExtensionType]],
    stamps: Callable[[bytes], list[bytes]] | None = None,
) -> Certify:
    """Makes certificates with other extensions, in all else the instance's; `stamps` gives the log's timestamps over the rest."""
    authority = inst.authority

    def certify(public: EllipticCurvePublicKey) -> x509.Certificate:
        honest = authority.issue(public, IDENTITY, ISSUER, moment(), with_sct=False)
        critical = {item.oid: item.critical for item in honest.extensions}
        builder = (
            x509.CertificateBuilder(serial_number=honest.serial_number, public_key=public)
            .subject_name(honest.subject)
            .issuer_name(honest.issuer)
            .not_valid_before(honest.not_valid_before_utc)
            .not_valid_after(honest.not_valid_after_utc)
        )
        for value in change([item.value for item in honest.extensions]):
            builder = builder.add_extension(value, critical=critical.get(value.oid, False))
        tbs = builder.sign(authority.key.private, SHA256()).tbs_certificate_bytes
        found = stamps(tbs) if stamps else [ct.timestamp(authority.log, authority.key.spki, tbs, moment())]
        return builder.add_extension(ct.extension(found), critical=False).sign(authority.key.private, SHA256())

    return certify
