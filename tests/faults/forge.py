"""An in-memory kit forge: makes a small valid kit of docs/kit-format.md, and lets every part of it be changed and signed again.

It is a second writer of that page, on purpose without a line of the builder (`scripts/`): a fault that both had would go unseen.
The steps stand in their order, each calls the next: `attest` → `relist` → `sign_list` → `state` → `sign_manifest`. A lie changes
`files` and calls the first step that shall follow it («list re-signed»), or none («not re-signed»).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.keys import EDDY, MAIN, Key, b64
from tests.faults.rawtar import Member, packed, with_pax_paths

Json = Any

VERSION = "2026.9.1"
SUMS, SIG, SUMS_BUNDLE = "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.sigstore.json"
MANIFEST, MANIFEST_DSSE, MANIFEST_BUNDLE = "manifest.json", "manifest.dsse.json", "manifest.sigstore.json"
ENVELOPE = (SUMS, SIG, SUMS_BUNDLE, MANIFEST, MANIFEST_DSSE, MANIFEST_BUNDLE)
SUMS_KEYLESS, MANIFEST_KEYLESS = "SHA256SUMS.keyless.sigstore.json", "manifest.keyless.sigstore.json"
KEYLESS = (SUMS_KEYLESS, MANIFEST_KEYLESS)
PROVENANCE, SPDX = "attestations/slsa-provenance.dsse.json", "attestations/spdx.dsse.json"
SBOM = "sbom/lnm-kit.spdx.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MANIFEST_TYPE = "https://stella-ops.org/attestations/offline-update/1"
TYPES = {PROVENANCE: "https://slsa.dev/provenance/v1", SPDX: "https://spdx.dev/Document"}
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

README, STEPS, INSTALL = "README.md", "runbook/steps.md", "runner/install.sh"
PAYLOAD = (README, STEPS, INSTALL, SBOM)


def canonical(value: Json) -> bytes:
    """RFC 8785 for what the forge writes: no fraction, no key beyond the basic plane."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data: bytes) -> str:
    """Lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """DSSE 1.0, protocol.md."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def is_envelope(name: str) -> bool:
    """Whether a name belongs to E."""
    return name in ENVELOPE or name in KEYLESS or is_cosigned(name)


def is_cosigned(name: str) -> bool:
    """Whether a name is `manifest.<16 hex>.dsse.json`."""
    first, *middle = name.split(".")
    return (
        first == "manifest"
        and middle[1:] == ["dsse", "json"]
        and len(middle[0]) == 16
        and set(middle[0]) <= set("0123456789abcdef")
    )


def cosigned_name(key: Key) -> str:
    """The file of a further signer."""
    return f"manifest.{key.fingerprint[:16]}.dsse.json"


def signature(key: Key, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> Json:
    """One row of a DSSE's `signatures`."""
    return {"keyid": key.keyid, "sig": b64(key.sign(pae(payload, payload_type)))}


def dsse(key: Key, payload: bytes) -> Json:
    """A DSSE envelope."""
    return {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature(key, payload)]}


def material(key: Key) -> Json:
    """The bundles' verification material."""
    return {"publicKey": {"hint": key.hint}, "tlogEntries": []}


def sums_bundle(key: Key, sums: bytes, signed: str) -> Json:
    """SHA256SUMS.sigstore.json."""
    digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(sums).digest())}
    return {
        "mediaType": BUNDLE_TYPE,
        "messageSignature": {"messageDigest": digest, "signature": signed},
        "verificationMaterial": material(key),
    }


def manifest_bundle(key: Key, envelope: bytes) -> bytes:
    """manifest.sigstore.json around the very bytes of manifest.dsse.json."""
    rest = canonical({"mediaType": BUNDLE_TYPE, "verificationMaterial": material(key)})
    return b'{"dsseEnvelope":' + envelope.removesuffix(b"\n") + b"," + rest[1:] + b"\n"


CHECKPOINT = "log.invalid - 7\n2\n{root}\n\n\N{EM DASH} log.invalid {signature}\n"


def log_entry(kind: str, body: Json) -> Json:
    """The second entry of a log of two, as Rekor v1 tells it; right in its form, and nothing in it is signed."""
    root = b64(hashlib.sha256(b"root").digest())
    signed = b64(b"some signature")
    return {
        "canonicalizedBody": b64(canonical({"apiVersion": "0.0.1", "kind": kind, "spec": body})),
        "inclusionPromise": {"signedEntryTimestamp": signed},
        "inclusionProof": {
            "checkpoint": {"envelope": CHECKPOINT.format(root=root, signature=signed)},
            "hashes": [b64(hashlib.sha256(b"first").digest())],
            "logIndex": "1",
            "rootHash": root,
            "treeSize": "2",
        },
        "integratedTime": "1790000000",
        "kindVersion": {"kind": kind, "version": "0.0.1"},
        "logId": {"keyId": b64(hashlib.sha256(b"log").digest())},
        "logIndex": "1001",
    }


def identity_material(kind: str, body: Json) -> Json:
    """The verification material of a keyless bundle; no certificate is in the place of the certificate."""
    return {
        "certificate": {"rawBytes": b64(b"no certificate of anybody")},
        "timestampVerificationData": {"rfc3161Timestamps": []},
        "tlogEntries": [log_entry(kind, body)],
    }


def sums_keyless(sums: bytes) -> Json:
    """SHA256SUMS.keyless.sigstore.json."""
    digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(sums).digest())}
    return {
        "mediaType": BUNDLE_TYPE,
        "messageSignature": {"messageDigest": digest, "signature": b64(b"signature of an identity")},
        "verificationMaterial": identity_material("hashedrekord", {"data": {"hash": sha256(sums)}}),
    }


def manifest_keyless(manifest: bytes) -> Json:
    """manifest.keyless.sigstore.json."""
    signatures = [{"sig": b64(b"signature of an identity")}]
    return {
        "dsseEnvelope": {"payload": b64(manifest), "payloadType": PAYLOAD_TYPE, "signatures": signatures},
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": identity_material("dsse", {"payloadHash": sha256(manifest)}),
    }


def line(value: Json) -> bytes:
    """One line of JSON and its LF."""
    return canonical(value) + b"\n"


def payload_files() -> dict[str, bytes]:
    """P: one file at the root, some in folders, one of them executable."""
    return {
        README: b"# Offline kit\n\nRead this first.\n",
        STEPS: b"# Steps\n\n1. freeze\n2. apply\n",
        INSTALL: b"#!/bin/sh\nexit 0\n",
        SBOM: line({"SPDXID": "SPDXRef-DOCUMENT", "name": "lnm-kit", "spdxVersion": "SPDX-2.3"}),
    }


def predicate(version: str, root_hash: str) -> Json:
    """The manifest's predicate."""
    return {
        "channel": "edge",
        "created_at": "2026-09-01T00:00:00Z",
        "deliveries": [
            {
                "digest": "sha256:" + "ab" * 32,
                "id": "21-101",
                "migration": "20251202_lnm_21_101_sharding_and_ttl",
                "status": "ready",
            },
            {"id": "21-102", "reason": "not in this version", "status": "absent"},
        ],
        "parts": [{"id": "image", "reason": "not in this version", "status": "absent"}],
        "rootHash": root_hash,
        "source": {"commit": None, "note": "no git work tree", "state": "unknown"},
        "trust": "key",
        "version": version,
    }


def provenance() -> Json:
    """X of the provenance."""
    build = {"buildType": "https://stella-ops.org/builds/lnm-kit/1", "externalParameters": {"version": VERSION}}
    return {"buildDefinition": build, "runDetails": {"builder": {"id": "https://stella-ops.org/builders/doit"}}}


@dataclass
class Kit:
    """A kit that can be changed: files by name, modes where they are not 0644, and who signs."""

    files: dict[str, bytes] = field(default_factory=payload_files)
    modes: dict[str, int] = field(default_factory=lambda: {INSTALL: 0o755})
    version: str = VERSION
    signers: tuple[Key, ...] = (MAIN,)
    given: tuple[Key, ...] = ()
    """The keys that the verifier is given; none means those of the signers."""
    digests: dict[str, str] = field(default_factory=dict)
    """What the list says of files whose bytes are not in `files` but made on the disk."""
    root: str = f"concelier-lnm-{VERSION}"
    folder_name: str = "kit"

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys that the verifier is given."""
        return self.given or self.signers

    @property
    def key(self) -> Key:
        """The first signer."""
        return self.signers[0]

    # -- what a file says

    @property
    def sums(self) -> bytes:
        """The list."""
        return self.files[SUMS]

    @property
    def lines(self) -> list[bytes]:
        """The list's lines without their LF."""
        return self.sums.splitlines()

    @property
    def root_hash(self) -> str:
        """SHA-256 of the lines of P, from the files themselves."""
        return sha256(self.listing(lambda name: not name.startswith("attestations/")))

    def listing(self, wanted: Callable[[str], bool]) -> bytes:
        """The list's lines of some files."""
        digests = {
            name: sha256(data) for name, data in self.files.items() if wanted(name) and not is_envelope(name)
        } | self.digests
        return b"".join(f"{digests[name]}  ".encode() + os.fsencode(name) + b"\n" for name in sorted(digests, key=os.fsencode))

    def statement(self, name: str, x: bytes) -> bytes:
        """The payload of a file of A around the bytes of X."""
        subject = [{"digest": {"sha256": self.root_hash}, "name": f"concelier-lnm-{self.version}"}]
        rest = canonical({"predicateType": TYPES[name], "subject": subject})
        return b'{"_type":"%b","predicate":%b,%b\n' % (STATEMENT_TYPE.encode(), x, rest[1:])

    def manifest(self) -> Json:
        """The manifest's statement, from SHA256SUMS as it is."""
        subjects = [{"digest": {"sha256": sha256(self.sums)}, "name": SUMS}]
        for row in self.lines:
            digest, _, name = row.partition(b"  ")
            subjects.append({"digest": {"sha256": digest.decode(errors="replace")}, "name": name.decode(errors="replace")})
        return {
            "_type": STATEMENT_TYPE,
            "predicate": predicate(self.version, self.root_hash),
            "predicateType": MANIFEST_TYPE,
            "subject": subjects,
        }

    # -- the steps, each calls the next

    def attest(self) -> Kit:
        """Writes both files of A, and all that follows."""
        self.files[PROVENANCE] = line(dsse(self.key, self.statement(PROVENANCE, canonical(provenance()))))
        self.files[SPDX] = line(dsse(self.key, self.statement(SPDX, self.files[SBOM].removesuffix(b"\n"))))
        return self.relist()

    def attest_with(self, name: str, payload: bytes) -> Kit:
        """Signs another payload as a file of A, and all that follows."""
        self.files[name] = line(dsse(self.key, payload))
        return self.relist()

    def relist(self) -> Kit:
        """Writes SHA256SUMS from the files as they are, and all that follows."""
        return self.list_as(self.listing(lambda _: True))

    def list_as(self, sums: bytes) -> Kit:
        """Writes SHA256SUMS with these bytes, and all that follows."""
        self.files[SUMS] = sums
        self.sign_list()
        return self.state()

    def sign_list(self) -> Kit:
        """Signs SHA256SUMS; the manifest stays."""
        return self.list_signed_by(self.key.sign(self.sums))

    def list_signed_by(self, raw: bytes) -> Kit:
        """Writes these bytes as the signature of SHA256SUMS; the manifest stays."""
        self.files[SIG] = f"{b64(raw)}\n".encode()
        self.files[SUMS_BUNDLE] = line(sums_bundle(self.key, self.sums, b64(raw)))
        return self

    def state(self) -> Kit:
        """Writes manifest.json from SHA256SUMS, and all that follows."""
        return self.state_as(line(self.manifest()))

    def state_with(self, change: Callable[[Json], object]) -> Kit:
        """Changes the manifest's statement in place, and signs."""
        statement = self.manifest()
        change(statement)
        return self.state_as(line(statement))

    def state_as(self, manifest: bytes) -> Kit:
        """Writes manifest.json with these bytes, and signs."""
        self.files[MANIFEST] = manifest
        return self.sign_manifest()

    def sign_manifest(self) -> Kit:
        """Writes the DSSE of every signer, and the bundle."""
        self.enclose(line(dsse(self.key, self.files[MANIFEST])))
        for key in self.signers[1:]:
            self.files[cosigned_name(key)] = line(dsse(key, self.files[MANIFEST]))
        return self

    def enclose(self, envelope: bytes) -> Kit:
        """Writes manifest.dsse.json with these bytes, and the bundle around it."""
        self.files[MANIFEST_DSSE] = envelope
        self.files[MANIFEST_BUNDLE] = manifest_bundle(self.key, envelope)
        return self

    def identify(self) -> Kit:
        """Writes both keyless files over SHA256SUMS and manifest.json as they are."""
        self.files[SUMS_KEYLESS] = line(sums_keyless(self.sums))
        self.files[MANIFEST_KEYLESS] = line(manifest_keyless(self.files[MANIFEST]))
        return self

    # -- containers

    def mode(self, name: str) -> int:
        """A file's mode."""
        return self.modes.get(name, 0o644)

    def folders(self) -> list[str]:
        """The folders above the files, parents first."""
        parents = {parent.as_posix() for name in self.files for parent in Path(name).parents}
        return sorted(parents - {"."})

    def members(self) -> list[Member]:
        """The tar members: root, folders, E, the rest."""
        folders = [self.folder(name) for name in ["", *self.folders()]]
        names = sorted(self.files, key=lambda name: (not is_envelope(name), name))
        return [*folders, *(self.member(name) for name in names)]

    def folder(self, name: str) -> Member:
        """A folder's tar member."""
        return Member(f"{self.root}/{name}".rstrip("/") + "/", kind=b"5", mode=0o755)

    def member(self, name: str) -> Member:
        """A file's tar member."""
        return Member(f"{self.root}/{name}", self.files[name], mode=self.mode(name))

    def with_member(self, name: str, *instead: Member) -> list[Member]:
        """The tar members, those given standing where the named file's was."""
        return [new for old in self.members() for new in (instead if old.name == f"{self.root}/{name}" else [old])]

    def tarball(self) -> bytes:
        """The kit as a tarball; names too long for a header stand in pax records."""
        return packed(with_pax_paths(self.members()))

    def write_tarball(self, place: Path) -> Path:
        """Writes the tarball into a folder."""
        path = place / "kit.tar.gz"
        path.write_bytes(self.tarball())
        return path

    def write_folder(self, place: Path) -> Path:
        """Writes the kit as a folder into a folder; modes do not depend on the umask."""
        root = place / self.folder_name
        root.mkdir()
        for name in self.folders():
            (root / name).mkdir()
        for name, data in self.files.items():
            path = root / name
            path.write_bytes(data)
            path.chmod(self.mode(name))
        for name in ["", *self.folders()]:
            (root / name).chmod(0o755)
        return root


def kit(*signers: Key) -> Kit:
    """A valid kit."""
    return Kit(signers=signers or (MAIN,)).attest()


def other_kit() -> Kit:
    """Another valid kit of the same version by the same key, in which every file of P differs."""
    other = Kit()
    for name, data in other.files.items():
        other.files[name] = data.replace(b"lnm-kit", b"lnm-other") if name == SBOM else data + b"Another kit's.\n"
    return other.attest()


def identified_kit() -> Kit:
    """A valid kit with both keyless files."""
    return kit().state_with(lambda statement: statement["predicate"].update(trust="keyless")).identify()


def eddy_kit() -> Kit:
    """A valid kit signed with Ed25519."""
    return kit(EDDY)
