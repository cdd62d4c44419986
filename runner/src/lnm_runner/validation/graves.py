"""The equation of the tombstones: for each merged document, where its content is now. Read-only.

`duplicate` means that an earlier merged document is about the same advisories, which shows in a linkset that both lead to; where
inputs of the run failed, they may have had an advisory in common that has no linkset.
"""

from __future__ import annotations

from lnm_runner.backfill import tombstones
from lnm_runner.validation.findings import Defect, Finding, Stored

MISSING = """
SELECT legacy.id FROM legacy WHERE legacy.state = 'done'
AND NOT EXISTS (SELECT 1 FROM tombstone WHERE tombstone.id = legacy.tombstone)
"""
FOR_NOTHING = """
SELECT one.id, one.tenant, one.key FROM tombstone AS one WHERE one.mine
AND NOT EXISTS (SELECT 1 FROM legacy WHERE legacy.tombstone = one.id AND legacy.id = one.legacy)
"""
LEADS_NOWHERE = """
SELECT one.id, one.key, buried.linkset FROM tombstone AS one JOIN buried ON buried.tombstone = one.id
WHERE one.mine AND NOT EXISTS (SELECT 1 FROM linkset WHERE linkset.id = buried.linkset AND linkset.tenant = one.tenant)
"""
FIRST = """
CREATE TEMP TABLE first_to AS SELECT buried.linkset AS linkset, min(legacy.n) AS n
FROM legacy JOIN buried ON buried.tombstone = legacy.tombstone WHERE legacy.state = 'done' GROUP BY buried.linkset
"""
WRONG_REASON = f"""
SELECT id, key, 'says ' || reason || ', not ' || fits FROM (
    SELECT one.id AS id, one.key AS key, one.reason AS reason, CASE
        WHEN NOT EXISTS (SELECT 1 FROM buried WHERE buried.tombstone = one.id) THEN '{tombstones.MISSING}'
        WHEN EXISTS (SELECT 1 FROM buried JOIN first_to ON first_to.linkset = buried.linkset
            WHERE buried.tombstone = one.id AND first_to.n < legacy.n) THEN '{tombstones.DUPLICATE}'
        WHEN ? AND one.reason = '{tombstones.DUPLICATE}' THEN one.reason
        ELSE '{tombstones.SUPERSEDED}' END AS fits
    FROM legacy JOIN tombstone AS one ON one.id = legacy.tombstone WHERE legacy.state = 'done')
WHERE reason != fits
"""  # noqa: S608 - words of ours


def buried(stored: Stored) -> Finding:
    """Tombstones and merged documents."""
    work, tallies, newest = stored.skeleton.work, stored.skeleton.tallies, stored.skeleton.newest
    work.execute(FIRST)
    work.execute("CREATE INDEX temp.first_to_by_linkset ON first_to (linkset)")
    states = dict(work.execute("SELECT state, count(*) FROM legacy GROUP BY state"))
    known = int(stored.look.runs[-1]["inventory"]["legacy"])
    counted = sum(tallies[newest, "tombstones", word] for word in (tombstones.COLLECTION, "kept", "quarantined"))
    has_failures = stored.count("SELECT EXISTS (SELECT 1 FROM failed WHERE stage = 'observations')")
    sums = (
        [Defect(f"{counted:,} merged documents are accounted for", f"the {known:,} of the inventory")] if counted != known else []
    )
    return Finding(
        f"{states.get('done', 0):,} merged documents have their tombstone, {states.get('failed', 0):,} could have none, "
        f"{states.get('late', 0):,} came behind the inventory",
        (
            *sums,
            *stored.defects("merged documents have no tombstone", "each has one", MISSING),
            *stored.defects("tombstones are of no merged document that is there", "each is of one", FOR_NOTHING),
            *stored.defects("times a tombstone leads to a linkset that is not there", "each is there", LEADS_NOWHERE),
            *stored.defects("tombstones give a reason that does not fit", "what they lead to", WRONG_REASON, has_failures),
        ),
    )
