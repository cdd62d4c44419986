"""`python -m scripts.verify`: the verify stage over artifacts/lnm. Reads it, changes nothing, opens no connection.

One line for each check; the exit code is that of the first failure (decisions §9).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from scripts.verify import blobs, identities, image_statements, inventory, kits, reproduced, sbom_tools, sboms, statements
from scripts.verify.outcome import FAILED, SKIPPED, Built, Check, Outcome, Trusted

CHECKS: tuple[tuple[str, Check], ...] = (
    ("the output folder", inventory.output_folder),
    ("the kit, by both single-file verifiers", kits.verifiers),
    ("checksums, by sha256sum", kits.checksums),
    ("signatures over blobs, by three tools", blobs.signatures),
    ("signed statements", statements.statements),
    ("identity signatures", identities.identities),
    ("images, and what is signed about them", image_statements.images),
    ("SBOMs", sboms.sboms),
    ("SBOMs, by the tools of others", sbom_tools.foreign),
    ("tarball and folder are one kit", kits.forms_are_equal),
    ("delivery bundles are parts of the kit", kits.deliveries),
    ("reproducibility", reproduced.verdict),
)
NOT_FOUND = 4


def main(argv: list[str]) -> int:
    """Entry point; returns the exit code."""
    options = parse(argv)
    version = Path("VERSION").read_text(encoding="ascii").strip()
    dist: Path = options.dist
    key: Path = options.key or dist / "signing-key.pub"
    trusted = Trusted(options.trusted_root, options.identity, options.issuer)
    built = Built(dist, version, key, Path("bundle-layout"), trusted)
    missing = [path for path in (built.kit, built.tarball, key) if not path.exists()]
    if missing:
        print(f"error: {missing[0]}: not there\n  next: doit bundle [exit {NOT_FOUND}]", file=sys.stderr)
        return NOT_FOUND
    if options.key is None:
        print(f"key     {key}, the one beside the kit: this shows that a build agrees with itself, not who made it (--key)")
    return judge([outcome for title, check in CHECKS for outcome in said(title, check, built)])


def parse(argv: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m scripts.verify", description="The verify stage over a built kit.")
    trusted, root = os.environ.get("LNM_TRUSTED_KEY"), os.environ.get("LNM_TRUSTED_ROOT")
    parser.add_argument(
        "--key", type=Path, default=Path(trusted) if trusted else None, help="the trusted public key (LNM_TRUSTED_KEY)"
    )
    parser.add_argument(
        "--trusted-root",
        type=Path,
        default=Path(root) if root else None,
        help="the Sigstore trusted root that identity signatures are held against (LNM_TRUSTED_ROOT)",
    )
    parser.add_argument("--identity", default=os.environ.get("LNM_IDENTITY") or None, help="who must have signed (LNM_IDENTITY)")
    parser.add_argument(
        "--issuer", default=os.environ.get("LNM_ISSUER") or None, help="who vouches for that identity (LNM_ISSUER)"
    )
    parser.add_argument("--dist", type=Path, default=Path("artifacts/lnm"), help="the build's output folder")
    return parser.parse_args(argv)


def said(title: str, check: Check, built: Built) -> list[Outcome]:
    """Runs a check and says what it found as it finds it.

    Raises: nothing of a check: one that falls over is a failure of it.
    """
    print(f"\n{title}", flush=True)
    found: list[Outcome] = []
    try:
        for outcome in check(built):
            print(f"  {outcome.line}", flush=True)
            found.append(outcome)
    except Exception as err:  # noqa: BLE001 - whatever happens inside a check, it did not pass
        found.append(Outcome(FAILED, title, f"the check itself fell over: {type(err).__name__}: {err}", 1))
        print(f"  {found[-1].line}", flush=True)
    if not found:
        found.append(Outcome(FAILED, title, "the check looked at nothing", 1))
        print(f"  {found[-1].line}", flush=True)
    return found


def judge(outcomes: list[Outcome]) -> int:
    """The last lines, and the exit code."""
    failures = [outcome for outcome in outcomes if outcome.state == FAILED]
    skips = sum(outcome.state == SKIPPED for outcome in outcomes)
    passed = len(outcomes) - len(failures) - skips
    print(f"\nverify stage: {passed} ok, {len(failures)} failed, {skips} skipped")
    if failures:
        print(f"first failure: {failures[0].subject}: {failures[0].words} [exit {failures[0].exit_code}]", file=sys.stderr)
        return failures[0].exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
