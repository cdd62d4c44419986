"""A state folder that somebody has deleted from, edited, or set back is noticed, and nothing is let in until somebody has looked."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lnm_runner import chain
from lnm_runner.commands import kit_verify
from lnm_runner.errors import InputError, SignatureError, StateError, VersionError
from lnm_runner.kit import active, journal, mending, recovery, state
from lnm_runner.options import Options

from tests.faults.keys import STRANGER
from tests.runner import policies
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.machines import REASON, Machine, machine
from tests.runner.rotations import offered, with_root

__all__ = ["machine"]
Tamper = Callable[[Machine], object]


@pytest.fixture
def used(machine: Machine) -> Machine:
    """A machine with a policy and two kits: eight lines."""
    machine.install(offered(machine.folder, with_root(policies.BUILDER)))
    machine.import_versions("2026.9.1", "2026.9.2")
    with pytest.raises(VersionError):
        machine.let_in(machine.tarball("2026.9.1"), "")
    machine.let_in(machine.tarball("2026.9.3"))
    return machine


def lines(machine: Machine) -> list[bytes]:
    """Those of the journal."""
    return machine.journal.read_bytes().splitlines(keepends=True)


def written(machine: Machine, *kept: bytes) -> None:
    """Puts other lines in their place."""
    machine.journal.write_bytes(b"".join(kept))


def edited(machine: Machine, number: int, old: bytes, new: bytes) -> None:
    """Changes a line."""
    found = lines(machine)
    assert old in found[number - 1]
    written(machine, *found[: number - 1], found[number - 1].replace(old, new), *found[number:])


def beheaded(machine: Machine, count: int) -> None:
    """Sets journal and head.json back to an earlier day, by a copy of what they were then."""
    kept = lines(machine)[:count]
    written(machine, *kept)
    read = journal.read(b"".join(kept))
    head = {"chain": read.chain, "count": count, "head": read.head}
    (machine.state / "trust/head.json").write_bytes(chain.rendered(head))


def forked(machine: Machine) -> None:
    """Another story from an earlier day on, with hashes that are right and with its head."""
    beheaded(machine, 4)
    with (machine.state / "kits/active").open("wb") as file:
        file.write(chain.rendered({key: json.loads(lines(machine)[-1])["facts"][key] for key in ("rootHash", "version")}))
    data = machine.journal.read_bytes()
    for _ in range(6):
        facts = {"file": "", "exit": 5, "why": "invented"}
        data += journal.line(journal.read(data), journal.REFUSED, facts, "2026-11-29T00:00:00Z")
    machine.journal.write_bytes(data)
    beheaded(machine, 10)


def of_another_machine(machine: Machine) -> None:
    """The journal of a machine that let in nothing, with its head."""
    other = Machine(machine.folder / "other")
    other.folder.mkdir()
    with mending.locked(other.state):
        shutil.rmtree(machine.state / "trust")
        shutil.copytree(other.state / "trust", machine.state / "trust")


def kits_of(machine: Machine) -> list[Path]:
    """The folders of kits, the oldest version first."""
    return sorted(path for path in (machine.state / "kits").iterdir() if path.is_dir())


def receipt(machine: Machine, number: int) -> Path:
    """The receipt of a kit."""
    path = kits_of(machine)[number]
    return path.with_name(f"{path.name}.receipt.json")


def older_active(machine: Machine) -> None:
    """Lets kits/active name a kit that was let in earlier."""
    facts = next(json.loads(line)["facts"] for line in lines(machine) if b'"imported"' in line)
    (machine.state / "kits/active").write_bytes(chain.rendered({key: facts[key] for key in ("rootHash", "version")}))


def only_kits_left(machine: Machine) -> None:
    """A new beginning, to which the kits that lie there do not belong."""
    for number in range(len(kits_of(machine))):
        receipt(machine, number).unlink()
    (machine.state / "kits/active").unlink()
    of_another_machine(machine)


TAMPERED: dict[str, tuple[Tamper, str]] = {
    "journal deleted": (lambda it: it.journal.unlink(), r"journal.jsonl: is gone or empty, and trust/head.json, kits/active"),
    "journal emptied": (lambda it: it.journal.write_bytes(b""), "journal.jsonl: is gone or empty"),
    "trust deleted": (lambda it: shutil.rmtree(it.state / "trust"), "journal.jsonl: is gone or empty, and kits/active"),
    "line edited": (lambda it: edited(it, 3, b"2026.9.1", b"2026.9.0"), "line 4: .* line 3 now: that one was changed"),
    "line deleted": (lambda it: written(it, *lines(it)[:4], *lines(it)[5:]), "line 5: it was written as line 6"),
    "first line deleted": (lambda it: written(it, *lines(it)[1:]), "line 1: it was written as line 2"),
    "lines exchanged": (
        lambda it: written(it, *lines(it)[:3], lines(it)[4], lines(it)[3], *lines(it)[5:]),
        "line 4: it was written as line 5",
    ),
    "line doubled": (lambda it: written(it, *lines(it)[:4], *lines(it)[3:]), "line 5: it was written as line 4"),
    "line of another form": (lambda it: edited(it, 5, b'"count":5', b'"count": 5'), "line 5: it is no entry in its one form"),
    "line with another member": (lambda it: edited(it, 5, b'"count":5', b'"count":5,"d":1'), "line 5: it is no entry"),
    "last line edited": (lambda it: edited(it, len(lines(it)), b"activated", b"activatee"), "it is no entry"),
    "last line edited in its form": (
        lambda it: edited(it, len(lines(it)), b"2026.9.3", b"2026.9.1"),
        r"line 9 is not the one that trust/head\.json knows",
    ),
    "last line cut off": (lambda it: written(it, *lines(it)[:-1]), "ends after line 8, and trust/head.json knows line 9"),
    "last line cut in two": (lambda it: it.journal.write_bytes(it.journal.read_bytes()[:-9]), "knows line 9: lines were cut off"),
    "set back with its head": (lambda it: beheaded(it, 4), r"ends after line 4, and kits/2026\.9\.2-.* knows line 5"),
    "forked with its head": (forked, r"line 5 is not the one that kits/2026\.9\.2-.*two journals from one beginning"),
    "of another machine": (of_another_machine, "belongs to a journal that the one that is there now knows nothing of"),
    "begun anew": (only_kits_left, r"kits: 2026\.9\.1-.*, 2026\.9\.2-.*: no line let them in"),
    "head deleted": (lambda it: (it.state / "trust/head.json").unlink(), "head.json: is gone, and the journal has 9 lines"),
    "head edited": (lambda it: (it.state / "trust/head.json").write_bytes(b"{}\n"), "head.json: lnm has not written it"),
    "head set back": (
        lambda it: (it.state / "trust/head.json").write_bytes(
            chain.rendered({"chain": state.look(it.state).journal.chain, "count": 3, "head": "0" * 64})
        ),
        "head.json: knows 3 lines, and the journal has 9",
    ),
    "receipt deleted": (lambda it: receipt(it, 0).unlink(), r"receipt\.json: is gone, and line 3 of the journal"),
    "receipt edited": (
        lambda it: receipt(it, 0).write_bytes(receipt(it, 0).read_bytes().replace(b'"count":3', b'"count":5')),
        "line 5 is not the one",
    ),
    "receipt exchanged": (lambda it: shutil.copy(receipt(it, 0), receipt(it, 1)), "lnm has not written it"),
    "active deleted": (
        lambda it: (it.state / "kits/active").unlink(),
        r"kits/active: is gone, and the journal knows 2026\.9\.3-",
    ),
    "active edited": (lambda it: (it.state / "kits/active").write_bytes(b"2026.9.1"), "kits/active: lnm has not written it"),
    "active set back": (older_active, r"kits/active: names 2026\.9\.1-.*, and the journal knows 2026\.9\.3-"),
    "active of another version": (
        lambda it: (path := it.state / "kits/active").write_bytes(path.read_bytes().replace(b"2026.9.3", b"2026.9.0")),
        r"kits/active: names 2026\.9\.0-.*, and the journal knows 2026\.9\.3-",
    ),
    "policy edited": (
        lambda it: (it.state / "trust-policy.toml").write_bytes(with_root(policies.BUILDER, policies.SECURITY)),
        r"trust-policy\.toml: has sha256 .*, and the journal knows",
    ),
    "policy deleted": (lambda it: (it.state / "trust-policy.toml").unlink(), r"trust-policy\.toml: is gone"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_tampered_with_is_named_and_recovery_keeps_the_mark(used: Machine, how: str) -> None:
    """T8."""
    tamper, said = TAMPERED[how]
    newer, older = used.tarball("2026.9.4"), used.tarball("2026.9.2", text=b"older, yet unknown")
    tamper(used)

    assert re.search(said, "\n".join(used.defects)), used.defects
    kits = {path.name for path in kits_of(used)}
    with pytest.raises(StateError) as refused:
        used.let_in(newer)
    assert refused.value.exit_code == 7
    with pytest.raises(StateError):
        active.folder(used.state)
    assert {path.name for path in kits_of(used)} == kits

    recovery.recover(used.state, REASON)

    assert used.defects == []
    assert state.look(used.state).standing.highest == "2026.9.3"
    with pytest.raises(VersionError):
        used.let_in(older)
    used.let_in(newer)
    assert (used.active, used.defects) == ("2026.9.4", [])


def without(machine: Machine, *names: str) -> None:
    """Deletes files and folders of the state folder."""
    for path in (machine.state / name for name in names):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def garbled(machine: Machine) -> None:
    """Deletes the policy, and makes the journal one that nobody can read."""
    without(machine, "trust-policy.toml")
    edited(machine, 1, b"begun", b"begum")


LED_ASTRAY: dict[str, Tamper] = {
    "policy deleted": lambda it: without(it, "trust-policy.toml"),
    "policy emptied": lambda it: (it.state / "trust-policy.toml").write_bytes(b""),
    "policy edited": lambda it: it.policy(policies.signer(STRANGER, "builder")),
    "policy and journal deleted": lambda it: without(it, "trust-policy.toml", "trust/journal.jsonl"),
    "policy and trust deleted": lambda it: without(it, "trust-policy.toml", "trust"),
    "policy deleted, journal garbled": garbled,
}


@pytest.mark.parametrize("how", LED_ASTRAY)
def test_no_command_follows_another_policy_than_the_installed_one_or_does_without_it(used: Machine, how: str) -> None:
    """Also those that are given --kit and --key: what the stranger's key has signed was never trusted here."""
    key, path = used.folder / "stranger.pub", used.tarball("2026.9.9", STRANGER)
    key.write_bytes(STRANGER.pem)
    options = Options(kit=path, keys=(key,), environment={"LNM_STATE_DIR": str(used.state)})
    with pytest.raises(SignatureError):
        kit_verify.run(options)

    LED_ASTRAY[how](used)

    with pytest.raises(StateError) as refused:
        kit_verify.run(options)
    assert "--policy FILE" in refused.value.hint
    named = replace(options, policy=offered(used.folder, policies.text(policies.signer(STRANGER, "builder"))))
    assert kit_verify.run(named).exit_code == 0  # whom the operator names himself


def test_no_policy_is_followed_that_anybody_could_exchange(machine: Machine) -> None:
    machine.policy(policies.BUILDER)
    options = Options(environment={"LNM_STATE_DIR": str(machine.state)})
    assert options.trust.policy is not None

    machine.state.chmod(0o777)

    with pytest.raises(InputError, match="anybody may write into it"):
        _ = options.trust


def test_an_untouched_folder_has_no_defect_and_recovering_it_does_nothing(used: Machine) -> None:
    before = used.bytes()

    assert recovery.recover(used.state, "").defects == ()

    assert used.defects == []
    assert used.bytes() == before


def test_a_torn_last_line_is_mended_and_told(used: Machine) -> None:
    with used.journal.open("ab") as file:
        file.write(b'{"at":"2026-11-29T23:')

    assert used.defects == []
    with mending.locked(used.state) as found:
        assert found.mended == ["line 10 of the journal was not written to its end, and was cut off"]
    assert used.journal.read_bytes().endswith(b"\n")
    assert used.defects == []


def test_recovery_needs_a_reason_that_was_never_used_and_keeps_the_broken_journal(used: Machine) -> None:
    broken = b"".join(lines(used)[:-1])
    written(used, broken)

    with pytest.raises(InputError):
        recovery.recover(used.state, "short")
    recovery.recover(used.state, REASON)
    assert (used.state / "trust/journal.broken-1.jsonl").read_bytes() == broken
    assert used.events == ["begun", "recovered"]

    written(used, *lines(used)[1:])
    with pytest.raises(InputError, match="used before"):
        recovery.recover(used.state, REASON)
    recovery.recover(used.state, f"{REASON}, once more")
    assert state.look(used.state).standing.highest == "2026.9.3"


def test_a_recovery_waits_for_no_pipe_and_reads_through_no_link(used: Machine) -> None:
    written(used, *lines(used)[:-1])
    os.mkfifo(used.state / "trust/journal.broken-1.jsonl")
    elsewhere = used.folder / "elsewhere"
    elsewhere.write_bytes(used.journal.read_bytes().replace(b"2026.9.3", b"9999.9.9"))
    (used.state / "trust/journal.broken-2.jsonl").symlink_to(elsewhere)

    found: list[recovery.Saved] = []
    thread = threading.Thread(target=lambda: found.append(recovery.recover(used.state, REASON)), daemon=True)
    thread.start()
    thread.join(30)

    assert [saved.highest for saved in found] == ["2026.9.3"]
    assert (used.state / "trust/journal.broken-3.jsonl").is_file()


def test_a_kit_that_was_active_while_a_newer_one_is_known_does_not_stay_so(used: Machine) -> None:
    older_active(used)

    assert recovery.recover(used.state, REASON).active == ""

    assert used.active == ""
    assert active.folder(used.state) is None


def test_a_kit_that_no_line_let_in_is_a_leftover_and_goes(used: Machine) -> None:
    shutil.copytree(kits_of(used)[0], used.state / f"kits/2026.9.9-{'a' * 16}")

    assert used.defects == []
    with mending.locked(used.state) as found:
        assert found.mended == [f"kits/2026.9.9-{'a' * 16}: what a killed import had left was removed"]


def test_old_kits_may_be_removed_with_their_receipts(used: Machine) -> None:
    receipt(used, 0).unlink()
    shutil.rmtree(kits_of(used)[0])

    assert used.defects == []
    used.let_in(used.tarball("2026.9.4"))


def test_a_clock_that_went_back_is_told_and_nothing_is_accepted_because_of_it(program: Path, kit: Kit, used: Machine) -> None:
    """T5."""
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3650)).strftime(chain.AT)
    facts = {"file": "", "exit": 5, "why": "from the future"}
    data = used.journal.read_bytes()
    used.journal.write_bytes(data + journal.line(journal.read(data), journal.REFUSED, facts, ahead))
    lnm = Lnm(program, kit, {"LNM_STATE_DIR": str(used.state)})

    (warning,) = lnm("trust", "status", "--json").json["warnings"]
    assert f"the journal already has {ahead}: set the clock" in warning
    assert "set the clock" in lnm("kit", "import", used.tarball("2026.9.4"), "--execute").stdout
    assert "is older than" in lnm("kit", "import", used.tarball("2026.9.0"), "--execute", wanted=8).stderr


def test_the_commands_tell_of_a_broken_state_and_mend_it(program: Path, kit: Kit, used: Machine) -> None:
    lnm = Lnm(program, kit, {"LNM_STATE_DIR": str(used.state)})
    sound = lnm("trust", "status", "--json").json
    assert (sound["mark"], sound["active"]["version"], sound["policy"]["installed"]) == ("2026.9.3", "2026.9.3", True)
    written(used, *lines(used)[:-1])
    path = used.tarball("2026.9.4")

    status = lnm("trust", "status", "--json", wanted=7).json
    assert not status["ok"]
    assert "lines were cut off" in status["defects"][0]
    assert "lnm trust recover --force-reason" in lnm("kit", "import", path, "--execute", wanted=7).stderr
    assert "no kit was named" not in lnm("plan", "21-101", wanted=7).stderr
    lnm("kit", "verify", path)
    before = used.bytes()
    assert lnm("trust", "recover", "--json").json["outcome"] == "would-recover"
    assert used.bytes() == before

    assert lnm("trust", "recover", "--force-reason", REASON, "--execute", "--json").json["outcome"] == "recovered"
    assert "2026.9.4" in lnm("kit", "import", path, "--execute").stdout


def test_a_policy_that_was_removed_does_not_lead_to_the_weaker_mode(program: Path, kit: Kit, used: Machine) -> None:
    lnm = Lnm(program, kit, {"LNM_STATE_DIR": str(used.state)})
    path = used.tarball("2026.9.4")
    policy = used.state / "trust-policy.toml"
    kept = policy.rename(used.folder / "kept.toml")

    assert "trust-policy.toml: is gone, and the journal knows the policy" in lnm("kit", "verify", path, wanted=7).stderr
    assert "trust-policy.toml: is gone" in lnm("trust", "status", "--json", wanted=7).json["defects"][0]
    lnm("kit", "verify", path, "--policy", kept)
