"""Makes the verdict: a signed statement beside the kit's tarball that says what was varied and what came of it.

Format: in-toto Statement v1 with a test-result/v0.1 predicate, as DSSE in a Sigstore bundle. The first subject is the
tarball, the second the kit by its rootHash. No build reads it. Its first lines import nothing but the standard library's
light parts, because dodo.py asks `is_about` at every start.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TYPE = "https://in-toto.io/attestation/test-result/v0.1"
SUFFIX = ".repro.sigstore.json"
PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
TABLE = Path("scripts/repro/variations.py")


@dataclass(frozen=True)
class Finding:
    """What came of one variation."""

    name: str
    state: str
    varied: str
    """What was varied, in words."""
    words: str = ""
    """What was compared; why it was skipped; what differed."""


def beside(tarball: Path) -> Path:
    """Where the verdict about a tarball stands."""
    return Path(f"{tarball}{SUFFIX}")


def is_about(verdict: Path, tarball_sha256: str) -> bool:
    """True for a file that is a verdict about that tarball; its signature is for the verify stage to judge."""
    try:
        statement = json.loads(base64.b64decode(json.loads(verdict.read_bytes())["dsseEnvelope"]["payload"]))
        return bool(statement["predicateType"] == TYPE and statement["subject"][0]["digest"]["sha256"] == tarball_sha256)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def is_outdated(tarball: Path) -> bool:
    """True where there is a verdict about another tarball than the one whose `.sha256` stands beside it."""
    if not beside(tarball).exists():
        return False
    try:
        return not is_about(beside(tarball), Path(f"{tarball}.sha256").read_text(encoding="ascii").partition(" ")[0])
    except OSError:
        return True


def remove(tarball: Path) -> None:
    """Removes the verdict and says so."""
    beside(tarball).unlink(missing_ok=True)
    print(f"   removed {beside(tarball)}: it is about another tarball; nox -s repro makes it anew")


def result(findings: Iterable[Finding]) -> str:
    """The whole: WARNED where nothing differed and something could not be varied."""
    states = {finding.state for finding in findings}
    return "FAILED" if FAILED in states or PASSED not in states else "WARNED" if SKIPPED in states else "PASSED"


def predicate(findings: Iterable[Finding], table_sha256: str) -> dict[str, Any]:
    """The predicate; each configuration is a row of the table of variations."""
    findings = tuple(findings)
    by_state = {state: [finding.name for finding in findings if finding.state == state] for state in (PASSED, SKIPPED, FAILED)}
    return {
        "configuration": [
            {
                "annotations": {"found": finding.words, "state": finding.state, "varied": finding.varied},
                "digest": {"sha256": table_sha256},
                "name": finding.name,
                "uri": f"file:{TABLE.as_posix()}",
            }
            for finding in findings
        ],
        "failedTests": by_state[FAILED],
        "passedTests": by_state[PASSED],
        "result": result(findings),
        "warnedTests": by_state[SKIPPED],
    }


def write(root: Path, tarball: Path, compared: str, kit: tuple[str, str], findings: Iterable[Finding]) -> Path:
    """Signs the verdict with the build's key and puts it beside the tarball.

    `compared` is the SHA-256 of the tarball that was compared, `kit` the kit's name and rootHash. Raises: KitError where the
    tarball is another one by now, the key is no longer that of the build, or the file cannot be written.
    """
    import os

    from scripts import files, keys, signing, statement

    public = tarball.parent / "signing-key.pub"
    files.verify_sha256(tarball, compared, "the comparison")
    payload = statement.render([(tarball.name, compared), kit], TYPE, predicate(findings, files.sha256_of(root / TABLE)))
    dsse = signing.sealed(payload, keys.source(os.environ), public)
    bundle = signing.dsse_bundle(dsse, keys.hint(files.read_bytes(public)))
    with files.replacing(beside(tarball)) as out:
        out.write(bundle)
    return beside(tarball)
