"""Checks each image of the kit and what is signed about it, knowing nothing of the code that made them.

(1) `images/<image>/` and `attestations/<image>/` are OCI layouts: each blob has the digest of its name and the size that every
descriptor tells, all that the index leads to is there, and nothing else; (2) an image is one manifest, config and gzipped
layers, by their media types, for the platform of its name; (3) its config has that platform, the user 65532:65532, and the
SHA-256 of each layer unpacked; (4) the attestations have no blob of the image and lead to it, once as cosign 2 and once as
cosign 3 looks for them, with the same two statements; (5) openssl accepts the signature, over this manifest's digest; (6)
securesystemslib accepts both statements, whose one subject is exactly this manifest; (7) the SPDX statement is
`sbom/<image>.spdx.json`; (8) `image-digest.txt` beside the kit tells these digests and no other; (9) the kit's manifest says
which images there are, by their digests; (10) cosign, where it is on the PATH, accepts signature and statements of the joined
layout, once by the bundles and once without them, and refuses them for another image. Byte forms (docs/kit-format.md) are for
the single-file verifiers to judge; image-spec 1.1 is the authority here.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.verify import tools
from scripts.verify.kits import names_below
from scripts.verify.outcome import WRONG_CHECKSUM, WRONG_SIGNATURE, Built, Outcome, failed, ok, skipped
from scripts.verify.statements import SLSA, SPDX, unsigned

OCI = "application/vnd.oci.image."
MANIFEST, INDEX, CONFIG, LAYER = (
    f"{OCI}manifest.v1+json",
    f"{OCI}index.v1+json",
    f"{OCI}config.v1+json",
    f"{OCI}layer.v1.tar+gzip",
)
DSSE, BUNDLE = "application/vnd.dsse.envelope.v1+json", "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE, KIND = "dev.cosignproject.cosign/signature", "dev.cosignproject.cosign/"
REPOSITORY = "stella-ops.org/concelier/lnm-runner"
USER = "65532:65532"
PREFIX = "lnm-runner-"
DIGESTS = "image-digest.txt"
BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
CHUNK = 1 << 20  # bytes
BROKEN = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, zlib.error)  # what reading odd documents raises

Item = dict[str, Any]
"""A descriptor, or a document."""


@dataclass(frozen=True)
class Image:
    """An image of the kit and what belongs to it."""

    name: str
    kit: Path

    @property
    def layout(self) -> Path:
        """The image itself."""
        return self.kit / "images" / self.name

    @property
    def attestations(self) -> Path:
        """What is signed about it."""
        return self.kit / "attestations" / self.name

    @property
    def descriptor(self) -> Item:
        """Of its manifest."""
        found: Item = index_of(self.layout)[0]
        return found


def images(built: Built) -> Iterator[Outcome]:
    """Every image of the kit."""
    names = sorted({*folders(built.kit / "images"), *folders(built.kit / "attestations")})
    yield promised(built, names)
    for image in (Image(name, built.kit) for name in names):
        complaints = list(judged(lambda image=image: image_complaints(image, built.version)))
        yield from told(f"images/{image.name}", complaints, f"OCI layout of one image, user {USER}")
        signed = list(judged(lambda image=image: statement_complaints(image, built.key)))
        yield from told(f"attestations/{image.name}", signed, "signed (openssl, securesystemslib), about this image, twice each")
        if not complaints and not signed:
            yield from foreign(image, built.key)
    if names:
        yield from told(DIGESTS, list(judged(lambda: digest_complaints(built, names))), "tells the digests", WRONG_CHECKSUM)


def folders(parent: Path) -> list[str]:
    """The folders in a folder, if there is one."""
    return [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def promised(built: Built, names: list[str]) -> Outcome:
    """(9) The kit has the images that its manifest says are ready, with the digests that it tells."""
    manifest = f"{built.kit_name}/manifest.json"
    try:
        parts = json.loads((built.kit / "manifest.json").read_bytes())["predicate"]["parts"]
        listed = {part["id"]: part for part in parts if part["id"].startswith(PREFIX)}
        said = {name: part["digest"] for name, part in listed.items() if part["status"] == "ready"}
    except BROKEN as err:
        return failed(manifest, f"does not say which images there are: {type(err).__name__}", WRONG_SIGNATURE)
    found = {name: digest_of(Image(name, built.kit)) for name in names}
    if said != found or not listed:
        return failed(manifest, f"says that there are the images {said or 'none'}, found {found or 'none'}", WRONG_SIGNATURE)
    return ok(manifest, f"says which images are ready ({', '.join(said) or 'none'}) and absent, as they are")


def digest_of(image: Image) -> str:
    """What an image's index tells, or that it tells nothing."""
    try:
        return str(image.descriptor["digest"])
    except BROKEN:
        return "unreadable"


def told(subject: str, complaints: list[str], words: str, exit_code: int = WRONG_SIGNATURE) -> Iterator[Outcome]:
    """One line for each complaint, or one that there is none."""
    for complaint in complaints:
        yield failed(subject, complaint, exit_code)
    if not complaints:
        yield ok(subject, words)


def judged(complaints: Any) -> Iterator[str]:
    """The complaints of a rule, or that what it looks at cannot be read."""
    try:
        yield from complaints()
    except BROKEN as err:
        yield f"cannot be read: {type(err).__name__}: {err}"


# ---- layouts, rule 1


def path_of(layout: Path, item: Item) -> Path:
    """Where a layout has a blob."""
    digest: str = item["digest"]
    return layout / "blobs" / digest.replace(":", "/", 1)


def read(layout: Path, item: Item) -> Item:
    """A document."""
    found: Item = json.loads(path_of(layout, item).read_bytes())
    return found


def index_of(layout: Path) -> list[Item]:
    """The descriptors in an index."""
    found: list[Item] = json.loads((layout / "index.json").read_bytes())["manifests"]
    return found


def reached(layout: Path, listed: Iterable[Item]) -> Iterator[Item]:
    """Every descriptor that an index leads to, but not through a blob that is not there."""
    waiting = list(listed)
    while waiting:
        item = waiting.pop()
        yield item
        if item["mediaType"] in {MANIFEST, INDEX} and path_of(layout, item).is_file():
            document = read(layout, item)
            waiting += [*document.get("manifests", []), *([document["config"]] if "config" in document else [])]
            waiting += document.get("layers", [])


def layout_complaints(layout: Path, elsewhere: frozenset[str] = frozenset()) -> Iterator[str]:
    """(1) What is wrong with a layout; blobs of the digests `elsewhere` are led to and must not be in it."""
    if json.loads((layout / "oci-layout").read_bytes()) != {"imageLayoutVersion": "1.0.0"}:
        yield "oci-layout: is not that of layout version 1.0.0"
    root = json.loads((layout / "index.json").read_bytes())
    if (root.get("schemaVersion"), root.get("mediaType")) != (2, INDEX):
        yield "index.json: is no image index"
    items = list(reached(layout, root["manifests"]))
    wanted = {f"blobs/{item['digest'].replace(':', '/', 1)}" for item in items if item["digest"] not in elsewhere}
    found = names_below(layout, layout) - {"oci-layout", "index.json"}
    yield from (f"{name}: is led to and not there" for name in sorted(wanted - found))
    yield from (f"{name}: is there and nothing leads to it" for name in sorted(found - wanted))
    for name in sorted(wanted & found):
        match = BLOB.fullmatch(name)
        if match is None or sha256_of(layout / name) != match[1]:
            yield f"{name}: has not the digest of its name"
    sizes = {(item["digest"], item["size"]) for item in items if path_of(layout, item).is_file()}
    yield from (f"{digest}: its size is told as {size}" for digest, size in sorted(sizes) if size != size_of(layout, digest))


def size_of(layout: Path, digest: str) -> int:
    """Bytes of a blob."""
    return path_of(layout, {"digest": digest}).stat().st_size


def sha256_of(path: Path) -> str:
    """Hex, of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- images, rules 2 and 3


def image_complaints(image: Image, version: str) -> Iterator[str]:
    """What is wrong with an image."""
    yield from layout_complaints(image.layout)
    os_name, _, architecture = image.name.removeprefix(PREFIX).partition("-")
    platform = {"architecture": architecture, "os": os_name}
    listed = index_of(image.layout)
    if len(listed) != 1 or listed[0]["mediaType"] != MANIFEST:
        yield "index.json: leads to something else than one image manifest"
        return
    if listed[0].get("platform") != platform:
        yield f"index.json: is for {listed[0].get('platform')}, wanted {platform}"
    names = {"io.containerd.image.name": f"{REPOSITORY}:{version}", "org.opencontainers.image.ref.name": version}
    if listed[0].get("annotations") != names:
        yield f"index.json: is named {listed[0].get('annotations')}, wanted {names}"
    manifest = read(image.layout, listed[0])
    types = [manifest.get("mediaType"), manifest["config"]["mediaType"], *(item["mediaType"] for item in manifest["layers"])]
    if types != [MANIFEST, CONFIG, *[LAYER] * len(manifest["layers"])] or not manifest["layers"]:
        yield f"its manifest has the media types {types}"
    yield from config_complaints(image.layout, manifest, platform)


def config_complaints(layout: Path, manifest: Item, platform: Item) -> Iterator[str]:
    """(3) What is wrong with the config of an image."""
    config = read(layout, manifest["config"])
    if {name: config.get(name) for name in platform} != platform:
        yield f"its config is for {config.get('os')}/{config.get('architecture')}, wanted {platform}"
    if config.get("config", {}).get("User") != USER:
        yield f"its config has the user {config.get('config', {}).get('User')!r}, wanted {USER}"
    unpacked = [f"sha256:{unpacked_sha256(path_of(layout, item))}" for item in manifest["layers"]]
    if config["rootfs"] != {"diff_ids": unpacked, "type": "layers"}:
        yield "its config has other diff_ids than its layers"
    filled = [entry for entry in config.get("history", []) if not entry.get("empty_layer")]
    if len(filled) != len(unpacked):
        yield f"its config has the history of {len(filled)} layers, wanted {len(unpacked)}"


def unpacked_sha256(path: Path) -> str:
    """Hex, of a layer unpacked; a piece of it is in memory at a time."""
    found = hashlib.sha256()
    with gzip.open(path, "rb") as file:
        while piece := file.read(CHUNK):
            found.update(piece)
    return found.hexdigest()


# ---- statements, rules 4 to 7


def statement_complaints(image: Image, key: Path) -> Iterator[str]:
    """What is wrong with what is signed about an image."""
    wanted, layout = image.descriptor, image.attestations
    own = frozenset(item["digest"] for item in reached(image.layout, index_of(image.layout)))
    yield from layout_complaints(layout, own)
    listed = index_of(layout)
    named = {**wanted, "annotations": {**wanted.get("annotations", {}), "kind": f"{KIND}image"}}
    if [item for item in listed if kind_of(item) == "image"] != [named]:
        yield "index.json: does not lead to the image as its own index does"
    (sigs,), (atts,) = ([read(layout, item) for item in listed if kind_of(item) == kind] for kind in ("sigs", "atts"))
    yield from signature_complaints(layout, sigs["layers"], wanted["digest"], key)
    envelopes = {item["annotations"]["predicateType"]: read(layout, item) for item in atts["layers"]}
    if [item["mediaType"] for item in atts["layers"]] != [DSSE, DSSE] or set(envelopes) != {SLSA, SPDX}:
        yield f"has statements of the types {sorted(envelopes)}, wanted {SLSA} and {SPDX}"
    for kind, envelope in sorted(envelopes.items()):
        yield from (f"{kind}: {words}" for words in envelope_complaints(image, envelope, kind, key))
    yield from bundle_complaints(layout, listed, envelopes, wanted, key)


def kind_of(item: Item) -> str:
    """What cosign takes a descriptor for."""
    found: str = item.get("annotations", {}).get("kind", "")
    return found.removeprefix(KIND)


def signature_complaints(layout: Path, layers: list[Item], digest: str, key: Path) -> Iterator[str]:
    """(5) The signature over the image's digest, by openssl."""
    if [item["mediaType"] for item in layers] != [SIMPLE_SIGNING]:
        yield f"has {len(layers)} signatures, wanted one"
    for item in layers:
        critical = read(layout, item)["critical"]
        if critical["image"] != {"docker-manifest-digest": digest} or critical["identity"] != {"docker-reference": REPOSITORY}:
            yield f"the signature is about {critical['identity']}, {critical['image']}, wanted {REPOSITORY}, {digest}"
        with tempfile.NamedTemporaryFile() as sig:
            sig.write(item["annotations"][SIGNATURE].encode("ascii"))
            sig.flush()
            answer = tools.openssl_verifies(key, path_of(layout, item), Path(sig.name))
        if not answer.accepted:
            yield f"openssl refuses the signature: {answer.complaint}"


def envelope_complaints(image: Image, envelope: Item, kind: str, key: Path) -> Iterator[str]:
    """(6) and (7) One statement, by securesystemslib."""
    complaint = unsigned(envelope, key)
    if complaint:
        yield f"securesystemslib refuses it: {complaint}"
    found = json.loads(base64.b64decode(envelope["payload"]))
    subject = [{"digest": {"sha256": image.descriptor["digest"].removeprefix("sha256:")}, "name": REPOSITORY}]
    if found["subject"] != subject:
        yield f"is about {found['subject']}, wanted {subject}"
    if found["predicateType"] != kind:
        yield f"is a {found['predicateType']}"
    sbom = image.kit / "sbom" / f"{image.name}.spdx.json"
    if kind == SPDX and found["predicate"] != json.loads(sbom.read_bytes()):
        yield f"is not sbom/{sbom.name}"


def bundle_complaints(layout: Path, listed: list[Item], envelopes: Item, subject: Item, key: Path) -> Iterator[str]:
    """(4) The same statements as cosign 3 looks for them."""
    referrers = [item for item in listed if item.get("artifactType")]
    (fallback,) = [item for item in listed if item["mediaType"] == INDEX]
    if read(layout, fallback)["manifests"] != referrers:
        yield "its referrers index leads to others than its index"
    bundled: list[tuple[str, Item]] = []
    for item in referrers:
        manifest = read(layout, item)
        kind = item["annotations"]["dev.sigstore.bundle.predicateType"]
        if manifest["subject"] != {name: subject[name] for name in ("digest", "mediaType", "size")}:
            yield f"{kind}: its referrer is about {manifest['subject']}"
        if [item["artifactType"], manifest["artifactType"], *(layer["mediaType"] for layer in manifest["layers"])] != [
            BUNDLE
        ] * 3:
            yield f"{kind}: its referrer is not that of one bundle"
        if manifest["annotations"] != item["annotations"]:
            yield f"{kind}: its referrer is annotated in two ways"
        bundle = read(layout, manifest["layers"][0])
        bundled.append((kind, bundle["dsseEnvelope"]))
        if bundle["verificationMaterial"]["publicKey"]["hint"] != hint_of(key):
            yield f"{kind}: its bundle has the hint of another key"
    if sorted(bundled, key=lambda pair: pair[0]) != sorted(envelopes.items()):
        yield "its bundles hold other statements than its attestations"


def hint_of(key: Path) -> str:
    """The SHA-256 of a public key in base64."""
    body = b"".join(line for line in key.read_bytes().splitlines() if not line.startswith(b"-----"))
    return base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode("ascii")


# ---- the list of digests, rule 8; cosign, rule 10


def digest_complaints(built: Built, names: list[str]) -> Iterator[str]:
    """(8) How image-digest.txt differs from the images."""
    wanted = "".join(f"{Image(name, built.kit).descriptor['digest']}  {name}\n" for name in names)
    found = (built.dist / DIGESTS).read_text(encoding="ascii")
    if found != wanted:
        yield f"says {found!r}, wanted {wanted!r}"


def foreign(image: Image, key: Path) -> Iterator[Outcome]:
    """(10) Cosign on a copy, joined as docs/kit-format.md says."""
    subject = f"attestations/{image.name}"
    if not tools.present("cosign"):
        yield skipped(subject, "cosign is not on the PATH")
        return
    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "joined"
        shutil.copytree(image.layout, joined)
        shutil.copytree(image.attestations, joined, dirs_exist_ok=True)
        yield accepted(subject, "by its bundles", cosign(key, joined))
        without_bundles(joined)
        yield accepted(subject, "by its signature and attestations", cosign(key, joined))
        of_another_image(joined)
        believed = [words for words, answer in cosign(key, joined).items() if answer.accepted]
        if believed:
            yield failed(subject, f"for another image: cosign {', '.join(believed)} accepts it", WRONG_SIGNATURE)
        else:
            yield ok(subject, "for another image: refused by cosign")


def accepted(subject: str, how: str, answers: dict[str, tools.Answer]) -> Outcome:
    """What cosign said of what it should accept."""
    refused = [f"{words}: {answer.complaint}" for words, answer in answers.items() if not answer.accepted]
    if refused:
        return failed(subject, f"{how}: cosign refuses {'; '.join(refused)}", WRONG_SIGNATURE)
    return ok(subject, f"{how}: accepted by cosign {', '.join(answers)}")


def cosign(key: Path, joined: Path) -> dict[str, tools.Answer]:
    """What cosign says, by its command."""
    return {
        "verify": tools.cosign_verifies_image(key, joined),
        **{f"verify-attestation {kind}": tools.cosign_verifies_image_statement(key, joined, kind) for kind in (SLSA, SPDX)},
    }


def without_bundles(joined: Path) -> None:
    """Removes the manifests in which cosign finds bundles, so that it has to look at the rest."""
    for item in index_of(joined):
        if item.get("artifactType"):
            path_of(joined, item).unlink()


def of_another_image(joined: Path) -> None:
    """Puts a manifest with one space more in the place of the image's."""
    index = json.loads((joined / "index.json").read_bytes())
    (item,) = [item for item in index["manifests"] if kind_of(item) == "image"]
    data = path_of(joined, item).read_bytes() + b" "
    item |= {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}
    path_of(joined, item).write_bytes(data)
    (joined / "index.json").write_text(json.dumps(index), encoding="utf-8")
