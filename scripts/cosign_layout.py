"""Makes `attestations/<image>/`: an image's signature and its two statements as cosign keeps them in an OCI layout.

The folder has everything but the image's own blobs: copied over the image's layout it is what `cosign verify --local-image` and
`cosign verify-attestation --local-image` read. Authorities: cosign 3.1 (pkg/oci/layout/index.go: `kind`; pkg/cosign/verify.go,
getLocalBundleDescriptors), its SIGNATURE_SPEC.md, ATTESTATION_SPEC.md and BUNDLE_SPEC.md; OCI image-spec 1.1 (`subject`) and
distribution-spec 1.1 (referrers tag schema). Every statement is in it twice: as cosign 2 looks for it, and as a referrer that
holds a Sigstore bundle, as cosign 3 does. All is a pure function of the image's descriptor, the signature, the two envelopes, the
key's hint and a time. Byte forms: docs/kit-format.md. Nothing is signed here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from scripts import canonical, files, keys, oci, signing, statement
from scripts.errors import InputError, SignatureError

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
KIND = "dev.cosignproject.cosign/"
REF_NAME = "org.opencontainers.image.ref.name"
NO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time, which is what cosign has there
TYPES = (statement.SLSA, statement.SPDX)
"""Of the statements, in their order."""

Blobs = dict[str, bytes]
"""`{digest: bytes}`"""


def simple_signing(digest: str) -> bytes:
    """What the signature is over: containers-signature(5), as cosign writes it."""
    return oci.render(
        {
            "critical": {
                "identity": {"docker-reference": statement.IMAGE},
                "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
    )


def config(layers: Iterable[Mapping[str, Any]]) -> bytes:
    """The config of a manifest that is no image: as go-containerregistry makes it around layers that are not compressed."""
    diff_ids = [layer["digest"] for layer in layers]
    return oci.render(
        {
            "architecture": "",
            "config": {},
            "created": NO_TIME,
            "history": [{"created": NO_TIME}] * len(diff_ids),
            "os": "",
            "rootfs": {"diff_ids": diff_ids, "type": "layers"},
        }
    )


def attached(blobs: Blobs, layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Adds the manifest that holds signatures or statements as layers, with its config; returns its descriptor."""
    return added(blobs, oci.MANIFEST, oci.manifest(added(blobs, oci.CONFIG, config(layers)), layers))


def added(blobs: Blobs, media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    """Adds a blob; returns its descriptor."""
    found = oci.descriptor(media_type, data, **more)
    blobs[found["digest"]] = data
    return found


def referrer(blobs: Blobs, subject: Mapping[str, Any], bundle: bytes, predicate_type: str, created_at: str) -> dict[str, Any]:
    """Adds a bundle and the manifest that refers to the image; returns the manifest's descriptor."""
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": predicate_type,
        "org.opencontainers.image.created": created_at,
    }
    manifest = oci.manifest(
        added(blobs, oci.EMPTY, b"{}"),
        [added(blobs, signing.BUNDLE, bundle)],
        artifactType=signing.BUNDLE,
        subject={name: subject[name] for name in ("digest", "mediaType", "size")},
        annotations=annotations,
    )
    return added(blobs, oci.MANIFEST, manifest, artifactType=signing.BUNDLE, annotations=annotations)


def render(image: Mapping[str, Any], sig: str, envelopes: Iterable[bytes], hint: str, created_at: str) -> tuple[Blobs, bytes]:
    """The layout's blobs and its index.

    `image` is the descriptor in the index of the image's layout, `sig` base64 over `simple_signing`, `envelopes` are DSSE
    documents without a final LF, in the order of TYPES.
    """
    blobs: Blobs = {}
    typed = tuple(zip(TYPES, envelopes, strict=True))
    tag = image["digest"].replace(":", "-")
    payload = added(blobs, SIMPLE_SIGNING, simple_signing(image["digest"]), annotations={SIGNATURE: sig})
    sigs = attached(blobs, [payload])
    atts = attached(
        blobs,
        [added(blobs, ENVELOPE, dsse, annotations={SIGNATURE: "", "predicateType": kind}) for kind, dsse in typed],
    )
    bundles = ((kind, signing.dsse_bundle(canonical.read(dsse, kind), hint)[:-1]) for kind, dsse in typed)
    referrers = [referrer(blobs, image, bundle, kind, created_at) for kind, bundle in bundles]
    index = oci.index(
        [
            {**image, "annotations": {**image.get("annotations", {}), "kind": f"{KIND}image"}},
            {**sigs, "annotations": {"kind": f"{KIND}sigs", REF_NAME: f"{tag}.sig"}},
            {**atts, "annotations": {"kind": f"{KIND}atts", REF_NAME: f"{tag}.att"}},
            added(blobs, oci.INDEX, oci.index(referrers), annotations={REF_NAME: tag}),
            *referrers,
        ]
    )
    return blobs, index


def complaint(dsse: bytes, digest: str, predicate_type: str) -> str:
    """Why an envelope does not hold the one statement that is wanted about an image; empty where it does."""
    try:
        found = canonical.read(base64.b64decode(canonical.read(dsse, "DSSE")["payload"], validate=True), "payload")
        kind, subjects = found["predicateType"], found["subject"]
    except (LookupError, TypeError, binascii.Error, InputError) as err:
        return f"holds no statement: {type(err).__name__}"
    if kind != predicate_type:
        return f"is a {kind}, wanted a {predicate_type}"
    if not isinstance(subjects, list) or len(subjects) != 1:
        return f"is about {len(subjects) if isinstance(subjects, list) else 'no list of'} subjects, wanted the image alone"
    wanted = {"digest": {"sha256": digest.removeprefix("sha256:")}, "name": statement.IMAGE}
    return "" if subjects[0] == wanted else f"is about {subjects[0]}, wanted {wanted}"


def write_payload(out: BinaryIO, *, image: Path) -> None:
    """What is signed of an image, by the index of its layout."""
    out.write(simple_signing(statement.image_descriptor(image)["digest"]))


def write(
    out: Path, *, image: Path, payload: Path, sig: Path, statements: tuple[Path, ...], public: Path, created_at: str
) -> None:
    """Writes the folder: `sig` is the signature over `payload`, `statements` are the two DSSE files, provenance first.

    Raises: SignatureError where the payload or a statement is not about this very image, naming each.
    """
    descriptor = statement.image_descriptor(image)
    digest = descriptor["digest"]
    envelopes = [files.read_bytes(path).removesuffix(b"\n") for path in statements]
    wrong = [] if files.read_bytes(payload) == simple_signing(digest) else [f"{payload.name}: is not what is signed of {digest}"]
    found = zip(statements, envelopes, TYPES, strict=True)
    wrong += [f"{path.name}: {words}" for path, dsse, kind in found if (words := complaint(dsse, digest, kind))]
    if wrong:
        raise SignatureError("; ".join(wrong), hint="doit forget && doit bundle")
    text = files.read_bytes(sig).decode("ascii").removesuffix("\n")
    blobs, index = render(descriptor, text, envelopes, keys.hint(files.read_bytes(public)), created_at)
    oci.write_layout(out, blobs, index)
