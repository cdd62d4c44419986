"""Checks the SBOMs by three tools that are not ours; and each tool by a spoilt copy of the kit's SBOM that it must refuse.

(1) pyspdxtools reads and validates; (2) sbomcheck (ntia-conformance-checker) finds the NTIA minimum elements of 2021; (3)
sbomaudit, told to stay offline, fails no check but those that are opinions on licences: whether one is on OSI's list, and whether
it is an SPDX id, for which its parser (lib4sbom) takes no expression with AND or OR; and NTIA's elements for a document that says
itself that it does not know a supplier, which (2) allows. (1) judges licences. No tool finds every defect;
scripts/verify/sboms.py says what our own rules add. Tools are looked for beside the Python that runs this, then on the PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.verify import tools
from scripts.verify.outcome import WRONG_INPUT, Built, Outcome, failed, ok, skipped
from scripts.verify.sboms import KIT_SBOM, expected

OPINIONS = ("OSI Approved license for ", "SPDX Compatible License id included for ", "Non-deprecated license for ")
UNKNOWN, NOT_NTIA = "NOASSERTION", "NTIA conformant: FAILED"
NTIA_CHECKS = 2  # one for the packages, which stands in no report, and one for the document
SAYS_YES = 1  # sbomaudit's exit code is its answer as a number


def pyspdxtools(command: str, sbom: Path) -> tuple[bool, str]:
    """(1) Whether it validates, and its words."""
    answer = tools.run(command, "--infile", str(sbom))
    return answer.accepted, "valid" if answer.accepted else answer.complaint


def sbomcheck(command: str, sbom: Path) -> tuple[bool, str]:
    """(2) Whether it has the minimum elements, and which it has not."""
    answer = tools.run(command, "--comply", "ntia", str(sbom))
    lacking = [line.partition("|")[0].strip() for line in answer.lines if line.endswith("| False")]
    good = answer.accepted and not lacking and "Conformant: True" in answer.lines
    return good, "NTIA conformant" if good else "; ".join(lacking) or answer.complaint


def sbomaudit(command: str, sbom: Path) -> tuple[bool, str]:
    """(3) Whether it fails nothing but opinions on licences, and how much it looked at."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        answer = tools.run(command, "--offline", "--purlcheck", "-i", str(sbom), "-o", str(report))
        unknown = report.is_file() and has_unknown_suppliers(sbom)
        if not report.is_file() or (answer.exit_code != SAYS_YES and not unknown):
            return False, answer.complaint
        return judge_audit(json.loads(report.read_bytes()), unknown=unknown)


def has_unknown_suppliers(sbom: Path) -> bool:
    """True for a document that says itself that it does not know one; what reads it first is another tool."""
    return any(package.get("supplier") == UNKNOWN for package in json.loads(sbom.read_bytes()).get("packages", []))


def judge_audit(report: dict[str, Any], *, unknown: bool) -> tuple[bool, str]:
    """What sbomaudit's report comes to; `unknown` is whether the document has suppliers that nobody knows."""
    summary = "\n".join(item["text"] for item in report["summary"])
    counts = dict(re.findall(r"^Checks (passed|failed) ([0-9]+)$", summary, re.MULTILINE))
    reports = [line for item in (*report.get("files", []), *report.get("packages", [])) for line in item["reports"]]
    wrong = [line["text"] for line in (*reports, *report["relationships"], *report["metadata"]) if line["state"] != "Pass"]
    opinions = [text for text in wrong if text.startswith(OPINIONS)]
    others = [text for text in wrong if text not in opinions]
    said = f"{counts['passed']} checks passed, {counts['failed']} failed"
    lenient = NTIA_CHECKS if unknown and NOT_NTIA in summary.splitlines() else 0
    if int(counts["failed"]) == len(opinions) + lenient:
        words = ", all of them opinions on licences" if opinions else ""
        return True, said + words + (", or a supplier that nobody knows" if lenient else "")
    return False, f"{said}: {'; '.join(others[: tools.MOST_COMPLAINTS])}"


def dangle(document: dict[str, Any]) -> None:
    """A relationship to nothing."""
    document["relationships"][-1]["relatedSpdxElement"] = "SPDXRef-nowhere"


def without_version(document: dict[str, Any]) -> None:
    """Packages without a version."""
    for package in document["packages"]:
        del package["versionInfo"]


def without_purl(document: dict[str, Any]) -> None:
    """Packages without a purl."""
    for package in document["packages"]:
        del package["externalRefs"]


@dataclass(frozen=True)
class Tool:
    """A tool, and a defect that it must find."""

    name: str
    asked: Callable[[str, Path], tuple[bool, str]]
    spoil: Callable[[dict[str, Any]], None]
    defect: str


TOOLS = (
    Tool("pyspdxtools", pyspdxtools, dangle, "a relationship to nothing"),
    Tool("sbomcheck", sbomcheck, without_version, "packages that have no version"),
    Tool("sbomaudit", sbomaudit, without_purl, "packages that have no purl"),
)


def find(name: str) -> str | None:
    """Where a tool is."""
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    return shutil.which(name, path=os.pathsep.join(folders))


def foreign(built: Built) -> Iterator[Outcome]:
    """Every tool on every SBOM, and on a spoilt one."""
    for tool in TOOLS:
        command = find(tool.name)
        if command is None:
            yield skipped(tool.name, "neither beside python nor on the PATH: its opinion on the SBOMs is missing")
            continue
        accepted = {}
        for name in expected(built):
            accepted[name], words = tool.asked(command, built.kit / name)
            yield ok(name, f"{tool.name}: {words}") if accepted[name] else failed(name, f"{tool.name}: {words}", WRONG_INPUT)
        if accepted[KIT_SBOM]:
            yield control(tool, command, built.kit / KIT_SBOM)


def control(tool: Tool, command: str, sbom: Path) -> Outcome:
    """The tool on a copy with a defect."""
    document = json.loads(sbom.read_bytes())
    tool.spoil(document)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / sbom.name
        copy.write_text(json.dumps(document))
        accepted, words = tool.asked(command, copy)
    if accepted:
        return failed(KIT_SBOM, f"{tool.name} accepts a copy with {tool.defect}", WRONG_INPUT)
    return ok(KIT_SBOM, f"{tool.name} refuses a copy with {tool.defect}: {words}")
