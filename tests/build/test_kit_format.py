"""The built kit against docs/kit-format.md: the page's own templates, filled in, are the bytes of the files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from scripts import keys, signing
from tests.build.trees import Tree
from tests.conftest import ROOT

PAGE = (ROOT / "docs/kit-format.md").read_text(encoding="utf-8")
TEMPLATES = re.findall(r"^    (\{.+\})$", PAGE.partition("\n## images/")[0], re.MULTILINE)  # the rest: test_cosign_layout.py
SUMS_BUNDLE, MANIFEST, DSSE, DSSE_BUNDLE, SUMS_KEYLESS, MANIFEST_KEYLESS, STATEMENT = range(7)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def filled(template: int, **values: str) -> bytes:
    """A template with each placeholder replaced by its value, and one LF."""
    text: str = TEMPLATES[template]
    for placeholder, value in values.items():
        place = PLACES[placeholder]
        assert text.count(place) == 1, place
        text = text.replace(place, value)
    assert "<" not in text.split('"predicate":')[0] or template == MANIFEST
    return text.encode() + b"\n"


PLACES = {
    "digest": "<b64 of SHA-256 of SHA256SUMS>",
    "signature": '"S"',
    "hint": "<hint>",
    "payload": "<b64>",
    "keyid": "<keyid>",
    "sig": "<b64 of sig over PAE>",
    "dsse": ":D,",
    "predicate": ":X,",
    "type": "<type>",
    "root_hash": "<rootHash>",
    "version": "<version>",
}


@pytest.fixture(scope="session")
def public(built: Tree) -> bytes:
    return (built.dist / "signing-key.pub").read_bytes()


def signed(built: Tree, message: bytes) -> str:
    """What the key of the build signs, once more: its signatures are deterministic."""
    return signing.sign(keys.source(built.environment).load(), message)


def dsse_of(built: Tree, public: bytes, payload: bytes) -> bytes:
    sig = signed(built, signing.pae(payload))
    return filled(DSSE, payload=b64(payload), keyid=keys.keyid(public), sig=sig)


def test_the_page_has_its_seven_templates() -> None:
    assert len(TEMPLATES) == 7
    assert "messageSignature" in TEMPLATES[SUMS_BUNDLE]
    assert TEMPLATES[MANIFEST].count("SHA256SUMS") == 2
    assert "payloadType" in TEMPLATES[DSSE]
    assert "dsseEnvelope" in TEMPLATES[DSSE_BUNDLE]
    assert "<material>" in TEMPLATES[SUMS_KEYLESS]
    assert "<material>" in TEMPLATES[MANIFEST_KEYLESS]
    assert "predicateType" in TEMPLATES[STATEMENT]


def test_the_envelope_is_the_six_files_of_the_page(built: Tree) -> None:
    listed = PAGE.split("\nE = ")[1].split("(all six required)")[0]
    wanted = set(re.findall(r"`([^`]+)`", listed))
    assert len(wanted) == 6
    assert {path.name for path in built.kit.iterdir() if re.match(r"SHA256SUMS|manifest\.", path.name)} == wanted


def test_the_signature_over_the_sums_and_its_bundle(built: Tree, public: bytes) -> None:
    sums = (built.kit / "SHA256SUMS").read_bytes()
    sig = signed(built, sums)
    assert (built.kit / "SHA256SUMS.sig").read_text() == f"{sig}\n"
    bundle = filled(SUMS_BUNDLE, digest=b64(hashlib.sha256(sums).digest()), signature=f'"{sig}"', hint=keys.hint(public))
    assert (built.kit / "SHA256SUMS.sigstore.json").read_bytes() == bundle


def test_the_manifests_dsse_and_its_bundle(built: Tree, public: bytes) -> None:
    dsse = dsse_of(built, public, (built.kit / "manifest.json").read_bytes())
    assert (built.kit / "manifest.dsse.json").read_bytes() == dsse
    bundle = filled(DSSE_BUNDLE, dsse=f":{dsse.decode().strip()},", hint=keys.hint(public))
    assert (built.kit / "manifest.sigstore.json").read_bytes() == bundle


def test_the_manifest_begins_and_ends_as_the_page_shows(built: Tree) -> None:
    start = TEMPLATES[MANIFEST].split("…")[0]
    middle = TEMPLATES[MANIFEST].split("…}")[1].split("<of SHA256SUMS>")[0]
    text = built.manifest
    assert text.startswith(start)
    assert middle in text
    assert text.endswith("]}\n")
    assert text.isascii()


@pytest.mark.parametrize("what", ["slsa-provenance", "spdx"])
def test_a_statement_is_the_exact_form_and_signed_in_it(built: Tree, public: bytes, what: str) -> None:
    row = re.search(rf"^\| `attestations/{what}\.dsse\.json` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert row
    document = (built.kit / f"attestations/{what}.dsse.json").read_bytes()
    payload = base64.b64decode(json.loads(document)["payload"])
    parsed: dict[str, Any] = json.loads(payload)
    predicate = json.dumps(parsed["predicate"], separators=(",", ":"), ensure_ascii=False)
    if what == "spdx":
        predicate = (built.kit / "sbom/lnm-kit.spdx.json").read_text(encoding="utf-8").removesuffix("\n")
    root_hash = json.loads(built.manifest)["predicate"]["rootHash"]
    statement = filled(STATEMENT, predicate=f":{predicate},", type=row[1], root_hash=root_hash, version=built.version)
    assert payload == statement
    assert document == dsse_of(built, public, payload)


def test_nothing_else_is_an_attestation(built: Tree) -> None:
    wanted = set(re.findall(r"^\| `attestations/([^`]+)` \|", PAGE, re.MULTILINE))
    assert {path.name for path in (built.kit / "attestations").iterdir()} == wanted
