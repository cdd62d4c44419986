"""The checks of `preflight` that are about the database and what a delivery will add to it. Read-only."""

from __future__ import annotations

from lnm_runner.errors import PlanError
from lnm_runner.preflight.look import Finding, Look, Status

ENTRY_BYTES = 128  # of a document in an index; measured were 31 (tests/runner/test_preflight.py), and documents differ
BUILD_FACTOR = 2  # an index build sorts on disk before it writes
RESERVE = 0.05  # of a disk, to be left free


def plan(look: Look) -> Finding:
    """Whether `lnm plan` finds anything in the way: it is made, documents are read, and nothing is written."""
    try:
        found = look.plans
    except PlanError as err:
        told = [err, *err.others]
        hints = dict.fromkeys(each.hint for each in told)
        return Finding(Status.FAIL, "; ".join(each.message for each in told), "; ".join(hints))
    actions, deletes = (sum(numbers) for numbers in zip(*((len(item.actions), item.ttl_deletes) for item in found), strict=True))
    if deletes:
        said = f"{actions} actions; with them the server deletes {deletes} expired documents"
        return Finding(Status.WARN, said, f"look at lnm plan; applying needs --accept-ttl-deletes {deletes}")
    return Finding(Status.OK, f"{actions} actions, nothing in the way")


def estimate(documents: int, count: int, size: int) -> int:
    """Bytes that building indexes on a collection may take: `BUILD_FACTOR x count x min(documents x ENTRY_BYTES, size)`.

    `size` is that of the documents, uncompressed: an index holds some of their fields. On 20,000 documents with five purls each
    it is eight times what the six indexes of the observations then took on the disk.
    """
    return BUILD_FACTOR * count * min(documents * ENTRY_BYTES, size)


def disk(look: Look) -> Finding:
    """Room on the disk of the member that answers."""
    builds = [build for build in look.builds if build.documents]
    needed = 0
    for build in builds:
        size = int(look.database.command("collStats", build.collection)["size"])
        needed += estimate(build.documents, len(build.indexes), size)
    stats = look.database.command("dbStats")
    total, free = int(stats.get("fsTotalSize", 0)), int(stats.get("fsTotalSize", 0) - stats.get("fsUsedSize", 0))
    facts = {"neededBytes": needed, "freeBytes": free, "totalBytes": total}
    if not needed:
        return Finding(Status.OK, "no index has to be built over documents", facts=facts)
    evidence = f"building indexes may take {megabytes(needed)}, {megabytes(free)} of {megabytes(total)} are free"
    if free < needed:
        return Finding(Status.FAIL, evidence, "make room, on every member", facts)
    if free - needed < RESERVE * total:
        return Finding(Status.WARN, f"{evidence}: less than {RESERVE:.0%} would be left", "make room, on every member", facts)
    return Finding(Status.OK, evidence, facts=facts)


def megabytes(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e6:,.0f} MB"
