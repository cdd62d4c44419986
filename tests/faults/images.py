"""A small image and what cosign keeps about it, as docs/kit-format.md has it («images/<image>/ and attestations/<image>/»).

A second writer of that form, on purpose without a line of the builder (`scripts/`). Every document has the page's number as its name
(`"1"` … `"13"`), and a lie changes the text of one of them: whatever refers to it is made from the changed text, so that a lie is told
all the way up and only the form, or the signature over it, gives it away.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = Any
TextChange = Callable[[bytes], bytes]

NAME = "stella-ops.org/concelier/lnm-runner"
AMD64, ARM64 = "lnm-runner-linux-amd64", "lnm-runner-linux-arm64"
M, N = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
C = "application/vnd.oci.image.config.v1+json"
B = "application/vnd.dev.sigstore.bundle.v0.3+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SIGNATURE, PREDICATE_TYPE = "dev.cosignproject.cosign/signature", "predicateType"
REF_NAME = "org.opencontainers.image.ref.name"
SLSA, SPDX = "https://slsa.dev/provenance/v1", "https://spdx.dev/Document"
IN_TOTO = "application/vnd.in-toto+json"


class Signer(Protocol):
    """Any of the tests' keys."""

    @property
    def hint(self) -> str:
        """As in a bundle."""

    @property
    def keyid(self) -> str:
        """As in a DSSE."""

    def sign(self, message: bytes) -> bytes:
        """A signature."""


def text(value: Json) -> bytes:
    """RFC 8785 for what is written here, without a line end."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def b64(data: bytes) -> str:
    """RFC 4648 §4."""
    return base64.b64encode(data).decode()


def hex_of(data: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI layout in the making."""

    def __init__(self, folder: str, lies: dict[str, TextChange]) -> None:
        """Starts with no blob."""
        self.folder = folder
        self.lies = lies
        self.files: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        """By their names on the page."""

    def put(self, name: str, media_type: str, data: bytes, **more: Json) -> Json:
        """A blob; its descriptor."""
        data = self.blobs[name] = self.lies.get(name, bytes)(data)
        self.files[f"{self.folder}/blobs/sha256/{hex_of(data)}"] = data
        return {"digest": f"sha256:{hex_of(data)}", "mediaType": media_type, "size": len(data), **more}

    def close(self, name: str, *manifests: Json) -> None:
        """The index and the file that says what this is."""
        self.files[f"{self.folder}/index.json"] = self.lies.get(name, bytes)(index(*manifests))
        self.files[f"{self.folder}/oci-layout"] = self.lies.get(f"layout of {name}", bytes)(b'{"imageLayoutVersion":"1.0.0"}')


def index(*manifests: Json) -> bytes:
    """An index."""
    return text({"manifests": manifests, "mediaType": N, "schemaVersion": 2})


def manifest(config: Json, *layers: Json, **more: Json) -> bytes:
    """A manifest."""
    return text({"config": config, "layers": layers, "mediaType": M, "schemaVersion": 2, **more})


def cosign_config(*layers: Json) -> bytes:
    """Blobs 2 and 6."""
    then = "0001-01-01T00:00:00Z"
    rootfs = {"diff_ids": [layer["digest"] for layer in layers], "type": "layers"}
    history = [{"created": then} for _ in layers]
    return text({"architecture": "", "config": {}, "created": then, "history": history, "os": "", "rootfs": rootfs})


def dsse(key: Signer, payload: bytes) -> bytes:
    """Blobs 4 and 5."""
    pae = b"DSSEv1 %d %b %d %b" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)
    rows = [{"keyid": key.keyid, "sig": b64(key.sign(pae))}]
    return text({"payload": b64(payload), "payloadType": IN_TOTO, "signatures": rows})


def statement(kind: str, x: bytes, subject: Json) -> bytes:
    """The payload of a DSSE around the bytes of X."""
    return b'{"_type":"https://in-toto.io/Statement/v1","predicate":%b,%b\n' % (
        x,
        text({"predicateType": kind, "subject": subject})[1:],
    )


def sbom(name: str) -> bytes:
    """A document without a line end."""
    return text({"SPDXID": "SPDXRef-DOCUMENT", "name": name, "spdxVersion": "SPDX-2.3"})


def provenance() -> bytes:
    """X of the provenance."""
    build = {"buildType": "https://stella-ops.org/builds/lnm-runner/1", "externalParameters": {}}
    return text({"buildDefinition": build, "runDetails": {"builder": {"id": "https://stella-ops.org/builders/doit"}}})


@dataclass
class Image:
    """An image that can be changed, and who signs what."""

    key: Signer
    name: str = AMD64
    version: str = "2026.9.1"
    created_at: str = "2026-09-01T00:00:00Z"
    layers: tuple[bytes, ...] = (b"no layer, but it has a digest\n", b"another\n")
    sbom: bytes = b""
    """Instead of the small one."""
    x: bytes = b""
    """Instead of the provenance's small one."""
    signers: dict[str, Signer] = field(default_factory=dict)
    """Who signs `S`, `4` or `5` instead."""
    hint: str = ""
    """Instead of the key's."""
    lies: dict[str, TextChange] = field(default_factory=dict)
    """By the name of what is changed: `manifest`, `index of the image`, `payload 4`, `S`, `1` … `13`, `index` …"""

    def lay_out(self, layout: Layout) -> Json:
        """Writes `images/<image>/`; gives I."""
        architecture = self.name.rpartition("-")[2]
        layers = [layout.put(f"layer {number}", LAYER, data) for number, data in enumerate(self.layers)]
        config = layout.put("config", C, text({"architecture": architecture, "os": "linux"}))
        names = {"io.containerd.image.name": f"{NAME}:{self.version}", REF_NAME: self.version}
        described = layout.put("manifest", M, manifest(config, *layers))
        described |= {"annotations": names, "platform": {"architecture": architecture, "os": "linux"}}
        layout.close("index of the image", described)
        return described

    def signer(self, name: str) -> Signer:
        """Of `S`, `4` or `5`."""
        return self.signers.get(name, self.key)

    def files(self) -> dict[str, bytes]:
        """`images/<image>/`, `attestations/<image>/` and the SBOM."""
        layout, kept = Layout(f"images/{self.name}", self.lies), Layout(f"attestations/{self.name}", self.lies)
        item = self.lay_out(layout)
        spdx = self.sbom or sbom(self.name)
        self.attest(kept, item, {"4": self.x or provenance(), "5": spdx})
        return {**layout.files, **kept.files, f"sbom/{self.name}.spdx.json": spdx + b"\n"}

    def signature(self, kept: Layout) -> str:
        """S."""
        raw = self.signer("S").sign(kept.blobs["1"])
        return b64(self.lies.get("S", bytes)(raw))

    def attest(self, kept: Layout, item: Json, xs: dict[str, bytes]) -> None:
        """Writes `attestations/<image>/`."""
        digest = item["digest"]
        critical = {
            "identity": {"docker-reference": NAME},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        }
        simple = kept.put("1", "application/vnd.dev.cosign.simplesigning.v1+json", text({"critical": critical, "optional": None}))
        simple["annotations"] = {SIGNATURE: self.signature(kept)}
        signatures = kept.put("3", M, manifest(kept.put("2", C, cosign_config(simple)), simple))
        kinds = {"4": SLSA, "5": SPDX}
        layers = []
        for name, kind in kinds.items():
            payload = statement(kind, xs[name], [{"digest": {"sha256": digest[7:]}, "name": NAME}])
            payload = self.lies.get(f"payload {name}", bytes)(payload)
            notes = {SIGNATURE: "", PREDICATE_TYPE: kind}
            layers.append(
                kept.put(name, "application/vnd.dsse.envelope.v1+json", dsse(self.signer(name), payload), annotations=notes)
            )
        statements = kept.put("7", M, manifest(kept.put("6", C, cosign_config(*layers)), *layers))
        empty = kept.put("8", "application/vnd.oci.empty.v1+json", b"{}")
        subject = {"digest": digest, "mediaType": M, "size": item["size"]}
        referrers = []
        for name, bundle, about in (("4", "9", "11"), ("5", "10", "12")):
            rest = {
                "mediaType": B,
                "verificationMaterial": {"publicKey": {"hint": self.hint or self.key.hint}, "tlogEntries": []},
            }
            layer = kept.put(bundle, B, b'{"dsseEnvelope":%b,%b' % (kept.blobs[name], text(rest)[1:]))
            notes = {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": kinds[name],
                "org.opencontainers.image.created": self.created_at,
            }
            more = {"annotations": notes, "artifactType": B}
            referrers.append(kept.put(about, M, manifest(empty, layer, subject=subject, **more), **more))
        fallback = kept.put("13", N, index(*referrers))
        tag, kind = digest.replace(":", "-"), "dev.cosignproject.cosign/"
        kept.close(
            "index",
            {**item, "annotations": {**item["annotations"], "kind": f"{kind}image"}},
            {**signatures, "annotations": {"kind": f"{kind}sigs", REF_NAME: f"{tag}.sig"}},
            {**statements, "annotations": {"kind": f"{kind}atts", REF_NAME: f"{tag}.att"}},
            {**fallback, "annotations": {REF_NAME: tag}},
            *referrers,
        )
