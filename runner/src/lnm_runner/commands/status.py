"""`lnm status`: what the ledger says, and, with a kit, how that compares with it. Read-only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lnm_runner import history, lease, ledger, migrations, mongo
from lnm_runner.commands import Result
from lnm_runner.kit import VerifiedKit, open_kit
from lnm_runner.options import Options

SHOWN = (
    "state", "direction", "startedAt", "finishedAt", "durationMs", "score",
    "migrationDigest", "kit", "runner", "owner", "settings", "error",
)  # fmt: skip


def run(options: Options) -> Result:
    """Reads the ledger.

    Raises: RunnerError.
    """
    kit = open_kit(options.kit, options.trust, options.baked_in) if options.kit else None
    with mongo.connect(options) as server:
        rows = [{**row, "_id": str(row["_id"])} for row in ledger.rows(server.database)]
        own, foreign = ledger.published(server.database)
        holder = lease.holder(server.database)
        data: dict[str, Any] = {
            "server": {"version": server.version, "topology": server.topology.value},
            "database": server.database.name,
            "sharding": server.sharding,
            "lease": lease.shown(holder),
            "migrations": [{"id": row["_id"], **{name: row[name] for name in SHOWN if name in row}} for row in rows],
            "published": own,
            "foreign": foreign,
        }
    lines = [
        f"MongoDB {server.version} ({server.topology.value}), database {data['database']}",
        f"sharding: {data['sharding']}",
        *([f"a runner is at work: {lease.described(holder)}"] if holder is not None and holder["isHeld"] else []),
        *(line for row in rows for line in described(row)),
        *([] if rows else ["no Link-Not-Merge migration was applied here"]),
        f"{history.UPSTREAM}: {len(own)} of ours, {len(foreign)} of others, which are left alone",
    ]
    if kit is not None:
        data["kit"], compared = against(kit, {row["_id"]: row for row in rows})
        lines += compared
    return Result(data, lines)


def described(row: Mapping[str, Any]) -> list[str]:
    """One row of the ledger in words."""
    if not ledger.is_well_formed(row):
        return [f"{row['_id']}: this row of {history.LEDGER} is none that a runner wrote"]
    kit = row.get("kit", {})
    ended = f"{row['finishedAt']:%Y-%m-%d %H:%M:%S} UTC, after {row.get('durationMs')} ms" if "finishedAt" in row else ""
    when = ended or f"since {row['startedAt']:%Y-%m-%d %H:%M:%S} UTC"
    lines = [f"{row['_id']}: {row['state']} {when}, from kit {kit.get('version')} ({kit.get('rootHash')})"]
    days = row.get("settings", {}).get("eventsTtlDays")
    if isinstance(days, int) and row["state"] == "applied":
        lines.append(f"  published events are kept {f'{days} days' if days else 'for ever'}")
    if row["state"] == "applying":
        owner = row.get("owner", {})
        lines.append(f"  by process {owner.get('pid')} on {owner.get('host')}")
    if "error" in row:
        lines.append(f"  it stopped: {row['error'].get('message')}")
    return lines


def against(kit: VerifiedKit, rows: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Each delivery of a kit beside its row of the ledger."""
    compared: list[dict[str, Any]] = []
    lines = [f"kit {kit.manifest.version}, rootHash {kit.manifest.root_hash}"]
    for delivery, said in migrations.deliveries(kit).items():
        if said.status != "ready":
            compared.append({"delivery": delivery, "state": "absent", "reason": said.reason})
            lines.append(f"  {delivery}: absent from this kit: {said.reason}")
            continue
        row = rows.get(said.migration or "")
        state = "not applied" if row is None else str(row.get("state"))
        same = row is None or state != "applied" or row.get("migrationDigest") == migrations.digest(kit, delivery)
        compared.append({"delivery": delivery, "migration": said.migration, "state": state, "sameDigest": same})
        lines.append(f"  {delivery}: {state}" + ("" if same else "; the kit's migration is another one than the applied"))
    return {"version": kit.manifest.version, "rootHash": f"sha256:{kit.manifest.root_hash}", "deliveries": compared}, lines
