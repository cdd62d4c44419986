"""scripts/repro: the signed verdict, and what it is about."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

from scripts.repro import verdict
from scripts.repro.verdict import FAILED, PASSED, SKIPPED, Finding
from tests.build.trees import Tree

# ---- the verdict


def findings(*states: str) -> list[Finding]:
    return [Finding(f"{state} {number}", state, "what", "words") for number, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "result"),
    [
        ((PASSED, PASSED), "PASSED"),
        ((PASSED, SKIPPED), "WARNED"),
        ((PASSED, SKIPPED, FAILED), "FAILED"),
        ((SKIPPED,), "FAILED"),
        ((), "FAILED"),
    ],
)
def test_the_result_is_that_of_the_worst_and_nothing_compared_is_a_failure(states: tuple[str, ...], result: str) -> None:
    assert verdict.result(findings(*states)) == result


def test_the_predicate_names_every_variation_with_its_state() -> None:
    told = verdict.predicate(findings(PASSED, SKIPPED, FAILED), "0" * 64)
    assert (told["passedTests"], told["warnedTests"], told["failedTests"]) == (["passed 0"], ["skipped 1"], ["failed 2"])
    assert [(row["name"], row["annotations"]["state"]) for row in told["configuration"]] == [
        ("passed 0", PASSED),
        ("skipped 1", SKIPPED),
        ("failed 2", FAILED),
    ]
    assert all(row["digest"] and row["uri"] for row in told["configuration"])


def test_a_verdict_is_about_the_tarball_whose_hash_it_names_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.repro.sigstore.json"
    assert not verdict.is_about(path, "1" * 64)
    statement = {"predicateType": verdict.TYPE, "subject": [{"name": "x", "digest": {"sha256": "1" * 64}}]}
    path.write_text(json.dumps({"dsseEnvelope": {"payload": base64.b64encode(json.dumps(statement).encode()).decode()}}))
    assert verdict.is_about(path, "1" * 64)
    assert not verdict.is_about(path, "2" * 64)
    for garbage in (b"", b"[]", b"{}", b"\xff", b'{"dsseEnvelope":{"payload":"?"}}', b'{"dsseEnvelope":{"payload":"e30="}}'):
        path.write_bytes(garbage)
        assert not verdict.is_about(path, "1" * 64)


def fake_verdict(tree: Tree, sha256: str) -> Path:
    """What looks like a verdict about a tarball; its signature is nobody's business here."""
    statement = {"predicateType": verdict.TYPE, "subject": [{"name": tree.tarball.name, "digest": {"sha256": sha256}}]}
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    path = verdict.beside(tree.tarball)
    path.write_text(json.dumps({"dsseEnvelope": {"payload": payload}}))
    return path


def test_a_build_keeps_the_verdict_about_its_tarball_and_removes_it_with_the_next_tarball(tree: Tree) -> None:
    path = fake_verdict(tree, Path(f"{tree.tarball}.sha256").read_text()[:64])
    assert tree.bundle().made == []
    assert path.exists()
    tree.append("bundle-layout/README.md", "x\n")
    said = tree.bundle()
    assert f"removed artifacts/lnm/{path.name}: it is about another tarball; nox -s repro makes it anew" in said.out
    assert not path.exists()
    assert tree.bundle().made == []


@pytest.mark.parametrize("text", ["", "{}", '{"an older": "PASSED"}'])
def test_what_is_no_verdict_does_not_stay_in_its_place(tree: Tree, text: str) -> None:
    verdict.beside(tree.tarball).write_text(text)
    tree.bundle()
    assert not verdict.beside(tree.tarball).exists()


def test_asking_what_a_verdict_is_about_loads_nothing_heavy(built: Tree) -> None:
    code = "import sys; from scripts.repro import verdict; print(sorted(set(sys.modules) & {'cryptography', 'rfc8785', 'doit'}))"
    assert built.run(sys.executable, "-c", code).out == "[]\n"
