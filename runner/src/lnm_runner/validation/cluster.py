"""Equations about the server: the schema is the declared one, and shards hold about as much as each other. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure

from lnm_runner import roles, sharding
from lnm_runner.errors import PlanError
from lnm_runner.mongo import Topology
from lnm_runner.validation.findings import Defect, Finding, Stored

MOST_SPREAD = 0.20
FEWEST_SHARDS, FEWEST_DOCUMENTS = 2, 10_000
"""Below, chance alone can be as large (decisions §6)."""


def declared(stored: Stored) -> Finding:
    """Collections, validators, indexes, expiry and shard keys: by the plan of 21-101, which must find nothing to do."""
    wanted = f"as {stored.look.schema.delivery} declares"
    try:
        plan = stored.look.schema.plan(stored.database, stored.look.settings)
    except PlanError as err:
        return Finding("there is no plan", tuple(Defect(each.message, wanted) for each in (err, *err.others)))
    found = tuple(Defect(f"still to do: {'; '.join(action.describe())}", wanted) for action in plan.actions)
    return Finding("the plan finds nothing to do" if not found else f"the plan finds {len(found)} actions", found)


@dataclass(frozen=True)
class Balance:
    """How the documents of a collection lie on shards; orphans, which a shard holds and does not own, are apart."""

    owned: Mapping[str, int]
    """`{shard: documents}`"""
    orphans: int

    @property
    def spread(self) -> float:
        """(max - min) / mean."""
        counts = self.owned.values()
        return (max(counts) - min(counts)) * len(counts) / total if (total := sum(counts)) else 0.0

    @property
    def is_judged(self) -> bool:
        """True where there is enough to judge."""
        return len(self.owned) >= FEWEST_SHARDS and sum(self.owned.values()) >= FEWEST_DOCUMENTS

    def describe(self) -> str:
        """In words."""
        shares = ", ".join(f"{shard} {count:,}" for shard, count in sorted(self.owned.items()))
        return f"{shares}; spread {self.spread:.2f}; {self.orphans:,} orphans apart"


def balances(rows: Iterable[Mapping[str, Any]], shards: Sequence[str]) -> dict[str, Balance]:
    """`{namespace: balance}` of what `$shardedDataDistribution` answers (MongoDB manual); a shard without any is not in it."""
    found = {}
    for row in rows:
        said = {shard["shardName"]: shard for shard in row["shards"]}
        owned = {name: int(said[name]["numOwnedDocuments"]) if name in said else 0 for name in sorted({*shards, *said})}
        found[row["ns"]] = Balance(owned, sum(int(shard["numOrphanedDocs"]) for shard in said.values()))
    return found


def balanced(stored: Stored) -> Finding:
    """Shards."""
    server = stored.look.server
    if server.topology is not Topology.ROUTER:
        return Finding(server.sharding, is_judged=False)
    cluster = sharding.look(stored.database)
    names = [f"{stored.database.name}.{name}" for name in roles.SHARDED]
    asked: list[Mapping[str, Any]] = [{"$shardedDataDistribution": {}}, {"$match": {"ns": {"$in": names}}}]
    try:
        rows = list(stored.database.client.admin.aggregate(asked))
    except OperationFailure as err:
        if err.code == sharding.UNAUTHORIZED:
            raise
        return Finding("the router does not tell how documents lie on shards (MongoDB 6.0.3 does)", is_judged=False)
    return weighed(balances(rows, cluster.shards if cluster else ()))


def weighed(found: Mapping[str, Balance]) -> Finding:
    """What balances mean."""
    judged = {name: one for name, one in found.items() if one.is_judged}
    uneven = tuple(
        Defect(f"{name}: {one.describe()}", f"a spread of {MOST_SPREAD:.2f} at most")
        for name, one in judged.items()
        if one.spread > MOST_SPREAD
    )
    told = "; ".join(f"{name}: {one.describe()}" for name, one in sorted(found.items())) or "no collection of it is sharded"
    facts = {"spread": {name: round(one.spread, 4) for name, one in found.items()}}
    return Finding(told, uneven, is_judged=bool(judged), facts=facts)
