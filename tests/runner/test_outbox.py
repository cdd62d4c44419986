"""Outbox: nothing is published before it may, everything at least once, in a file once; the switch and its hook."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lnm_runner import lease, mongo
from lnm_runner.commands import outbox
from lnm_runner.errors import (
    InputError,
    LeaseLostError,
    LockedError,
    NotFoundError,
    PrivilegeError,
    RetryableError,
    RunnerError,
    StageError,
)
from lnm_runner.options import Runbook
from lnm_runner.outbox import hook, publisher, sinks, switch, watching
from lnm_runner.outbox.watch import Limits

from tests.runner import installed, roles
from tests.runner.fixtures import Site, fresh_site
from tests.runner.kits import Kit, canonical
from tests.runner.mongod import Mongod
from tests.runner.outboxes import LINKED, OBSERVED, PLAN, TENANT, Boxes, observed
from tests.runner.test_roles import TABLE, restricted
from tests.runner.test_roles_used import PROFILE_BYTES, needs

pytestmark = pytest.mark.mongod


@pytest.fixture(scope="module")
def own_site(server: Mongod, kit: Kit) -> Iterator[Site]:
    """One for all: to make its roles takes longer than most of these tests."""
    with fresh_site(server, kit) as site:
        yield site


@pytest.fixture
def boxes(own_site: Site, tmp_path: Path) -> Boxes:
    made = Boxes(own_site, tmp_path)
    made.prepare()
    return made


def follows_schema(kit: Kit, data: Mapping[str, Any]) -> None:
    """As cli.py prints it with --json."""
    head = {"schema": "stellaops.lnm.output/1", "ok": True, "command": "outbox", "exitCode": 0}
    text = json.dumps({**head, **data}, default=lambda value: value.isoformat())
    installed.schema(kit.folder).validate(json.loads(text))


# ---- publishing


def test_events_are_said_in_order_once_and_as_the_product_says_them(boxes: Boxes, kit: Kit) -> None:
    boxes.fill(3)
    boxes.enable()

    done = boxes.publish()

    assert (done["published"], done["marked"]) == (6, 0)
    assert [(event["type"].split(".")[1], event["advisoryId"][-1]) for event in boxes.published] == [
        ("observation", "3"), ("observation", "2"), ("observation", "1"), ("linkset", "3"), ("linkset", "2"), ("linkset", "1"),
    ]  # fmt: skip
    assert boxes.out.read_bytes() == b"".join(canonical(event) for event in boxes.published)
    event = boxes.published[0]
    assert {"_id", "publishedAt", "backfill"}.isdisjoint(event)
    assert (event["tenantId"], event["ingestedAt"], event["supersedesId"]) == (TENANT, "2025-12-01T07:57:00Z", None)
    assert event["replayCursor"] == str(boxes.site.database[OBSERVED].find_one({"advisoryId": "CVE-2025-3"})["replayCursor"])  # type: ignore[index]
    assert boxes.waiting == 0
    follows_schema(kit, done)

    assert boxes.publish()["published"] == 0
    assert len(boxes.published) == 6


def test_while_it_is_off_nothing_is_published(boxes: Boxes) -> None:
    boxes.fill(1)
    with pytest.raises(StageError, match="switched off"):
        boxes.publish()
    boxes.enable()
    boxes.run("switcher", "disable")
    with pytest.raises(StageError, match="switched off"):
        boxes.publish()
    assert not boxes.out.exists()
    assert boxes.waiting == 2


def test_without_execute_nothing_is_written(boxes: Boxes, kit: Kit) -> None:
    boxes.fill(1)
    boxes.enable()
    said = outbox.run(replace(boxes.options("publisher", "publish"), execute=False))
    assert said.lines[-1] == "Nothing was written; add --execute to do it."
    assert said.data["backlog"] == 2
    outbox.run(replace(boxes.options("switcher", "disable"), execute=False))
    boxes.publish()
    follows_schema(kit, said.data)


@pytest.mark.parametrize("number", [1, 2])
def test_a_publisher_killed_between_writing_and_marking_leaves_each_event_once_in_the_file(boxes: Boxes, number: int) -> None:
    boxes.fill(700)
    boxes.enable()

    boxes.struck(number, boxes.out)
    assert len(boxes.published) > 1400 - boxes.waiting
    with boxes.out.open("ab") as file:
        file.write(b'{"advisoryId":"CVE-20')

    boxes.site.database["lnm_lease"].update_one({"_id": "publisher"}, {"$set": {"expiresAt": lease.LONG_AGO}})
    done = boxes.publish()
    assert done["marked"] > 0
    ids = [event["eventId"] for event in boxes.published]
    assert len(ids) == len(set(ids)) == 1400
    assert boxes.waiting == 0


def test_on_standard_output_an_event_may_come_twice_and_has_the_same_id_then(boxes: Boxes) -> None:
    boxes.fill(2)
    boxes.enable()

    said = boxes.struck(2, None)
    boxes.site.database["lnm_lease"].update_one({"_id": "publisher"}, {"$set": {"expiresAt": lease.LONG_AGO}})
    again = boxes.struck(0, None)

    ids = [[json.loads(line)["eventId"] for line in part.splitlines()] for part in (said, again)]
    assert len(ids[0]) == 4
    assert ids[1] == ids[0][2:]
    assert boxes.waiting == 0


def test_two_publishers_do_not_publish_at_once(boxes: Boxes) -> None:
    boxes.fill(1)
    boxes.enable()
    with mongo.connect(boxes.options("publisher")) as server:
        other = lease.acquire(server.database, "publish", lasts_s=30, name=publisher.LEASE)
        with pytest.raises(LockedError, match="«publish»"):
            boxes.publish()
        assert lease.holder(server.database) is None, "who migrates is not kept from it"
        other.release()
    with sinks.opened(boxes.options("publisher"), 1), pytest.raises(LockedError, match="another publisher writes it"):
        boxes.publish()
    assert boxes.waiting == 2
    boxes.publish()
    assert len(boxes.published) == 2


def test_who_has_lost_the_lease_writes_no_more(boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes.fill(publisher.BATCH + 1)
    boxes.enable()
    marked = publisher.mark

    def taken_over(*arguments: Any) -> int:
        boxes.site.database["lnm_lease"].update_one({"_id": "publisher"}, {"$inc": {"epoch": 1}})
        return marked(*arguments)

    monkeypatch.setattr(publisher, "mark", taken_over)
    with pytest.raises(LeaseLostError):
        boxes.publish()
    assert len(boxes.published) == publisher.BATCH


def test_a_row_of_which_no_event_can_be_made_is_named_and_what_stands_before_it_is_published(boxes: Boxes) -> None:
    boxes.fill(3)
    boxes.enable()
    boxes.site.database[OBSERVED].update_one({"advisoryId": "CVE-2025-2"}, {"$set": {"source": b"bytes"}})
    with pytest.raises(InputError, match=f"{OBSERVED}: the row .* holds what no event may hold"):
        boxes.publish()
    assert [event["advisoryId"] for event in boxes.published] == ["CVE-2025-3"]

    boxes.site.database[OBSERVED].update_one({"advisoryId": "CVE-2025-2"}, {"$set": {"source": "x" * (512 << 10)}})
    with pytest.raises(InputError, match="524,288 are allowed"):
        boxes.publish()
    assert boxes.waiting == 5


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("events.ndjson", b"mine\n", "no publisher wrote"),
        ("events.ndjson", b'{"a":1}\n', "no publisher wrote"),
        ("events.ndjson", b"mine, and its last line has no end", "no publisher wrote"),
        ("events.ndjson", b"mine\nand its last line has no end", "no publisher wrote"),
        ("events.ndjson", b'{"a":1}', "no publisher wrote"),
        (".", b"", "--out"),
    ],
)
def test_a_file_of_somebody_else_is_not_written(boxes: Boxes, name: str, data: bytes, said: str) -> None:
    boxes.fill(1)
    boxes.enable()
    if data:
        (boxes.folder / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        outbox.run(replace(boxes.options("publisher", "publish"), runbook=Runbook(publisher="ndjson", out=boxes.folder / name)))
    assert boxes.waiting == 2
    assert not data or boxes.out.read_bytes() == data


def test_standard_output_holds_events_or_the_answer_of_json(boxes: Boxes) -> None:
    boxes.enable()
    asked = replace(boxes.options("publisher", "publish"), runbook=Runbook(publisher="stdout"))
    with pytest.raises(InputError, match="do not go together"):
        outbox.run(replace(asked, json=True))
    with pytest.raises(InputError, match="wanted stdout, or ndjson"):
        outbox.run(replace(asked, runbook=Runbook(publisher="ndjson")))


def test_a_follower_publishes_what_comes_until_it_is_switched_off(boxes: Boxes) -> None:
    boxes.enable()

    def until_published() -> None:
        deadline = time.monotonic() + 20
        while boxes.waiting and time.monotonic() < deadline:
            time.sleep(0.02)

    def meanwhile() -> None:
        for row in (observed(1), observed(2)):
            boxes.site.database[OBSERVED].insert_one(row)
            until_published()
        boxes.site.database["lnm_settings"].update_one({"_id": "outbox"}, {"$set": {"enabled": False}})

    other = threading.Thread(target=meanwhile)
    asked = boxes.options("publisher", "publish")
    other.start()
    with pytest.raises(StageError, match="switched off"):
        outbox.run(replace(asked, runbook=replace(asked.runbook, follows=True)))
    other.join()
    assert [event["advisoryId"] for event in boxes.published] == ["CVE-2025-1", "CVE-2025-2"]


@pytest.mark.parametrize("state", ["running", "rolling-back"])
def test_a_follower_publishes_nothing_of_a_backfill_that_begins_while_it_follows(boxes: Boxes, state: str) -> None:
    """Nobody has validated that yet; and what a rollback is taking back must not be told meanwhile."""
    boxes.fill(1)
    boxes.enable()

    def meanwhile() -> None:
        deadline = time.monotonic() + 20
        while boxes.waiting and time.monotonic() < deadline:
            time.sleep(0.02)
        boxes.site.database["lnm_runs"].insert_one({"_id": "r", "sequence": 1, "state": state})
        boxes.site.database[OBSERVED].insert_one(observed(2))
        time.sleep(2 * publisher.LOOK_EVERY_S)
        boxes.site.database["lnm_settings"].update_one({"_id": "outbox"}, {"$set": {"enabled": False}})

    other = threading.Thread(target=meanwhile)
    asked = boxes.options("publisher", "publish")
    other.start()
    with pytest.raises(StageError, match=f"run r of 21-102 is {state}"):
        outbox.run(replace(asked, runbook=replace(asked.runbook, follows=True)))
    other.join()
    assert boxes.waiting == 1


def test_a_sink_that_takes_nothing_is_an_error_in_words() -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(RunnerError, match="cannot be written: No space left"):
        sinks.Sink(full.fileno(), (), "the file").write(b"{}\n")
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(RetryableError, match="nobody reads any more"):
        sinks.Sink(writing, (), "standard output").write(b"{}\n")
    os.close(writing)


def test_the_last_lines_of_a_file_are_found_over_any_number_of_blocks(tmp_path: Path) -> None:
    lines = [json.dumps({"eventId": f"{number}", "filler": "x" * 700}).encode() + b"\n" for number in range(400)]
    path = tmp_path / "file"
    path.write_bytes(b"".join(lines) + b"torn")
    with path.open("rb+") as file:
        assert sinks.recovered(file.fileno(), path, 300) == tuple(map(str, range(100, 400)))
        assert sinks.recovered(file.fileno(), path, 900) == tuple(map(str, range(400)))
    assert path.read_bytes() == b"".join(lines)
    (tmp_path / "torn").write_bytes(b'{"advisoryId":"CVE-20')
    with (tmp_path / "torn").open("rb+") as file:
        assert sinks.recovered(file.fileno(), path, 5) == ()
    assert (tmp_path / "torn").read_bytes() == b""


def test_the_status_counts_what_waits_since_it_may_be_published(boxes: Boxes, kit: Kit) -> None:
    boxes.fill(2)
    off = boxes.run("watcher", "status").data
    assert off["enabled"] is False
    assert off["outboxes"][OBSERVED] == {"backlog": 2, "oldestMs": None, "publishedLastHour": 0}

    boxes.enable()
    on = boxes.run("watcher", "status").data
    assert on["outboxes"][LINKED]["backlog"] == 2
    assert 0 <= on["outboxes"][LINKED]["oldestMs"] < 60_000, "its own date is a year ago"
    boxes.publish()
    after = boxes.run("watcher", "status").data
    assert after["outboxes"][OBSERVED] == {"backlog": 0, "oldestMs": None, "publishedLastHour": 2}
    for data in (off, on, after):
        follows_schema(kit, data)


# ---- the switch and its hook


def script(folder: Path, text: str, mode: int = 0o755) -> str:
    """A hook."""
    path = folder / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return str(path)


def settings(boxes: Boxes) -> Any:
    """The switch as it is stored."""
    return boxes.site.database["lnm_settings"].find_one({"_id": "outbox"})


def test_the_hook_is_run_once_with_nothing_of_our_environment(boxes: Boxes, kit: Kit) -> None:
    path = script(
        boxes.folder, f'env >> {boxes.folder}/env; echo "$1" >> {boxes.folder}/words; printf "first\\n\\033[2Jsubject $1\\n\\n"'
    )
    more = {"LNM_OUTBOX_HOOK": path, "LNM_EVIDENCE_KEY": "secret"}

    assert boxes.enable(**more) == "ran: [2Jsubject enable"
    assert boxes.enable(**more) == "ran"
    assert (settings(boxes)["enabled"], settings(boxes)["plan"], settings(boxes)["hook"]) == (True, PLAN, "ran")
    done = boxes.run("switcher", "disable", **more).data
    assert done["hook"] == "ran: [2Jsubject disable"
    boxes.run("switcher", "disable", **more)
    boxes.run("switcher", "enable", **more)

    assert (boxes.folder / "words").read_text() == "enable\ndisable\nenable\n"
    names = {line.partition("=")[0] for line in (boxes.folder / "env").read_text().splitlines()}
    assert names <= {"PATH", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}
    follows_schema(kit, done)


def test_a_hook_that_fails_sets_the_switch_back(boxes: Boxes) -> None:
    path = script(boxes.folder, "echo no such stream; exit 3")
    with pytest.raises(StageError, match=r"failed \(exit 3\): no such stream"):
        boxes.enable(LNM_OUTBOX_HOOK=path)
    assert settings(boxes)["enabled"] is False


def test_a_hook_that_fails_has_silenced_nobody_until_it_is_run_to_its_end(boxes: Boxes) -> None:
    """What must not be published is neither made nor removed as long as the site's own publisher may still be on."""
    fails = {"LNM_OUTBOX_HOOK": script(boxes.folder, "exit 1")}
    with pytest.raises(StageError, match="failed"):
        boxes.enable(**fails)
    assert not switch.is_silent(boxes.site.database), "an enable that failed half-way"
    works = {"LNM_OUTBOX_HOOK": script(boxes.folder, "true")}
    boxes.run("switcher", "disable", **works)
    assert switch.is_silent(boxes.site.database)
    boxes.enable(**works)
    script(boxes.folder, "exit 1")
    with pytest.raises(StageError, match="failed"):
        boxes.run("switcher", "disable", **fails)
    assert not switch.is_silent(boxes.site.database), "a disable that failed"
    boxes.run("switcher", "disable", LNM_OUTBOX_HOOK=script(boxes.folder, "true"))
    assert switch.is_silent(boxes.site.database)


def test_a_hook_that_was_killed_half_way_is_run_again(boxes: Boxes) -> None:
    boxes.enable()
    boxes.site.database["lnm_settings"].update_one({"_id": "outbox"}, {"$set": {"hook": "pending"}})
    assert boxes.enable(LNM_OUTBOX_HOOK=script(boxes.folder, "true")) == "ran"


def test_a_hook_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    path = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    with pytest.raises(StageError, match="did not end in"):
        hook.run(Path(path), "enable", 0.5)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/status").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda _: "hook", InputError, "no absolute path"),
        (lambda folder: f"{folder}/none", NotFoundError, "No such file"),
        (str, InputError, "no executable file"),
        (lambda folder: script(folder, "true", 0o644), InputError, "no executable file"),
        (lambda folder: script(folder, "true", 0o757), InputError, "others could have written it"),
        (lambda folder: script(folder, "true", folder.chmod(0o777) or 0o755), InputError, "others could have written it"),
    ],
)
def test_a_hook_that_is_not_to_be_run_is_refused_before_the_switch_is_set(
    boxes: Boxes, make: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        boxes.enable(LNM_OUTBOX_HOOK=make(boxes.folder))
    assert said in str(caught.value)
    assert settings(boxes) is None


def test_the_command_switches_on_only_what_the_runbook_has_and_never_while_a_backfill_is_half_way(boxes: Boxes) -> None:
    with pytest.raises(StageError, match="never switched on") as caught:
        boxes.run("switcher", "enable")
    assert "runbook enable-outbox" in caught.value.hint
    boxes.enable()
    boxes.run("switcher", "disable")
    for state, verb in (("running", "lnm backfill"), ("rolling-back", "lnm rollback 21-102")):
        boxes.site.database["lnm_runs"].replace_one({"_id": "r"}, {"sequence": 1, "state": state}, upsert=True)
        with pytest.raises(StageError, match=f"is {state}") as caught:
            boxes.run("switcher", "enable")
        assert verb in caught.value.hint
    boxes.site.database["lnm_runs"].update_one({"_id": "r"}, {"$set": {"state": "done"}})
    boxes.run("switcher", "enable")
    assert settings(boxes)["enabled"] is True


# ---- who may


def test_each_privilege_of_these_roles_is_used(boxes: Boxes) -> None:
    database = boxes.site.database
    database.create_collection("system.profile", capped=True, size=PROFILE_BYTES)
    database.command("profile", 2)
    boxes.fill(1)
    boxes.enable()
    boxes.publish()
    boxes.run("watcher", "status")
    watch_once(boxes)
    database.command("profile", 0)

    used = {
        (operation.get("user", "").partition("@")[0], operation["ns"].partition(".")[2], action)
        for operation in database["system.profile"].find()
        for action in needs(operation)
    }
    for user, role in (("publisher", "lnmPublish"), ("switcher", "lnmEnableOutbox"), ("watcher", "lnmWatch")):
        held = [(resource.get("collection"), action) for resource, action in roles.each(TABLE[role])]
        assert [one for one in held if one[0] and (user, *one) not in used] == [], role


def watch_once(boxes: Boxes) -> None:
    """A watch of one look."""
    options = boxes.options("watcher")
    with mongo.connect(options) as server:
        watching.watch(server, options, Limits(calm_s=0), lambda _: None)


@pytest.mark.parametrize(
    ("user", "role", "word"), [("publisher", "lnmPublish", "publish"), ("switcher", "lnmEnableOutbox", "enable")]
)
def test_without_any_one_thing_of_its_role_a_command_is_refused_before_it_writes(
    boxes: Boxes, kit: Kit, user: str, role: str, word: str
) -> None:
    boxes.fill(1)
    boxes.enable()
    for resource, action in roles.each(TABLE[role]):
        boxes.site.database.command("updateUser", user, roles=[restricted(boxes.site, kit, role, resource, action)])
        with pytest.raises(PrivilegeError):
            boxes.run(user, word)
    assert boxes.waiting == 2
    assert not boxes.out.exists()
