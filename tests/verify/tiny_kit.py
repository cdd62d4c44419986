"""A tiny valid kit for the unit tests of verify_kit.py, and the module itself, loaded by its path.

The kit is written from docs/kit-format.md, independently of the builder and of the verifier: openssl signs, json.dumps and
tarfile write. A test changes the `files` of a Kit and calls the step after which all is to be signed again, or none.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import io
import json
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import HealthCheck, settings

SCRIPT = Path(__file__).parents[2] / "bundle-layout" / "verify_kit.py"
VERSION = "2026.9.1"
ROOT = f"concelier-lnm-{VERSION}"
PROVENANCE, SPDX = "attestations/slsa-provenance.dsse.json", "attestations/spdx.dsse.json"
SBOM = "sbom/lnm-kit.spdx.json"
ENVELOPE = (
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "SHA256SUMS.sigstore.json",
    "manifest.json",
    "manifest.dsse.json",
    "manifest.sigstore.json",
)
LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # how fast a machine is, is no property of the code
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def load() -> ModuleType:
    """verify_kit.py as a module; nothing is written beside it."""
    name = "verify_kit_under_test"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SCRIPT)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(SCRIPT)
        writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.dont_write_bytecode = writes
    return sys.modules[name]


def b64(data: bytes) -> str:
    """RFC 4648 §4."""
    return base64.b64encode(data).decode("ascii")


def sha256(data: bytes) -> str:
    """Hex."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """RFC 8785 for what is written here, and one LF."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Signer:
    """A private key."""

    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """DER, or 64 bytes."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))

    @property
    def spki(self) -> bytes:
        """DER."""
        return self.private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> bytes:
        """The key file."""
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def private_pem(self) -> bytes:
        """What nobody may pass as --key."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SPKI."""
        return sha256(self.spki)

    @property
    def hint(self) -> str:
        """The same in base64."""
        return b64(bytes.fromhex(self.fingerprint))

    @property
    def keyid(self) -> str:
        """The OpenSSH fingerprint, from the library's own SSH form of the key."""
        line = self.private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return "SHA256:" + b64(hashlib.sha256(base64.b64decode(line.split()[1])).digest()).rstrip("=")


def ecdsa_signer() -> Signer:
    """A new key."""
    return Signer(ec.generate_private_key(ec.SECP256R1()))


def ed25519_signer() -> Signer:
    """A new key."""
    return Signer(ed25519.Ed25519PrivateKey.generate())


ECDSA, EDDSA, OTHER = ecdsa_signer(), ed25519_signer(), ecdsa_signer()


def dsse(signer: Signer, payload: bytes) -> bytes:
    """A DSSE file."""
    pae = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    signature = {"keyid": signer.keyid, "sig": b64(signer.sign(pae))}
    return canonical({"payload": b64(payload), "payloadType": "application/vnd.in-toto+json", "signatures": [signature]})


def material(signer: Signer) -> dict[str, Any]:
    """A bundle's verification material."""
    return {"publicKey": {"hint": signer.hint}, "tlogEntries": []}


def payload_files() -> dict[str, bytes]:
    """P."""
    return {
        "README.md": b"# A kit\n",
        "migrations/21-101/migration.py": b'ID = "x"\n',
        "empty": b"",
        "blob": bytes(range(256)) * 10,
        SBOM: canonical({"SPDXID": "SPDXRef-DOCUMENT", "name": "caf\u00e9 \U0001f600", "\ufb01": 1}),
    }


def default_predicate() -> dict[str, Any]:
    """The manifest's predicate without rootHash."""
    return {
        "channel": "edge",
        "created_at": "2026-09-01T00:00:00Z",
        "deliveries": [
            {"digest": "ab" * 32, "id": "21-101", "migration": "20251202_lnm_21_101", "status": "ready"},
            {"id": "21-102", "reason": "not in this version", "status": "absent"},
        ],
        "parts": [{"id": "image", "reason": "not in this version", "status": "absent"}],
        "source": {"commit": "0" * 40, "state": "clean"},
        "trust": "key",
        "version": VERSION,
    }


@dataclass
class Kit:
    """The files of a kit, and who signs."""

    signers: tuple[Signer, ...] = (ECDSA,)
    files: dict[str, bytes] = field(default_factory=payload_files)
    predicate: dict[str, Any] = field(default_factory=default_predicate)
    statements: dict[str, Any] = field(default_factory=dict)
    """Instead of the right X of a file of A."""

    def lines(self, *, attestations: bool) -> bytes:
        """The lines of SHA256SUMS."""
        names = sorted(name for name in self.files if not is_envelope(name))
        wanted = [name for name in names if attestations or not name.startswith("attestations/")]
        return "".join(f"{sha256(self.files[name])}  {name}\n" for name in wanted).encode()

    @property
    def root_hash(self) -> str:
        """Of the payload."""
        return sha256(self.lines(attestations=False))

    def attested(self) -> Kit:
        """Writes both files of A."""
        types = {PROVENANCE: "https://slsa.dev/provenance/v1", SPDX: "https://spdx.dev/Document"}
        for name, x in {PROVENANCE: {"builder": "doit"}, SPDX: json.loads(self.files[SBOM]), **self.statements}.items():
            subject = [{"digest": {"sha256": self.root_hash}, "name": ROOT}]
            self.files[name] = dsse(self.signers[0], statement(types[name], x, subject))
        return self

    def listed(self, sums: bytes | None = None) -> Kit:
        """Writes SHA256SUMS and its signature, then the manifest."""
        self.files["SHA256SUMS"] = self.lines(attestations=True) if sums is None else sums
        return self.list_signed().stated()

    def list_signed(self) -> Kit:
        """Signs SHA256SUMS as it is."""
        signer, data = self.signers[0], self.files["SHA256SUMS"]
        signature = b64(signer.sign(data))
        self.files["SHA256SUMS.sig"] = signature.encode() + b"\n"
        digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(data).digest())}
        message = {"messageDigest": digest, "signature": signature}
        self.files["SHA256SUMS.sigstore.json"] = canonical(
            {"mediaType": MEDIA_TYPE, "messageSignature": message, "verificationMaterial": material(signer)}
        )
        return self

    def stated(self) -> Kit:
        """Writes manifest.json from SHA256SUMS as it is, and signs it."""
        data = self.files["SHA256SUMS"]
        rows = [line.split("  ", 1) for line in data.decode("ascii", "replace").splitlines() if "  " in line]
        pairs = [("SHA256SUMS", sha256(data)), *((name, digest) for digest, name in rows)]
        subjects = [{"digest": {"sha256": digest}, "name": name} for name, digest in pairs]
        predicate = {"rootHash": self.root_hash, **self.predicate}
        return self.stated_as(statement("https://stella-ops.org/attestations/offline-update/1", predicate, subjects))

    def stated_as(self, manifest: bytes) -> Kit:
        """Signs this manifest."""
        self.files["manifest.json"] = manifest
        first, *further = self.signers
        envelope = self.files["manifest.dsse.json"] = dsse(first, manifest)
        for signer in further:
            self.files[f"manifest.{signer.fingerprint[:16]}.dsse.json"] = dsse(signer, manifest)
        return self.bundled(envelope, first)

    def bundled(self, envelope: bytes, signer: Signer) -> Kit:
        """Writes the bundle around a DSSE."""
        self.files["manifest.sigstore.json"] = canonical(
            {"dsseEnvelope": json.loads(envelope), "mediaType": MEDIA_TYPE, "verificationMaterial": material(signer)}
        )
        return self

    def sealed(self) -> Kit:
        """Attests, lists, signs."""
        return self.attested().listed()

    def write_folder(self, folder: Path) -> Path:
        """The kit, unpacked."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o644)
        return folder

    def tar(self, form: int = tarfile.PAX_FORMAT, names: list[str] | None = None) -> bytes:
        """The kit as a tar archive, its members in the order of `names`; those that end with a slash are folders."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name in sorted(self.files) if names is None else names:
                info = tarfile.TarInfo(f"{ROOT}/{name}".rstrip("/"))
                if name.endswith("/") or not name:
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(info)
                else:
                    info.size, info.mtime = len(self.files[name]), 1_750_000_000
                    archive.addfile(info, io.BytesIO(self.files[name]))
        return out.getvalue()

    def write_tarball(self, path: Path) -> Path:
        """The kit as one file."""
        path.write_bytes(zipped(self.tar()))
        return path


def is_envelope(name: str) -> bool:
    """Whether a name belongs to E."""
    return name in ENVELOPE or (name.startswith("manifest.") and name.endswith(".dsse.json"))


def statement(kind: str, predicate: Any, subject: Any) -> bytes:
    """A Statement."""
    return canonical(
        {"_type": "https://in-toto.io/Statement/v1", "predicate": predicate, "predicateType": kind, "subject": subject}
    )


def zipped(data: bytes) -> bytes:
    """One gzip member."""
    return gzip.compress(data, mtime=0)


def kit(*signers: Signer, **predicate: Any) -> Kit:
    """A valid kit, or one whose predicate has these members instead."""
    made = Kit(signers or (ECDSA,))
    made.predicate.update(predicate)
    return made.sealed()


def keys(*signers: Signer) -> tuple[Any, ...]:
    """What the verifier makes of their key files."""
    return tuple(key for signer in signers for key in load().read_keys(signer.pem, "test.pub"))


PLACES: Mapping[str, tuple[int, int]] = {
    "name": (0, 100),
    "mode": (100, 8),
    "size": (124, 12),
    "chksum": (148, 8),
    "kind": (156, 1),
    "link": (157, 100),
    "magic": (257, 8),
    "prefix": (345, 155),
    "filling": (500, 12),
}


def header(name: str, size: int = 0, /, *, mode: int = 0o644, **fields: bytes) -> bytes:
    """A ustar header, any field overlaid; the checksum is right unless it is overlaid, too."""
    values = {
        "name": name.encode(),
        "mode": b"%07o\0" % mode,
        "size": b"%011o\0" % size,
        "chksum": b" " * 8,
        "kind": b"0",
        "magic": b"ustar\x0000",
        **fields,
    }
    block = bytearray(512)
    for key, value in values.items():
        offset, length = PLACES[key]
        block[offset : offset + length] = value.ljust(length, b"\0")
    if "chksum" not in fields:
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str, data: bytes = b"", /, *, mode: int = 0o644, **fields: bytes) -> bytes:
    """Header, data and filling."""
    return header(name, len(data), mode=mode, **fields) + data + bytes(-len(data) % 512)


def lying(name: str, data: bytes = b"", /, **fields: bytes) -> bytes:
    """The same with raw bytes as mode or size."""
    block = bytearray(member(name, data))
    for key, value in {**fields, "chksum": b" " * 8}.items():
        offset, length = PLACES[key]
        block[offset : offset + length] = value.ljust(length, b"\0")
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


END = bytes(1024)
