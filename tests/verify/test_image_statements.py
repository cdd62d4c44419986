"""scripts/verify/image_statements.py: a small image that passes, and for each rule one that breaks it and nothing else can see."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import canonical, cosign_layout, image_digest, layer, oci, signing, statement
from scripts.verify import image_statements, inventory
from scripts.verify.outcome import FAILED, OK, SKIPPED, Built, Outcome
from tests.verify import small_image
from tests.verify.small_image import VERSION, Signer, made

AMD, ARM = "lnm-runner-linux-amd64", "lnm-runner-linux-arm64"
HEX = "ab" * 32


@dataclasses.dataclass(frozen=True)
class Kit:
    """A kit of two images and what belongs to them."""

    root: Path
    signer: Signer

    @property
    def built(self) -> Built:
        return Built(self.root, VERSION, self.signer.public, self.root)

    @property
    def image(self) -> Path:
        return self.built.kit / "images" / AMD

    @property
    def attestations(self) -> Path:
        return self.built.kit / "attestations" / AMD

    @property
    def work(self) -> Path:
        return self.root.parent / "work"

    def attest(self) -> None:
        """Signs the image again, as it is."""
        index = self.image / "index.json"
        small_image.attested(self.attestations, self.work, index, self.signer)
        images = tuple(sorted(self.built.kit.glob("images/*/index.json")))
        made(self.root / "image-digest.txt", image_digest.write, images=images)
        digests = {path.parent.name: statement.image_descriptor(path)["digest"] for path in images}
        self.promise(*({"digest": digest, "id": name, "status": "ready"} for name, digest in digests.items()))

    def promise(self, *parts: dict[str, str]) -> None:
        """The manifest, as far as it is about images."""
        (self.built.kit / "manifest.json").write_bytes(canonical.render({"predicate": {"parts": list(parts)}}))

    def rendered(self, **other: Any) -> None:
        """Lays out the attestations with another signature, other statements or another hint than the honest ones."""
        described = statement.image_descriptor(self.image / "index.json")
        blobs, index = cosign_layout.render(**{**self.parts(described), **other})
        oci.write_layout(self.attestations, blobs, index)

    def parts(self, image: dict[str, Any]) -> dict[str, Any]:
        """What `cosign_layout.render` takes."""
        hint = image_statements.hint_of(self.signer.public)
        envelopes = [path.read_bytes()[:-1] for path in sorted(self.work.glob("*.dsse.json"))]
        sig = (self.work / "payload.json.sig").read_text().strip()
        return {"image": image, "sig": sig, "envelopes": envelopes, "hint": hint, "created_at": small_image.CREATED_AT}

    def look(self) -> list[Outcome]:
        return list(image_statements.images(self.built))

    def complaints(self) -> list[str]:
        return [f"{outcome.subject}: {outcome.words}" for outcome in self.look() if outcome.state == FAILED]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    folder = tmp_path_factory.mktemp("honest")
    kit = Kit(folder / "dist", small_image.signer(folder / "key"))
    for name in (ARM, AMD):
        index = small_image.image(kit.built.kit / "images" / name, architecture=name[-5:])
        small_image.attested(kit.built.kit / "attestations" / name, kit.work, index, kit.signer)
        sbom = kit.built.kit / "sbom" / f"{name}.spdx.json"
        sbom.parent.mkdir(exist_ok=True)
        sbom.write_bytes(canonical.render(small_image.SBOM))
    kit.attest()
    return kit


@pytest.fixture
def kit(honest: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """A copy to lie in; cosign is not asked."""
    shutil.copytree(honest.root.parent, tmp_path / "kit")
    folders = os.environ["PATH"].split(os.pathsep)
    monkeypatch.setenv("PATH", os.pathsep.join(folder for folder in folders if not Path(folder, "cosign").exists()))
    return Kit(tmp_path / "kit/dist", dataclasses.replace(honest.signer, public=tmp_path / "kit/key/key.pub"))


# ---- as it should be


def test_an_honest_kit_passes_and_everything_is_named(kit: Kit) -> None:
    found = [(outcome.state, outcome.subject) for outcome in kit.look()]
    assert found == [
        (OK, f"{kit.built.kit_name}/manifest.json"),
        *((state, f"{part}/{name}") for name in (AMD, ARM) for state, part in PASSED),
        (OK, "image-digest.txt"),
    ]


PASSED = ((OK, "images"), (OK, "attestations"), (SKIPPED, "attestations"))


def test_cosign_accepts_both_ways_and_refuses_another_image(honest: Kit) -> None:
    if shutil.which("cosign") is None:
        pytest.skip("cosign is not on the PATH (CI builds it: ci/tools/build.sh)")
    found = [outcome for outcome in honest.look() if outcome.subject == f"attestations/{AMD}"]
    assert [outcome.state for outcome in found] == [OK] * 4
    assert [outcome.words.partition(":")[0] for outcome in found[1:]] == [
        "by its bundles",
        "by its signature and attestations",
        "for another image",
    ]


def test_a_cosign_that_accepts_anything_or_nothing_is_found_out(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = kit.root.parent / "bin/cosign"
    tool.parent.mkdir()
    for code, said in ((0, "for another image: cosign verify, "), (1, "by its bundles: cosign refuses verify: ")):
        tool.write_text(f"#!/bin/sh\nexit {code}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
        assert any(said in complaint for complaint in kit.complaints())


def test_the_list_of_digests_is_what_sha256sum_says_of_the_manifests(kit: Kit) -> None:
    lines = (kit.root / "image-digest.txt").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [AMD, ARM]
    for line in lines:
        digest, name = line.split("  ")
        manifest = kit.built.kit / "images" / name / "blobs" / digest.replace(":", "/")
        assert digest == f"sha256:{hashlib.sha256(manifest.read_bytes()).hexdigest()}"
        assert b'"layers":' in manifest.read_bytes()


def test_a_kit_without_images_passes_where_its_manifest_says_so(kit: Kit) -> None:
    for part in ("images", "attestations"):
        shutil.rmtree(kit.built.kit / part)
    (complaint,) = kit.complaints()
    assert "manifest.json: says that there are the images {" in complaint
    assert complaint.endswith("}, found none")
    kit.promise()
    assert len(kit.complaints()) == 1
    kit.promise(*({"id": name, "reason": "later", "status": "absent"} for name in (AMD, ARM)))
    assert [outcome.state for outcome in kit.look()] == [OK]


# ---- lies: what is told, and the one thing that is said of it


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_bytes(canonical.render(document)[:-1])


def first(items: list[Any], **values: Any) -> None:
    items[0].update(values)


def edit_image(kit: Kit, part: str, change: Callable[[Any], object]) -> None:
    """Changes config or manifest of the image, makes digests and sizes true again, and signs."""
    index = json.loads((kit.image / "index.json").read_bytes())
    (item,) = index["manifests"]
    manifest = replaced(kit.image, item)
    if part == "config":
        config = replaced(kit.image, manifest["config"])
        change(config)
        manifest["config"] |= put(kit.image, config)
    else:
        change(manifest)
    item |= put(kit.image, manifest)
    (kit.image / "index.json").write_bytes(oci.render(index))
    kit.attest()


def replaced(layout: Path, item: dict[str, Any]) -> Any:
    """Takes a document out."""
    path = oci.blob(layout, item["digest"])
    document = json.loads(path.read_bytes())
    path.unlink()
    return document


def put(layout: Path, document: Any) -> dict[str, Any]:
    """Puts one in."""
    data = oci.render(document)
    oci.blob(layout, oci.digest_of(data)).write_bytes(data)
    return {"digest": oci.digest_of(data), "size": len(data)}


def layer_blob(kit: Kit) -> Path:
    return next(path for path in (kit.image / oci.BLOBS).iterdir() if path.read_bytes()[:2] == b"\x1f\x8b")


def repack(kit: Kit) -> None:
    """Another layer, whose digest is told right, under the old config."""
    out = io.BytesIO()
    packed = layer.write(out, {"etc/motd": layer.file(b"other")}, 0)
    layer_blob(kit).unlink()
    oci.blob(kit.image, packed.digest).write_bytes(out.getvalue())
    edit_image(kit, "manifest", lambda found: first(found["layers"], **packed.descriptor()))


def empty(kit: Kit) -> None:
    """An image of no layer."""
    layer_blob(kit).unlink()
    edit_image(kit, "manifest", lambda found: found["layers"].clear())


def resealed(kit: Kit, *, kind: str = statement.SPDX, predicate: Any = None, by: Signer | None = None, **subject: str) -> None:
    """Another SPDX statement."""
    honest_one = statement.image_descriptor(kit.image / "index.json")["digest"].removeprefix("sha256:")
    about = (subject.get("name", statement.IMAGE), subject.get("sha256", honest_one))
    text = statement.render([about], kind, predicate or small_image.SBOM)
    small_image.sealed(kit.work / "1.dsse.json", by or kit.signer, text)
    kit.rendered()


def other_signer(kit: Kit) -> Signer:
    return small_image.signer(kit.root.parent / "other")


def signed_digest(kit: Kit) -> None:
    """A signature over another digest, in the place of the honest one: valid, but of something else."""
    payload = kit.work / "payload.json"
    payload.write_bytes(cosign_layout.simple_signing(f"sha256:{HEX}"))
    sig = signing.sign_file(kit.signer.key.load(), payload)

    def change(blobs: dict[str, bytes], sigs: dict[str, Any]) -> None:
        first(sigs["layers"], **oci.descriptor(cosign_layout.SIMPLE_SIGNING, payload.read_bytes()))
        sigs["layers"][0]["annotations"] = {cosign_layout.SIGNATURE: sig}
        blobs[oci.digest_of(payload.read_bytes())] = payload.read_bytes()

    relisted(kit, "sigs", change)


def relisted(kit: Kit, kind: str, change: Callable[[dict[str, bytes], Any], object]) -> None:
    """Changes the manifest that the index calls `kind` (or the first referrer) and leaves no blob that nothing leads to."""
    root = kit.attestations
    index = json.loads((root / "index.json").read_bytes())
    item = next(item for item in index["manifests"] if image_statements.kind_of(item) == kind or item.get("artifactType") == kind)
    document = json.loads(oci.blob(root, item["digest"]).read_bytes())
    blobs: dict[str, bytes] = {}
    change(blobs, document)
    item |= put(root, document)
    for digest, data in blobs.items():
        oci.blob(root, digest).write_bytes(data)
    (root / "index.json").write_bytes(oci.render(index))
    (fallback,) = [entry for entry in index["manifests"] if entry["mediaType"] == oci.INDEX]
    fallback |= put(root, {"manifests": index["manifests"][-2:], "mediaType": oci.INDEX, "schemaVersion": 2})
    (root / "index.json").write_bytes(oci.render(index))
    led_to = {found["digest"][7:] for found in image_statements.reached(root, index["manifests"])}
    for path in (root / oci.BLOBS).iterdir():
        if path.name not in led_to:
            path.unlink()


def bundle_of_another(kit: Kit) -> None:
    """A good bundle, but with a statement that the attestations do not have."""
    path = small_image.sealed(kit.work / "third", kit.signer, statement.render([("x", HEX)], statement.SLSA, {}))
    hint = image_statements.hint_of(kit.signer.public)
    data = signing.dsse_bundle(json.loads(path.read_bytes()), hint)[:-1]

    def change(blobs: dict[str, bytes], manifest: dict[str, Any]) -> None:
        first(manifest["layers"], **oci.descriptor(signing.BUNDLE, data))
        blobs[oci.digest_of(data)] = data

    relisted(kit, signing.BUNDLE, change)


def fallback_short(kit: Kit) -> None:
    index = json.loads((kit.attestations / "index.json").read_bytes())
    (fallback,) = [entry for entry in index["manifests"] if entry["mediaType"] == oci.INDEX]
    document = replaced(kit.attestations, fallback)
    fallback |= put(kit.attestations, {**document, "manifests": document["manifests"][:1]})
    (kit.attestations / "index.json").write_bytes(oci.render(index))


def append(path: Path, data: bytes = b" ") -> None:
    with path.open("ab") as file:
        file.write(data)


IN, AT = f"images/{AMD}", f"attestations/{AMD}"
LIES: dict[str, tuple[Callable[[Kit], object], str]] = {
    # rule 1
    "layer changed": (lambda kit: append(layer_blob(kit)), f"{IN}: blobs/sha256/…: has not the digest of its name"),
    "blob too many": (lambda kit: (kit.image / oci.BLOBS / HEX).write_bytes(b""), f"{IN}: blobs/sha256/…: is there and nothing"),
    "file too many": (lambda kit: (kit.image / "notes").write_bytes(b""), f"{IN}: notes: is there and nothing leads to it"),
    "layer gone": (lambda kit: layer_blob(kit).unlink(), f"{IN}: blobs/sha256/…: is led to and not there"),
    "size untrue": (
        lambda kit: edit_image(kit, "manifest", lambda found: first(found["layers"], size=1)),
        f"{IN}: sha256:…: its size is told as 1",
    ),
    "other layout version": (
        lambda kit: (kit.image / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}'),
        f"{IN}: oci-layout: is not that of layout version 1.0.0",
    ),
    "index of no type": (
        lambda kit: edit(kit.image / "index.json", lambda found: found.pop("mediaType")),
        f"{IN}: index.json: is no image index",
    ),
    "no index": (lambda kit: (kit.image / "index.json").unlink(), f"{IN}: cannot be read: FileNotFoundError"),
    "attestation blob too many": (
        lambda kit: (kit.attestations / oci.BLOBS / HEX).write_bytes(b""),
        f"{AT}: blobs/sha256/…: is there and nothing leads to it",
    ),
    "layer among the attestations": (
        lambda kit: shutil.copy(layer_blob(kit), kit.attestations / oci.BLOBS),
        f"{AT}: blobs/sha256/…: is there and nothing leads to it",
    ),
    # rule 2
    "two manifests": (
        lambda kit: edit(kit.image / "index.json", lambda found: found["manifests"].append(found["manifests"][0])),
        f"{IN}: index.json: leads to something else than one image manifest",
    ),
    "platform of another": (
        lambda kit: edit(
            kit.image / "index.json", lambda found: first(found["manifests"], platform={"architecture": "arm64", "os": "linux"})
        ),
        f"{IN}: index.json: is for {{'architecture': 'arm64', 'os': 'linux'}}, wanted",
    ),
    "name of another version": (
        lambda kit: edit(kit.image / "index.json", lambda found: first(found["manifests"], annotations={})),
        f"{IN}: index.json: is named {{}}, wanted",
    ),
    "media type of a layer": (
        lambda kit: edit_image(kit, "manifest", lambda found: first(found["layers"], mediaType="application/x")),
        f"{IN}: its manifest has the media types",
    ),
    "no layers": (
        empty,
        f"{IN}: its manifest has the media types",
    ),
    # rule 3
    "config of another platform": (
        lambda kit: edit_image(kit, "config", lambda found: found.update(architecture="arm64")),
        f"{IN}: its config is for linux/arm64, wanted",
    ),
    "root": (
        lambda kit: edit_image(kit, "config", lambda found: found["config"].update(User="0")),
        f"{IN}: its config has the user '0', wanted 65532:65532",
    ),
    "no user": (
        lambda kit: edit_image(kit, "config", lambda found: found["config"].pop("User")),
        f"{IN}: its config has the user None, wanted 65532:65532",
    ),
    "other layer under an old config": (repack, f"{IN}: its config has other diff_ids than its layers"),
    "history short": (
        lambda kit: edit_image(kit, "config", lambda found: found["history"].clear()),
        f"{IN}: its config has the history of 0 layers, wanted 1",
    ),
    # rule 4
    "attestations of another image": (
        lambda kit: edit(kit.attestations / "index.json", lambda found: first(found["manifests"], size=1)),
        f"{AT}: index.json: does not lead to the image as its own index does",
    ),
    "no attestations": (lambda kit: shutil.rmtree(kit.attestations), f"{AT}: cannot be read: FileNotFoundError"),
    "no image": (lambda kit: shutil.rmtree(kit.image), f"{IN}: cannot be read: FileNotFoundError"),
    "a bundle with another statement": (bundle_of_another, f"{AT}: its bundles hold other statements than its attestations"),
    "bundle with the hint of another key": (
        lambda kit: kit.rendered(hint=image_statements.hint_of(other_signer(kit).public)),
        f"{AT}: https://slsa.dev/provenance/v1: its bundle has the hint of another key",
    ),
    "referrer of another image": (
        lambda kit: relisted(kit, signing.BUNDLE, lambda _, found: found["subject"].update(digest=f"sha256:{HEX}")),
        f"{AT}: https://slsa.dev/provenance/v1: its referrer is about",
    ),
    "referrer with another artifact type": (
        lambda kit: relisted(kit, signing.BUNDLE, lambda _, found: found.update(artifactType="x")),
        f"{AT}: https://slsa.dev/provenance/v1: its referrer is not that of one bundle",
    ),
    "referrer annotated otherwise": (
        lambda kit: relisted(kit, signing.BUNDLE, lambda _, found: found["annotations"].clear()),
        f"{AT}: https://slsa.dev/provenance/v1: its referrer is annotated in two ways",
    ),
    "referrers index short": (fallback_short, f"{AT}: its referrers index leads to others than its index"),
    # rule 5
    "signature by another key": (
        lambda kit: kit.rendered(sig=signing.sign_file(other_signer(kit).key.load(), kit.work / "payload.json")),
        f"{AT}: openssl refuses the signature",
    ),
    "signature that is none": (lambda kit: kit.rendered(sig="eA=="), f"{AT}: openssl refuses the signature"),
    "two signatures": (
        lambda kit: relisted(kit, "sigs", lambda _, found: found["layers"].append(found["layers"][0])),
        f"{AT}: has 2 signatures, wanted one",
    ),
    "signature over another digest": (signed_digest, f"{AT}: the signature is about"),
    # rule 6
    "statement by another key": (
        lambda kit: resealed(kit, by=other_signer(kit)),
        f"{AT}: https://spdx.dev/Document: securesystemslib refuses it",
    ),
    "statement about another digest": (lambda kit: resealed(kit, sha256=HEX), f"{AT}: https://spdx.dev/Document: is about"),
    "statement about a tag": (
        lambda kit: resealed(kit, name=f"{statement.IMAGE}:{VERSION}"),
        f"{AT}: https://spdx.dev/Document: is about",
    ),
    "statement of another type": (
        lambda kit: resealed(kit, kind=statement.SLSA),
        f"{AT}: https://spdx.dev/Document: is a https://slsa.dev/provenance/v1",
    ),
    "one statement, twice": (
        lambda kit: relisted(kit, "atts", lambda _, found: found["layers"].__setitem__(1, found["layers"][0])),
        f"{AT}: has statements of the types ['https://slsa.dev/provenance/v1'], wanted",
    ),
    # rule 7
    "sbom of another": (
        lambda kit: resealed(kit, predicate={**small_image.SBOM, "name": "x"}),
        f"{AT}: https://spdx.dev/Document: is not sbom/{AMD}.spdx.json",
    ),
    "sbom gone": (lambda kit: (kit.built.kit / f"sbom/{AMD}.spdx.json").unlink(), f"{AT}: cannot be read: FileNotFoundError"),
    # rule 8
    "digests swapped": (
        lambda kit: (kit.root / "image-digest.txt").write_text(f"sha256:{HEX}  {AMD}\n"),
        "image-digest.txt: says 'sha256:abab",
    ),
    "no digests": (lambda kit: (kit.root / "image-digest.txt").unlink(), "image-digest.txt: cannot be read: FileNotFoundError"),
}
CONSEQUENCES = {
    # other rules that see the same lie, by the words in their complaints
    "layer changed": {"its size is told as", "cannot be read: BadGzipFile"},
    "layer gone": {"cannot be read: FileNotFoundError"},
    "no index": {"cannot be read: FileNotFoundError", "unreadable"},
    "no image": {"cannot be read: FileNotFoundError", "unreadable"},
    "platform of another": {"does not lead to the image as its own index does"},
    "name of another version": {"does not lead to the image as its own index does"},
    "one statement, twice": {"its bundles hold other statements"},
    "no layers": {"other diff_ids", "history of 1 layers, wanted 0"},
    "bundle with the hint of another key": {"its bundle has the hint of another key"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_by_its_rule(kit: Kit, lie: str) -> None:
    tell, words = LIES[lie]
    tell(kit)
    found = kit.look()
    complaints = [f"{outcome.subject}: {outcome.words}" for outcome in found if outcome.state == FAILED]
    start, _, end = words.partition("…")
    named = [text for text in complaints if text.startswith(start) and end in text]
    assert named, complaints
    others = [text for text in complaints if text not in named]
    assert all(any(more in text for more in CONSEQUENCES.get(lie, ())) for text in others), others
    assert {outcome.exit_code for outcome in found if outcome.state == FAILED} <= {5, 6}
    assert any(outcome.state == OK and outcome.subject == f"images/{ARM}" for outcome in found)


def test_the_output_folder_has_the_list_of_digests(kit: Kit) -> None:
    assert "image-digest.txt" not in [outcome.subject for outcome in inventory.output_folder(kit.built)]
    (kit.root / "image-digest.txt").unlink()
    assert "image-digest.txt" in [outcome.subject for outcome in inventory.output_folder(kit.built)]
