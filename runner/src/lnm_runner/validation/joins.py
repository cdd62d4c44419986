"""Equations between the collections that a backfill fills: each is made of questions to the skeleton. Read-only.

Documents that carry no run are somebody else's and judged by nobody here. What a run has found as it must be, and kept, is
judged as its own, but for its event and its revision, which are the product's.
"""

from __future__ import annotations

from lnm_runner.backfill import events, linksets
from lnm_runner.validation.findings import Finding, Stored

REPLACED = "EXISTS (SELECT 1 FROM observation AS later WHERE later.supersedes = one.id AND later.mine)"
HELD = (
    "EXISTS (SELECT 1 FROM linked JOIN linkset ON linkset.id = linked.linkset WHERE linked.observation = one.id AND linkset.mine)"
)
UNMADE = "EXISTS (SELECT 1 FROM failed WHERE collection = ? AND about = words(one.linkset))"


def linked(stored: Stored) -> Finding:
    """Observations and their linksets, from the side of the observations."""
    mine = "SELECT one.id, one.tenant, one.source, one.advisory FROM observation AS one WHERE one.mine"
    total, replaced = stored.many(mine), stored.many(f"{mine} AND {REPLACED}")
    return Finding(
        f"{total - replaced:,} observations are in linksets, {replaced:,} that are superseded in none",
        (
            *stored.defects(
                "observations that nothing supersedes are in no linkset",
                "each is in at least one",
                f"{mine} AND NOT {REPLACED} AND NOT {HELD} AND NOT {UNMADE}",
                linksets.COLLECTION,
            ),
            *stored.defects("superseded observations are in a linkset", "none is", f"{mine} AND {REPLACED} AND {HELD}"),
        ),
    )


STRANGE = """
SELECT one.id, linked.observation FROM linkset AS one JOIN linked ON linked.linkset = one.id
LEFT JOIN observation ON observation.id = linked.observation
WHERE one.mine AND (observation.id IS NULL OR observation.tenant != one.tenant)
"""
WITHOUT_ITS_OWN = """
SELECT one.id, one.tenant, one.source, one.advisory FROM linkset AS one WHERE one.mine AND NOT EXISTS (
    SELECT 1 FROM linked JOIN observation ON observation.id = linked.observation
    WHERE linked.linkset = one.id
    AND (observation.tenant, observation.source, observation.advisory) = (one.tenant, one.source, one.advisory))
"""
UNOBSERVED = """
SELECT raw.id, raw.observation FROM raw WHERE raw.state = 'done'
AND NOT EXISTS (SELECT 1 FROM observation WHERE observation.id = raw.observation)
"""
GONE = "SELECT leaf.id FROM leaf WHERE leaf.collection = ? AND NOT EXISTS (SELECT 1 FROM linkset WHERE linkset.id = leaf.id)"


def present(stored: Stored) -> Finding:
    """What must be there since something tells of it: observations of linksets and of raw documents, and linksets."""
    held = stored.count("SELECT count(*) FROM linked")
    done = stored.count("SELECT count(*) FROM raw WHERE state = 'done'")
    return Finding(
        f"linksets name observations {held:,} times; {done:,} raw documents have theirs",
        (
            *stored.defects("observations that a linkset names are not there, or of another tenant", "each is there", STRANGE),
            *stored.defects("linksets hold no observation of their own advisory", "each does", WITHOUT_ITS_OWN),
            *stored.defects("raw documents were backfilled, and their observation is not there", "each has its own", UNOBSERVED),
            *stored.defects("linksets were written and are not there", "each is there", GONE, linksets.COLLECTION),
        ),
    )


# what announces something has the id that follows from it; a linkset that was replaced has left the event of its earlier self
OWN = "SELECT 1 FROM {table} WHERE run > 0"
MISSING = """
SELECT one.id, one.tenant, one.source, one.advisory FROM {table} AS one WHERE one.run > 0
AND NOT EXISTS (SELECT 1 FROM event WHERE event.collection = ? AND event.id = one.event AND event.event_id = one.event_id)
"""
EARLIER = """
SELECT leaf.id FROM leaf WHERE leaf.collection = ? AND NOT EXISTS (SELECT 1 FROM {table} AS one WHERE one.event = leaf.id)
AND NOT EXISTS (SELECT 1 FROM event WHERE event.collection = leaf.collection AND event.id = leaf.id)
"""
EXTRA = """
SELECT event.id, event.about FROM event WHERE event.collection = ? AND event.run > 0
AND NOT EXISTS (SELECT 1 FROM {table} AS one WHERE one.event = event.id AND one.id = event.about)
AND NOT (EXISTS (SELECT 1 FROM {table} AS one WHERE one.id = event.about)
    AND EXISTS (SELECT 1 FROM leaf WHERE leaf.collection = event.collection AND leaf.id = event.id))
"""
ANNOUNCED = ((events.OF_OBSERVATIONS, "observation"), (events.OF_LINKSETS, "linkset"))


def announced(stored: Stored) -> Finding:
    """The outboxes."""
    rows = stored.count("SELECT count(*) FROM event WHERE run > 0")
    made = [stored.many(OWN.format(table=table)) for _, table in ANNOUNCED]
    found = [
        defect
        for collection, table in ANNOUNCED
        for defect in (
            *stored.defects(f"{table}s have no event", "each has one", MISSING.format(table=table), collection),
            *stored.defects(
                f"events of earlier {table}s were written and are not there",
                "each is there",
                EARLIER.format(table=table),
                collection,
            ),
            *stored.defects(
                f"events in {collection} announce no {table} as it is",
                "each announces one",
                EXTRA.format(table=table),
                collection,
            ),
        )
    ]
    return Finding(f"{rows:,} events of {made[0]:,} observations and {made[1]:,} linksets", tuple(found))


PLACED = """
CREATE TEMP TABLE placed AS
WITH RECURSIVE chain(id, revision, whole) AS (
    SELECT one.id, 1, one.supersedes IS NULL FROM observation AS one
    WHERE NOT EXISTS (SELECT 1 FROM observation AS earlier WHERE earlier.id = one.supersedes)
    UNION ALL
    SELECT later.id, chain.revision + 1, chain.whole FROM chain JOIN observation AS later ON later.supersedes = chain.id)
SELECT id, revision, whole FROM chain
"""
DANGLING = """
SELECT one.id, one.supersedes FROM observation AS one WHERE one.run > 0 AND one.supersedes IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM observation AS earlier WHERE earlier.id = one.supersedes)
"""
FOREIGN = """
SELECT one.id, one.supersedes FROM observation AS one JOIN observation AS earlier ON earlier.id = one.supersedes
WHERE one.run > 0 AND (earlier.tenant, earlier.source, earlier.advisory) != (one.tenant, one.source, one.advisory)
"""
FORKED = """
SELECT one.id, other.id, one.supersedes FROM observation AS one JOIN observation AS other ON other.supersedes = one.supersedes
WHERE one.mine AND other.mine AND one.id < other.id
"""
CIRCLE = "SELECT one.id FROM observation AS one WHERE one.run > 0 AND NOT EXISTS (SELECT 1 FROM placed WHERE placed.id = one.id)"
MISNAMED = """
SELECT id, name, 'not ' || theirs FROM (
    SELECT one.id AS id, one.name AS name,
        one.tenant || ':' || one.source || ':' || one.advisory || ':' || placed.revision AS theirs
    FROM observation AS one JOIN placed ON placed.id = one.id WHERE one.run > 0 AND placed.whole)
WHERE name != theirs
"""
TWICE = "SELECT name, count(*) FROM observation WHERE run > 0 GROUP BY name HAVING count(*) > 1"


def revisions(stored: Stored) -> Finding:
    """Chains of revisions. An observationId is compared whole: a tenant holds colons."""
    work = stored.skeleton.work
    work.execute(PLACED)
    work.execute("CREATE INDEX temp.placed_by_id ON placed (id)")
    later = stored.count("SELECT count(*) FROM observation WHERE run > 0 AND supersedes IS NOT NULL")
    longest = stored.count("SELECT coalesce(max(revision), 0) FROM placed")
    found = (
        *stored.defects("observations supersede what is not there", "it is there", DANGLING),
        *stored.defects("observations supersede another advisory's", "the same tenant, source and advisory", FOREIGN),
        *stored.defects("pairs of observations supersede the same one", "one at most does", FORKED),
        *stored.defects("observations supersede each other in a circle", "a chain has a beginning", CIRCLE),
        *stored.defects(
            "observations have an observationId that is not theirs", "tenant:source:advisory:revision, by their chain", MISNAMED
        ),
        *stored.defects("times several observations have one observationId", "each has its own", TWICE),
    )
    return Finding(f"{later:,} observations supersede another; the longest chain has {longest}", found)
