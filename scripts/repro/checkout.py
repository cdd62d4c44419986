"""The kit in artifacts/lnm: is it what the baseline built, and the verdict that is left beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from scripts.repro import compare, verdict
from scripts.repro.compare import DIST, Seen
from scripts.repro.stage import complain
from scripts.repro.verdict import FAILED, PASSED, Finding

KEYLESS = ".keyless.sigstore.json"
VARIED = "another place and time: the kit in artifacts/lnm"


@dataclasses.dataclass(frozen=True)
class Checkout:
    """What lies in artifacts/lnm, held against the baseline."""

    seen: Seen
    note: str = ""
    """Why no verdict can be about it; empty where one can."""
    complaints: tuple[str, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """It is one more variation, provided that it was built from the same."""
        if self.note:
            return []
        if self.complaints:
            return [Finding("checkout", FAILED, VARIED, self.complaints[0].splitlines()[0])]
        return [Finding("checkout", PASSED, VARIED, f"all {len(self.seen.outputs)} files of artifacts/lnm are equal")]


def hold(root: Path, baseline: Seen) -> Checkout:
    """Holds the kit in artifacts/lnm against the baseline.

    Raises: KitError for a record that cannot be read.
    """
    seen = compare.look(root)
    ours = {name: value for name, value in seen.outputs.items() if not name.endswith(verdict.SUFFIX)}
    here = dataclasses.replace(seen, outputs=ours)
    names = compare.compared(baseline, here, same_python=True)
    if not here.records or tarball_of(root, baseline).name not in ours:
        return Checkout(here, "there is no kit of this version in artifacts/lnm")
    if compare.PUBLIC in names:
        return Checkout(here, "the kit in artifacts/lnm was signed with another key")
    if any(name.endswith(KEYLESS) for name in ours):
        return Checkout(here, "the kit in artifacts/lnm is signed by an identity too, and no two such signatures are alike")
    blames = [blamed for blamed in compare.culprits(baseline.records, here.records) if blamed.how == compare.OTHER_BYTES]
    if names and not blames:
        return Checkout(here, f"the kit in artifacts/lnm is not what these sources and this Python make ({names[0]} differs)")
    return Checkout(here, "", tuple(complain(baseline, here, blamed, "it was built in the checkout") for blamed in blames))


def tarball_of(root: Path, baseline: Seen) -> Path:
    """The kit's tarball in artifacts/lnm."""
    return root / DIST / f"lnm-offline-kit-{kit_name(baseline).removeprefix('concelier-lnm-')}.tar.gz"


def kit_name(baseline: Seen) -> str:
    """The kit's root folder."""
    return next(name.split("/")[0] for name in baseline.outputs if name.startswith("concelier-lnm-"))


def leave_verdict(root: Path, baseline: Seen, here: Checkout, findings: Sequence[Finding], *, whole: bool) -> str:
    """Signs the verdict where there is a kit that it can be about; no verdict that passed outlives a failure.

    Returns what was done, in words. Raises: KitError where the key is no longer that of the build.
    """
    failed = verdict.result(findings) == "FAILED"
    tarball = tarball_of(root, baseline)
    if failed:
        verdict.beside(tarball).unlink(missing_ok=True)
    if here.note:
        return f"no verdict: {here.note}\n  next: doit bundle, then again: nox -s repro"
    if not failed and not whole:
        return "no verdict: not everything was varied (--only)"
    kit = (kit_name(baseline), here.seen.root_hash)
    written = verdict.write(root, tarball, here.seen.sha256(tarball.name), kit, findings)
    return f"verdict {written.relative_to(root)}: {verdict.result(findings)}"
