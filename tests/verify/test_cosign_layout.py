"""scripts/cosign_layout.py: to the byte as docs/kit-format.md has it, refused where a statement lies, and held against real cosign."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import canonical, cosign_layout, keys, oci, provenance, signing, statement
from scripts.errors import ChecksumError, InputError, SignatureError
from scripts.verify import tools
from tests.conftest import ROOT
from tests.verify import small_image
from tests.verify.small_image import Signer, attested, is_legacy, is_referrer, joined, made, reindexed, sealed

SECTION = (ROOT / "docs/kit-format.md").read_text(encoding="utf-8").partition("\n## images/")[2].partition("\n## ")[0]
HEX = "ab" * 32


@pytest.fixture(params=["P-256", "Ed25519"])
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> Signer:
    return small_image.signer(tmp_path / "key", ed=request.param == "Ed25519")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return small_image.image(tmp_path / "image")


# ---- the page


def page_of(attestations: Path) -> tuple[set[str], str]:
    """The hashes of the thirteen blobs and the index, from the templates of the page and the six values of a real folder."""
    listed = json.loads((attestations / "index.json").read_bytes())["manifests"]
    sigs, atts, ref = (json.loads(blob(attestations, listed[number])) for number in (1, 2, 4))
    described = dict(listed[0])
    blobs = {4: blob(attestations, atts["layers"][0]), 5: blob(attestations, atts["layers"][1])}
    bundle = json.loads(blob(attestations, ref["layers"][0]))
    media = dict(re.findall(r"\b([MNCB]) =\s`([^`]+)`", SECTION))
    assert len(media) == 4
    values = {
        '"S"': f'"{sigs["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"]}"',
        "<hint>": bundle["verificationMaterial"]["publicKey"]["hint"],
        "<created_at>": small_image.CREATED_AT,
        "<hex>": described["digest"].removeprefix("sha256:"),
        "<I's>": str(described["size"]),
        ":D1,": f":{blobs[4]},",
        ":D2,": f":{blobs[5]},",
        **{f'"mediaType":"{name}"': f'"mediaType":"{found}"' for name, found in media.items()},
        '"artifactType":"B"': f'"artifactType":"{media["B"]}"',
    }
    parts = dict(re.findall(r"^        (L4|A1|R1) = (.+)$", SECTION, re.MULTILINE))
    parts["A2"] = of_spdx(parts["A1"])
    parts |= {"L5": of_spdx(parts["L4"]).replace("@4", "@5").replace("#4", "#5")}
    parts |= {"R2": parts["R1"].replace("A1", "A2").replace("@11", "@12").replace("#11", "#12")}
    texts = {int(number): text for number, text in re.findall(r"^    ([0-9]+) +(\{.*\})$", SECTION, re.MULTILINE)}
    texts[10] = texts[9].replace("D1", "D2")
    texts[12] = texts[11].replace("A1", "A2").replace("@9", "@10").replace("#9", "#10")

    def filled(text: str) -> str:
        for name in ("L4", "L5", "R1", "R2", "A1", "A2"):
            text = parts[name].join(re.split(rf"(?<=[:\[,]){name}(?=[,\]}}])", text))
        for place, value in values.items():
            text = text.replace(place, value)
        sha256 = {number: hashlib.sha256(data.encode()).hexdigest() for number, data in blobs.items()}
        text = re.sub(r"@([0-9]+)", lambda found: f'"digest":"sha256:{sha256[int(found[1])]}"', text)
        text = re.sub(r"#([0-9]+)", lambda found: f'"size":{len(blobs[int(found[1])].encode())}', text)
        return re.sub(r"<of ([0-9]+)>", lambda found: sha256[int(found[1])], text)

    for number in sorted(texts):
        blobs[number] = filled(texts[number])
    root = next(text for text in re.findall(r"^    (\{.+\})$", SECTION, re.MULTILINE) if "J," in text)
    return {hashlib.sha256(data.encode()).hexdigest() for data in blobs.values()}, filled(
        root.replace("[J,", f"[{canonical.render(described).decode().strip()},")
    )


def blob(layout: Path, item: dict[str, Any]) -> str:
    return oci.blob(layout, item["digest"]).read_text(encoding="utf-8")


def of_spdx(text: str) -> str:
    return text.replace("https://slsa.dev/provenance/v1", "https://spdx.dev/Document")


def test_the_folder_is_that_of_the_page_to_the_byte(signer: Signer, index: Path, tmp_path: Path) -> None:
    out = attested(tmp_path / "out", tmp_path / "work", index, signer)
    blobs, root = page_of(out)
    assert len(blobs) == 13
    assert {path.name for path in (out / oci.BLOBS).iterdir()} == blobs
    assert (out / "index.json").read_text(encoding="utf-8") == root
    assert (out / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    assert set(small_blobs(index.parent)).isdisjoint(blobs)


def small_blobs(layout: Path) -> list[str]:
    return [path.name for path in (layout / oci.BLOBS).iterdir()]


# ---- lies that the build refuses


def told(subject: Any, kind: str = statement.SPDX) -> bytes:
    return canonical.render({"_type": statement.TYPE, "predicate": {}, "predicateType": kind, "subject": subject})


def about(**digest: str) -> dict[str, Any]:
    return {"digest": digest, "name": statement.IMAGE}


LIES: dict[str, tuple[Callable[[str], bytes], str]] = {
    "another digest": (lambda _: told([about(sha256=HEX)]), "is about {'digest': {'sha256': 'abab"),
    "a tag": (lambda sha: told([{"digest": {"sha256": sha}, "name": f"{statement.IMAGE}:2026.9.1"}]), "lnm-runner:2026.9.1'"),
    "a tag for a digest": (lambda _: told([about(tag="2026.9.1")]), "'tag': '2026.9.1'"),
    "no digest": (lambda _: told([about()]), "is about {'digest': {}"),
    "sha1 only": (lambda sha: told([about(sha1=sha[:40])]), "'sha1'"),
    "sha1 beside it": (lambda sha: told([about(sha1=sha[:40], sha256=sha)]), "'sha1'"),
    "no subject": (lambda _: told([]), "is about 0 subjects"),
    "a subject more": (lambda sha: told([about(sha256=sha), about(sha256=HEX)]), "is about 2 subjects"),
    "subject that is no list": (lambda _: told({}), "no list of subjects"),
    "another type": (lambda sha: told([about(sha256=sha)], statement.SLSA), "is a https://slsa.dev/provenance/v1, wanted"),
    "no statement": (lambda _: b"[]\n", "holds no statement"),
    "no JSON": (lambda _: b"x", "holds no statement"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_statement_about_something_else_is_refused_at_build_time(lie: str, index: Path, tmp_path: Path) -> None:
    signer = small_image.signer(tmp_path / "key")
    text, words = LIES[lie]
    work = tmp_path / "work"
    slsa, _ = small_image.statements(work, signer, statement.image_subject(index))
    spdx = sealed(work / "lie.dsse.json", signer, text(statement.image_subject(index)[1]))
    payload = made(work / "payload", cosign_layout.write_payload, image=index)
    sig = made(work / "payload.sig", signing.write_sig, blob=payload, public=signer.public, key=signer.key)
    with pytest.raises(SignatureError) as caught:
        cosign_layout.write(
            tmp_path / "out", image=index, payload=payload, sig=sig, statements=(slsa, spdx), public=signer.public, created_at=""
        )
    assert caught.value.message.startswith("lie.dsse.json: ")
    assert words in caught.value.message
    assert caught.value.exit_code == 5
    assert not (tmp_path / "out").exists()


def test_a_signature_over_another_payload_is_refused_at_build_time(index: Path, tmp_path: Path) -> None:
    signer = small_image.signer(tmp_path / "key")
    work, other = tmp_path / "work", small_image.image(tmp_path / "other", b"other\n")
    sealed_ones = small_image.statements(work, signer, statement.image_subject(index))
    payload = made(work / "payload", cosign_layout.write_payload, image=other)
    with pytest.raises(SignatureError, match="payload: is not what is signed of sha256:"):
        cosign_layout.write(
            tmp_path / "out",
            image=index,
            payload=payload,
            sig=payload,
            statements=sealed_ones,
            public=signer.public,
            created_at="",
        )


# ---- the statements' steps


def test_the_statements_are_about_the_manifest(index: Path, tmp_path: Path) -> None:
    sbom, record, lock = tmp_path / "sbom.json", tmp_path / "record.json", tmp_path / "lock"
    sbom.write_bytes(canonical.render(small_image.SBOM))
    lock.write_bytes(b"")
    outputs = {f"artifacts/lnm/images/{index.parent.name}/index.json": hashlib.sha256(index.read_bytes()).hexdigest()}
    task = {"task": "image:x", "step": "s", "inputs": {}, "code": {}, "tools": {}, "settings": {}, "outputs": outputs}
    record.write_bytes(canonical.render(task))
    release = {"channel": "edge", "version": "1", "source": {"commit": None}, "epoch": 1}
    facts: dict[str, Any] = {"image": index, "records": (record,), "lock": lock, "release": release}
    slsa = made(tmp_path / "slsa.json", provenance.write_image, **facts)
    spdx = made(tmp_path / "spdx.json", statement.write_image_spdx, image=index, sbom=sbom)
    (manifest,) = (path for path in (index.parent / oci.BLOBS).iterdir() if b'"layers":' in path.read_bytes())
    wanted = [{"digest": {"sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}, "name": statement.IMAGE}]
    for path, kind in ((slsa, "https://slsa.dev/provenance/v1"), (spdx, "https://spdx.dev/Document")):
        found = json.loads(path.read_bytes())
        assert (found["subject"], found["predicateType"]) == (wanted, kind)
    assert json.loads(spdx.read_bytes())["predicate"] == small_image.SBOM
    record.write_bytes(canonical.render({**task, "outputs": dict.fromkeys(outputs, HEX)}))
    with pytest.raises(InputError, match=r"no task recorded these files as they are: image/index\.json"):
        made(tmp_path / "slsa.json", provenance.write_image, **facts)
    manifest.write_bytes(b"{}")
    with pytest.raises(ChecksumError):
        statement.image_subject(index)


# ---- real cosign


@pytest.fixture
def cosign() -> None:
    if shutil.which("cosign") is None:
        pytest.skip("cosign is not on the PATH (CI builds it: ci/tools/build.sh)")


def forms(tmp_path: Path, image: Path, attestations: Path) -> dict[str, Path]:
    """As it is; with what cosign 2 reads alone; with what cosign 3 reads alone."""
    whole, old, new = (joined(tmp_path / name, image, attestations) for name in ("whole", "old", "new"))
    return {
        "whole": whole,
        "old": reindexed(old, lambda item: not is_referrer(item)),
        "new": reindexed(new, lambda item: not is_legacy(item)),
    }


def opinions(key: Path, layout: Path) -> dict[str, bool]:
    """What cosign accepts."""
    return {
        "verify": tools.cosign_verifies_image(key, layout).accepted,
        **{kind: tools.cosign_verifies_image_statement(key, layout, kind).accepted for kind in ("spdxjson", "slsaprovenance1")},
    }


ALL = dict.fromkeys(("verify", "spdxjson", "slsaprovenance1"), True)
NONE = dict.fromkeys(ALL, False)


@pytest.mark.usefixtures("cosign")
def test_cosign_accepts_it_on_either_path_and_under_its_key_alone(signer: Signer, index: Path, tmp_path: Path) -> None:
    found = forms(tmp_path, index.parent, attested(tmp_path / "out", tmp_path / "work", index, signer))
    other = small_image.signer(tmp_path / "other")
    assert {name: opinions(signer.public, layout) for name, layout in found.items()} == dict.fromkeys(found, ALL)
    assert {name: opinions(other.public, layout) for name, layout in found.items()} == dict.fromkeys(found, NONE)
    legacy = tools.cosign_verifies_image(signer.public, found["old"])
    assert statement.image_subject(index)[1] in legacy.last_line  # it was the signature that was looked at


@pytest.mark.usefixtures("cosign")
def test_cosign_refuses_what_is_about_another_image(index: Path, tmp_path: Path) -> None:
    """The attestations of one image, whose index was bent to lead to another."""
    signer, other = small_image.signer(tmp_path / "key"), small_image.image(tmp_path / "other", b"other\n")
    out = attested(tmp_path / "out", tmp_path / "work", index, signer)
    document = json.loads((out / "index.json").read_bytes())
    wanted = json.loads(other.read_bytes())["manifests"][0]
    document["manifests"][0] |= {name: wanted[name] for name in ("digest", "size")}
    (out / "index.json").write_bytes(oci.render(document))
    found = forms(tmp_path, other.parent, out)
    assert {name: opinions(signer.public, layout) for name, layout in found.items()} == dict.fromkeys(found, NONE)


@pytest.mark.usefixtures("cosign")
def test_cosign_refuses_statements_with_another_digest_on_either_path(index: Path, tmp_path: Path) -> None:
    signer = small_image.signer(tmp_path / "key")
    wrong = [path.read_bytes()[:-1] for path in small_image.statements(tmp_path / "w", signer, (statement.IMAGE, HEX))]
    described = statement.image_descriptor(index)
    payload = tmp_path / "payload"
    payload.write_bytes(cosign_layout.simple_signing(described["digest"]))
    sig = signing.sign_file(signer.key.load(), payload)
    hint = keys.hint(signer.public.read_bytes())
    oci.write_layout(tmp_path / "out", *cosign_layout.render(described, sig, wrong, hint, small_image.CREATED_AT))
    found = forms(tmp_path, index.parent, tmp_path / "out")
    said = {name: opinions(signer.public, layout) for name, layout in found.items()}
    assert said == {"whole": NONE, "old": {**NONE, "verify": True}, "new": NONE}


@pytest.mark.usefixtures("cosign")
def test_cosign_hashes_no_blob_so_the_kit_is_verified_first(index: Path, tmp_path: Path) -> None:
    """What docs/kit-format.md says of cosign: where this fails it has learned, and the page has to."""
    signer = small_image.signer(tmp_path / "key")
    whole = joined(tmp_path / "whole", index.parent, attested(tmp_path / "out", tmp_path / "work", index, signer))
    for name in small_blobs(index.parent):
        with (whole / oci.BLOBS / name).open("ab") as file:
            file.write(b" ")
    assert opinions(signer.public, whole) == ALL
