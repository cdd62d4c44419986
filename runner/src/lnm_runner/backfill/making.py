"""The second pass: what is made of the input, stage by stage, in a fixed order. It reads, and writes nothing.

A stage is a function `(place, low, high, after, carry) -> items` over a partition of the work file, which begins behind the
position `after`. What it makes depends on the input alone: not on where it began, nor on who made what before it.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from lnm_runner.advisories import formats
from lnm_runner.advisories.record import PayloadError, Record
from lnm_runner.backfill import aoc, events, identity, linksets, observations, source, tallies, tombstones
from lnm_runner.backfill.inventory import LEGACY as LEGACY_COLLECTION
from lnm_runner.backfill.inventory import RAW, inside, milliseconds
from lnm_runner.backfill.items import (
    CHANGED,
    CONFLICT,
    FORMAT,
    LEGACY,
    MISSING,
    PAYLOAD,
    DocumentError,
    Failure,
    Item,
    Made,
    Position,
    encoded,
)
from lnm_runner.backfill.observations import Place as Revision
from lnm_runner.backfill.observations import Raw
from lnm_runner.backfill.source import Payloads
from lnm_runner.backfill.workfile import unpacked
from lnm_runner.mongo import Database

READ_AHEAD, READ_AHEAD_BYTES = 200, 8 * 1024 * 1024


@dataclass(frozen=True)
class Input:
    """Where a stage reads."""

    database: Database
    work: sqlite3.Connection
    run: str


def observed(given: Input, low: int, high: int, after: Position | None, carry: Mapping[str, Any] | None) -> Iterator[Item]:
    """Observations and their events, in inventory order; the revisions of an advisory side by side."""
    before = dict(carry or {})
    for rows in ahead(placed_rows(given.work, low, high, after)):
        read = source.documents(given.database, [unpacked(row["raw_id"]) for row in rows])
        pointers = [found for one in read.values() if (found := inside(one, "content.gridFsId")) is not None]
        payloads = source.payloads(given.database, pointers)
        for row in rows:
            if before.get("lead") != row["lead"]:
                before = {"lead": row["lead"], "id": None, "revision": 0}
            item = observed_one(given, row, read.get(row["raw_id"]), payloads, before)
            if item.carry is not None:
                before = dict(item.carry)
            yield Item(item.position, item.tenant, item.made, item.failure, item.tallies, before)


def placed_rows(work: sqlite3.Connection, low: int, high: int, after: Position | None) -> Iterator[dict[str, Any]]:
    """The rows of a partition."""
    names = ("lead", "place", "n", "raw_id", "size", "tenant", "source", "advisory", "sha256", "fetched_ms", "problem", "twin")
    query = f"SELECT {', '.join(names)} FROM raw WHERE lead >= ? AND lead < ? AND (lead, place) > (?, ?) ORDER BY lead, place"  # noqa: S608
    yield from (dict(zip(names, row, strict=True)) for row in work.execute(query, (low, high, *(after or (-1, -1)))))


def ahead(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows to read at once: so many, and so many bytes, but at least one."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        if chunk and (len(chunk) >= READ_AHEAD or size + row["size"] > READ_AHEAD_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row["size"]
    if chunk:
        yield chunk


def observed_one(
    given: Input, row: Mapping[str, Any], document: Mapping[str, Any] | None, payloads: Payloads, before: Mapping[str, Any]
) -> Item:
    """What is made of one document."""
    position, tenant = (row["lead"], row["place"]), row["tenant"] or ""
    if row["twin"] is not None:
        return Item(position, tenant, tallies=("duplicate",))
    try:
        raw, payload = read_one(row, document, payloads)
        made, documents, record = made_one(given, raw, payload, Revision(before["revision"] + 1, before["id"]), document or {})
    except DocumentError as err:
        return Item(position, tenant, failure=Failure(key_of(row), err.code, err.reason))
    tallies = (f"format:{raw.format}", *(["revision"] if before["id"] else []), *(["withdrawn"] if record.withdrawn else []))
    return Item(position, tenant, documents, None, tallies, {"lead": row["lead"], "id": made, "revision": before["revision"] + 1})


def read_one(row: Mapping[str, Any], document: Mapping[str, Any] | None, payloads: Payloads) -> tuple[Raw, Any]:
    """A document and its payload, checked.

    Raises: DocumentError; PyMongoError, which is no fault of the document.
    """
    if document is None:
        raise DocumentError(MISSING, "it was there at the inventory and is gone")
    broken = list(aoc.violations(document))
    if broken:
        raise DocumentError(broken[0].code, "; ".join(one.what for one in broken))
    if row["problem"]:
        code, _, what = row["problem"].partition(" ")
        raise DocumentError(code, what)
    raw = raw_of(document)
    if (raw.tenant, raw.source, raw.advisory, raw.artifact_sha256, milliseconds(raw.fetched_at)) != tuple(
        row[name] for name in ("tenant", "source", "advisory", "sha256", "fetched_ms")
    ):
        raise DocumentError(CHANGED, "it is another one than at the inventory")
    inline, pointer = (document["content"].get(name) for name in ("raw", "gridFsId"))
    if inline is None and pointer is None:
        raise DocumentError(PAYLOAD, "content: neither raw nor gridFsId")
    try:
        return raw, inline if inline is not None else payloads.read(pointer, raw.artifact_sha256)
    except source.ChecksumError as err:
        raise DocumentError("ERR_AOC_005", str(err)) from err
    except PayloadError as err:
        raise DocumentError(PAYLOAD, str(err)) from err


def made_one(
    given: Input, raw: Raw, payload: Any, place: Revision, document: Mapping[str, Any]
) -> tuple[ObjectId, tuple[Made, Made], Record]:
    """The observation of a payload and its event, with the observation's id.

    Raises: DocumentError.
    """
    try:
        record = formats.read(raw.format, payload)
        made = observations.document(raw, record, place, given.run)
        event = events.of_observation(made, collector_of(document))
    except PayloadError as err:
        raise DocumentError(FORMAT if raw.format.upper() not in formats.READERS else PAYLOAD, str(err)) from err
    except Exception as err:
        raise DocumentError(PAYLOAD, f"its reader failed ({type(err).__name__})") from err
    return made["_id"], (encoded(observations.COLLECTION, made), encoded(events.OF_OBSERVATIONS, event)), record


def raw_of(document: Mapping[str, Any]) -> Raw:
    """What is read of a document beside its payload."""
    upstream, given = document["upstream"], document["content"].get("format")
    return Raw(
        tenant=document["tenant"],
        source=document["source"]["vendor"].lower(),
        advisory=upstream["upstream_id"],
        content_hash=upstream["content_hash"],
        fetched_at=identity.in_utc(upstream["fetched_at"]),
        artifact_sha256=upstream["content_hash"].removeprefix("sha256:"),
        format=given if isinstance(given, str) else "",
        linkset=document["linkset"],
        identifiers=document["identifiers"] if isinstance(document.get("identifiers"), Mapping) else {},
    )


def collector_of(document: Mapping[str, Any]) -> dict[str, str]:
    """`{vendor, stream, api, collectorVersion}` of a document, as far as they are texts."""
    given = document["source"]
    names = {"vendor": "vendor", "stream": "stream", "api": "api", "collector_version": "collectorVersion"}
    return {name: given[key] for key, name in names.items() if isinstance(given.get(key), str)}


def key_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What names a document in a report: its `_id`, and its key as far as it has one."""
    names = ("source", "advisory", "sha256", "tenant")
    return (RAW, str(unpacked(row["raw_id"])), *(row[name] for name in names if row[name]))


# ---- linksets


def linked(given: Input, low: int, high: int, after: Position | None, _carry: Mapping[str, Any] | None) -> Iterator[Item]:
    """Linksets and their events, component by component."""
    for components in components_ahead(given.work, low, high, after):
        wanted = [(component, [identity.observation_id(*row[1:]) for row in rows]) for component, rows in components]
        found = read_observations(given.database, itertools.chain.from_iterable(ids for _, ids in wanted))
        for component, ids in wanted:
            yield from linked_ones(given, component, [found[one] for one in ids if one in found], after)


def components_ahead(
    work: sqlite3.Connection, low: int, high: int, after: Position | None
) -> Iterator[list[tuple[int, list[tuple[Any, ...]]]]]:
    """`(component, (n, tenant, source, advisory, sha256) of its documents)`, as many as are read at once."""
    first = max(low, after[0]) if after else low
    rows = work.execute(
        "SELECT member.component, raw.n, raw.tenant, raw.source, raw.advisory, raw.sha256"
        " FROM member JOIN raw ON raw.lead = member.lead"
        " WHERE member.component >= ? AND member.component < ? AND raw.problem IS NULL AND raw.twin IS NULL"
        " ORDER BY member.component, raw.lead, raw.place",
        (first, high),
    )
    chunk: list[tuple[int, list[tuple[Any, ...]]]] = []
    size = 0
    for component, same in itertools.groupby(rows, key=lambda row: row[0]):
        inside = [row[1:] for row in same]
        if chunk and size + len(inside) > READ_AHEAD:
            yield chunk
            chunk, size = [], 0
        chunk.append((component, inside))
        size += len(inside)
    if chunk:
        yield chunk


def read_observations(database: Database, ids: Iterable[ObjectId]) -> dict[ObjectId, Mapping[str, Any]]:
    """The stored observations of these ids, less what correlation does not look at."""
    found = database[observations.COLLECTION].find({"_id": {"$in": list(ids)}}, {"rawLinkset": 0})
    return {one["_id"]: one for one in found}


def linked_ones(given: Input, component: int, there: list[Mapping[str, Any]], after: Position | None) -> Iterator[Item]:
    """The linksets of a component."""
    replaced = {one.get("supersedesId") for one in there}
    heads = [one for one in there if one["_id"] not in replaced]
    for k, made in enumerate(linksets.documents(heads, given.run) if heads else ()):
        position = (component, k)
        if after is not None and position <= after:
            continue
        tenant = made["tenantId"]
        try:
            documents = (encoded(linksets.COLLECTION, made), encoded(events.OF_LINKSETS, events.of_linkset(made)))
        except DocumentError as err:
            key = (linksets.COLLECTION, tenant, made["source"], made["advisoryId"])
            yield Item(position, tenant, failure=Failure(key, err.code, err.reason))
            continue
        yield Item(position, tenant, documents, None, tuple(tallies.of_linkset(made)))


# ---- tombstones


def buried(given: Input, low: int, high: int, after: Position | None, _carry: Mapping[str, Any] | None) -> Iterator[Item]:
    """A tombstone for each merged document."""
    names = ("n", "legacy_id", "tenant", "key", "recorded_ms", "problem")
    query = f"SELECT {', '.join(names)} FROM legacy WHERE n >= ? AND n < ? AND n > ? ORDER BY n"  # noqa: S608 - names of ours
    rows = given.work.execute(query, (low, high, after[0] if after else -1))
    while chunk := [dict(zip(names, row, strict=True)) for row in rows.fetchmany(READ_AHEAD)]:
        known = tombstones.known(given.database, given.work, chunk[0]["n"], chunk[-1]["n"])
        yield from (buried_one(given, row, known) for row in chunk)


def buried_one(given: Input, row: Mapping[str, Any], known: tombstones.Known) -> Item:
    """The tombstone of one of them."""
    position, tenant, key = (row["n"], 0), row["tenant"] or "", row["key"]
    named = (LEGACY_COLLECTION, str(unpacked(row["legacy_id"])), *([key, tenant] if key else []))
    if row["problem"]:
        return Item(position, "", failure=Failure(named, LEGACY, row["problem"]))
    if row["n"] in known.same_key:
        said = "another merged document of the tenant has the same advisoryKey, and has its tombstone"
        return Item(position, tenant, failure=Failure(named, CONFLICT, said))
    linked_to = known.there(row["n"])
    reason = known.reason(row["n"], linked_to)
    try:
        made = encoded(tombstones.COLLECTION, tombstones.document(row, reason, linked_to, given.run))
    except DocumentError as err:
        return Item(position, tenant, failure=Failure(named, err.code, err.reason))
    return Item(position, tenant, (made,), None, (f"reason:{reason}",))


Stage = Callable[[Input, int, int, Position | None, Mapping[str, Any] | None], Iterator[Item]]
STAGES: Mapping[str, Stage] = {"observations": observed, "linksets": linked, "tombstones": buried}
"""In the order in which they are done: each reads what the one before has written."""
