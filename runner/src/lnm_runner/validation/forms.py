"""Equations of form: no derived field at the top of a document, and every value of the BSON type that it must have. Read-only.

Types are a `$jsonSchema`, which the server itself looks through: it tells an int from a long, and a double from both. All of the
documents that carry a run are looked at, whatever the sample.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from lnm_runner.backfill import events, linksets, observations, tombstones
from lnm_runner.backfill.inventory import OF_THE_INPUT
from lnm_runner.validation.findings import MOST_EXAMPLES, Defect, Finding, Stored, gathered

FORBIDDEN = (
    (observations.COLLECTION, "SELECT id, forbidden FROM observation WHERE mine AND forbidden IS NOT NULL"),
    (linksets.COLLECTION, "SELECT id, forbidden FROM linkset WHERE mine AND forbidden IS NOT NULL"),
    ("advisory_raw", "SELECT id, forbidden FROM raw WHERE state = 'done' AND forbidden IS NOT NULL"),
)


def underived(stored: Stored) -> Finding:
    """The aggregation-only contract (facts 1.6); what broke it before the run has failed there, and is among its errors."""
    counts = [f"{stored.skeleton.read[collection]:,} of {collection}" for collection, _ in FORBIDDEN]
    found = [
        defect
        for collection, query in FORBIDDEN
        for defect in stored.defects(f"documents of {collection} have derived fields", "none at the top", query)
    ]
    return Finding(f"looked at {', '.join(counts)}", tuple(found))


Form = Mapping[str, Any]
ID, TEXT, DATE, DOUBLE, LONG, BOOL, OBJECT = (
    {"bsonType": name} for name in ("objectId", "string", "date", "double", "long", "bool", "object")
)
NO_ID: Form = {"bsonType": ["objectId", "null"]}
NO_TEXT: Form = {"bsonType": ["string", "null"]}
NO_DATE: Form = {"bsonType": ["date", "null"]}
SURE: Form = {"bsonType": ["double", "null"], "minimum": 0, "maximum": 1}


def each(form: Form) -> Form:
    """A list."""
    return {"bsonType": "array", "items": form}


def of(*, optional: tuple[str, ...] = (), **fields: Form) -> Form:
    """An object; fields that are not named are nobody's business here."""
    required = [name for name in fields if name not in optional]
    return {"bsonType": "object", "properties": fields} | ({"required": required} if required else {})


RUN = of(runId=TEXT, task=TEXT)
RANGE = of(type=TEXT, events=each(OBJECT))
PROVENANCE = of(observationHashes=each(TEXT), toolVersion=TEXT)
TEXTS = each(TEXT)
FORMS: Mapping[str, Form] = {
    observations.COLLECTION: of(
        _id=ID, tenantId=TEXT, source=TEXT, advisoryId=TEXT, observationId=TEXT, title=TEXT, summary=TEXT,
        severities=each(of(system=TEXT, score=DOUBLE, vector=TEXT, optional=("vector",))),
        affected=each(
            of(
                purl=TEXT, package=TEXT, ecosystem=TEXT, versions=TEXTS, ranges=each(RANGE), cpes=TEXTS,
                optional=("package", "ecosystem", "versions", "ranges", "cpes"),
            )
        ),
        references=TEXTS, relationships=each(of(type=TEXT, source=TEXT, target=TEXT)), withdrawn=TEXT,
        linkset=of(aliases=TEXTS, purls=TEXTS, cpes=TEXTS, references=TEXTS), rawLinkset=OBJECT,
        provenance=of(sourceArtifactSha=TEXT, fetchedAt=DATE), contentHash=TEXT, observationHash=TEXT, supersedesId=NO_ID,
        ingestedAt=DATE, backfill=RUN, optional=("title", "summary", "withdrawn"),
    ),
    linksets.COLLECTION: of(
        _id=ID, tenantId=TEXT, advisoryId=TEXT, source=TEXT, observations=each(ID),
        normalized=of(purls=TEXTS, versions=TEXTS, ranges=each(RANGE), severities=each(of(system=TEXT, score=DOUBLE))),
        confidence=SURE, conflicts=each(of(field=TEXT, reason=TEXT, values={"bsonType": "array"}, sourceIds=TEXTS)),
        provenance=PROVENANCE, linksetHash=TEXT, createdAt=DATE, backfill=RUN,
    ),
    events.OF_OBSERVATIONS: of(
        _id=ID, eventId=TEXT, type=TEXT, tenantId=TEXT, observationId=TEXT, advisoryId=TEXT, source=OBJECT,
        linksetSummary=of(aliases=TEXTS, purls=TEXTS, cpes=TEXTS), supersedesId=NO_TEXT, documentSha=TEXT, observationHash=TEXT,
        ingestedAt=DATE, replayCursor=LONG, publishedAt=NO_DATE, backfill=RUN,
    ),
    events.OF_LINKSETS: of(
        _id=ID, eventId=TEXT, type=TEXT, tenantId=TEXT, linksetId=TEXT, advisoryId=TEXT, source=TEXT, observationIds=TEXTS,
        delta=of(type=TEXT, observationsAdded=TEXTS, observationsRemoved=TEXTS, confidenceChanged=BOOL, conflictsChanged=BOOL),
        confidence=SURE, conflicts=each(of(field=TEXT, reason=TEXT, sourceIds=TEXTS)), provenance=PROVENANCE, createdAt=DATE,
        replayCursor=LONG, publishedAt=NO_DATE, backfill=RUN,
    ),
    tombstones.COLLECTION: of(
        _id=ID, tenantId=TEXT, legacyAdvisoryKey=TEXT, legacyId={}, reason=TEXT, linksetIds=each(ID), createdAt=DATE, backfill=RUN
    ),
}  # fmt: skip
FIRST, LAST = dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
DATES: Mapping[str, tuple[str, ...]] = {
    observations.COLLECTION: ("ingestedAt", "provenance.fetchedAt"),
    linksets.COLLECTION: ("createdAt",),
    events.OF_OBSERVATIONS: ("ingestedAt",),
    events.OF_LINKSETS: ("createdAt",),
    tombstones.COLLECTION: ("createdAt",),
}
"""That must lie between the years 1 and 9999, as every language can say them."""


def typed(stored: Stored) -> Finding:
    """Types and dates."""
    found: list[Defect] = []
    count = 0
    for collection, form in FORMS.items():
        mine = {"backfill.runId": {"$in": stored.run_ids}}
        source = stored.database[collection].with_options(codec_options=OF_THE_INPUT)
        far = [{path: {"$type": "date", "$not": {"$gte": FIRST, "$lte": LAST}}} for path in DATES[collection]]
        wrong = {**mine, "$or": [{"$nor": [{"$jsonSchema": form}]}, *far]}
        count += source.count_documents(mine)
        ids = [one["_id"] for one in source.find(wrong, {"_id": 1}).sort("_id", 1).limit(MOST_EXAMPLES)]
        found += gathered(
            source.count_documents(wrong) if ids else 0,
            f"documents of {collection} hold values of another type",
            "the types of its schema, and dates of the years 1 to 9999",
            (f"{each_id} {place(stored, collection, each_id)}" for each_id in ids),
        )
    return Finding(f"{count:,} documents", tuple(found))


def place(stored: Stored, collection: str, identity_: Any) -> str:
    """Which fields of a document are wrong, and what they hold."""
    form, source = FORMS[collection], stored.database[collection]
    kinds = {name: {"$type": f"${name}"} for name in form["properties"]}
    (held,) = source.aggregate([{"$match": {"_id": identity_}}, {"$replaceWith": kinds}])
    wrong = []
    for name, wanted in form["properties"].items():
        alone = of(optional=() if name in form["required"] else (name,), **{name: wanted})
        if not source.count_documents({"_id": identity_, "$jsonSchema": alone}):
            wrong.append(f"{name} ({held[name]})")
    return ", ".join(wrong) or "a date out of range"
