"""Makes the rows of the two outboxes: what a publisher will say of an observation and of a linkset (facts 3.4). Pure.

`publishedAt` is null: nothing is published before the outbox is enabled. An event has the id of what it announces (UUIDv5), so
that making it twice makes one. Ids are text in it, as a publisher says them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import Int64

from lnm_runner.backfill import identity, linksets, observations

OF_OBSERVATIONS = "advisory_observation_events"
OF_LINKSETS = "advisory_linkset_events"


def of_observation(observation: Mapping[str, Any], source: Mapping[str, str]) -> dict[str, Any]:
    """`advisory.observation.updated@1`; `source` is `{vendor, stream, api, collectorVersion}` of the document."""
    said = observation["linkset"]
    return {
        "_id": identity.object_id(OF_OBSERVATIONS, str(observation["_id"]), observation["observationHash"]),
        "eventId": identity.event_id(observations.COLLECTION, observation["_id"], observation["observationHash"]),
        "type": "advisory.observation.updated@1",
        "tenantId": observation["tenantId"],
        "observationId": str(observation["_id"]),
        "advisoryId": observation["advisoryId"],
        "source": dict(source),
        "linksetSummary": {"aliases": said["aliases"], "purls": said["purls"], "cpes": said["cpes"]},
        "supersedesId": None if observation["supersedesId"] is None else str(observation["supersedesId"]),
        "documentSha": observation["provenance"]["sourceArtifactSha"],
        "observationHash": observation["observationHash"],
        "ingestedAt": observation["ingestedAt"],
        "replayCursor": identity.replay_cursor(observation["ingestedAt"]),
        "publishedAt": None,
        "backfill": observation["backfill"],
    }


def of_linkset(linkset: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`advisory.linkset.updated@1`; `before` is the linkset that it takes the place of, else every observation is added.

    The cursor of a linkset that replaces another is higher than that one's, also where nothing newer has come.
    """
    earlier = before or {"observations": [], "confidence": None, "conflicts": [], "createdAt": identity.EPOCH}
    ids, old = ({str(one) for one in each["observations"]} for each in (linkset, earlier))
    cursor = max(identity.replay_cursor(linkset["createdAt"]), identity.replay_cursor(earlier["createdAt"]) + 1)
    conflicts = [{name: one[name] for name in ("field", "reason", "sourceIds")} for one in linkset["conflicts"]]
    return {
        "_id": identity.object_id(OF_LINKSETS, str(linkset["_id"]), linkset["linksetHash"]),
        "eventId": identity.event_id(linksets.COLLECTION, linkset["_id"], linkset["linksetHash"]),
        "type": "advisory.linkset.updated@1",
        "tenantId": linkset["tenantId"],
        "linksetId": str(linkset["_id"]),
        "advisoryId": linkset["advisoryId"],
        "source": linkset["source"],
        "observationIds": sorted(ids),
        "delta": {
            "type": "created" if before is None else "updated",
            "observationsAdded": sorted(ids - old),
            "observationsRemoved": sorted(old - ids),
            "confidenceChanged": linkset["confidence"] != earlier["confidence"],
            "conflictsChanged": linkset["conflicts"] != earlier["conflicts"],
        },
        "confidence": linkset["confidence"],
        "conflicts": conflicts,
        "provenance": linkset["provenance"],
        "createdAt": linkset["createdAt"],
        "replayCursor": Int64(cursor),
        "publishedAt": None,
        "backfill": linkset["backfill"],
    }
