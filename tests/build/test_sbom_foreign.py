"""The tooling's SBOM beside cyclonedx-py's view of an environment that pip made from the same lock."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.build.trees import BIN, Tree
from tests.conftest import ROOT

LOCK = ROOT / "requirements/build.txt"
Edge = tuple[str, str]


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A new environment with what the lock says and nothing else, not even pip."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-compile", "--require-hashes", "--only-binary", ":all:", "-r", LOCK)
    return tmp_path / "venv"


def theirs(environment: Path, report: Path) -> tuple[set[Edge], set[Edge]]:
    """Packages as (name, version) and edges as (name, name), by cyclonedx-py."""
    run(BIN / "cyclonedx-py", "environment", "--output-reproducible", "--output-file", report, environment / "bin/python")
    found: dict[str, Any] = json.loads(report.read_bytes())
    names = {component["bom-ref"]: str(canonicalize_name(component["name"])) for component in found["components"]}
    edges = {
        (names[item["ref"]], names[target])
        for item in found["dependencies"]
        for target in item.get("dependsOn", [])
        if item["ref"] in names
    }
    return {(canonicalize_name(item["name"]), item["version"]) for item in found["components"]}, edges


def ours(sbom: Path) -> tuple[set[Edge], set[Edge]]:
    """The same of our document, less the lock itself."""
    found = json.loads(sbom.read_bytes())
    names = {package["SPDXID"]: package["name"] for package in found["packages"] if package["name"] != "lnm-tooling"}
    edges = {
        (names[edge["spdxElementId"]], names[edge["relatedSpdxElement"]])
        for edge in found["relationships"]
        if edge["spdxElementId"] in names and edge["relatedSpdxElement"] != "NONE"
    }
    return {(package["name"], package["versionInfo"]) for package in found["packages"] if package["SPDXID"] in names}, edges


def not_asked_for(environment: Path) -> set[Edge]:
    """The edges that metadata has only under markers that do not hold here: an extra, a platform, a version of Python."""
    (site,) = environment.glob("lib/python*/site-packages")
    asked_for: set[Edge] = set()
    every: set[Edge] = set()
    for distribution in distributions(path=[str(site)]):
        for requirement in map(Requirement, distribution.requires or []):
            edge = (canonicalize_name(distribution.metadata["Name"]), canonicalize_name(requirement.name))
            every.add(edge)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                asked_for.add(edge)
    return every - asked_for


def test_the_tooling_document_and_cyclonedx_see_the_same_packages_and_edges(
    environment: Path, built: Tree, tmp_path: Path
) -> None:
    """But for one rule: cyclonedx-py draws an edge to all that is installed and named in metadata, whether its marker holds or not."""
    their_packages, their_edges = theirs(environment, tmp_path / "bom.json")
    our_packages, our_edges = ours(built.kit / "sbom/lnm-tooling.spdx.json")
    assert our_packages == their_packages
    assert len(our_packages) > 30
    assert len(our_edges) > 20
    assert our_edges ^ their_edges <= not_asked_for(environment)
