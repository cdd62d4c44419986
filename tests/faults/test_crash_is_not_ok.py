"""A verifier that is killed, cannot speak, cannot read or has no memory never says «verified» and never ends with 0 (row C19)."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.forge import README, STEPS, SUMS, Kit, kit
from tests.faults.keys import MAIN
from tests.faults.verdicts import accepted, said_verified
from tests.faults.verifiers import BOTH, PATIENCE_S, PY, SH, Outcome, command, environment, prepare, written

NOBODY = 65534
MEBIBYTE = bytes(2**20)
BIG = 1000 * len(MEBIBYTE)  # all of it a hole in the file


@functools.lru_cache
def big_digest() -> str:
    """SHA-256 of the big file."""
    digest = hashlib.sha256()
    for _ in range(BIG // len(MEBIBYTE)):
        digest.update(MEBIBYTE)
    return digest.hexdigest()


def big_kit(place: Path) -> Path:
    """A valid folder whose hashing takes a second or more."""
    truth = Kit(digests={"big": big_digest()}).attest()
    root = truth.write_folder(place)
    (root / "big").touch(0o644)
    os.truncate(root / "big", BIG)
    return root


def start(arguments: Sequence[str], place: Path) -> subprocess.Popen[bytes]:
    """Starts a verifier in a process group of its own."""
    (place / "cwd").mkdir(exist_ok=True)
    return subprocess.Popen(
        arguments,
        cwd=place / "cwd",
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[bytes]) -> Outcome:
    """What a process did."""
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    return Outcome(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


@contextlib.contextmanager
def gone_afterwards(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kills what the test leaves of the process's own group."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_killed_verifier_says_nothing(number: signal.Signals, delay_s: float, verifier: str, place: Path) -> None:
    """The kit is good, but what is killed has not seen all of it."""
    words = prepare(place, verifier, (MAIN,), big_kit(place))
    if verifier == PY:
        words.insert(
            1, "-S"
        )  # while Python itself reads .pth files it swallows a SIGINT, and the verifier then does all its work
    process = start(words, place)

    with gone_afterwards(process):
        time.sleep(delay_s)
        os.killpg(process.pid, number)
        outcome = ended(process)

    assert outcome.exit != 0, outcome
    assert not said_verified(outcome)


@pytest.mark.parametrize("verifier", BOTH)
def test_big_kit_is_verified_if_nobody_kills(verifier: str, place: Path) -> None:
    """Else the tests around this one would prove nothing."""
    outcome = ended(start(prepare(place, verifier, (MAIN,), big_kit(place)), place))
    assert accepted(outcome), outcome


@pytest.mark.parametrize("verifier", BOTH)
def test_interrupt_is_exit_130_and_leaves_nothing(verifier: str, place: Path) -> None:
    process = start(prepare(place, verifier, (MAIN,), big_kit(place)), place)

    with gone_afterwards(process):
        time.sleep(0.8)
        os.killpg(process.pid, signal.SIGINT)
        outcome = ended(process)

    assert outcome.exit == 130
    assert outcome.stdout == ""
    assert list((place / "tmp").iterdir()) == []


def shell(text: str, arguments: Sequence[str], place: Path) -> Outcome:
    """Runs a command from a line of shell, in which it is "$@"."""
    done = subprocess.run(
        ["sh", "-c", text, "shell", *arguments],
        env=environment(place),
        cwd=place,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def good(verifier: str, place: Path) -> list[str]:
    """The command line for a good kit."""
    truth = kit()
    return prepare(place, verifier, truth.keys, truth.write_tarball(place))


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize(
    "redirection", [">&-", ">/dev/full", ">&- 2>&-", ">/dev/full 2>&-", ">/dev/full 2>/dev/full", "</dev/null >&-", "<&- >&-"]
)
def test_verdict_that_cannot_be_told_is_not_ok(redirection: str, verifier: str, place: Path) -> None:
    outcome = shell(f'"$@" {redirection}', good(verifier, place), place)

    assert outcome.exit != 0
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("verifier", BOTH)
def test_reader_that_is_gone_is_not_ok(verifier: str, place: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            good(verifier, place), stdout=writer, env=environment(place), cwd=place, check=False, timeout=PATIENCE_S
        )
    finally:
        os.close(writer)

    assert done.returncode != 0


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
def test_verdict_does_not_need_standard_error_or_input(redirection: str, verifier: str, place: Path) -> None:
    outcome = shell(f'"$@" {redirection}', good(verifier, place), place)

    assert accepted(outcome), outcome


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&-"])
def test_refusal_that_cannot_be_told_keeps_its_exit_code(redirection: str, verifier: str, place: Path) -> None:
    truth = kit()
    truth.files[README] += b"!"

    outcome = shell(f'"$@" {redirection}', prepare(place, verifier, truth.keys, truth.write_folder(place)), place)

    assert outcome.exit == 6


# -- files that cannot be read


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that anybody may enter and write to."""
    with tempfile.TemporaryDirectory(prefix="k") as folder:
        place = Path(folder)
        place.chmod(0o777)
        (place / "tmp").mkdir()
        (place / "tmp").chmod(0o777)
        yield place
        for path in place.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)


def as_nobody(arguments: Sequence[str], place: Path) -> Outcome:
    """Runs a command as somebody whom file modes bind."""
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, *arguments], env=environment(place), cwd=place, capture_output=True, check=False, timeout=PATIENCE_S
    )
    return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def prepared_for_nobody(verifier: str, place: Path, truth: Kit, path: Path) -> list[str]:
    """The command line, with key files that anybody may read."""
    arguments = prepare(place, verifier, truth.keys, path)
    for file in place.glob("*.pub"):
        file.chmod(0o644)
    return arguments


@pytest.mark.parametrize("verifier", BOTH)
def test_nobody_can_verify_a_good_kit(verifier: str, open_place: Path) -> None:
    """Else the three tests below would prove nothing."""
    truth = kit()
    outcome = as_nobody(prepared_for_nobody(verifier, open_place, truth, truth.write_folder(open_place)), open_place)
    assert accepted(outcome), outcome


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("name", [README, SUMS, "attestations/spdx.dsse.json", "manifest.json", "runbook", ""])
def test_unreadable_part_of_a_folder_is_not_ok(name: str, verifier: str, open_place: Path) -> None:
    truth = kit()
    root = truth.write_folder(open_place)
    (root / name).chmod(0)

    outcome = as_nobody(prepared_for_nobody(verifier, open_place, truth, root), open_place)

    assert outcome.exit in (1, 4, 5, 6), outcome
    assert not said_verified(outcome)
    assert "Traceback" not in outcome.stderr
    assert outcome.stderr.startswith("refused: ")


@pytest.mark.parametrize("verifier", BOTH)
def test_unreadable_tarball_is_not_ok(verifier: str, open_place: Path) -> None:
    truth = kit()
    path = truth.write_tarball(open_place)
    path.chmod(0)

    outcome = as_nobody(prepared_for_nobody(verifier, open_place, truth, path), open_place)

    assert outcome.exit in (1, 4, 6), outcome
    assert outcome.stderr.startswith("refused: ")


@pytest.mark.parametrize("verifier", BOTH)
def test_unreadable_key_is_exit_2(verifier: str, open_place: Path) -> None:
    truth = kit()
    root = truth.write_folder(open_place)
    path = written(open_place / "k.pub", MAIN.pem)
    path.chmod(0)

    outcome = as_nobody(command(verifier, [path], root), open_place)

    assert outcome.exit == 2, outcome


# -- too little of something


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("mebibytes", [1, 4, 8, 16, 20, 24, 28, 32, 48])
def test_too_little_memory_is_not_ok(mebibytes: int, verifier: str, place: Path) -> None:
    outcome = shell(f'ulimit -v {mebibytes * 1024} && exec "$@"', good(verifier, place), place)

    assert accepted(outcome) == (outcome.exit == 0), outcome
    assert said_verified(outcome) == (outcome.exit == 0), outcome


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("limit", ["-f 0", "-f 1", "-f 8", "-n 3", "-n 4", "-n 6", "-t 0"])
def test_any_other_limit_is_not_ok(limit: str, verifier: str, place: Path) -> None:
    """A file-size limit stands for a full disk."""
    outcome = shell(f'ulimit {limit} && exec "$@"', good(verifier, place), place)

    assert said_verified(outcome) == (outcome.exit == 0), outcome


@pytest.mark.parametrize("folder", ["/nonexistent", "/proc", "/dev/null"])
def test_no_room_for_temporary_files_is_not_ok(folder: str, place: Path) -> None:
    outcome = shell(f'TMPDIR={folder} exec "$@"', good(SH, place), place)

    assert outcome.exit != 0
    assert not said_verified(outcome)


CRASHES = {"silent": "exit 0", "killed": "kill -SEGV $$", "failing": "exit 1", "missing": "exit 127"}
TRUSTED = ("awk", "cmp", "gzip", "openssl", "sha256sum")  # a verdict hangs on what these say
OTHERS = (
    *("cat", "cut", "dd", "find", "grep", "head", "mkdir", "mktemp", "od", "rm", "rmdir", "sed", "sort", "tail", "tr"),
    *("uniq", "wc", "xargs"),
)
BROKEN = [*((tool, crash) for tool in TRUSTED for crash in CRASHES), *((tool, "silent") for tool in OTHERS)]


def with_tool(tool: str, script: str, verifier_arguments: list[str], place: Path) -> Outcome:
    """Runs a command that finds another program in a tool's place; a file of ours lies where it runs, and must stay there."""
    (place / "bin").mkdir(exist_ok=True)
    (place / "cwd").mkdir(exist_ok=True)
    ours = written(place / "cwd" / "ours", b"Nobody may remove this.\n")
    written(place / "bin" / tool, f"#!/bin/sh\n{script}\n".encode()).chmod(0o755)

    outcome = shell(f'cd cwd && PATH="{place}/bin:$PATH" exec "$@"', verifier_arguments, place)

    assert ours.read_bytes() == b"Nobody may remove this.\n"
    return outcome


@pytest.mark.parametrize(("tool", "crash"), BROKEN)
def test_broken_tool_is_not_ok_for_a_bad_kit(tool: str, crash: str, place: Path) -> None:
    """Whatever a stock tool does instead of its work, nothing that was changed is verified."""
    truth = kit()
    truth.files[STEPS] += b"!"

    outcome = with_tool(tool, CRASHES[crash], prepare(place, SH, truth.keys, truth.write_folder(place)), place)

    assert outcome.exit != 0, outcome
    assert not said_verified(outcome)


@pytest.mark.parametrize("said", ["", ".", "ours", "$PWD", "${PWD%/*}/precious"])
def test_folder_that_mktemp_did_not_make_is_neither_used_nor_removed(said: str, place: Path) -> None:
    """Else the `rm -rf` at the end would take it along; with nothing said, that was once the work tree of this project."""
    (place / "precious").mkdir()
    ours = written(place / "precious" / "file", b"")

    outcome = with_tool("mktemp", f'echo "{said}"', good(SH, place), place)

    assert outcome.exit != 0, outcome
    assert not said_verified(outcome)
    assert ours.exists()


@pytest.mark.parametrize("flags", ["-O", "-OO", "-I", "-E", "-s", "-W error", "-X dev", "-B -S"])
def test_interpreter_flags_change_no_verdict(flags: str, place: Path) -> None:
    truth, bad = kit(), kit()
    bad.files[README] += b"!"
    bad.folder_name = "bad"
    arguments = prepare(place, PY, truth.keys, truth.write_folder(place))[1:]
    bad_arguments = [*arguments[:-1], str(bad.write_folder(place))]

    outcome = shell('exec "$@"', [sys.executable, *flags.split(), *arguments], place)
    bad_outcome = shell('exec "$@"', [sys.executable, *flags.split(), *bad_arguments], place)

    assert accepted(outcome), outcome
    assert bad_outcome.exit == 6, bad_outcome
