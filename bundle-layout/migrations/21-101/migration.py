"""21-101: collections, validators, indexes, shard keys and TTL of the Link-Not-Merge model.

The table below is the whole migration: `lnm_runner.schema` has its words, `lnm_runner.planning` compares it with the database. It
adds; it drops, replaces and changes nothing that it did not make. README.md beside it is the operator's page.
"""

from __future__ import annotations

from lnm_runner import planning
from lnm_runner.mongo import Database
from lnm_runner.options import Settings
from lnm_runner.planning import Plan
from lnm_runner.schema import Collection, Index, Keys, Precondition, Validator

ID = "20251202_lnm_21_101_sharding_and_ttl"
SUMMARY = "Ensures the collections, validators, indexes, shard keys and TTL of the Link-Not-Merge model."

SHARD_KEY: Keys = (("tenantId", 1), ("advisoryId", "hashed"))
"""A tenant may be large: hashing tenantId alone would put all of it on one shard."""

ARTIFACT = "provenance.sourceArtifactSha"

ID_OF_THE_DOCUMENT = {"bsonType": "objectId"}
TEXT = {"bsonType": "string"}
DATE = {"bsonType": "date"}
NUMBER = {"bsonType": "number"}  # a score is stored as double; 7 and 7.0 are the same score

OBSERVATION = Validator({
    "bsonType": "object",
    "required": ["_id", "tenantId", "source", "advisoryId", "affected", "provenance", "ingestedAt"],
    "properties": {
        "_id": ID_OF_THE_DOCUMENT,
        "tenantId": TEXT,
        "source": TEXT,
        "advisoryId": TEXT,
        "affected": {
            "bsonType": "array",
            "items": {"bsonType": "object", "required": ["purl"], "properties": {"purl": TEXT}},
        },
        "severities": {
            "bsonType": "array",
            "items": {
                "bsonType": "object",
                "required": ["system", "score"],
                "properties": {"system": TEXT, "score": NUMBER},
            },
        },
        "provenance": {"bsonType": "object"},
        "ingestedAt": DATE,
    },
})  # fmt: skip

LINKSET = Validator({
    "bsonType": "object",
    "required": ["_id", "tenantId", "advisoryId", "source", "observations", "provenance", "createdAt"],
    "properties": {
        "_id": ID_OF_THE_DOCUMENT,
        "tenantId": TEXT,
        "advisoryId": TEXT,
        "source": TEXT,
        "observations": {"bsonType": "array", "items": {"bsonType": "objectId"}},
        "confidence": {"bsonType": ["number", "null"], "minimum": 0, "maximum": 1},
        "provenance": {"bsonType": "object"},
        "createdAt": DATE,
    },
})  # fmt: skip


def keys(*fields: str, **last: int) -> Keys:
    """Ascending fields; `last` are further ones with their order, `__` standing for a dot."""
    return (*((field, 1) for field in fields), *((field.replace("__", "."), order) for field, order in last.items()))


def of_a_backfill(name: str) -> Index:
    """What a rollback of 21-102 looks for."""
    return Index(name, keys("backfill.runId"), partial={"backfill.runId": {"$exists": True}})


def collections(settings: Settings) -> tuple[Collection, ...]:
    """The table, with the expiry of published events as it is set."""
    expiry_s = settings.events_ttl_s
    return (
        Collection(
            "advisory_observations",
            validator=OBSERVATION,
            shard_key=Index("lnm_obs_shard_key", SHARD_KEY),
            indexes=(
                # a unique index of a sharded collection begins with the fields of the shard key
                Index("lnm_obs_artifact_unique", keys("tenantId", "advisoryId", "source", ARTIFACT), unique=True),
                Index("lnm_obs_fetched", keys("tenantId", "advisoryId", provenance__fetchedAt=-1)),
                Index("lnm_obs_purl", keys("tenantId", "affected.purl")),
                # by $exists and not by type: an equality on the field can then use the index, whatever its type
                Index("lnm_obs_supersedes", keys("tenantId", "supersedesId"), partial={"supersedesId": {"$exists": True}}),
                of_a_backfill("lnm_obs_backfill_run"),
            ),
        ),
        Collection(
            "advisory_linksets",
            validator=LINKSET,
            shard_key=Index("lnm_ls_shard_key", SHARD_KEY),
            indexes=(
                Index("lnm_ls_advisory_unique", keys("tenantId", "advisoryId", "source"), unique=True),
                Index("lnm_ls_observations", keys("tenantId", "observations")),
                Index("lnm_ls_purls", keys("tenantId", "normalized.purls")),
                Index("lnm_ls_created", keys("tenantId", createdAt=-1)),
                of_a_backfill("lnm_ls_backfill_run"),
            ),
        ),
        Collection(
            "advisory_observation_events",
            shard_key=Index("lnm_obs_events_shard_key", SHARD_KEY),
            indexes=(
                Index("lnm_obs_events_hash_unique", keys("tenantId", "advisoryId", "observationHash"), unique=True),
                # on publishedAt and nothing else: a row that was never published never dies
                Index("lnm_obs_events_ttl", keys("publishedAt"), ttl=True, expire_after_s=expiry_s),
                Index("lnm_obs_events_pending", keys("publishedAt", "replayCursor")),
                of_a_backfill("lnm_obs_events_backfill_run"),
            ),
        ),
        Collection(
            "advisory_linkset_events",
            shard_key=Index("lnm_ls_events_shard_key", SHARD_KEY),
            indexes=(
                Index("lnm_ls_events_cursor_unique", keys("tenantId", "advisoryId", "linksetId", "replayCursor"), unique=True),
                Index("lnm_ls_events_ttl", keys("publishedAt"), ttl=True, expire_after_s=expiry_s),
                of_a_backfill("lnm_ls_events_backfill_run"),
            ),
        ),
        Collection(
            "advisory_linkset_tombstones",
            indexes=(
                Index("lnm_tomb_legacy_unique", keys("tenantId", "legacyAdvisoryKey"), unique=True),
                Index("lnm_tomb_backfill_run", keys("backfill.runId")),
            ),
        ),
        Collection(
            "lnm_object_map",
            indexes=(
                Index("lnm_map_sha256", keys("pointer.sha256")),
                Index("lnm_map_status", keys("status")),
            ),
        ),
    )


PRECONDITIONS = (
    Precondition(
        "advisory_raw",
        keys("source.vendor", "upstream.upstream_id", "upstream.content_hash", "tenant"),
        unique=True,
        because="which is what makes ingestion idempotent and what 21-102 reads by",
        remedy="let the product run its own migration 20251028_advisory_raw_idempotency_index, then apply again",
    ),
)


def plan(database: Database, settings: Settings) -> Plan:
    """Compares the database with the table. Read-only."""
    return planning.plan(database, collections(settings), PRECONDITIONS)
