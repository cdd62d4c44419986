"""The equations that a run is proved by: it has ended, all of its inventory is accounted for, and its report is what it was.

**Late arrivals.** No date in a document tells whether the inventory has seen it. So every raw and every merged document that
nothing tells of, neither a checkpoint nor an error, is taken to have come later, and the inventory's Merkle root is made anew
over all the others: where it is the run's, exactly the documents of the inventory are accounted for, and the late ones are late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from lnm_runner import ledger
from lnm_runner.backfill import identity, observations, report, runs
from lnm_runner.mongo import Database
from lnm_runner.validation.findings import Defect, Finding, Look, Stored

WORDS = (observations.COLLECTION, "kept", "duplicate", "quarantined")
"""What a raw document becomes: each is counted once."""


def ended(look: Look) -> Finding:
    """The states of the runs and of the ledger; nothing else can be judged before."""
    known = ledger.entry(look.database, look.backfill.id)
    found = [
        Defect(f"the run {row['_id']} is {row['state']}", f"it is {runs.DONE}", ())
        for row in look.runs
        if row["state"] != runs.DONE
    ]
    if known.state != "applied":
        found.append(Defect(f"the ledger says that {look.backfill.id} is {known.state}", "it is applied"))
    digest = look.runs[-1]["migrationDigest"]
    if digest != look.backfill.digest:
        found.append(Defect(f"the newest run was made by the migration {digest}", f"that of this kit, {look.backfill.digest}"))
    return Finding(f"{len(look.runs)} that stand are done: {', '.join(row['_id'] for row in look.runs)}", tuple(found))


UNREAD = """
SELECT leaf.id FROM leaf WHERE leaf.collection = ? AND leaf.run = ?
AND NOT EXISTS (SELECT 1 FROM raw WHERE raw.observation = leaf.id)
"""


MISSED = """
SELECT about FROM failed WHERE collection = 'advisory_raw' AND stage = 'observations' AND run = ?
AND about NOT IN (SELECT words(id) FROM raw WHERE state = 'failed')
"""


def inventory(stored: Stored) -> Finding:
    """Sums, as the checkpoints tell them and as they are stored, and the root."""
    done, failed, late = (stored.count("SELECT count(*) FROM raw WHERE state = ?", state) for state in ("done", "failed", "late"))
    keys = stored.count("SELECT count(DISTINCT observation) FROM raw WHERE state = 'done'")
    newest = stored.look.runs[-1]
    wanted = int(newest["inventory"]["documents"])
    said = f"{keys:,} keys have become observations, {failed:,} documents failed, {done - keys:,} had the key of another: "
    said += f"{wanted:,} documents of the inventory; {late:,} came behind it"
    return Finding(
        said, (*sums(stored), *rooted(stored, done + failed, done - keys)), facts={"late": late, "root": stored.skeleton.root}
    )


def sums(stored: Stored) -> Iterator[Defect]:
    """Run by run: what was counted is the inventory, and is what is stored."""
    for row, number in zip(stored.look.runs, stored.skeleton.runs.values(), strict=True):
        counts = {word: stored.skeleton.tallies[number, "observations", word] for word in WORDS}
        known = int(row["inventory"]["documents"])
        if sum(counts.values()) != known:
            yield Defect(
                f"run {row['_id']}: its checkpoints tell of {sum(counts.values()):,} documents", f"{known:,}, as its inventory"
            )
        there = stored.count("SELECT count(*) FROM observation WHERE run = ?", number)
        if there != counts[observations.COLLECTION]:
            yield Defect(
                f"run {row['_id']}: {there:,} observations are of it", f"{counts[observations.COLLECTION]:,}, which it wrote"
            )
        errors = stored.count("SELECT count(*) FROM failed WHERE run = ? AND stage = 'observations'", number)
        if errors != counts["quarantined"]:
            yield Defect(f"run {row['_id']}: {errors:,} errors are listed", f"{counts['quarantined']:,}, which it met")


def rooted(stored: Stored, known: int, twins: int) -> Iterator[Defect]:
    """The root; where a late document has the key of an early one, or the run itself has missed one, the sums have to do."""
    skeleton, inventoried = stored.skeleton, stored.look.runs[-1]["inventory"]
    missed = stored.many(MISSED, skeleton.newest)
    yield from stored.defects(
        "observations were made of raw documents that are not there any more",
        "none is ever removed",
        UNREAD,
        observations.COLLECTION,
        skeleton.newest,
    )
    surplus = known + missed - int(inventoried["documents"])
    late_twins = max(twins - skeleton.tallies[skeleton.newest, "observations", "duplicate"], 0)
    if skeleton.root == inventoried["root"] or (surplus == late_twins and (missed or late_twins)):
        return
    late = skeleton.work.execute("SELECT words(id) FROM raw WHERE state = 'late' ORDER BY n LIMIT 5")
    yield Defect(
        f"the inventory's root, over the {known:,} raw documents and the merged ones that are accounted for, is {skeleton.root}",
        f"{inventoried['root']}; what nothing tells of was there at the inventory, or others are not as they were",
        tuple(f"nothing tells of {name}" for (name,) in late),
    )


def report_hash(database: Database, run: Mapping[str, Any]) -> str:
    """Of the report of a run, made of its checkpoints and errors."""
    return f"sha256:{hashlib.sha256(identity.canonical(report.made(database, run))).hexdigest()}"


def reported(stored: Stored) -> Finding:
    """Reports, made anew."""
    found = []
    for row in stored.look.runs:
        made = report_hash(stored.database, row)
        if made != row.get("report"):
            found.append(
                Defect(f"the report of run {row['_id']}, made anew, has the hash {made}", f"{row.get('report')}, as it ended")
            )
    return Finding(f"{len(stored.look.runs)} made anew, with the hash that each run ended with", tuple(found))
