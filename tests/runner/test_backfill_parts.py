"""The pure parts of the backfill: the tree of hashes, revisions, alias components, the pace and the lag."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.runner.backfills import raw
from tests.runner.mongod import ROOT, Mongod
from tests.runner.wheel import module

DICE = random.Random(21_102)  # noqa: S311 - any inputs, the same each time
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def part(program: Path) -> Any:
    """A module of the backfill by its name."""
    return lambda name: module(program, f"lnm_runner.backfill.{name}")


# ---- Merkle trees


def reference(leaves: list[bytes]) -> bytes:
    """The definition (RFC 6962, section 2.1), word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 2 ** (math.ceil(math.log2(len(leaves))) - 1)
    return hashlib.sha256(b"\x01" + reference(leaves[:k]) + reference(leaves[k:])).digest()


def test_the_root_is_that_of_the_rfc(part: Any) -> None:
    """And that of its test vectors (RFC 6962 implementations: certificate-transparency, merkle_tree_test.cc)."""
    vectors = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        bytes(range(0x40, 0x44)),
        bytes(range(0x50, 0x58)),
        bytes(range(0x60, 0x70)),
    ]
    assert part("merkle").root_of(vectors).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    for size in range(66):
        leaves = [DICE.randbytes(9) for _ in range(size)]
        assert part("merkle").root_of(leaves) == reference(leaves)


def test_each_path_proves_its_leaf_and_no_other(part: Any) -> None:
    merkle = part("merkle")
    for size in (1, 2, 3, 7, 8, 33, 100):
        leaves = [bytes([n]) * 3 for n in range(size)]
        root, hashes = merkle.root_of(leaves), [merkle.leaf_hash(leaf) for leaf in leaves]
        for index, leaf in enumerate(leaves):
            path = merkle.path(iter(hashes), index, size)
            assert merkle.proves(leaf, index, size, path, root)
            assert not merkle.proves(b"another", index, size, path, root)
            assert size == 1 or not merkle.proves(leaf, (index + 1) % size, size, path, root)
            assert not merkle.proves(leaf, index, size, [*path, root], root)


def test_blocks_are_nodes_of_the_tree(part: Any) -> None:
    merkle = part("merkle")
    tree, leaves = merkle.Tree(), [n.to_bytes(4, "big") for n in range(2 * merkle.BLOCK + 5)]
    for leaf in leaves:
        tree.add(leaf)

    assert tree.blocks == [merkle.root_of(leaves[at : at + merkle.BLOCK]) for at in (0, merkle.BLOCK)]
    assert tree.last_block() == merkle.root_of(leaves[2 * merkle.BLOCK :])
    assert tree.root() == merkle.node_hash(merkle.node_hash(*tree.blocks), tree.last_block())


# ---- revisions


def revision(part: Any, n: int, hour: int, *, replaces: int | None = None, sha256: str = "") -> Any:
    """A revision."""
    return part("chains").Revision(n, bytes([n]), sha256 or f"{n:064}", hour, None if replaces is None else bytes([replaces]))


def order(part: Any, *revisions: Any) -> list[tuple[int, str]]:
    """`(n, problem)` in the order of the places, twins left out."""
    placed = sorted(part("chains").placed(revisions), key=lambda one: one.place)
    return [(one.n, (one.problem or "")[:11]) for one in placed if one.twin is None]


def test_revisions_stand_by_date_unless_they_say_otherwise(part: Any) -> None:
    one, two, three = revision(part, 1, 3), revision(part, 2, 2), revision(part, 3, 1, replaces=1)

    for given in itertools.permutations((one, two, three)):
        assert order(part, *given) == [(2, ""), (1, ""), (3, "")]


@pytest.mark.parametrize("replaced", [1, 9], ids=["itself", "what is not there"])
def test_what_replaces_nothing_has_no_place(part: Any, replaced: int) -> None:
    assert order(part, revision(part, 1, 1, replaces=replaced), revision(part, 2, 2)) == [(2, ""), (1, "ERR_AOC_003")]


def test_a_circle_has_no_place_and_what_follows_it_neither(part: Any) -> None:
    circle = (revision(part, 1, 1, replaces=2), revision(part, 2, 2, replaces=1), revision(part, 3, 3, replaces=2))

    assert order(part, *circle, revision(part, 4, 4)) == [(4, ""), (1, "ERR_AOC_003"), (2, "ERR_AOC_003"), (3, "ERR_AOC_003")]


def test_a_fork_is_put_in_one_line(part: Any) -> None:
    assert order(part, revision(part, 1, 1), revision(part, 3, 3, replaces=1), revision(part, 2, 2, replaces=1)) == [
        (1, ""),
        (2, ""),
        (3, ""),
    ]


def test_twins_are_told_and_what_replaces_a_twin_follows_the_first(part: Any) -> None:
    twin = revision(part, 2, 5, sha256=f"{1:064}")
    placed = part("chains").placed([revision(part, 1, 1), twin, revision(part, 3, 0, replaces=2)])

    assert {one.n: one.twin for one in placed} == {1: None, 2: 1, 3: None}
    assert order(part, revision(part, 1, 1), twin, revision(part, 3, 0, replaces=2)) == [(1, ""), (3, "")]


# ---- components


def test_components_are_those_of_the_graph(part: Any, tmp_path: Path) -> None:
    """Against a plain search over random graphs."""
    for size in (1, 10, 200):
        work = sqlite3.connect(":memory:")
        work.executescript(part("workfile").SCHEMA)
        work.executemany(
            "INSERT INTO raw (n, raw_id, size, lead, leaf) VALUES (?, x'', 0, ?, x'')", [(n, n) for n in range(size)]
        )
        names = [
            (f"t{DICE.randrange(2)}", f"CVE-{DICE.randrange(size)}", n) for n in range(size) for _ in range(DICE.randrange(3))
        ]
        work.executemany("INSERT INTO name VALUES (?, ?, ?)", names)
        part("components").join_names(work, tmp_path)
        found: dict[int, set[int]] = {}
        for component, lead in work.execute("SELECT component, lead FROM member"):
            found.setdefault(component, set()).add(lead)

        assert {frozenset(inside) for inside in found.values()} == searched(size, names)
        assert all(component == min(inside) for component, inside in found.items())


def searched(size: int, names: list[tuple[str, str, int]]) -> set[frozenset[int]]:
    """The components, by going along the edges."""
    by_name: dict[tuple[str, str], set[int]] = {}
    for tenant, name, n in names:
        by_name.setdefault((tenant, name), set()).add(n)
    left, found = set(range(size)), set()
    while left:
        inside, waiting = set[int](), {min(left)}
        while waiting:
            one = waiting.pop()
            inside.add(one)
            waiting |= {other for same in by_name.values() if one in same for other in same} - inside
        found.add(frozenset(inside))
        left -= inside
    return found


def test_an_inventory_goes_on_where_the_server_has_forgotten_its_cursor(part: Any, server: Mongod) -> None:
    database = server.client[f"lnm_cursor_{DICE.randrange(10**9)}"]
    try:
        database["advisory_raw"].create_index(list(part("inventory").ORDER), unique=True)
        database["advisory_raw"].insert_many([raw(f"A-{n:04}") for n in range(350)])
        found = part("inventory").in_order(database)
        seen = [next(found)]
        for count in (10, 150):
            seen += itertools.islice(found, count)
            server.client.admin.command({"killAllSessions": [{"user": ROOT[0], "db": "admin"}]})
        seen += found
    finally:
        server.client.drop_database(database.name)

    assert [one["upstream"]["upstream_id"] for one in seen] == [f"A-{n:04}" for n in range(350)]


# ---- pace: a controller that decides over whatever it is told


def driven(part: Any, lags: list[float | None], limits: Any = None, window_s: float | None = None) -> list[Any]:
    """What the controller decides over a trace, a second between two samples."""
    pace = part("pace")
    state, decisions = pace.State(500), []
    for lag_s in lags:
        decision = pace.decide(state, limits or pace.Limits(), pace.Sample(lag_s, "m2", window_s), 1.0)
        state = decision.state
        decisions.append(decision)
    return decisions


def test_a_calm_server_is_written_to_as_fast_as_allowed(part: Any) -> None:
    assert {(one.action, one.batch_size, one.said) for one in driven(part, [0.0, 1.0, 7.0] * 10)} == {("go", 500, "")}


def test_rising_lag_makes_batches_smaller_then_pauses_and_goes_on_under_half(part: Any) -> None:
    decisions = driven(part, [10, 16, 20, 31, 29, 16, 15, 3, 3])

    assert [one.action for one in decisions] == ["go", "go", "go", "pause", "pause", "pause", "go", "go", "go"]
    assert [one.batch_size for one in decisions] == [500, 250, 125, 125, 125, 125, 125, 156, 195]
    assert [one.said for one in decisions if one.said][:3] == [
        "batches of 250 instead of 500: lag 16 s",
        "batches of 125 instead of 250: lag 20 s",
        "pause: lag 31 s, limit 30 s: m2",
    ]


@pytest.mark.parametrize("unknown", [None, float("nan"), -1.0], ids=str)
def test_lag_that_is_not_known_pauses(part: Any, unknown: float | None) -> None:
    assert [one.action for one in driven(part, [0, unknown, unknown, 0])] == ["go", "pause", "pause", "go"]


@pytest.mark.parametrize("lag_s", [None, 31.0, 10**9], ids=str)
def test_a_pause_of_ten_minutes_stops(part: Any, lag_s: float | None) -> None:
    actions = [one.action for one in driven(part, [lag_s] * 700)]

    assert actions.index("stop") == 600


def test_lag_near_to_what_the_oplog_holds_stops_at_once(part: Any) -> None:
    assert [one.action for one in driven(part, [35.0, 51.0], window_s=100.0)] == ["pause", "stop"]


def test_whatever_the_trace_it_never_writes_over_the_limit(part: Any) -> None:
    """Adversarial traces: steps, spikes, saws, noise and lies."""
    for _ in range(200):
        trace = [DICE.choice([None, 0.0, DICE.random() * 100, float("nan"), float("inf"), -5.0]) for _ in range(100)]
        limits = part("pace").Limits(DICE.randrange(1, 10_000), DICE.random() * 60 + 0.1)
        for lag_s, one in zip(trace, driven(part, trace, limits), strict=True):
            if one.action == "go":
                assert lag_s is not None
                assert 0 <= lag_s <= limits.max_lag_s
                assert 1 <= one.batch_size <= max(limits.batch_size, 1)


def test_limits_change_by_a_document_that_makes_sense(part: Any) -> None:
    limits = part("pace").Limits(500, 30.0)

    assert limits.changed({"batchSize": 50, "maxLagSeconds": 5, "pause": True}) == part("pace").Limits(50, 5.0, is_paused=True)
    for nonsense in (
        {},
        None,
        {"batchSize": 0},
        {"batchSize": "1"},
        {"batchSize": True},
        {"maxLagSeconds": float("nan")},
        {"pause": 1},
    ):
        assert limits.changed(nonsense) == limits


# ---- traces that were recorded of a real replica set (tests/crash/record_lag.py)

TRACES = {row["how"]: row for row in map(json.loads, Path(__file__).with_name("lag_traces.ndjson").read_text().splitlines())}
LIMIT_S = 6.0


@pytest.mark.parametrize("how", TRACES)
def test_over_a_recorded_trace_it_pauses_exactly_while_it_must_and_goes_on(part: Any, how: str) -> None:
    pace, lags = part("pace"), TRACES[how]["lagS"]

    decisions = driven(part, lags, pace.Limits(max_lag_s=LIMIT_S))

    went = [one.action == "go" for one in decisions]
    assert all(lag_s is not None and lag_s <= LIMIT_S for lag_s, goes in zip(lags, went, strict=True) if goes)
    assert went[-1]
    assert decisions[-1].batch_size == pace.DEFAULT_BATCH, "and as fast as before"
    is_calm = all(lag_s is not None and lag_s <= LIMIT_S / 2 for lag_s in lags)
    assert all(went) == is_calm
    said = [one.said for one in decisions if one.said]
    assert bool(said) != is_calm
    if None in lags:
        assert any("lag unknown" in line for line in said)


def test_the_traces_have_what_they_were_recorded_for() -> None:
    locked, stopped, stepped_down = (row["lagS"] for row in TRACES.values())

    assert max(locked) > 2 * LIMIT_S
    assert stopped.count(None) > 10
    assert max(stepped_down) <= 1


# ---- lag, of recorded answers of replSetGetStatus


def member(name: str, state: int, behind_s: float, health: int = 1) -> dict[str, Any]:
    """A member as the server tells of it."""
    return {"name": name, "state": state, "health": health, "optimeDate": NOON - dt.timedelta(seconds=behind_s)}


@pytest.mark.parametrize(
    ("members", "lag_s", "why"),
    [
        ([member("a", 1, 0)], 0.0, ""),
        ([member("a", 1, 0), member("b", 2, 3), member("c", 2, 70)], 70.0, "c"),
        ([member("a", 1, 5), member("b", 2, 0)], 0.0, "b"),
        ([member("a", 1, 0), member("b", 7, 9999)], 0.0, ""),
        ([member("a", 1, 0), member("b", 8, 0, health=0)], None, "b cannot be seen"),
        ([member("a", 1, 0), member("b", 5, 0)], None, "b cannot be seen"),
        (
            [member("a", 1, 0), {**member("b", 2, 0), "optimeDate": dt.datetime(1970, 1, 1, tzinfo=dt.UTC)}],
            None,
            "b cannot be seen",
        ),
        ([member("a", 2, 0), member("b", 2, 0)], None, "0 primaries are seen"),
        ([member("a", 1, 0), member("b", 1, 0)], None, "2 primaries are seen"),
        ([], None, "0 primaries are seen"),
    ],
)
def test_the_lag_is_that_of_the_member_that_is_furthest_behind(
    part: Any, members: list[dict[str, Any]], lag_s: float | None, why: str
) -> None:
    sample = part("lag").of_status({"members": members}, {})

    assert (sample.lag_s, sample.why) == (lag_s, why)


def test_of_several_shards_the_worst_counts_and_one_unknown_is_unknown(part: Any) -> None:
    sample, worst = part("pace").Sample, part("lag").worst

    assert worst({"a": sample(1.0), "b": sample(9.0), "c": sample(2.0)}).lag_s == 9.0
    assert worst({"a": sample(1.0), "b": sample(None, "b: gone")}) == sample(None, "b: gone")
    assert worst({}).lag_s is None


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("mongodb://u:p@r1:1,r2:2/?tls=true&replicaSet=x", "mongodb://u:p@h1:3,h2:4/?tls=true&replicaSet=sh0"),
        ("mongodb://r1/db?directConnection=true", "mongodb://h1:3,h2:4/db?replicaSet=sh0"),
        ("mongodb://r1", "mongodb://h1:3,h2:4/?replicaSet=sh0"),
        ("mongodb+srv://r1/", None),
    ],
)
def test_a_shard_is_asked_as_the_same_user(program: Path, uri: str, wanted: str | None) -> None:
    target = module(program, "lnm_runner.target")
    found = target.with_hosts(target.Target(uri, None, "d"), "sh0", "h1:3,h2:4")

    assert (found and found.uri) == wanted


def test_a_member_that_waits_on_purpose_is_late_by_so_much_less(part: Any) -> None:
    sample = part("lag").of_status({"members": [member("a", 1, 0), member("b", 2, 3605)]}, {"b": 3600.0})

    assert sample.lag_s == 5.0


# ---- the work file


def test_a_maker_that_was_paused_does_not_put_its_work_file_in_the_place_of_a_later_one(
    program: Path, part: Any, tmp_path: Path
) -> None:
    workfile, errors = part("workfile"), module(program, "lnm_runner.errors")

    paused, later = workfile.created(tmp_path), workfile.created(tmp_path)
    workfile.remember(paused.__enter__(), runId="paused")
    workfile.remember(later.__enter__(), runId="later")
    with pytest.raises(errors.RetryableError):
        paused.__exit__(None, None, None)
    later.__exit__(None, None, None)

    with workfile.opened(tmp_path) as work:
        assert workfile.recall(work) == {"runId": "later"}
    assert [path.name for path in tmp_path.iterdir()] == [workfile.NAME]


def test_what_is_sorted_for_the_work_file_stays_beside_it(part: Any, tmp_path: Path) -> None:
    with part("workfile").created(tmp_path) as work:
        assert work.execute("PRAGMA temp_store_directory").fetchone() == (str(tmp_path),)
