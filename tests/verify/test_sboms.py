"""scripts/verify/sboms.py and sbom_tools.py: each rule has a document that breaks it, each tool one that it refuses."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.verify import sbom_documents, sbom_tools, sboms
from scripts.verify.outcome import FAILED, OK, SKIPPED, Built, Outcome

KIT, TOOLING = sboms.KIT_SBOM, sboms.TOOLING_SBOM


@pytest.fixture
def kit(dist: Path, version: str, tmp_path: Path) -> Built:
    """What these checks look at of the kit under test, where it may be spoilt."""
    folder = tmp_path / f"concelier-lnm-{version}"
    for name in (KIT, TOOLING, "SHA256SUMS", "attestations/slsa-provenance.dsse.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((dist / folder.name / name).read_bytes())
    return Built(tmp_path, version, tmp_path / "key", tmp_path)


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def of(outcomes: list[Outcome], name: str) -> Outcome:
    (found,) = [outcome for outcome in outcomes if outcome.subject == name]
    return found


def root_of(document: dict[str, Any]) -> Any:
    return sbom_documents.described(document)


def test_the_kit_under_test_is_complete_and_what_is_not_known_is_counted(kit: Built) -> None:
    found = list(sboms.sboms(kit))
    assert [outcome.state for outcome in found] == [OK, OK]
    for outcome in found:
        assert "valid SPDX 2.3, complete: " in outcome.words
        assert outcome.words.endswith("unknown: 0 licences, 0 suppliers")


def test_unknown_licences_and_suppliers_are_counted(kit: Built) -> None:
    edit(kit.kit / TOOLING, lambda found: found["packages"][1].update(licenseConcluded="NOASSERTION"))
    edit(kit.kit / TOOLING, lambda found: [package.update(supplier="NOASSERTION") for package in found["packages"][:3]])
    outcome = of(list(sboms.sboms(kit)), TOOLING)
    assert outcome.state == OK
    assert outcome.words.endswith("; unknown: 1 licences, 3 suppliers")


@dataclasses.dataclass(frozen=True)
class Lie:
    name: str
    sbom: str
    tell: Callable[[Any], object]
    words: str


def unlink_last(found: dict[str, Any]) -> None:
    last = found["packages"][-1]["SPDXID"]
    found["relationships"] = [edge for edge in found["relationships"] if edge["relatedSpdxElement"] != last]


LIES = (
    Lie("(1) an edge to nothing", KIT, sbom_tools.dangle, 'did not find the referenced spdx_id "SPDXRef-nowhere"'),
    Lie("(1) a form that is none", KIT, lambda found: found.update(packages=7), "spdx-tools cannot read it"),
    Lie(
        "(2) a file missing",
        KIT,
        lambda found: found["files"][0].update(fileName="./x"),
        "lists other files than SHA256SUMS: LICENSE, x",
    ),
    Lie(
        "(2) a file twice",
        KIT,
        lambda found: (
            found["files"].append({**found["files"][0], "SPDXID": "SPDXRef-File-again"}),
            found["relationships"].append({**found["relationships"][1], "relatedSpdxElement": "SPDXRef-File-again"}),
        ),
        "lists other files than SHA256SUMS: a file is listed twice",
    ),
    Lie("(2) another hash", KIT, lambda found: found["files"][0]["checksums"][-1].update(checksumValue="0" * 64), "LICENSE"),
    Lie("(3) no version", TOOLING, lambda found: found["packages"][3].pop("versionInfo"), ": no versionInfo"),
    Lie("(3) no supplier", TOOLING, lambda found: found["packages"][3].pop("supplier"), ": no supplier"),
    Lie("(3) no licence", TOOLING, lambda found: found["packages"][3].pop("licenseConcluded"), ": no licenseConcluded"),
    Lie("(3) no declared licence", TOOLING, lambda found: found["packages"][3].pop("licenseDeclared"), ": no licenseDeclared"),
    Lie("(3) no hash", TOOLING, lambda found: found["packages"][3].pop("checksums"), ": no SHA-256"),
    Lie("(3) no purl", TOOLING, lambda found: found["packages"][3].pop("externalRefs"), ": no purl"),
    Lie("(3) a kit without a hash", KIT, lambda found: root_of(found).pop("checksums"), "concelier-lnm: no SHA-256"),
    Lie("(3) a tooling without a purl", TOOLING, lambda found: root_of(found).pop("externalRefs"), "lnm-tooling: no purl"),
    Lie("(4) a package in the air", TOOLING, unlink_last, ": not reachable from the document"),
    Lie(
        "(5) a kit with another hash",
        KIT,
        lambda found: root_of(found)["checksums"][0].update(checksumValue="0" * 64),
        "the hash of the kit's package is not that over the lines of SHA256SUMS",
    ),
    Lie(
        "(6) a tooling with another hash",
        TOOLING,
        lambda found: root_of(found)["checksums"][0].update(checksumValue="0" * 64),
        "the hash of its first package is not that of file:requirements/build.txt in the provenance",
    ),
    Lie(
        "(6) a tooling of another file",
        TOOLING,
        lambda found: root_of(found).update(packageFileName="requirements/x.txt"),
        "the hash of its first package is not that of file:requirements/x.txt in the provenance",
    ),
)


@pytest.mark.parametrize("lie", LIES, ids=[lie.name for lie in LIES])
def test_a_document_that_breaks_a_rule_is_refused(kit: Built, lie: Lie) -> None:
    edit(kit.kit / lie.sbom, lie.tell)
    outcomes = [outcome for outcome in sboms.sboms(kit) if outcome.state == FAILED]
    assert outcomes
    assert all(outcome.subject == lie.sbom for outcome in outcomes)
    assert any(lie.words in outcome.words for outcome in outcomes), outcomes


@pytest.mark.parametrize("name", [KIT, TOOLING])
def test_a_document_that_is_absent_or_empty_is_refused(kit: Built, name: str) -> None:
    (kit.kit / name).write_bytes(b"")
    assert of(list(sboms.sboms(kit)), name).words.startswith("spdx-tools cannot read it")
    (kit.kit / name).unlink()
    assert of(list(sboms.sboms(kit)), name) == Outcome(FAILED, name, f"{name} is not there", 2)


def test_a_document_without_packages_is_incomplete() -> None:
    assert sboms.incomplete({"relationships": []}) == ["has no packages"]


@pytest.mark.parametrize("text", ["", "{}", '{"payload": "e30="}'])
def test_a_provenance_that_is_none_is_said(kit: Built, text: str) -> None:
    (kit.kit / "attestations/slsa-provenance.dsse.json").write_text(text)
    assert "cannot be held against the provenance" in of(list(sboms.sboms(kit)), TOOLING).words


def test_a_large_document_is_validated_by_the_index_and_that_is_said(kit: Built) -> None:
    document = sboms.read(kit.kit / TOOLING)
    assert "(indexed" not in sboms.summary(document)
    packages = document["packages"] * (sboms.LARGEST_FOR_FULL // len(document["packages"]) + 1)
    assert f"valid SPDX 2.3 (indexed: more than {sboms.LARGEST_FOR_FULL} packages and files)" in sboms.summary(
        {**document, "packages": packages}
    )


def test_a_large_document_with_a_defect_is_refused(kit: Built) -> None:
    document = sboms.read(kit.kit / KIT)
    files = [{**document["files"][0], "SPDXID": f"SPDXRef-File-{number}"} for number in range(sboms.LARGEST_FOR_FULL)]
    (kit.kit / KIT).write_text(json.dumps({**document, "files": [*document["files"], *files]}))
    assert sboms.invalid(kit.kit / KIT) == []
    edit(kit.kit / KIT, sbom_tools.dangle)
    assert sboms.invalid(kit.kit / KIT) == ['did not find the referenced spdx_id "SPDXRef-nowhere" in the SPDX document']


# ---- the tools of others


def test_every_tool_accepts_both_and_refuses_a_spoilt_copy(kit: Built) -> None:
    found = list(sbom_tools.foreign(kit))
    assert [outcome.state for outcome in found] == [OK] * 9
    for tool in sbom_tools.TOOLS:
        assert sum(f"{tool.name} refuses a copy with {tool.defect}: " in outcome.words for outcome in found) == 1


def test_what_sbomaudit_fails_are_opinions_on_these_licences_alone(kit: Built) -> None:
    """CC0-1.0 and PSF-2.0 are not on OSI's list; lib4sbom takes no expression; a layer has no licence of its own. A new package is looked at before this is changed."""
    words = [outcome.words for outcome in sbom_tools.foreign(kit) if outcome.words.startswith("sbomaudit: ")]
    assert (
        [text.partition(" passed, ")[2] for text in words]
        == [
            "49 failed, all of them opinions on licences",  # of the kit: backports.zstd is PSF-2.0; packaging, univers, cryptography, tuf say expressions
            "9 failed, all of them opinions on licences",
        ]
    )


def test_a_tool_that_is_not_there_is_missed_in_words(kit: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = list(sbom_tools.foreign(kit))
    assert [(outcome.state, outcome.subject) for outcome in found] == [(SKIPPED, tool.name) for tool in sbom_tools.TOOLS]
    assert all("opinion on the SBOMs is missing" in outcome.words for outcome in found)


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense"])
def test_what_is_no_sbom_is_refused_by_every_tool(kit: Built, text: str) -> None:
    for name in (KIT, TOOLING):
        (kit.kit / name).write_text(text)
    assert [outcome.state for outcome in sbom_tools.foreign(kit)] == [FAILED] * 6


def test_a_tool_that_accepts_anything_is_found_out(kit: Built) -> None:
    tool = sbom_tools.Tool("credulous", lambda _command, _sbom: (True, "fine"), sbom_tools.dangle, "a relationship to nothing")
    outcome = sbom_tools.control(tool, "", kit.kit / KIT)
    assert (outcome.state, outcome.words) == (FAILED, "credulous accepts a copy with a relationship to nothing")
