"""Checks that the output folder holds what a build makes, all of it, and nothing else (decisions §8, «Beside the tarball»)."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.verify.kits import names_below
from scripts.verify.outcome import WRONG_CHECKSUM, Built, Outcome, failed, ok

BESIDE = (".sig", ".sigstore.json", ".provenance.sigstore.json")
VERDICT = ".repro.sigstore.json"  # of the tarball; may be there (reproduced.py judges it)


def output_folder(built: Built) -> Iterator[Outcome]:
    """Both ways: nothing is missing, nothing is there unasked."""
    archives = [built.tarball.name, *(bundle.name for bundle in built.bundles)]
    wanted = {*archives, *(archive + suffix for archive in archives for suffix in BESIDE)}
    wanted |= {f"{built.tarball.name}.sha256", "signing-key.pub", "verify.sh", "verify_kit.py"}
    wanted |= {"image-digest.txt"} if (built.kit / "images").is_dir() else set()
    found = {name for name in names_below(built.dist, built.dist) if not name.startswith(f"{built.kit_name}/")}
    found -= {f"{built.tarball.name}{VERDICT}"}
    found |= {f"{path.name}/" for path in built.dist.iterdir() if path.is_dir() and path != built.kit}
    for name in sorted(wanted - found):
        yield failed(name, "is missing from the output folder (doit bundle makes it)", WRONG_CHECKSUM)
    for name in sorted(found - wanted):
        yield failed(name, "is in the output folder and no build makes it (doit bundle removes it)", WRONG_CHECKSUM)
    if wanted == found:
        yield ok(built.dist.name, f"the {len(wanted)} files that belong beside {built.kit_name}/, and no other")
