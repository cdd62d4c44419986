"""Makes the linksets of one component: observations of one tenant that their names join (facts 1.5, 3.3). Pure.

There is one linkset for each advisory and source of a component; all of them hold all the observations that nothing supersedes,
and so the same confidence and the same conflicts. Values are put side by side and never merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lnm_runner.backfill import correlation, identity
from lnm_runner.backfill.correlation import Conflict, Member
from lnm_runner.backfill.observations import TASK
from lnm_runner.backfill.version_ranges import Versions

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
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for entry in observation["affected"]:
        entries.setdefault(entry["purl"], []).append(entry)
    return Member(
        source=observation["source"],
        advisory=observation["advisoryId"],
        fetched_at=observation["provenance"]["fetchedAt"],
        names=frozenset(name.upper() for name in observation["linkset"]["aliases"]),
        affected={purl: Versions(kind_of(purl), said) for purl, said in entries.items()},
        cpes=frozenset(observation["linkset"]["cpes"]),
        severities=scores,
        references=frozenset(link.casefold() for link in observation["linkset"]["references"]),
        gaps=tuple(name for name in NEEDED if not observation.get(name)),
    )


def kind_of(purl: str) -> str:
    """The type of a purl."""
    return purl.removeprefix("pkg:").partition("/")[0]


def ordered(observations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By source, advisory, date and id: the order of hashing and of output."""
    return sorted(observations, key=lambda one: (one["source"], one["advisoryId"], one["provenance"]["fetchedAt"], one["_id"]))


def documents(observations: Sequence[Mapping[str, Any]], run: str) -> list[dict[str, Any]]:
    """The linksets of a component, by source and advisory."""
    inside = ordered(observations)
    members = [member(one) for one in inside]
    newest = identity.in_utc(max(one["provenance"]["fetchedAt"] for one in inside))
    shared = {
        "observations": [one["_id"] for one in inside],
        "normalized": normalized(inside),
        "confidence": correlation.confidence(members),
        "conflicts": [stored(one) for one in correlation.conflicts(members)],
        "provenance": {"observationHashes": [one["observationHash"] for one in inside], "toolVersion": TOOL},
    }
    said = identity.canonical({**shared, "observations": [str(one["_id"]) for one in inside]})
    keys = list(dict.fromkeys((one["tenantId"], one["source"], one["advisoryId"]) for one in inside))
    return [
        {
            "_id": identity.linkset_id(*key),
            "tenantId": key[0],
            "advisoryId": key[2],
            "source": key[1],
            **shared,
            "linksetHash": identity.linkset_hash(key, said),
            "createdAt": newest,
            "backfill": {"runId": run, "task": TASK},
        }
        for key in keys
    ]


def normalized(observations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the observations say, side by side, each once and sorted."""
    entries = [entry for one in observations for entry in one["affected"]]
    ranges = {identity.canonical(given): given for entry in entries for given in entry.get("ranges", ())}
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
