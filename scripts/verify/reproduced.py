"""Checks the reproducibility verdict beside the tarball, where there is one (`nox -s repro` makes it; a kit needs none).

(1) It is signed by the key, by securesystemslib and cosign; (2) it is about this tarball, and its second subject is this
kit by its rootHash; (3) it says that nothing differed; what could not be varied is repeated here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.verify.outcome import FAILED, WRONG_INPUT, WRONG_SIGNATURE, Built, Outcome, failed, ok
from scripts.verify.statements import foreign, judge

TYPE = "https://in-toto.io/attestation/test-result/v0.1"
SUFFIX = ".repro.sigstore.json"


def verdict(built: Built) -> Iterator[Outcome]:
    """The verdict, or that there is none: nothing is claimed then, so nothing is wrong."""
    path = Path(f"{built.tarball}{SUFFIX}")
    if not path.exists():
        yield ok(path.name, "no reproducibility verdict here, so none is claimed: nox -s repro")
        return
    subject = (built.tarball.name, hashlib.sha256(built.tarball.read_bytes()).hexdigest())
    signed = judge(built, path, subject, TYPE)
    yield signed
    if signed.state != FAILED:
        yield foreign(built, path, built.tarball, TYPE)
        yield read(built, path)


def read(built: Built, path: Path) -> Outcome:
    """What a signed verdict says."""
    statement = json.loads(base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"]))
    kit = {"digest": {"sha256": root_hash(built)}, "name": built.kit_name}
    if kit not in statement["subject"]:
        return failed(path.name, f"is not about {built.kit_name} with this rootHash", WRONG_SIGNATURE)
    try:
        return told(path.name, statement["predicate"])
    except (LookupError, TypeError) as err:
        return failed(path.name, f"is no test result: {type(err).__name__}: {err}", WRONG_SIGNATURE)


def told(name: str, predicate: dict[str, Any]) -> Outcome:
    """The result in words."""
    passed, skipped, wrong = (list(predicate[part]) for part in ("passedTests", "warnedTests", "failedTests"))
    if predicate["result"] not in {"PASSED", "WARNED"} or wrong or not passed:
        hint = "the build is not reproducible: nox -s repro explains it"
        return failed(name, f"says {predicate['result']}: {', '.join(wrong) or 'nothing was compared'}; {hint}", WRONG_INPUT)
    more = f"; could not be varied: {', '.join(skipped)}" if skipped else ""
    return ok(name, f"says {predicate['result']}: the same bytes in {len(passed)} comparisons{more}")


def root_hash(built: Built) -> str:
    """The kit's rootHash."""
    lines = (built.kit / "SHA256SUMS").read_bytes().splitlines(keepends=True)
    return hashlib.sha256(b"".join(line for line in lines if b"  attestations/" not in line)).hexdigest()
