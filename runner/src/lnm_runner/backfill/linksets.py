"""Makes the linksets of one component: observations of one tenant that their names join (facts 1.5, 3.3). Pure.

There is one linkset for each advisory and source of a component; all of them hold all the observations that nothing supersedes, and so
the same confidence and the same conflicts. Values are put side by side and never merged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from lnm_runner.backfill import correlation, identity
from lnm_runner.backfill.correlation import Conflict, Member
from lnm_runner.backfill.observations import TASK

COLLECTION = "advisory_linksets"
TOOL = "lnm-1.0"
NEEDED = ("affected", "references", "summary")
"""Fields whose absence is a `metadata-gap`."""


def member(observation: Mapping[str, Any]) -> Member:
    """What correlation looks at of a stored observation."""
    scores: dict[str, tuple[float, frozenset[str]]] = {}
    for one in observation["severities"]:
        highest, vectors = scores.get(one["system"], (0.0, frozenset()))
        scores[one["system"]] = max(highest, one["score"]), vectors | ({one["vector"]} if one.get("vector") else frozenset())
    return Member(
        source=observation["source"],
        advisory=observation["advisoryId"],
        fetched_at=observation["provenance"]["fetchedAt"],
        names=frozenset(name.upper() for name in observation["linkset"]["aliases"]),
        affected={entry["purl"]: entry for entry in observation["affected"]},
        cpes=frozenset(observation["linkset"]["cpes"]),
        severities=scores,
        references=frozenset(link.casefold() for link in observation["linkset"]["references"]),
        gaps=tuple(name for name in NEEDED if not observation.get(name)),
    )


def ordered(observations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By source, advisory, date and id: the order of hashing and of output."""
    return sorted(observations, key=lambda one: (one["source"], one["advisoryId"], one["provenance"]["fetchedAt"], one["_id"]))


def documents(observations: Sequence[Mapping[str, Any]], run: str) -> list[dict[str, Any]]:
    """The linksets of a component, by source and advisory."""
    inside = ordered(observations)
    members = [member(one) for one in inside]
    newest: dt.datetime = max(one["provenance"]["fetchedAt"] for one in inside)
    shared = {
        "observations": [one["_id"] for one in inside],
        "normalized": normalized(inside),
        "confidence": correlation.confidence(members),
        "conflicts": [stored(one) for one in correlation.conflicts(members)],
        "provenance": {"observationHashes": [one["observationHash"] for one in inside], "toolVersion": TOOL},
    }
    keys = list(dict.fromkeys((one["tenantId"], one["source"], one["advisoryId"]) for one in inside))
    return [
        {
            "_id": identity.linkset_id(*key),
            "tenantId": key[0],
            "advisoryId": key[2],
            "source": key[1],
            **shared,
            "linksetHash": linkset_hash(key, shared),
            "createdAt": newest,
            "backfill": {"runId": run, "task": TASK},
        }
        for key in keys
    ]


def normalized(observations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the observations say, side by side, each once and sorted."""
    entries = [entry for one in observations for entry in one["affected"]]
    ranges = {repr(given): given for entry in entries for given in entry.get("ranges", ())}
    scores = {(one["system"], one["score"]) for observation in observations for one in observation["severities"]}
    return {
        "purls": sorted({entry["purl"] for entry in entries}),
        "versions": sorted({version for entry in entries for version in entry.get("versions", ())}),
        "ranges": [ranges[name] for name in sorted(ranges)],
        "severities": [{"system": system, "score": score} for system, score in sorted(scores)],
    }


def stored(conflict: Conflict) -> dict[str, Any]:
    """A conflict as it is stored; `sources` is what an event tells as sourceIds."""
    return {
        "field": conflict.field,
        "reason": conflict.reason,
        "values": list(conflict.values),
        "sourceIds": list(conflict.sources),
    }


def linkset_hash(key: tuple[str, str, str], shared: Mapping[str, Any]) -> str:
    """`linksetHash`: the content's identity, over what it says and not over when or by which run it was made."""
    tenant, source, advisory = key
    said = {**shared, "observations": [str(one) for one in shared["observations"]]}
    return identity.canonical_sha256({"tenantId": tenant, "source": source, "advisoryId": advisory, **said})
