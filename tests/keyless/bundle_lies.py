"""Broken bundles of signatures by identity, in the manner of sigstore/sigstore-conformance (test/assets/bundle-verify/*_fail).

`good_pair` signs what a kit signs; a row of `LIES` makes of a good bundle one that must be refused: one thing in it is wrong, all
the rest is right, wherever it can be. The rows of `BEYOND` sigstore-python accepts: whoever needs more has to look himself.
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from scripts import canonical
from scripts.sigstore_instance import certificates, ct, entries, instance
from scripts.sigstore_instance.instance import Instance
from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.log import Log, checkpoint, promise
from tests.keyless.forge import (
    Content,
    Json,
    again,
    certified,
    content_of,
    entry_of,
    is_statement,
    moment,
    other_authority,
    remade,
    signature_over,
    with_signature,
)
from tests.keyless.signing import blob_bundle, signer, statement_bundle

SUMS = b"".join(b"%s  file-%d\n" % (hashlib.sha256(b"%d" % number).hexdigest().encode(), number) for number in range(3))
MANIFEST = canonical.render(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": {"channel": "edge"},
        "predicateType": "https://stella-ops.org/attestations/offline-update/1",
        "subject": [{"digest": {"sha256": hashlib.sha256(SUMS).hexdigest()}, "name": "SHA256SUMS"}],
    }
)
BOTH = ("sums", "manifest")
JS, COSIGN = "sigstore-js", "cosign"


def good_pair(inst: Instance, sums: bytes = SUMS, manifest: bytes = MANIFEST) -> tuple[bytes, bytes, bytes, bytes]:
    """`(sums, bundle of sums, manifest, bundle of manifest)`, signed by the unmodified sigstore-python."""
    with signer(inst) as ready:
        return sums, blob_bundle(ready, sums), manifest, statement_bundle(ready, manifest)


@dataclass(frozen=True)
class Lie:
    """One bundle that must be refused."""

    name: str
    of: str
    """Which bundle it is made of, and stands for: that of `sums` or that of `manifest`."""
    make: Callable[[bytes, Instance], bytes]
    """(the good bundle, the instance that signed it) -> the bad one."""
    reason: str
    """A pattern that sigstore-python's words must hold, in any case; empty where it accepts."""
    blind: frozenset[str] = frozenset()
    """Other clients that accept it."""


ROWS: list[Lie] = []
FORM_ROWS: list[Lie] = []


def lie(
    reason: str, *, of: tuple[str, ...] = BOTH, blind: tuple[str, ...] = (), table: list[Lie] = ROWS
) -> Callable[[Callable[[Json, Instance], Json | bytes]], None]:
    """Enters a lie; the function changes what it is given, or makes another."""

    def enter(tell: Callable[[Json, Instance], Json | bytes]) -> None:
        def make(good: bytes, inst: Instance) -> bytes:
            told = tell(json.loads(good), inst)
            return told if isinstance(told, bytes) else canonical.render(told)

        table.extend(Lie(f"{kind}_{tell.__name__}", kind, make, reason, frozenset(blind)) for kind in of)

    return enter


def entry(bundle: Json) -> Any:
    """The one entry of the log in a bundle."""
    return bundle["verificationMaterial"]["tlogEntries"][0]


def flipped(text: str) -> str:
    """Base64 of the same bytes but for one bit of the last."""
    data = base64.b64decode(text)
    return canonical.b64(data[:-1] + bytes([data[-1] ^ 1]))


def minutes(number: float) -> dt.timedelta:
    return dt.timedelta(minutes=number)


def other_log(inst: Instance) -> Log:
    """A log with a key that nobody trusts, in a file beside the instance's."""
    return Log(inst.log.path.with_name("other-log"), KeyPair.make())


# ---- what is signed


@lie("digest mismatch", of=("sums",))
def digest_of_another_file(good: Json, _: Instance) -> Json:
    good["messageSignature"]["messageDigest"]["digest"] = canonical.b64(hashlib.sha256(b"another").digest())
    return good


@lie("signature is invalid|invalid signature")
def signature_with_a_flipped_bit(good: Json, _: Instance) -> Json:
    content = good["dsseEnvelope"]["signatures"][0]["sig"] if is_statement(good) else good["messageSignature"]["signature"]
    return with_signature(good, base64.b64decode(flipped(content)))


@lie("signature is invalid|signature must be non-empty")
def signature_that_is_no_base64(good: Json, _: Instance) -> Json:
    if is_statement(good):
        good["dsseEnvelope"]["signatures"][0]["sig"] = "%%%%"
    else:
        good["messageSignature"]["signature"] = "%%%%"
    return good


@lie("signature is invalid|invalid signature")
def signature_by_another_key_and_logged(good: Json, inst: Instance) -> Json:
    """All of it fits but that the certificate's key has not signed: no honest log takes such an entry."""
    return again(good, inst, sign=lambda _, digest: signature_over(KeyPair.make(), digest))


@lie("digest mismatch|does not match|signature is invalid", of=("sums",))
def bundle_of_another_file(good: Json, inst: Instance) -> Json:
    digest = hashlib.sha256(b"another file").digest()
    good["messageSignature"]["messageDigest"]["digest"] = canonical.b64(digest)
    return again(good, inst, content=Content(digest))


@lie("dsse|envelope|statement|message signature|entry type", of=("sums",), blind=(JS, COSIGN))
def bundle_of_the_manifest(_: Json, inst: Instance) -> bytes:
    """cosign takes it, as the statement is about the blob; sigstore-js does not look at the blob then."""
    return good_pair(inst)[3]


@lie("envelope", of=("manifest",))
def bundle_of_the_sums(_: Json, inst: Instance) -> bytes:
    return good_pair(inst)[1]


@lie("invalid signature", of=("manifest",))
def payload_changed(good: Json, _: Instance) -> Json:
    payload = base64.b64decode(good["dsseEnvelope"]["payload"])
    good["dsseEnvelope"]["payload"] = canonical.b64(payload.replace(b'"_type"', b'"_Type"'))
    return good


@lie("invalid signature", of=("manifest",))
def payload_with_a_blank_more(good: Json, _: Instance) -> Json:
    good["dsseEnvelope"]["payload"] = canonical.b64(base64.b64decode(good["dsseEnvelope"]["payload"]) + b" ")
    return good


@lie("invalid signature", of=("manifest",))
def payload_type_changed(good: Json, _: Instance) -> Json:
    good["dsseEnvelope"]["payloadType"] = "application/json"
    return good


@lie("exactly one signature|signature", of=("manifest",))
def envelope_with_two_signatures(good: Json, inst: Instance) -> Json:
    good["dsseEnvelope"]["signatures"] += again(good, inst)["dsseEnvelope"]["signatures"]
    return good


@lie("exactly one signature|signature", of=("manifest",))
def envelope_with_one_signature_twice(good: Json, _: Instance) -> Json:
    good["dsseEnvelope"]["signatures"] *= 2
    return good


@lie("signature", of=("manifest",))
def envelope_without_a_signature(good: Json, _: Instance) -> Json:
    good["dsseEnvelope"]["signatures"] = []
    return good


@lie("", of=("sums",))
def digest_by_another_algorithm(good: Json, _: Instance) -> Json:
    """The 32 bytes are said to be SHA-512."""
    good["messageSignature"]["messageDigest"]["algorithm"] = "SHA2_512"
    return good


@lie("", of=("manifest",), blind=(JS,))
def payload_of_another_type(good: Json, inst: Instance) -> Json:
    """Signed and logged as it stands: it is for the caller to know which type he wants."""
    envelope = good["dsseEnvelope"]
    envelope["payloadType"] = "application/json"
    return again(good, inst, content=content_of(good))


@lie("", of=("manifest",), blind=(JS,))
def bundle_of_another_statement(good: Json, inst: Instance) -> Json:
    """Signed and logged as it stands: it is for the caller to compare the payload."""
    payload = base64.b64decode(good["dsseEnvelope"]["payload"]).replace(b'"edge"', b'"EDGE"').replace(b'"name"', b'"Name"')
    good["dsseEnvelope"]["payload"] = canonical.b64(payload)
    return again(good, inst, content=content_of(good))


# ---- who signed


@lie("SANs do not match")
def another_identity(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, identity="mallory@lnm-dev.invalid"))


@lie("SANs do not match")
def identity_in_capitals(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, identity=instance.IDENTITY.upper()))


@lie("SANs do not match")
def identity_that_begins_alike(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, identity=f"{instance.IDENTITY}.example.invalid"))


@lie("SANs do not match")
def identity_as_a_uri(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, identity=f"https://example.invalid/{instance.IDENTITY}"))


@lie("SANs do not match")
def identity_that_goes_on_after_a_null_byte(good: Json, inst: Instance) -> Json:
    name = f"{instance.IDENTITY}\0.example.invalid".encode("ascii")
    inside = bytes([0x81, len(name)]) + name  # RFC 5280 §4.2.1.6: rfc822Name [1] IA5String
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes([0x30, len(inside)]) + inside)
    return again(good, inst, certify=remade(inst, lambda found: [names if item.oid == names.oid else item for item in found]))


@lie("OIDCIssuer does not match")
def another_issuer(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, issuer="https://oidc.example.invalid"))


@lie("does not contain OIDCIssuer", blind=(JS, COSIGN))
def issuer_in_the_newer_extension_alone(good: Json, inst: Instance) -> Json:
    """sigstore-python's `Identity` reads the older extension; others read the newer. To refuse it is to be on the safe side."""
    return again(good, inst, certify=remade(inst, lambda found: [item for item in found if item.oid != certificates.ISSUER_RAW]))


@lie("does not contain OIDCIssuer")
def no_issuer(good: Json, inst: Instance) -> Json:
    issuers = (certificates.ISSUER_RAW, certificates.ISSUER_DER)
    return again(good, inst, certify=remade(inst, lambda found: [item for item in found if item.oid not in issuers]))


@lie("")
def issuers_that_disagree(good: Json, inst: Instance) -> Json:
    """The older extension names the wanted issuer, the newer another."""
    other = x509.UnrecognizedExtension(certificates.ISSUER_DER, b"\x0c\x1chttps://oidc.example.invalid")
    return again(
        good, inst, certify=remade(inst, lambda found: [other if item.oid == certificates.ISSUER_DER else item for item in found])
    )


@lie("")
def two_identities(good: Json, inst: Instance) -> Json:
    """The wanted one is the second of two."""
    names = x509.SubjectAlternativeName([x509.RFC822Name("mallory@lnm-dev.invalid"), x509.RFC822Name(instance.IDENTITY)])
    return again(good, inst, certify=remade(inst, lambda found: [names if item.oid == names.oid else item for item in found]))


# ---- the certificate


@lie("certificate chain")
def certificate_by_another_authority(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, authority=other_authority(inst)))


@lie("certificate chain")
def certificate_with_a_flipped_bit(good: Json, _: Instance) -> Json:
    material = good["verificationMaterial"]["certificate"]
    material["rawBytes"] = flipped(material["rawBytes"])
    return good


@lie("certificate chain|signing cert|log entry|does not contain|Extended")
def certificate_of_the_authority(good: Json, inst: Instance) -> Json:
    good["verificationMaterial"]["certificate"]["rawBytes"] = inst.trusted_root()["certificateAuthorities"][0]["certChain"][
        "certificates"
    ][0]["rawBytes"]
    return good


@lie("code signing|certificate chain|EKU", blind=(JS,))
def certificate_for_a_web_server(good: Json, inst: Instance) -> Json:
    web = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return again(good, inst, certify=remade(inst, lambda found: [web if item.oid == web.oid else item for item in found]))


@lie("key usage|keyUsage|digital signature|certificate chain", blind=(JS, COSIGN))
def certificate_that_may_not_sign(good: Json, inst: Instance) -> Json:
    usage = certificates.usage(certifies=True)
    return again(good, inst, certify=remade(inst, lambda found: [usage if item.oid == usage.oid else item for item in found]))


@lie("signed certificate timestamp")
def certificate_without_timestamp(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, with_sct=False))


@lie("Expected one certificate timestamp")
def certificate_with_no_timestamp_in_the_list(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=remade(inst, list, lambda _: []))


@lie("SCT")
def timestamp_by_another_key(good: Json, inst: Instance) -> Json:
    """With the name of the right one."""

    def stamps(tbs: bytes) -> list[bytes]:
        other, right = KeyPair.make(), inst.authority.log
        return [ct.timestamp(other, inst.authority.key.spki, tbs, moment()).replace(other.log_id, right.log_id)]

    return again(good, inst, certify=remade(inst, list, stamps))


@lie("SCT")
def timestamp_by_another_log(good: Json, inst: Instance) -> Json:
    return again(
        good, inst, certify=remade(inst, list, lambda tbs: [ct.timestamp(KeyPair.make(), inst.authority.key.spki, tbs, moment())])
    )


@lie("SCT")
def timestamp_of_another_certificate(good: Json, inst: Instance) -> Json:
    return again(
        good,
        inst,
        certify=remade(inst, list, lambda tbs: [ct.timestamp(inst.authority.log, inst.authority.key.spki, tbs[::-1], moment())]),
    )


@lie("SCT")
def timestamp_under_another_authority(good: Json, inst: Instance) -> Json:
    return again(
        good, inst, certify=remade(inst, list, lambda tbs: [ct.timestamp(inst.authority.log, KeyPair.make().spki, tbs, moment())])
    )


# ---- the time


@lie("certificate chain|expired")
def entered_before_the_certificate(good: Json, inst: Instance) -> Json:
    return again(good, inst, integrated=moment() - minutes(2))


@lie("certificate chain|expired")
def entered_after_the_certificate(good: Json, inst: Instance) -> Json:
    return again(good, inst, certify=certified(inst, at=moment() - minutes(10) - dt.timedelta(seconds=1)))


@lie("certificate chain|expired")
def entered_before_the_authority(good: Json, inst: Instance) -> Json:
    long_ago = moment() - dt.timedelta(days=3650)
    return again(good, inst, certify=certified(inst, at=long_ago), integrated=long_ago + minutes(1))


@lie("certificate chain|expired")
def entered_after_the_authority(good: Json, inst: Instance) -> Json:
    far = moment() + dt.timedelta(days=3660)
    return again(good, inst, certify=certified(inst, at=far), integrated=far + minutes(1))


@lie("inclusion promise|SET")
def time_changed_by_a_second(good: Json, _: Instance) -> Json:
    entry(good)["integratedTime"] = str(int(entry(good)["integratedTime"]) + 1)
    return good


@lie("verified time|inclusion promise|certificate chain")
def time_changed_to_the_future(good: Json, _: Instance) -> Json:
    entry(good)["integratedTime"] = str(int(entry(good)["integratedTime"]) + 86400 * 365)
    return good


@lie("verified time")
def no_time(good: Json, _: Instance) -> Json:
    entry(good)["integratedTime"] = "0"
    return good


@lie("timestamp", blind=(COSIGN,))
def timestamp_that_is_none(good: Json, _: Instance) -> Json:
    good["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": "MAA="}]}
    return good


@lie("", blind=(JS, COSIGN))
def signed_in_the_future(good: Json, inst: Instance) -> Json:
    """A year from now by certificate and log: whoever has a clock can see it."""
    far = moment() + dt.timedelta(days=365)
    return again(good, inst, certify=certified(inst, at=far), integrated=far + minutes(1))


# ---- the entry of the log


@lie("inconsistent|do not match|does not match")
def entry_of_another_signature(good: Json, inst: Instance) -> Json:
    """CVE-2022-36056: a good entry about something else."""
    good["verificationMaterial"]["tlogEntries"] = [entry(again(good, inst))]
    return good


@lie("inconsistent|do not match", blind=(JS,))
def entry_of_another_certificate(good: Json, inst: Instance) -> Json:
    """The same signature over the same content, entered by another's certificate."""
    other = certified(inst, identity="mallory@lnm-dev.invalid")(KeyPair.make().private.public_key())

    def enter(body: Json) -> Json:
        body = copy.deepcopy(body)
        spec = body["spec"]
        if is_statement(good):
            spec["signatures"][0]["verifier"] = entries.verifier(other)
        else:
            spec["signature"]["publicKey"]["content"] = entries.verifier(other)
        return body

    return again(good, inst, enter=enter)


@lie("inconsistent|payload hash")
def entry_of_another_digest(good: Json, inst: Instance) -> Json:
    def enter(body: Json) -> Json:
        body = copy.deepcopy(body)
        hashed = body["spec"]["payloadHash"] if is_statement(good) else body["spec"]["data"]["hash"]
        hashed["value"] = hashlib.sha256(b"another").hexdigest()
        return body

    return again(good, inst, enter=enter)


@lie("entry type", of=("sums",), blind=(JS,))
def blob_entered_as_a_statement(good: Json, inst: Instance) -> Json:
    def enter(body: Json) -> Json:
        spec = body["spec"]
        signed = [{"signature": spec["signature"]["content"], "verifier": spec["signature"]["publicKey"]["content"]}]
        return entry_of("dsse", {"envelopeHash": spec["data"]["hash"], "payloadHash": spec["data"]["hash"], "signatures": signed})

    return again(good, inst, enter=enter)


@lie("entry type", of=("manifest",))
def statement_entered_as_a_blob(good: Json, inst: Instance) -> Json:
    def enter(body: Json) -> Json:
        signed = body["spec"]["signatures"][0]
        hashed = {"algorithm": "sha256", "value": content_of(good).digest.hex()}
        signature = {"content": signed["signature"], "publicKey": {"content": signed["verifier"]}}
        return entry_of("hashedrekord", {"data": {"hash": hashed}, "signature": signature})

    return again(good, inst, enter=enter)


def intoto(good: Json, body: Json, payload: bytes) -> Json:
    """The entry of an older kind about a statement, sigstore/rekor pkg/types/intoto/v0.0.2."""
    signed = body["spec"]["signatures"][0]
    signatures = [{"publicKey": signed["verifier"], "sig": canonical.b64(signed["signature"].encode("ascii"))}]
    envelope = {"payloadType": good["dsseEnvelope"]["payloadType"], "signatures": signatures}
    hashed = {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}
    content = {"envelope": envelope, "hash": body["spec"]["envelopeHash"], "payloadHash": hashed}
    return entry_of("intoto", {"content": content}, "0.0.2")


@lie("integrated time|entry type", of=("manifest",), blind=(JS, COSIGN))
def entry_of_an_older_kind(good: Json, inst: Instance) -> Json:
    """`intoto`: right in itself; sigstore-python has given it up."""
    payload = base64.b64decode(good["dsseEnvelope"]["payload"])
    return again(good, inst, enter=lambda body: intoto(good, body, payload))


@lie("integrated time|entry type", of=("manifest",))
def entry_of_an_older_kind_about_another_payload(good: Json, inst: Instance) -> Json:
    return again(good, inst, enter=lambda body: intoto(good, body, b"another"))


@lie("integrated time|version|entry type|invalid", blind=(COSIGN,))
def entry_said_to_be_of_another_version(good: Json, _: Instance) -> Json:
    entry(good)["kindVersion"]["version"] = "0.0.2"
    return good


@lie("version", blind=(COSIGN,))
def entry_said_to_be_of_an_unknown_version(good: Json, _: Instance) -> Json:
    entry(good)["kindVersion"]["version"] = "0.0.9"
    return good


@lie("entry type|integrated time", blind=(COSIGN,))
def entry_said_to_be_of_another_kind(good: Json, _: Instance) -> Json:
    entry(good)["kindVersion"]["kind"] = "hashedrekord" if is_statement(good) else "dsse"
    return good


@lie("one log entry")
def no_entry(good: Json, _: Instance) -> Json:
    good["verificationMaterial"]["tlogEntries"] = []
    return good


@lie("one log entry")
def two_entries(good: Json, inst: Instance) -> Json:
    good["verificationMaterial"]["tlogEntries"] += [entry(again(good, inst))]
    return good


@lie("one log entry")
def one_entry_twice(good: Json, _: Instance) -> Json:
    good["verificationMaterial"]["tlogEntries"] *= 2
    return good


@lie("signature|log ID|promise")
def entry_of_another_log(good: Json, inst: Instance) -> Json:
    """The certificate is good; log, promise and checkpoint are somebody else's."""
    return again(good, inst, log=other_log(inst))


@lie("certificate chain")
def signed_at_another_instance(good: Json, inst: Instance) -> Json:
    other = other_authority(inst)
    return again(good, inst, certify=certified(inst, authority=other), log=other_log(inst))


@lie("log ID|promise|signature")
def log_called_by_another_name(good: Json, _: Instance) -> Json:
    entry(good)["logId"]["keyId"] = flipped(entry(good)["logId"]["keyId"])
    return good


# ---- the promise


@lie("inclusion promise|verified time")
def promise_missing(good: Json, _: Instance) -> Json:
    del entry(good)["inclusionPromise"]
    return good


@lie("inclusion promise")
def promise_with_a_flipped_bit(good: Json, _: Instance) -> Json:
    promised = entry(good)["inclusionPromise"]
    promised["signedEntryTimestamp"] = flipped(promised["signedEntryTimestamp"])
    return good


@lie("inclusion promise")
def promise_by_another_key(good: Json, _: Instance) -> Json:
    found = entry(good)
    body = base64.b64decode(found["canonicalizedBody"])
    signed = promise(KeyPair.make(), body, int(found["logIndex"]), int(found["integratedTime"]))
    found["inclusionPromise"]["signedEntryTimestamp"] = canonical.b64(signed)
    return good


@lie("inclusion promise")
def promise_of_another_entry(good: Json, inst: Instance) -> Json:
    entry(good)["inclusionPromise"] = entry(again(good, inst))["inclusionPromise"]
    return good


@lie("inclusion promise")
def index_changed(good: Json, _: Instance) -> Json:
    entry(good)["logIndex"] = str(int(entry(good)["logIndex"]) + 1)
    return good


@lie("failed to load|inclusion promise")
def index_below_zero(good: Json, _: Instance) -> Json:
    entry(good)["logIndex"] = "-1"
    return good


# ---- the proof


def proof(bundle: Json) -> Any:
    return entry(bundle)["inclusionProof"]


@lie("inclusion ?proof")
def proof_missing(good: Json, _: Instance) -> Json:
    del entry(good)["inclusionProof"]
    return good


@lie("inclusion proof")
def proof_with_a_flipped_bit(good: Json, inst: Instance) -> Json:
    made = again(good, inst)
    proof(made)["hashes"][0] = flipped(proof(made)["hashes"][0])
    return made


@lie("inclusion proof")
def proof_with_a_hash_less(good: Json, inst: Instance) -> Json:
    made = again(good, inst)
    del proof(made)["hashes"][0]
    return made


@lie("inclusion proof")
def proof_with_a_hash_more(good: Json, inst: Instance) -> Json:
    made = again(good, inst)
    proof(made)["hashes"].append(proof(made)["hashes"][0])
    return made


@lie("inclusion proof")
def proof_of_another_index(good: Json, inst: Instance) -> Json:
    made = again(good, inst)
    proof(made)["logIndex"] = str(int(proof(made)["logIndex"]) - 1)
    return made


@lie("root hash", blind=(JS,))
def proof_of_another_root(good: Json, inst: Instance) -> Json:
    """sigstore-js looks at the root of the checkpoint alone."""
    made = again(good, inst)
    proof(made)["rootHash"] = flipped(proof(made)["rootHash"])
    return made


@lie("inclusion proof", blind=(JS,))
def proof_of_another_size(good: Json, inst: Instance) -> Json:
    """sigstore-js looks at the size of the checkpoint alone."""
    made = again(good, inst)
    proof(made)["treeSize"] = str(4 * int(proof(made)["treeSize"]))
    return made


@lie("inclusion proof")
def proof_of_another_entry(good: Json, inst: Instance) -> Json:
    made = again(good, inst)
    entry(made)["inclusionProof"] = proof(again(good, inst))
    return made


# ---- the checkpoint


def checkpointed(bundle: Json, text: str) -> Json:
    proof(bundle)["checkpoint"]["envelope"] = text
    return bundle


@lie("checkpoint")
def checkpoint_missing(good: Json, _: Instance) -> Json:
    del proof(good)["checkpoint"]
    return good


@lie("checkpoint|note")
def checkpoint_empty(good: Json, _: Instance) -> Json:
    return checkpointed(good, "")


@lie("checkpoint|note")
def checkpoint_without_signature(good: Json, _: Instance) -> Json:
    return checkpointed(good, proof(good)["checkpoint"]["envelope"].partition("\u2014")[0])


@lie("checkpoint")
def checkpoint_by_another_key(good: Json, inst: Instance) -> Json:
    """With the hint of the right one."""
    other, root = KeyPair.make(), base64.b64decode(proof(good)["rootHash"])
    note, _, line = checkpoint(inst.log.key, int(proof(good)["treeSize"]), root).partition("\n\n")
    signature = canonical.b64(inst.log.key.log_id[:4] + other.sign(f"{note}\n".encode()))
    return checkpointed(good, f"{note}\n\n{line.rpartition(' ')[0]} {signature}\n")


@lie("checkpoint|log ID")
def checkpoint_with_another_hint(good: Json, _: Instance) -> Json:
    head, _, signature = proof(good)["checkpoint"]["envelope"].rpartition(" ")
    data = base64.b64decode(signature)
    return checkpointed(good, f"{head} {canonical.b64(bytes([data[0] ^ 1]) + data[1:])}\n")


@lie("checkpoint")
def checkpoint_with_a_flipped_bit(good: Json, _: Instance) -> Json:
    head, _, signature = proof(good)["checkpoint"]["envelope"].rpartition(" ")
    return checkpointed(good, f"{head} {flipped(signature)}\n")


@lie("checkpoint")
def checkpoint_changed(good: Json, _: Instance) -> Json:
    return checkpointed(good, proof(good)["checkpoint"]["envelope"].replace("rekor.", "Rekor.", 1))


@lie("root hash")
def checkpoint_of_another_root(good: Json, inst: Instance) -> Json:
    """Signed by the log, about another tree."""
    return checkpointed(good, checkpoint(inst.log.key, int(proof(good)["treeSize"]), hashlib.sha256(b"another").digest()))


@lie("root hash")
def checkpoint_of_an_earlier_tree(good: Json, inst: Instance) -> Json:
    made = again(good, inst)
    size = int(proof(made)["treeSize"]) - 1
    return checkpointed(made, checkpoint(inst.log.key, size, inst.log.tree.root(size)))


def resigned(bundle: Json, inst: Instance, change: Callable[[list[str]], list[str]]) -> Json:
    """The lines of the checkpoint's note changed, and signed by the log as they are then."""
    note, _, line = proof(bundle)["checkpoint"]["envelope"].partition("\n\n")
    text = "".join(f"{part}\n" for part in change(note.split("\n")))
    signature = canonical.b64(inst.log.key.log_id[:4] + inst.log.key.sign(text.encode("ascii")))
    return checkpointed(bundle, f"{text}\n{line.rpartition(' ')[0]} {signature}\n")


@lie("LogCheckpoint")
def checkpoint_without_origin(good: Json, inst: Instance) -> Json:
    return resigned(good, inst, lambda lines: lines[1:])


@lie("LogCheckpoint")
def checkpoint_without_size(good: Json, inst: Instance) -> Json:
    return resigned(good, inst, lambda lines: [lines[0], lines[2]])


@lie("LogCheckpoint")
def checkpoint_without_root(good: Json, inst: Instance) -> Json:
    return resigned(good, inst, lambda lines: lines[:2])


@lie("", blind=(COSIGN,))
def checkpoint_of_another_size(good: Json, inst: Instance) -> Json:
    """Signed by the log: the right root, said to be that of a tree of another size."""
    made = again(good, inst)
    root = base64.b64decode(proof(made)["rootHash"])
    return checkpointed(made, checkpoint(inst.log.key, 1 + 4 * int(proof(made)["treeSize"]), root))


# ---- the form


@lie("media ?type", blind=(JS,))
def media_type_of_the_future(good: Json, _: Instance) -> Json:
    good["mediaType"] = "application/vnd.dev.sigstore.bundle.v9.9+json"
    return good


@lie("certificate chain", blind=(JS, COSIGN))
def media_type_of_an_older_bundle(good: Json, _: Instance) -> Json:
    good["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
    return good


@lie("bundle format|media")
def media_type_missing(good: Json, _: Instance) -> Json:
    del good["mediaType"]
    return good


@lie("expected certificate")
def chain_instead_of_a_certificate(good: Json, _: Instance) -> Json:
    material = good["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    return good


@lie("expected certificate")
def chain_with_the_root(good: Json, inst: Instance) -> Json:
    material, root = (
        good["verificationMaterial"],
        inst.trusted_root()["certificateAuthorities"][0]["certChain"]["certificates"][0],
    )
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate"), root]}
    return good


@lie("expected certificate")
def chain_that_is_empty(good: Json, _: Instance) -> Json:
    material = good["verificationMaterial"]
    del material["certificate"]
    material["x509CertificateChain"] = {"certificates": []}
    return good


@lie("expected certificate")
def key_instead_of_a_certificate(good: Json, _: Instance) -> Json:
    material = good["verificationMaterial"]
    del material["certificate"]
    material["publicKey"] = {"hint": "AAAA"}
    return good


@lie("certificate must be set")
def no_certificate(good: Json, _: Instance) -> Json:
    del good["verificationMaterial"]["certificate"]
    return good


@lie("signature|envelope|content")
def no_content(good: Json, _: Instance) -> Json:
    del good["dsseEnvelope" if is_statement(good) else "messageSignature"]
    return good


@lie("extra", blind=(JS,))
def member_that_nobody_knows(good: Json, _: Instance) -> Json:
    good["note"] = "not signed"
    return good


@lie("", blind=(JS,), table=FORM_ROWS)
def member_said_twice(good: Json, _: Instance) -> bytes:
    """Readers differ in which of two they take."""
    return canonical.render(good).replace(b'{"', b'{"mediaType":"another","', 1)


@lie("", blind=(JS, COSIGN), table=FORM_ROWS)
def base64_that_is_not_canonical(good: Json, _: Instance) -> Json:
    """Bits that nobody reads are set: other bytes, the same signature."""
    text = entry(good)["logId"]["keyId"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    entry(good)["logId"]["keyId"] = f"{text[:-2]}{letters[letters.index(text[-2]) + 1]}="
    return good


@lie("", blind=(JS,), table=FORM_ROWS)
def base64_with_a_foreign_character(good: Json, _: Instance) -> Json:
    """sigstore-python passes over what is not of the alphabet."""
    promised = entry(good)["inclusionPromise"]
    promised["signedEntryTimestamp"] = "%" + promised["signedEntryTimestamp"]
    return good


@lie("pars|extra", blind=(JS,))
def certificate_followed_by_more(good: Json, _: Instance) -> Json:
    """sigstore-python lets a bare ValueError through: whoever calls it has to take every exception for a refusal."""
    material = good["verificationMaterial"]["certificate"]
    material["rawBytes"] = canonical.b64(base64.b64decode(material["rawBytes"]) + b"\0")
    return good


@lie("failed to load")
def truncated(good: Json, _: Instance) -> bytes:
    return canonical.render(good)[:-100]


@lie("failed to load")
def empty(_: Json, __: Instance) -> bytes:
    return b""


@lie("failed to load")
def not_an_object(_: Json, __: Instance) -> bytes:
    return b"[]\n"


@lie("failed to load")
def followed_by_more(good: Json, _: Instance) -> bytes:
    return canonical.render(good) + b"{}\n"


LIES = tuple(row for row in ROWS if row.reason)
BEYOND = tuple(row for row in ROWS if not row.reason)
FORM = tuple(FORM_ROWS)

CONFORMANCE = {
    "bundle-empty-certificate-chain": "chain_that_is_empty",
    "bundle-from-wrong-instance": "signed_at_another_instance",
    "bundle-invalid-base64-signature": "signature_that_is_no_base64",
    "bundle-malformed-json": "truncated",
    "bundle-negative-log-index": "index_below_zero",
    "bundle-unknown-version": "media_type_of_the_future",
    "bundle-with-root-cert": "chain_with_the_root",
    "checkpoint-bad-keyhint": "checkpoint_with_another_hint",
    "checkpoint-wrong-roothash": "checkpoint_of_another_root",
    "cve-2022-36056-swapped-tlog-entry": "entry_of_another_signature",
    "dsse-invalid-sig": "signature_with_a_flipped_bit",
    "dsse-mismatch-envelope": "payload_changed",
    "dsse-mismatch-sig": "entry_of_another_signature",
    "inclusion-proof-corrupted-hash": "proof_with_a_flipped_bit",
    "incorrect-public-key": "entry_of_another_certificate",
    "integrated-time-in-future": "time_changed_to_the_future",
    "intoto-expired-certificate": "entered_after_the_authority",
    "intoto-log-entry-mismatch": "entry_of_an_older_kind_about_another_payload",
    "intoto-missing-inclusion-proof": "proof_missing",
    "intoto-set-outside-signing-cert-validity": "entered_after_the_certificate",
    "invalid-checkpoint-signature": "checkpoint_with_a_flipped_bit",
    "invalid-ct-key": "timestamp_by_another_log",
    "invalid-inclusion-proof": "checkpoint_missing",
    "managed-key-and-client-identity": "key_instead_of_a_certificate",
    "message-digest-mismatch": "digest_of_another_file",
    "rekor2-checkpoint-missing-log-signature": "checkpoint_without_signature",
    "rekor2-checkpoint-missing-origin": "checkpoint_without_origin",
    "rekor2-checkpoint-missing-root-hash": "checkpoint_without_root",
    "rekor2-checkpoint-missing-size": "checkpoint_without_size",
    "rekor2-checkpoint-no-matching-signature": "checkpoint_by_another_key",
    "rekor2-no-inclusion-proof": "proof_missing",
    "rekor2-no-timestamp": "promise_missing",
    "signature-mismatch": "bundle_of_another_file",
    "wrong-hashedrekord-artifact": "entry_of_another_digest",
    "wrong-hashedrekord-cert-and-sig": "entry_of_another_signature",
    "wrong-hashedrekord-entry": "blob_entered_as_a_statement",
    "wrong-material": "bundle_of_the_manifest",
}
"""Each case of the public suite (less its `_fail`) that can be told of a kit's bundles, and the row that tells it here. What it
has beside these is about Rekor v2's own entries, timestamp authorities, bundles v0.1, keys, or a trusted root's periods."""
