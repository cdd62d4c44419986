"""lnm_runner/kit/offline.py: while a kit is verified, this process has no network and starts no program; afterwards it has both again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from lnm_runner.kit import core, offline, verification
from lnm_runner.kit.offline import NetworkRefusedError, no_network
from lnm_runner.kit.verification import Trust

from tests.faults import forge
from tests.faults.keys import MAIN


def lookup() -> object:
    return socket.getaddrinfo("localhost", 1)


def connection() -> object:
    return socket.create_connection(("127.0.0.1", 9))


WAYS_OUT: dict[str, Callable[[], object]] = {
    "socket": socket.socket,
    "lookup": lookup,
    "connection": connection,
    "program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "shell": lambda: os.system("true"),  # noqa: S605 - a way out
    "spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
    "exec": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),  # noqa: S606 - the same
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_leads_out_of_the_block(way: str) -> None:
    with no_network(), pytest.raises(NetworkRefusedError, match="without the network"):
        WAYS_OUT[way]()


def test_a_thread_has_no_network_either() -> None:
    caught: list[BaseException] = []

    def try_it() -> None:
        try:
            socket.socket().close()
        except OSError as err:
            caught.append(err)

    with no_network():
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()

    assert [type(err) for err in caught] == [NetworkRefusedError]


def test_a_socket_of_before_cannot_be_connected_inside() -> None:
    with socket.socket() as before, no_network(), pytest.raises(NetworkRefusedError):
        before.connect(("127.0.0.1", 9))


def test_after_the_last_block_everything_works_again() -> None:
    with no_network():
        with no_network():
            pass
        with pytest.raises(NetworkRefusedError):
            socket.socket()
    socket.socket().close()
    assert lookup()
    with pytest.raises(ZeroDivisionError), no_network():
        raise ZeroDivisionError
    socket.socket().close()
    assert offline.FENCE.blocks == 0


def test_what_asks_for_a_socket_during_a_verification_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier that phones home, in place of ours: it gets no socket, and no kit is accepted."""
    key = tmp_path / "key.pub"
    key.write_bytes(MAIN.pem)
    kit = forge.kit(MAIN).write_folder(tmp_path)
    verification.verify(kit, Trust(None, (key,)))

    monkeypatch.setattr(core.verifier(), "verify", lambda *_: socket.create_connection(("127.0.0.1", 9)))
    with pytest.raises(NetworkRefusedError):
        verification.verify(kit, Trust(None, (key,)))
