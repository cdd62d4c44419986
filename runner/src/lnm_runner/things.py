"""The things that a migration makes, one by one: how the ledger remembers them, and whether they are there. Read-only.

A thing is a collection, a validator, an index, the expiry of an index, or a shard key. The ledger writes the list of them before
the first is made (`made`), with what was there before; a run that was interrupted is judged by it (`probe`), and so is going back
(`undo`). Specifications are kept as text (MongoDB Extended JSON v2, relaxed): the order of an index's fields counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import json_util

from lnm_runner.errors import LedgerError
from lnm_runner.mongo import Database
from lnm_runner.present import Found, content, expiry, read_sharded, shown, without_validator
from lnm_runner.schema import after

KINDS = ("collection", "validator", "index", "ttl", "shard-key")
RELAXED = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=True)


@dataclass(frozen=True)
class Thing:
    """One thing that a migration makes or changes."""

    kind: str
    collection: str
    name: str = ""
    """Of the index."""
    made: Mapping[str, Any] | None = None
    """What it is: an index's specification, a validator's options, `{expireAfterSeconds}`, `{key}`."""
    before: Mapping[str, Any] | None = None
    """What was there, for a thing that is changed."""

    @property
    def id(self) -> str:
        """`index:advisory_linksets.lnm_ls_purls`."""
        return f"{self.kind}:{self.collection}{self.name and '.' + self.name}"

    def row(self) -> dict[str, Any]:
        """The thing as the ledger keeps it."""
        texts = {"made": self.made, "before": self.before}
        kept = {name: json_util.dumps(value, json_options=RELAXED) for name, value in texts.items() if value is not None}
        return {"kind": self.kind, "collection": self.collection, "name": self.name, **kept}


@dataclass(frozen=True)
class Evidence:
    """What was found of a thing."""

    thing: Thing
    stands: bool
    found: str
    """In words."""

    def as_json(self) -> dict[str, Any]:
        """The evidence, for a program."""
        return {"thing": self.thing.id, "stands": self.stands, "found": self.found}


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Thing]:
    """The things in a row of the ledger.

    Raises: LedgerError for what is not readable.
    """
    try:
        things = [
            Thing(
                row["kind"],
                row["collection"],
                row["name"],
                **{name: json_util.loads(row[name], json_options=RELAXED) for name in ("made", "before") if name in row},
            )
            for row in rows
        ]
        odd = [thing for thing in things if not is_whole(thing)]
    except (KeyError, TypeError, ValueError) as err:
        raise LedgerError("lnm_migrations: its list of what was made is not readable", hint="restore it from the backup") from err
    if odd:
        raise LedgerError(
            f"lnm_migrations: this runner does not know what was made: {odd[0].kind} of {odd[0].collection}",
            hint="use the runner that wrote it, or restore the row from the backup",
        )
    return things


def is_whole(thing: Thing) -> bool:
    """True for a thing that some run has written, as far as this runner knows them."""
    texts = all(isinstance(value, str) for value in (thing.collection, thing.name))
    specifications = all(value is None or isinstance(value, dict) for value in (thing.made, thing.before))
    has_key = thing.kind not in {"index", "shard-key"} or isinstance((thing.made or {}).get("key"), dict)
    return texts and specifications and has_key and thing.kind in KINDS


def probe(database: Database, things: Iterable[Thing]) -> list[Evidence]:
    """Looks for each thing."""
    wanted = list(things)
    present = read_sharded(database, {thing.collection for thing in wanted})
    return [Evidence(thing, *look(present.get(thing.collection), thing)) for thing in wanted]


def look(found: Found | None, thing: Thing) -> tuple[bool, str]:
    """Whether a thing stands, and what was found."""
    if found is None:
        return False, "the collection is not there"
    made = thing.made or {}
    if thing.kind == "collection":
        return found.options["type"] == "collection", f"there is a {found.options['type']}"
    if thing.kind == "validator":
        same = found.validator == made
        return same, "the validator is set" if same else ("no validator" if without_validator(found) else "another validator")
    if thing.kind == "shard-key":
        same = found.shard_key == made.get("key")
        return same, f"sharded on {found.shard_key}" if found.shard_key else "not sharded"
    return look_at_index(found, thing, made)


def look_at_index(found: Found, thing: Thing, made: Mapping[str, Any]) -> tuple[bool, str]:
    """The same for an index or its expiry."""
    index = next((index for index in found.indexes if index["name"] == thing.name), None)
    if index is None:
        return False, "no index of that name"
    if thing.name in found.building:
        return False, "the server is still building it"
    if thing.kind == "ttl":
        return expiry(index) == made.get("expireAfterSeconds"), f"documents die {after(expiry(index))}"
    same = content(index) == content(made)
    return same, "it stands" if same else f"another index: {shown(index)}"


def verdict(evidence: Sequence[Evidence]) -> str:
    """done, partly done or not done."""
    standing = sum(item.stands for item in evidence)
    if standing == len(evidence):
        return "done"
    return "partly done" if standing else "not done"


def told(evidence: Sequence[Evidence]) -> str:
    """The verdict in words."""
    return f"{verdict(evidence)}: {sum(item.stands for item in evidence)} of {len(evidence)} things stand"
