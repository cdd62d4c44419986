"""21-101 as decisions.md §2 has it, written down a second time: collection -> index name -> what the server must say of it."""

from __future__ import annotations

from typing import Any

TTL_S = 7_776_000  # 90 days

SHARD_KEY = {"key": [("tenantId", 1), ("advisoryId", "hashed")]}
BACKFILL = {"key": [("backfill.runId", 1)], "partialFilterExpression": {"backfill.runId": {"$exists": True}}}

INDEXES: dict[str, dict[str, dict[str, Any]]] = {
    "advisory_observations": {
        "lnm_obs_shard_key": SHARD_KEY,
        "lnm_obs_artifact_unique": {
            "key": [("tenantId", 1), ("advisoryId", 1), ("source", 1), ("provenance.sourceArtifactSha", 1)],
            "unique": True,
        },
        "lnm_obs_fetched": {"key": [("tenantId", 1), ("advisoryId", 1), ("provenance.fetchedAt", -1)]},
        "lnm_obs_purl": {"key": [("tenantId", 1), ("affected.purl", 1)]},
        "lnm_obs_supersedes": {
            "key": [("tenantId", 1), ("supersedesId", 1)],
            "partialFilterExpression": {"supersedesId": {"$exists": True}},
        },
        "lnm_obs_backfill_run": BACKFILL,
    },
    "advisory_linksets": {
        "lnm_ls_shard_key": SHARD_KEY,
        "lnm_ls_advisory_unique": {"key": [("tenantId", 1), ("advisoryId", 1), ("source", 1)], "unique": True},
        "lnm_ls_observations": {"key": [("tenantId", 1), ("observations", 1)]},
        "lnm_ls_purls": {"key": [("tenantId", 1), ("normalized.purls", 1)]},
        "lnm_ls_created": {"key": [("tenantId", 1), ("createdAt", -1)]},
        "lnm_ls_backfill_run": BACKFILL,
    },
    "advisory_observation_events": {
        "lnm_obs_events_shard_key": SHARD_KEY,
        "lnm_obs_events_hash_unique": {"key": [("tenantId", 1), ("advisoryId", 1), ("observationHash", 1)], "unique": True},
        "lnm_obs_events_ttl": {"key": [("publishedAt", 1)], "expireAfterSeconds": TTL_S},
        "lnm_obs_events_pending": {"key": [("publishedAt", 1), ("replayCursor", 1)]},
        "lnm_obs_events_backfill_run": BACKFILL,
    },
    "advisory_linkset_events": {
        "lnm_ls_events_shard_key": SHARD_KEY,
        "lnm_ls_events_cursor_unique": {
            "key": [("tenantId", 1), ("advisoryId", 1), ("linksetId", 1), ("replayCursor", 1)],
            "unique": True,
        },
        "lnm_ls_events_ttl": {"key": [("publishedAt", 1)], "expireAfterSeconds": TTL_S},
        "lnm_ls_events_backfill_run": BACKFILL,
    },
    "advisory_linkset_tombstones": {
        "lnm_tomb_legacy_unique": {"key": [("tenantId", 1), ("legacyAdvisoryKey", 1)], "unique": True},
        "lnm_tomb_backfill_run": {"key": [("backfill.runId", 1)]},
    },
    "lnm_object_map": {
        "lnm_map_sha256": {"key": [("pointer.sha256", 1)]},
        "lnm_map_status": {"key": [("status", 1)]},
    },
}

REQUIRED = {
    "advisory_observations": {"_id", "tenantId", "source", "advisoryId", "affected", "provenance", "ingestedAt"},
    "advisory_linksets": {"_id", "tenantId", "advisoryId", "source", "observations", "provenance", "createdAt"},
}
