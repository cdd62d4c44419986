"""A small image made by the build's own steps, signed by a throw-away key, and joined with its attestations as an operator does."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from scripts import canonical, cosign_layout, files, keys, layer, oci, signing, statement

VERSION, EPOCH, CREATED_AT = "2026.9.1", 1_750_000_000, "2026-09-01T00:00:00Z"
SBOM = {"SPDXID": "SPDXRef-DOCUMENT", "name": "lnm-runner", "spdxVersion": "SPDX-2.3"}
PROVENANCE = {"buildDefinition": {"buildType": "x"}, "runDetails": {"builder": {"id": "y"}}}


@dataclass(frozen=True)
class Signer:
    """A throw-away key."""

    key: keys.KeySource
    public: Path


def signer(folder: Path, *, ed: bool = False) -> Signer:
    """A new key in a folder."""
    private = ed25519.Ed25519PrivateKey.generate() if ed else ec.generate_private_key(ec.SECP256R1())
    path = folder / "key.pem"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(private.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()))
    path.chmod(0o600)
    found = Signer(keys.KeySource(path, None), folder / "key.pub")
    made(found.public, keys.write_public, key=found.key)
    return found


def made(path: Path, step: Callable[..., None], **arguments: Any) -> Path:
    """Runs a step as the build does."""
    with files.replacing(path) as out:
        step(out, **arguments)
    return path


def image(layout: Path, content: bytes = b"hello\n", architecture: str = "amd64") -> Path:
    """An image of one layer; returns the index of its layout."""
    out = io.BytesIO()
    packed = layer.write(out, {"etc/motd": layer.file(content)}, EPOCH)
    config = oci.render(
        {
            "architecture": architecture,
            "config": {"User": "65532:65532"},
            "created": CREATED_AT,
            "history": [{"created": CREATED_AT}],
            "os": "linux",
            "rootfs": {"diff_ids": [packed.diff_id], "type": "layers"},
        }
    )
    manifest = oci.manifest(oci.descriptor(oci.CONFIG, config), [packed.descriptor()])
    listed = oci.descriptor(
        oci.MANIFEST,
        manifest,
        annotations={"io.containerd.image.name": f"{statement.IMAGE}:{VERSION}", "org.opencontainers.image.ref.name": VERSION},
        platform={"architecture": architecture, "os": "linux"},
    )
    blobs: dict[str, bytes | Path] = {
        packed.digest: out.getvalue(),
        oci.digest_of(config): config,
        oci.digest_of(manifest): manifest,
    }
    oci.write_layout(layout, blobs, oci.index([listed]))
    return layout / oci.INDEX_FILE


def sealed(path: Path, by: Signer, text: bytes) -> Path:
    """A statement in a DSSE, and the statement beside it."""
    plain = path.with_suffix(".plain")
    plain.write_bytes(text)
    return made(path, signing.write_dsse, statement=plain, public=by.public, key=by.key)


def statements(work: Path, by: Signer, subject: tuple[str, str], sbom: Any = None) -> tuple[Path, ...]:
    """Both DSSE files about a subject."""
    work.mkdir(parents=True, exist_ok=True)
    texts = {statement.SLSA: PROVENANCE, statement.SPDX: sbom or SBOM}
    return tuple(
        sealed(work / f"{number}.dsse.json", by, statement.render([subject], kind, texts[kind]))
        for number, kind in enumerate(cosign_layout.TYPES)
    )


def attested(out: Path, work: Path, index: Path, by: Signer, sbom: Any = None) -> Path:
    """Signs an image and writes its attestations to `out`."""
    sealed_ones = statements(work, by, statement.image_subject(index), sbom)
    payload = made(work / "payload.json", cosign_layout.write_payload, image=index)
    sig = made(work / "payload.json.sig", signing.write_sig, blob=payload, public=by.public, key=by.key)
    cosign_layout.write(
        out, image=index, payload=payload, sig=sig, statements=sealed_ones, public=by.public, created_at=CREATED_AT
    )
    return out


def joined(out: Path, layout: Path, attestations: Path) -> Path:
    """`cp -r layout out && cp -r attestations/. out/`."""
    shutil.copytree(layout, out)
    shutil.copytree(attestations, out, dirs_exist_ok=True)
    return out


def reindexed(layout: Path, keep: Callable[[dict[str, Any]], bool]) -> Path:
    """Leaves only these descriptors in an index, and no referrer's manifest that it does not list."""
    path = layout / oci.INDEX_FILE
    document = json.loads(path.read_bytes())
    gone = [item for item in document["manifests"] if not keep(item)]
    document["manifests"] = [item for item in document["manifests"] if keep(item)]
    path.write_bytes(canonical.render(document)[:-1])
    for item in gone:
        oci.blob(layout, item["digest"]).unlink()
    return layout


def is_referrer(item: dict[str, Any]) -> bool:
    """A manifest with a bundle."""
    return "artifactType" in item


def is_legacy(item: dict[str, Any]) -> bool:
    """A manifest of signatures or of attestations, as cosign 2 has them."""
    return str(item.get("annotations", {}).get("kind", "")).endswith(("/sigs", "/atts"))
