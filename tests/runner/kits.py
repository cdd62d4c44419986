"""Signed kits for the tests: the built one, and copies of it with other content, signed again by a key of the tests.

A second, small writer of docs/kit-format.md, so that nothing here depends on the builder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

IN_TOTO = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
STATEMENT = "https://in-toto.io/Statement/v1"
ENVELOPE = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "SHA256SUMS.sigstore.json",
    "manifest.json",
    "manifest.dsse.json",
    "manifest.sigstore.json",
)


@dataclass(frozen=True)
class Kit:
    """An unpacked kit and the key that it is signed by."""

    folder: Path
    key: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """The predicate of its manifest."""
        predicate: dict[str, Any] = json.loads((self.folder / "manifest.json").read_bytes())["predicate"]
        return predicate

    def tampered(self, target: Path, name: str, data: bytes) -> Kit:
        """A copy in which one file has other bytes."""
        shutil.copytree(self.folder, target)
        (target / name).write_bytes(data)
        return Kit(target, self.key)


def variant(
    source: Kit,
    target: Path,
    changes: Mapping[str, bytes | None],
    *,
    digests: bool = True,
    ready: Mapping[str, str] | None = None,
    without: str = "images",
) -> Kit:
    """A copy with other files (None: without it), signed by a new key; `digests=False` keeps the manifest's old digests.

    `ready` is `{delivery: its migration's id}` for deliveries that are to be called ready. Images are left out,
    and folders of the name that `without` is.
    """
    shutil.copytree(source.folder, target, ignore=shutil.ignore_patterns("images", "lnm-runner-*", without))
    for name, data in changes.items():
        if data is None:
            (target / name).unlink()
        else:
            (target / name).write_bytes(data)
    predicate = source.manifest
    predicate["parts"] = [part for part in predicate["parts"] if part["status"] == "absent"]
    for part in predicate["deliveries"]:
        if part["id"] in (ready or {}):
            part.pop("reason", None)
            part |= {"status": "ready", "migration": (ready or {})[part["id"]], "digest": ""}
    private = Ed25519PrivateKey.generate()
    sign(target, predicate, private, digests=digests)
    key = target.with_name(f"{target.name}.pub")
    key.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return Kit(target, key)


def sign(folder: Path, predicate: dict[str, Any], private: Ed25519PrivateKey, *, digests: bool) -> None:
    """Writes the statements and the envelope of a kit anew."""
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    material = {"publicKey": {"hint": b64_sha256(spki)}, "tlogEntries": []}
    ssh = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", spki[-32:]))
    keyid = "SHA256:" + b64_sha256(ssh).rstrip("=")

    def signed(payload: bytes) -> dict[str, Any]:
        pae = b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)
        sig = base64.b64encode(private.sign(pae)).decode()
        return {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": IN_TOTO,
            "signatures": [{"keyid": keyid, "sig": sig}],
        }

    sums = {name: sha256(folder / name) for name in names(folder) if not name.startswith("attestations/")}
    root_hash = hashlib.sha256(lines(sums)).hexdigest()
    for name in (name for name in names(folder) if name.startswith("attestations/")):
        statement = json.loads(base64.b64decode(json.loads((folder / name).read_bytes())["payload"]))
        statement["subject"][0]["digest"]["sha256"] = root_hash
        (folder / name).write_bytes(canonical(signed(canonical(statement))))
        sums[name] = sha256(folder / name)
    text = lines(sums)
    sig = base64.b64encode(private.sign(text)).decode()
    message = {"messageDigest": {"algorithm": "SHA2_256", "digest": b64_sha256(text)}, "signature": sig}
    predicate = {**predicate, "rootHash": root_hash}
    if digests:
        predicate["deliveries"] = [with_digest(part, sums) for part in predicate["deliveries"]]
    subjects = [("SHA256SUMS", hashlib.sha256(text).hexdigest()), *((name, sums[name]) for name in sorted(sums))]
    manifest = canonical({
        "_type": STATEMENT,
        "predicate": predicate,
        "predicateType": "https://stella-ops.org/attestations/offline-update/1",
        "subject": [{"digest": {"sha256": found}, "name": name} for name, found in subjects],
    })  # fmt: skip
    envelope = {
        "SHA256SUMS": text,
        "SHA256SUMS.sig": sig.encode() + b"\n",
        "SHA256SUMS.sigstore.json": canonical(
            {"mediaType": BUNDLE, "messageSignature": message, "verificationMaterial": material}
        ),
        "manifest.json": manifest,
        "manifest.dsse.json": canonical(dsse := signed(manifest)),
        "manifest.sigstore.json": canonical({"dsseEnvelope": dsse, "mediaType": BUNDLE, "verificationMaterial": material}),
    }
    for name, data in envelope.items():
        (folder / name).write_bytes(data)


def names(folder: Path) -> list[str]:
    """The names that SHA256SUMS lists, sorted."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name not in ENVELOPE)


def with_digest(part: dict[str, Any], sums: Mapping[str, str]) -> dict[str, Any]:
    """A delivery with the digest that it has now (decisions §3)."""
    if part["status"] != "ready":
        return part
    prefix = f"migrations/{part['id']}/"
    kept = {name: found for name, found in sums.items() if name.startswith(prefix) and name != f"{prefix}README.md"}
    return {**part, "digest": hashlib.sha256(lines(kept)).hexdigest()}


def lines(sums: Mapping[str, str]) -> bytes:
    """`{name: sha256}` as lines of SHA256SUMS."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def b64_sha256(data: bytes) -> str:
    """SHA-256 of bytes, in base64."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def canonical(value: Any) -> bytes:
    """RFC 8785 for what occurs here (ASCII keys, no fractions), and one LF."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
