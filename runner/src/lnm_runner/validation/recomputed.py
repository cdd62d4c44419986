"""What follows from a document itself: ids and hashes, computed once more from what is stored (decisions §3). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lnm_runner.backfill import events, identity, linksets, observations, tombstones

Document = Mapping[str, Any]
Same = Iterator[tuple[str, Any, Any]]
"""`(field, what it holds, what it must hold)`"""
SHARED = ("observations", "normalized", "confidence", "conflicts", "provenance")
"""What `linksetHash` is over, beside the key (`linksets.documents`)."""


def observation(document: Document) -> Same:
    """An observation."""
    sha256 = document["provenance"]["sourceArtifactSha"]
    key = (document["tenantId"], document["source"], document["advisoryId"], sha256)
    yield "_id", document["_id"], identity.observation_id(*key)
    yield "contentHash", document["contentHash"], f"sha256:{sha256}"
    hashed = identity.observation_hash(*key, document["provenance"]["fetchedAt"])
    yield "observationHash", document["observationHash"], hashed


def linkset(document: Document) -> Same:
    """A linkset."""
    key = (document["tenantId"], document["source"], document["advisoryId"])
    yield "_id", document["_id"], identity.linkset_id(*key)
    said = {name: document[name] for name in SHARED} | {"observations": [str(one) for one in document["observations"]]}
    yield "linksetHash", document["linksetHash"], identity.linkset_hash(key, identity.canonical(said))


def observation_event(document: Document) -> Same:
    """A row of the outbox of observations."""
    about, hashed = document["observationId"], document["observationHash"]
    yield "_id", document["_id"], identity.object_id(events.OF_OBSERVATIONS, about, hashed)
    yield "eventId", document["eventId"], identity.event_id(observations.COLLECTION, about, hashed)
    yield "replayCursor", document["replayCursor"], identity.replay_cursor(document["ingestedAt"])


def linkset_event(document: Document) -> Same:
    """A row of the outbox of linksets; its ids follow from the linkset's hash, which it does not hold (`joins.announced`)."""
    cursor, least = document["replayCursor"], identity.replay_cursor(document["createdAt"])
    is_first = document["delta"]["type"] == "created"
    yield "replayCursor", cursor, least if is_first else max(cursor, least)
    yield "observationIds", document["observationIds"], sorted(document["observationIds"])


def tombstone(document: Document) -> Same:
    """A tombstone."""
    key = (document["tenantId"], document["legacyAdvisoryKey"])
    yield "_id", document["_id"], identity.object_id(tombstones.COLLECTION, *key)


RULES: Mapping[str, Callable[[Document], Same]] = {
    observations.COLLECTION: observation,
    events.OF_OBSERVATIONS: observation_event,
    linksets.COLLECTION: linkset,
    events.OF_LINKSETS: linkset_event,
    tombstones.COLLECTION: tombstone,
}


def wrong(collection: str, document: Document) -> list[str]:
    """What a document holds that does not follow from it."""
    try:
        return [f"{name} is {found}, not {wanted}" for name, found, wanted in RULES[collection](document) if found != wanted]
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as err:
        return [f"nothing follows from it ({type(err).__name__})"]
