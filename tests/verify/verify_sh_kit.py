"""A tiny kit of docs/kit-format.md and the ways to run verify.sh on it, for the tests of what is special to a shell.

Written from the page alone, so that it agrees with the builder and with `tests/faults/` only where all three read it alike.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.faults.images import Image

VERIFY_SH = Path(__file__).parents[2] / "bundle-layout" / "verify.sh"
VERSION = "2026.9.1"
CREATED_AT = "2024-02-29T23:59:59Z"
ROOT = f"concelier-lnm-{VERSION}"
PROVENANCE, SPDX = "attestations/slsa-provenance.dsse.json", "attestations/spdx.dsse.json"
SBOM = "sbom/lnm-kit.spdx.json"
LONG = "images/lnm-runner-linux-amd64/blobs/sha256/" + "5e" * 32  # over 100 bytes with the root folder, as image layers are
MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
STATEMENT = "https://in-toto.io/Statement/v1"
BUSYBOX = shutil.which("busybox")

SHELLS: dict[str, list[str]] = {
    "sh": ["sh"],
    "dash": ["dash"],
    "bash": ["bash", "--posix"],
    "busybox": [BUSYBOX or "busybox", "sh"],
}
AWKS = ("mawk", "gawk", "gawk-posix", "original-awk", "busybox")
BUSYBOX_TOOLS = [
    "awk",
    "cat",
    "cmp",
    "cut",
    "dd",
    "find",
    "grep",
    "gzip",
    "head",
    "mkdir",
    "mktemp",
    "od",
    "rm",
    "rmdir",
    "sed",
    "sha256sum",
    "sort",
    "tail",
    "tr",
    "uniq",
    "wc",
    "xargs",
]  # noqa: SIM905: as it stands in verify.sh


def b64(data: bytes) -> str:
    """RFC 4648 §4."""
    return base64.b64encode(data).decode()


def canonical(value: Any) -> bytes:
    """RFC 8785 for keys of the basic plane and whole numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Key:
    """A signer; `private` is made from a number or a seed, so that runs are alike."""

    private: ec.EllipticCurvePrivateKey | Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """As the page's `sig`."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))

    @property
    def spki(self) -> bytes:
        """DER."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> str:
        """Hex."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def hint(self) -> str:
        """As it stands in bundles."""
        return b64(hashlib.sha256(self.spki).digest())

    @property
    def keyid(self) -> str:
        """As OpenSSH prints it."""
        line = self.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        return "SHA256:" + b64(hashlib.sha256(base64.b64decode(line.split()[1])).digest()).rstrip("=")

    @property
    def pem(self) -> bytes:
        """One PEM block."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


EC = Key(ec.derive_private_key(20260901, ec.SECP256R1()))
EC_OTHER = Key(ec.derive_private_key(20260902, ec.SECP256R1()))
ED = Key(Ed25519PrivateKey.from_private_bytes(b"worth nothing, a key of a test.."))


def dsse(key: Key, payload: bytes) -> bytes:
    """A DSSE file."""
    kind = "application/vnd.in-toto+json"
    pae = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    return (
        canonical({"payload": b64(payload), "payloadType": kind, "signatures": [{"keyid": key.keyid, "sig": b64(key.sign(pae))}]})
        + b"\n"
    )


def material(key: Key) -> dict[str, Any]:
    """What a bundle says of its key."""
    return {"publicKey": {"hint": key.hint}, "tlogEntries": []}


@dataclass
class Kit:
    """P, and the changes to what is signed over it; `files` makes all of the kit."""

    key: Key = EC
    others: tuple[Key, ...] = ()
    image: str = ""
    content: dict[str, bytes] = field(
        default_factory=lambda: {
            "README.md": b"# Kit\n",
            "-rf": b"a name that looks like an option\n",
            "empty": b"",
            "block": bytes(range(256)) * 2,  # exactly one tar block
            "migrations/21-101/migration.py": b'ID = "m"\n' * 1000,
            LONG: b"layer\n" * 5000,
            SBOM: canonical({"SPDXID": "SPDXRef-DOCUMENT", "name": "für alle \N{DROMEDARY CAMEL}", "packages": [{"n": -1}, {}]})
            + b"\n",
        }
    )
    predicate: dict[str, Any] = field(default_factory=dict)
    provenance: bytes = canonical({"buildDefinition": {"a": [1, (2.0).__int__(), None, True]}, "quote": 'a"b\\c\n\u0001é'})
    sums: Callable[[bytes], bytes] = lambda data: data
    manifest: Callable[[bytes], bytes] = lambda data: data

    def statement(self, kind: str, predicate: bytes, subject: list[dict[str, Any]]) -> bytes:
        """The payload of a DSSE."""
        tail = canonical({"predicateType": kind, "subject": subject})
        return b'{"_type":"%b","predicate":%b,%b\n' % (STATEMENT.encode(), predicate, tail[1:])

    def files(self) -> dict[str, bytes]:
        """Every file of the kit."""
        image = Image(self.key, self.image, created_at=CREATED_AT)
        listed = self.content | (image.files() if self.image else {})
        payload = lines({name: data for name, data in listed.items() if not name.startswith("attestations/")})
        root_hash = hashlib.sha256(payload).hexdigest()
        subject = [{"digest": {"sha256": root_hash}, "name": ROOT}]
        listed[PROVENANCE] = dsse(self.key, self.statement("https://slsa.dev/provenance/v1", self.provenance, subject))
        listed[SPDX] = dsse(self.key, self.statement("https://spdx.dev/Document", listed[SBOM].removesuffix(b"\n"), subject))
        right = lines(listed)
        sums = self.sums(right)
        signature = self.key.sign(sums)
        digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(sums).digest())}
        bundle = {
            "mediaType": MEDIA,
            "messageSignature": {"messageDigest": digest, "signature": b64(signature)},
            "verificationMaterial": material(self.key),
        }
        predicate = {
            "channel": "edge",
            "created_at": CREATED_AT,
            "deliveries": [
                {"digest": "sha256:" + "ab" * 32, "id": "21-101", "migration": "m_21_101", "status": "ready"},
                {"id": "21-102", "reason": 'not here: "later", {x},"parts":[ and \\', "status": "absent"},
            ],
            "parts": [
                {"digest": "cd" * 32, "id": "image", "status": "ready"},
                {"id": "seeds", "reason": "none", "status": "absent"},
            ],
            "rootHash": root_hash,
            "source": {"commit": None, "note": "no tree", "state": "unknown"},
            "trust": "key",
            "version": VERSION,
        } | self.predicate
        subjects = [("SHA256SUMS", hashlib.sha256(sums).hexdigest())]
        subjects += [(line[66:], line[:64]) for line in sums.decode("latin-1").splitlines()]
        whole = self.statement(
            "https://stella-ops.org/attestations/offline-update/1",
            canonical(predicate),
            [{"digest": {"sha256": digest_}, "name": name} for name, digest_ in subjects],
        )
        manifest = self.manifest(whole)
        envelope = dsse(self.key, manifest)
        head, tail = (
            b'{"dsseEnvelope":',
            b',"mediaType":"%b","verificationMaterial":%b}\n' % (MEDIA.encode(), canonical(material(self.key))),
        )
        return {
            **listed,
            "SHA256SUMS": sums,
            "SHA256SUMS.sig": b64(signature).encode() + b"\n",
            "SHA256SUMS.sigstore.json": canonical(bundle) + b"\n",
            "manifest.json": manifest,
            "manifest.dsse.json": envelope,
            "manifest.sigstore.json": head + envelope[:-1] + tail,
            **{f"manifest.{key.fingerprint[:16]}.dsse.json": dsse(key, manifest) for key in self.others},
        }


def lines(files: Mapping[str, bytes]) -> bytes:
    """SHA256SUMS."""
    return b"".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n".encode() for name in sorted(files))


def write_folder(files: Mapping[str, bytes], root: Path) -> Path:
    """The kit as a folder, whatever the umask is."""
    root.mkdir(parents=True)
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644)
    for path in [root, *root.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    return root


def tar_of(files: Mapping[str, bytes], *, format_: int = tarfile.PAX_FORMAT, folders: bool = False) -> bytes:  # noqa: A002: tarfile's word
    """The kit as an archive, its files in the mapping's order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as archive:
        if folders:
            above = {str(parent) for name in files for parent in Path(ROOT, name).parents} - {"."}
            for folder in sorted(above):
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(f"{ROOT}/{name}")
            info.size, info.mode, info.mtime = len(data), 0o644, 1_750_000_000
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_tarball(archive: bytes, path: Path) -> Path:
    """One gzip member."""
    path.write_bytes(gzip.compress(archive, mtime=0))
    return path


def write_keys(path: Path, *keys: Key) -> Path:
    """KEY.pub."""
    path.write_bytes(b"".join(key.pem for key in keys))
    return path


def run(
    *arguments: str | Path,
    shell: str = "sh",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs verify.sh, where nothing is said from a folder of no account: a broken one must not be able to remove the project."""
    if cwd is None:
        with tempfile.TemporaryDirectory() as nowhere:
            return run(*arguments, shell=shell, cwd=Path(nowhere), environment=environment)
    env = {"PATH": os.environ["PATH"], **(environment or {})}
    command = [*SHELLS[shell], str(VERIFY_SH), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", timeout=600, check=False)


def tool_path(folder: Path, awk: str | None = None, *, busybox: bool = False) -> str:
    """A PATH on which awk is another one, or every tool that BusyBox has is BusyBox's."""
    folder.mkdir()
    if busybox:
        for tool in BUSYBOX_TOOLS:
            (folder / tool).symlink_to(str(BUSYBOX))
        (folder / "openssl").symlink_to(str(shutil.which("openssl")))
        return str(folder)
    link = folder / "awk"
    if awk == "gawk-posix":
        link.write_text('#!/bin/sh\nexec gawk --posix "$@"\n')
        link.chmod(0o755)
    else:
        link.symlink_to(str(shutil.which(str(awk))))
    return f"{folder}:{os.environ['PATH']}"


def mode_of(path: Path) -> int:
    """Its permission bits."""
    return stat.S_IMODE(path.stat().st_mode)
