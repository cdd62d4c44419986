"""The checks of `preflight` that are about the database and what a delivery will add to it. Read-only."""

from __future__ import annotations

from lnm_runner.errors import PlanError
from lnm_runner.preflight.look import Finding, Look, Status

MOST_INDEXES = 64  # of a collection (MongoDB manual, «MongoDB Limits»)
ENTRY_BYTES = 128  # of a document in an index; measured were 31 (tests/runner/test_preflight.py), and documents differ
BUILD_FACTOR = 2  # an index build sorts on disk before it writes
RESERVE = 0.05  # of a disk, to be left free


def plan(look: Look) -> Finding:
    """Whether `lnm plan` finds anything in the way: it is made, documents are read, and nothing is written."""
    try:
        found = look.plans
    except PlanError as err:
        told = [err, *err.others]
        return Finding(Status.FAIL, "; ".join(each.message for each in told), err.hint)
    return Finding(Status.OK, f"{sum(len(item.actions) for item in found)} actions, nothing in the way")


def indexes(look: Look) -> Finding:
    """How many indexes each collection will have."""
    made = {build.collection: len(build.indexes) for build in look.builds}
    there = {name: len(list(look.database[name].list_indexes())) for name in look.present}
    total = {name: there.get(name, 1) + made.get(name, 0) for name in {*there, *made}}  # a new one has that of _id
    over = [f"{name} would have {count}" for name, count in sorted(total.items()) if count > MOST_INDEXES]
    if over:
        return Finding(Status.FAIL, f"{', '.join(over)}; the limit is {MOST_INDEXES}", "drop what nothing uses ($indexStats)")
    return Finding(Status.OK, f"at most {max(total.values(), default=0)} of {MOST_INDEXES} in a collection")


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
