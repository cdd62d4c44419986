"""`lnm kit import`: what is let in, what is refused, and that the active kit is always one that was verified."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from lnm_runner.errors import InputError, NotFoundError, RunnerError, SignatureError, StateError, VersionError
from lnm_runner.kit import active, importing, mending, quarantine
from lnm_runner.kit.held import state_folder
from lnm_runner.kit.importing import Request
from lnm_runner.kit.unpacking import unpack

from tests.crash.small_disk import SmallDisk, mounted
from tests.faults import archive_lies, forge
from tests.faults.controls import CONTROLS
from tests.faults.keys import MAIN, SECOND, STRANGER, HasPem, Key
from tests.faults.registry import LIES, TARBALL, Lie
from tests.runner import policies
from tests.runner.fixtures import Site
from tests.runner.installed import Lnm
from tests.runner.kits import Kit, variant
from tests.runner.machines import REASON, Machine, machine, small_kit

__all__ = ["machine"]

assert archive_lies.LINK  # it enters its lies into LIES
ARCHIVE = [lie for lie in LIES if lie.row.startswith("A") and lie.name not in ("gzip_bomb_of_4_gib", "tar_many_tiny_members")]
"""Without those that take long, which tests/faults tells the verifiers."""
ODD = {
    *("awkward_names", "empty_files", "every_file_executable", "names_by_pax_over_lying_headers", "no_folder_members"),
    *("folder_for_reading_alone", "folder_through_a_link", "tarball_through_a_link", "owners_beyond_octal", "two_images"),
}
UNPACKED_ALONE = ("A1", "A3", "A4", "A5", "A6", "A7")


@pytest.fixture
def lnm(program: Path, kit: Kit, tmp_path: Path) -> Lnm:
    """The program on the same machine; it needs no database."""
    key = tmp_path / "main.pub"
    key.write_bytes(MAIN.pem)
    return Lnm(program, kit, {"LNM_STATE_DIR": str(tmp_path / "state"), "LNM_TRUSTED_KEY": str(key)})


# -- what is let in


@pytest.mark.parametrize("container", ["tarball", "folder"])
def test_a_kit_is_let_in_file_by_file_with_the_modes_of_the_format(machine: Machine, container: str) -> None:
    truth = small_kit("2026.9.1")
    path = truth.write_tarball(machine.folder) if container == "tarball" else truth.write_folder(machine.folder)
    machine.state.mkdir()
    machine.state.chmod(0o2770)  # as a volume has it that is given to a group: what is made below inherits the bit
    before = os.umask(0o077)
    try:
        machine.let_in(path)
    finally:
        os.umask(before)

    found = active.folder(machine.state)
    assert found is not None
    files = {path.relative_to(found).as_posix(): path for path in found.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in files.items()} == truth.files
    assert {name: stat.S_IMODE(path.stat().st_mode) for name, path in files.items()} == {
        name: truth.mode(name) for name in truth.files
    }
    assert machine.events == ["begun", "imported", "activated"]
    assert machine.defects == []


def test_the_state_folder_is_private_and_holds_no_path_of_this_machine(machine: Machine) -> None:
    machine.import_versions("2026.9.1")
    with pytest.raises(SignatureError):
        machine.let_in(machine.tarball("2026.9.2", STRANGER))

    assert {stat.S_IMODE((machine.state / name).stat().st_mode) for name in (".", "trust", "kits", "quarantine")} == {0o700}
    written = [path.read_bytes() for path in machine.state.rglob("*.json*")]
    assert len(written) >= 4
    assert not [data for data in written if str(machine.folder).encode() in data]


def signing(keys: Sequence[HasPem]) -> tuple[Key, ...]:
    """The keys of the corpus, which are all the tests' own."""
    return tuple(key for key in keys if isinstance(key, Key))


def test_what_is_odd_but_right_is_let_in(machine: Machine) -> None:
    """A16, positive controls."""
    for number, control in enumerate(control for control in CONTROLS if control.name in ODD):
        place = machine.folder / str(number)
        place.mkdir()
        path, keys = control.write(place)
        odd = Machine(place, signing(keys))

        odd.let_in(path)

        assert odd.active, control.name
        assert odd.defects == [], control.name


# -- what is refused


def test_no_lie_of_an_archive_is_let_in(machine: Machine) -> None:
    """A1 to A12: one lie of each row of the verifiers' corpus, in each container."""
    machine.import_versions("2026.1.0")
    lies = list({(lie.row, lie.container): lie for lie in reversed(ARCHIVE)}.values())
    for number, lie in enumerate(lies):
        place = machine.folder / str(number)
        place.mkdir()
        path, keys = lie.write(place)
        trust = replace(machine, keys=signing(keys)).trust()
        before = {*machine.folder.rglob("*")}

        with pytest.raises(RunnerError) as refused, mending.locked(machine.state) as found:
            importing.execute(Request(path, trust, machine.state), found)

        assert refused.value.exit_code == lie.exit, lie.name
        new = {*machine.folder.rglob("*")} - before
        assert {path for path in new if machine.state / quarantine.FOLDER not in [path, *path.parents]} == set(), lie.name
    assert machine.active == "2026.1.0"


def test_unpacking_by_itself_writes_nothing_outside_of_its_folder(machine: Machine) -> None:
    """A1 to A7 once more, without the verification that comes before it: each lie about names, links, types and modes."""
    lies = [lie for lie in ARCHIVE if lie.container == TARBALL and lie.row in UNPACKED_ALONE][::3]
    unpacked = [lie.name for number, lie in enumerate(lies) if unpacks(lie, machine.folder, f"held-{number}")]

    assert len(unpacked) < len(lies) / 10, unpacked
    assert not Path("/tmp/lnm-absolute-lie").exists()  # noqa: S108 - what a lie wants to write
    assert {path.name.partition("-")[0] for path in machine.folder.iterdir()} == {"held", "kit.tar.gz"}
    inside = [path for held in machine.folder.glob("held-*") for path in held.rglob("*")]
    assert not [path for path in inside if path.is_symlink() or not (path.is_file() or path.is_dir())]
    assert not [path for path in inside if path.is_file() and path.stat().st_mode & 0o7022]


def unpacks(lie: Lie, folder: Path, name: str) -> bool:
    """Whether a lying archive can be unpacked to its end; what is refused is refused as the lie must be."""
    path, _ = lie.write(folder)
    held = state_folder(folder / name, make=True)
    assert held is not None
    with held, io.FileIO(path) as archive:
        try:
            unpack(archive, held)
        except RunnerError as err:
            assert err.exit_code == lie.exit, lie.name  # noqa: PT017 - not every one of them must be refused here
            return False
    return True


def test_a_refused_kit_is_kept_once_with_the_reason(machine: Machine) -> None:
    machine.import_versions("2026.9.1")
    path = machine.tarball("2026.9.2", STRANGER)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for _ in range(2):
        with pytest.raises(SignatureError):
            machine.let_in(path)

    (kept,) = (machine.state / "quarantine").iterdir()
    reason = json.loads((kept / "reason.json").read_bytes())
    assert kept.name == sha256 == reason["file"]
    assert (kept / "kit.refused").read_bytes() == path.read_bytes()
    assert reason["exit"] == 5
    assert STRANGER.fingerprint in reason["failures"][0]
    assert machine.events == ["begun", "imported", "activated", "refused", "refused"]
    assert machine.active == "2026.9.1"


def test_what_is_no_kit_is_no_fault_of_the_state_folder(machine: Machine) -> None:
    machine.import_versions("2026.9.1")
    (machine.folder / "loop").symlink_to("loop")
    for path, error in (
        (machine.made[0] / "kit.tar.gz", NotFoundError),
        (machine.folder / "nowhere", NotFoundError),
        (machine.folder / "loop", InputError),
        (Path("/dev/null"), InputError),
    ):
        with pytest.raises(error) as refused:
            machine.let_in(path)
        assert "state folder" not in f"{refused.value.message} {refused.value.hint}"


def test_a_note_that_somebody_has_put_into_the_quarantine_does_not_end_it(machine: Machine) -> None:
    (machine.state / "quarantine").mkdir(parents=True, mode=0o700)
    (machine.state / "quarantine/notes.txt").write_text("looked at on Monday")
    path = machine.tarball("2026.9.2", STRANGER)
    with pytest.raises(SignatureError):
        machine.let_in(path)

    assert (machine.state / "quarantine" / hashlib.sha256(path.read_bytes()).hexdigest() / "kit.refused").is_file()


def test_of_a_refused_kit_that_is_too_large_only_the_reason_is_kept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = machine.tarball("2026.9.2", STRANGER)
    monkeypatch.setattr(quarantine, "LARGEST", path.stat().st_size - 1)
    with pytest.raises(SignatureError):
        machine.let_in(path)

    (kept,) = (machine.state / "quarantine").iterdir()
    assert [found.name for found in kept.iterdir()] == ["reason.json"]


def test_the_oldest_of_eleven_refused_kits_goes(machine: Machine) -> None:
    paths = [machine.tarball("2026.9.2", STRANGER, text=b"%d" % number) for number in range(quarantine.MOST + 1)]
    for path in paths:
        with pytest.raises(SignatureError):
            machine.let_in(path)
        reason = machine.state / "quarantine" / hashlib.sha256(path.read_bytes()).hexdigest() / "reason.json"
        written = json.loads(reason.read_bytes())
        reason.write_text(json.dumps({**written, "at": f"2026-01-01T00:00:{paths.index(path):02d}Z"}))

    kept = {path.name for path in (machine.state / "quarantine").iterdir()}
    assert kept == {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths[1:]}


# -- versions


def test_another_kit_of_the_same_version_is_refused_and_force_does_not_help(machine: Machine) -> None:
    """T9."""
    machine.import_versions("2026.9.1", "2026.9.2")
    for version in ("2026.9.1", "2026.9.2"):
        for reason in ("", REASON):
            with pytest.raises(VersionError, match=f"version {version} is here already with the rootHash"):
                machine.let_in(machine.tarball(version, text=b"another"), reason)
    assert machine.active == "2026.9.2"


def test_the_same_kit_signed_again_is_the_same_kit(machine: Machine) -> None:
    machine.import_versions("2026.9.1")

    again = replace(machine, keys=(MAIN, SECOND)).let_in(machine.tarball("2026.9.1", SECOND, MAIN))

    assert again.is_active_already


def test_versions_are_compared_as_numbers(machine: Machine) -> None:
    machine.import_versions("2026.9.9", "2026.9.10", "2026.10.1")
    with pytest.raises(VersionError):
        machine.let_in(machine.tarball("2026.9.11"))


def test_an_older_kit_needs_a_reason_that_was_never_used(machine: Machine) -> None:
    """T1, X5."""
    old, older = machine.tarball("2026.9.1"), machine.tarball("2026.8.1")
    machine.import_versions("2026.9.2")

    with pytest.raises(VersionError, match=r"2026\.9\.1 is older than 2026\.9\.2"):
        machine.let_in(old)
    for reason in ("short", "x" * 501, "a line\nand another", " " * 20 + "\x1b[0m"):
        with pytest.raises(InputError):
            machine.let_in(old, reason)
    assert machine.let_in(old, REASON).forced_below == "2026.9.2"
    assert machine.active == "2026.9.1"
    with pytest.raises(InputError, match="used before"):
        machine.let_in(older, REASON)
    with pytest.raises(VersionError):  # the mark stays where it was
        machine.let_in(older)
    assert machine.events[3:7] == ["refused", "forced", "imported", "activated"]
    assert REASON in machine.journal.read_text()


def test_nothing_helps_below_the_minimum_of_the_policy(machine: Machine) -> None:
    machine.import_versions("2026.9.2")
    machine.policy(policies.BUILDER, minimum_version="2026.9.2")

    with pytest.raises(VersionError):
        machine.let_in(machine.tarball("2026.9.1"), REASON)


def test_an_installed_policy_is_not_set_aside_by_another(lnm: Lnm, machine: Machine) -> None:
    strict = policies.written(machine.folder, policies.BUILDER, policies.SECURITY, threshold={"signatures": 2})
    lnm("trust", "install", strict, "--execute")
    lax = machine.folder / "lax.toml"
    lax.write_bytes(policies.text(policies.BUILDER))
    one = machine.tarball()

    lnm("kit", "import", one, "--execute", wanted=5)
    answer = lnm("kit", "import", one, "--execute", "--policy", lax, "--json", wanted=2)

    assert "another policy than the one that is installed" in answer.json["error"]["message"]
    lnm("kit", "import", machine.tarball("2026.9.1", MAIN, SECOND), "--execute")


# -- the command


def test_without_execute_nothing_is_written(lnm: Lnm, machine: Machine) -> None:
    answer = lnm("kit", "import", machine.tarball(), "--json").json

    assert answer["outcome"] == "would-import"
    assert not machine.state.exists()
    lnm("kit", "import", machine.tarball("2026.9.2", STRANGER), wanted=5)
    assert not machine.state.exists()


def test_the_same_kit_again_is_told_and_nothing_is_written(lnm: Lnm, machine: Machine) -> None:
    path = machine.tarball()
    head = lnm("kit", "import", path, "--execute", "--json").json["journal"]
    before = machine.bytes()

    answer = lnm("kit", "import", path, "--execute")

    assert "2026.9.1-" in answer.stdout
    assert "is active already: nothing was done" in answer.stdout
    assert f"journal: 3 lines, head {head['head'][:12]}" in answer.stdout
    assert machine.bytes() == before


def test_a_second_import_at_once_is_locked_out(lnm: Lnm, machine: Machine) -> None:
    machine.import_versions("2026.9.1")
    with (machine.state / "trust/lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        answer = lnm("kit", "import", machine.tarball("2026.9.2"), "--execute", "--json", wanted=9)

    assert answer.json["error"]["type"] == "LockedError"
    lnm("kit", "import", machine.tarball("2026.9.3"), "--execute")


def test_force_activate_and_its_reason_go_together(lnm: Lnm, machine: Machine) -> None:
    for option in (["--force-activate"], ["--force-reason", REASON]):
        assert "go together" in lnm("kit", "import", machine.tarball(), "--execute", *option, wanted=2).stderr


# -- the active kit


def test_an_active_kit_that_was_damaged_is_put_right_by_importing_it_again(machine: Machine) -> None:
    path = machine.tarball()
    machine.let_in(path)
    found = active.folder(machine.state)
    assert found is not None
    (found / forge.README).write_bytes(b"damaged")

    assert not machine.let_in(path).is_active_already

    assert (found / forge.README).read_bytes() == small_kit("2026.9.1").files[forge.README]
    assert machine.defects == []


def test_an_active_kit_that_was_exchanged_is_not_used(machine: Machine) -> None:
    machine.import_versions("2026.9.1", "2026.9.2")
    old, new = sorted(path for path in (machine.state / "kits").iterdir() if path.is_dir())
    shutil.rmtree(new)
    shutil.copytree(old, new)

    with pytest.raises(StateError, match="has the rootHash"):
        active.folder(machine.state)
    shutil.rmtree(new)
    new.symlink_to(old)
    with pytest.raises(StateError, match="is a link"):
        active.folder(machine.state)
    new.unlink()
    with pytest.raises(NotFoundError):
        active.folder(machine.state)


@pytest.mark.mongod
def test_a_command_that_is_given_no_kit_takes_the_active_one_and_verifies_it(
    lnm: Lnm, site: Site, machine: Machine, kit: Kit
) -> None:
    real = variant(kit, machine.folder / "real", {})
    environment = {**lnm.environment, "CONCELIER_MONGO_URI": site.uri("operator"), "CONCELIER_DB": site.database.name}
    lnm = replace(lnm, environment={**environment, "LNM_TRUSTED_KEY": str(real.key)})
    assert "no kit was named" in lnm("plan", wanted=2).stderr
    lnm("kit", "import", real.folder, "--execute")

    assert lnm("plan", "21-101").stdout == lnm("plan", "21-101", "--kit", real.folder).stdout

    found = active.folder(machine.state)
    assert found is not None
    with (found / "migrations/21-101/migration.py").open("ab") as file:
        file.write(b"# edited")
    assert "migrations/21-101/migration.py" in lnm("plan", "21-101", wanted=6).stderr


def test_whoever_reads_while_kits_are_let_in_sees_one_of_them_and_no_defect(machine: Machine) -> None:
    machine.import_versions("2026.8.1")
    paths = [machine.tarball(f"2026.9.{number}") for number in range(1, 9)]
    seen = set()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(lambda: [machine.let_in(path) for path in paths])
        while not working.done():
            found = active.folder(machine.state)  # raises where anything is not as it was left
            assert found is not None
            seen.add(found.name.partition("-")[0])
        working.result()

    assert len(seen) > 1


# -- the state folder


@pytest.mark.parametrize("name", ["kits", "trust", "kits/.incoming", "quarantine"])
def test_a_link_in_the_place_of_a_folder_is_refused(machine: Machine, name: str) -> None:
    """A14."""
    elsewhere = machine.folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    link = machine.state / name
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    link.symlink_to(elsewhere)
    path = machine.tarball("2026.9.1", STRANGER)

    with pytest.raises(RunnerError) as refused:
        machine.let_in(path)

    assert refused.value.exit_code == (5 if name in ("quarantine", "kits/.incoming") else 7)
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_others_may_write_into_is_refused(machine: Machine) -> None:
    machine.import_versions("2026.9.1")
    path = machine.tarball("2026.9.2")
    for name, mode, kind in (("kits", 0o770, StateError), ("trust", 0o702, StateError), (".", 0o777, InputError)):
        (machine.state / name).chmod(mode)
        with pytest.raises(kind):
            machine.let_in(path)
        (machine.state / name).chmod(0o700)
    machine.let_in(path)


def test_a_folder_that_is_exchanged_while_the_kit_is_unpacked_is_refused(lnm: Lnm, machine: Machine) -> None:
    """A14: every file goes into the folder that was opened, and none through the link that took its place."""
    machine.import_versions("2026.9.1")
    elsewhere, incoming = machine.folder / "elsewhere", machine.state / "kits/.incoming"
    (elsewhere / "kit").mkdir(parents=True)
    many = small_kit("2026.9.2")
    many.files |= {f"runbook/{number:04d}.md": b"a page" for number in range(600)}

    runner = lnm.start("kit", "import", many.attest().write_tarball(machine.folder), "--execute")
    deadline = time.monotonic() + 60
    while not (incoming / "kit/runbook").exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    incoming.rename(machine.folder / "away")
    incoming.symlink_to(elsewhere)
    stderr = runner.communicate(timeout=60)[1]

    assert (runner.returncode, "was exchanged" in stderr or "kits/.incoming" in stderr) == (7, True), stderr
    assert [path for path in elsewhere.rglob("*") if path.is_file()] == []
    assert machine.active == "2026.9.1"
    machine.let_in(machine.tarball("2026.9.3"))
    assert [path.name for path in elsewhere.iterdir()] == ["kit"]


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_that_takes_no_more_leaves_the_kit_active_that_was_active(lnm: Lnm, machine: Machine, trouble: str) -> None:
    """A15."""
    large = small_kit("2026.9.2")
    large.files["runner/wheel.whl"] = os.urandom(3 << 20)
    path, first = large.attest().write_tarball(machine.folder), machine.tarball()
    with mounted(machine.folder / "disk", 4 << 20) as disk:
        disk.seen_from_here.chmod(0o700)
        within = partial(run_within, disk, replace(lnm, environment={**lnm.environment, "LNM_STATE_DIR": str(disk.folder)}))
        assert within("kit", "import", first, "--execute").returncode == 0
        if trouble == "read-only":
            subprocess.run([*disk.within, "mount", "-o", "remount,ro", disk.folder], check=True)

        refused = within("kit", "import", path, "--execute")

        assert "Traceback" not in refused.stderr
        assert refused.returncode == (10 if trouble == "full" else 2), refused.stderr
        assert "No space left" in refused.stderr or "Read-only" in refused.stderr
        answer = json.loads(within("trust", "status", "--json").stdout)
        assert (answer["active"]["version"], answer["defects"]) == ("2026.9.1", [])
        if trouble == "full":
            assert within("kit", "import", machine.tarball("2026.9.3"), "--execute").returncode == 0


def run_within(disk: SmallDisk, lnm: Lnm, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the program where a small disk is seen."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **lnm.environment}
    command = [*disk.within, str(lnm.program), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
