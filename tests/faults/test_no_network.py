"""Neither verifier opens a socket: they work where there is no network, and ask the kernel for none (T11 for the verifiers)."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.forge import kit
from tests.faults.verdicts import accepted
from tests.faults.verifiers import BOTH, PATIENCE_S, VERIFY_PY, Outcome, environment, prepare

SOCKET_CALLS = re.compile(r"\b(socket|socketpair|connect|bind|listen|accept4?|sendto|sendmsg|sendmmsg|recvfrom|recvmsg)\(")


def available(*tool: str) -> bool:
    """Whether a tool is installed and may do its work here."""
    return shutil.which(tool[0]) is not None and subprocess.run([*tool, "true"], capture_output=True, check=False).returncode == 0


def run_with(prefix: list[str], verifier: str, place: Path) -> Outcome:
    """Runs a verifier on a good kit behind another command."""
    truth = kit()
    arguments = prepare(place, verifier, truth.keys, truth.write_tarball(place))
    done = subprocess.run(
        [*prefix, *arguments], cwd=place, env=environment(place), capture_output=True, check=False, text=True, timeout=PATIENCE_S
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("verifier", BOTH)
def test_good_kit_is_verified_without_any_network(verifier: str, place: Path) -> None:
    if not available("unshare", "-rn"):
        pytest.skip("unshare -rn is not permitted here")

    outcome = run_with(["unshare", "-rn"], verifier, place)

    assert accepted(outcome), outcome


@pytest.mark.parametrize("verifier", BOTH)
def test_no_system_call_of_the_network_is_made(verifier: str, place: Path) -> None:
    if not available("strace", "-o", "/dev/null"):
        pytest.skip("strace is not installed, or may not trace here")
    trace = place / "trace"

    outcome = run_with(["strace", "-f", "-qq", "-e", "trace=network", "-o", str(trace)], verifier, place)

    assert accepted(outcome), outcome
    assert SOCKET_CALLS.findall(trace.read_text()) == []


def test_the_pattern_finds_a_socket_call() -> None:
    assert SOCKET_CALLS.findall("12 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n12 connect(3, {sa_family=AF_INET}, 16) = 0")


CALLS_HOME = """
import importlib.util, socket, sys
spec = importlib.util.spec_from_file_location("verifier", sys.argv.pop(1))
verifier = sys.modules["verifier"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verifier)
port, read_kit = int(sys.argv.pop(1)), verifier.read_kit
verifier.read_kit = lambda kit: socket.create_connection(("127.0.0.1", port)) and read_kit(kit)
sys.exit(verifier.main(None if sys.argv.pop(1) == "command" else sys.argv[1:]))
"""


def called_home(how: str, place: Path) -> tuple[Outcome, bool]:
    """What verify_kit.py does once something in it opens a connection, and whether one came."""
    truth = kit()
    _, _, *arguments = prepare(place, "verify_kit.py", truth.keys, truth.write_tarball(place))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        program = [sys.executable, "-c", CALLS_HOME, str(VERIFY_PY), str(server.getsockname()[1]), how, *arguments]
        done = subprocess.run(
            program, cwd=place, env=environment(place), capture_output=True, check=False, text=True, timeout=PATIENCE_S
        )
        came = True
        try:
            server.accept()[0].close()
            came = True
        except BlockingIOError:
            came = False
    return Outcome(done.returncode, done.stdout, done.stderr), came


def test_verify_kit_as_a_command_refuses_itself_every_socket(place: Path) -> None:
    outcome, came = called_home("command", place)

    assert not came
    assert outcome.exit == 1
    assert "unforeseen RuntimeError (this verifier asked for socket." in outcome.stderr
    assert outcome.stdout == ""


def test_who_calls_verify_kit_from_a_program_keeps_his_sockets(place: Path) -> None:
    outcome, came = called_home("program", place)

    assert came
    assert accepted(outcome), outcome
