"""A TCP proxy between one runner and its mongod: it reads each command, and a controller says what becomes of it.

The wire protocol is read as far as the driver uses it (MongoDB manual, «MongoDB Wire Protocol»): OP_MSG with its sections of
kind 0 and 1, and the OP_QUERY of the first hand-shake. It is neither TLS nor compressed: a connection that is either ends in
`Proxy.unread`. The runner's URI needs directConnection=true, else the driver goes to the member's own address, around the proxy.

An **effect** is a command that changes something. What is not known to read only counts as one: a command that a later runner
sends, and that nobody thought of here, is one point more to kill at, and not one less.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import bson

OP_QUERY, OP_MSG = 2004, 2013
CHECKSUM_PRESENT, MORE_TO_COME = 1, 2
READ_ONLY = frozenset({
    "abortTransaction", "aggregate", "authenticate", "buildInfo", "buildinfo", "collStats", "connectionStatus", "count",
    "currentOp", "dbHash", "dbStats", "distinct", "endSessions", "explain", "find", "getCmdLineOpts", "getDefaultRWConcern",
    "getLog", "getMore", "getParameter", "hello", "hostInfo", "isMaster", "ismaster", "killCursors", "listCollections",
    "listCommands", "listDatabases", "listIndexes", "logout", "ping", "replSetGetConfig", "replSetGetStatus", "rolesInfo",
    "saslContinue", "saslStart", "serverStatus", "startSession", "top", "usersInfo", "whatsmyuri",
})  # fmt: skip
WRITING_STAGES = ("$merge", "$out")


class Moment(enum.Enum):
    """Where, on the way of a command, something happens."""

    BEFORE = "before the server has it"
    IN_FLIGHT = "when it is sent, without waiting for the server"
    AFTER = "when the server has answered and the runner does not know"


class Then(enum.Enum):
    """What follows a fault."""

    PASS = "the command goes its way"
    CUT = "its connection ends, on both sides, with nothing more passed on"
    STALL = "no byte passes any more, in either direction, on any connection; all of them stay open"


@dataclass(frozen=True)
class Command:
    """A command that the runner sent."""

    name: str
    database: str
    body: Mapping[str, Any] = field(repr=False)
    effect: int
    """Which effect of this proxy it is, from 1; 0 for a command that only reads."""

    @property
    def in_transaction(self) -> bool:
        """True for a command that takes effect only when its transaction is committed."""
        return self.body.get("autocommit") is False and self.name not in {"commitTransaction", "abortTransaction"}

    @property
    def collection(self) -> str:
        """The collection, or nothing for a command of the database or the server."""
        target = self.body.get(self.name)
        if not isinstance(target, str):
            return ""
        return target.partition(".")[2] if self.name == "renameCollection" else target  # which is sent with its database

    @property
    def label(self) -> str:
        """What it is, in words that are the same in each run."""
        return f"{self.name} {self.collection}".strip() + " (in a transaction)" * self.in_transaction


@dataclass(frozen=True)
class Fault:
    """What becomes of a command that does not simply pass."""

    moment: Moment
    call: Callable[[], object] = lambda: None
    """Called at that moment, by the thread of the connection: to hold a command is to call what waits."""
    then: Then = Then.CUT
    """What follows."""


Controller: TypeAlias = Callable[[Command], Fault | None]
"""Decides about each command; None lets it pass. Called by the thread of its connection."""


def every_command_passes(_: Command) -> None:
    """The controller of a run that nobody disturbs."""


class Cut(Exception):  # noqa: N818 - no error: the end that a fault wanted
    """The connection ends here."""


class Proxy:
    """Listens on a port of its own and passes on to one server; made by `between`."""

    def __init__(self, server: tuple[str, int], controller: Controller) -> None:
        self.server = server
        self.controller = controller
        self.commands: list[Command] = []
        """All that came, in order."""
        self.unread: list[str] = []
        """What could not be read; must be empty."""
        self.stalled_at: float | None = None
        """Since when nothing passes any more, by the monotonic clock."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()

    @property
    def address(self) -> str:
        """`host:port`, for the runner."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def effects(self) -> list[str]:
        """The labels of the effects that came, in order, whatever became of them."""
        with self._lock:
            return [command.label for command in self.commands if command.effect]

    def run(self) -> None:
        """Accepts connections until `close`."""
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), name="proxy connection")
            with self._lock:
                self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Ends everything, and waits until it has ended."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept; close alone does not
        self._listener.close()
        with self._lock:
            threads, still_open = list(self._threads), list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _serve(self, client: socket.socket) -> None:
        """One connection, to its end."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(client)
            try:
                server = stack.enter_context(socket.create_connection(self.server))
            except OSError:
                return  # the server is gone: so is the connection
            with self._lock:
                self._open |= {client, server}
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while not self._over.is_set():
                    self._exchange(client, server)
            except (Cut, OSError):
                pass
            except Unread as err:
                self.unread.append(str(err))
            finally:
                with self._lock:
                    self._open -= {client, server}

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        """One command and what is answered to it.

        Raises: Cut, OSError where the connection ends; Unread.
        """
        request = receive(client)
        command = self._seen(*parsed(request))
        fault = self.controller(command)
        self._befall(fault, Moment.BEFORE)
        self._pass_on(server, request)
        self._befall(fault, Moment.IN_FLIGHT)
        if flags(request) & MORE_TO_COME:
            return  # no answer is wanted
        while True:
            reply = receive(server)
            self._befall(fault, Moment.AFTER)
            self._pass_on(client, reply)
            if not flags(reply) & MORE_TO_COME:
                return

    def _befall(self, fault: Fault | None, moment: Moment) -> None:
        """Lets a fault happen, if it is time for it.

        Raises: Cut.
        """
        if fault is None or fault.moment is not moment:
            return
        fault.call()
        if fault.then is Then.CUT:
            raise Cut
        if fault.then is Then.STALL:
            self.stalled_at = time.monotonic()

    def _pass_on(self, to: socket.socket, message: bytes) -> None:
        """Sends a message; where nothing passes any more, it waits for the end of the proxy.

        Raises: Cut, OSError.
        """
        if self.stalled_at is not None:
            self._over.wait()
            raise Cut
        to.sendall(message)

    def _seen(self, name: str, body: Mapping[str, Any]) -> Command:
        """Numbers a command and keeps it."""
        with self._lock:
            number = 1 + sum(1 for command in self.commands if command.effect) if is_effect(name, body) else 0
            command = Command(name, str(body.get("$db", "")), body, number)
            self.commands.append(command)
        return command


class Unread(Exception):  # noqa: N818 - a finding about the test, not an error of the code under test
    """Bytes that are not as the driver was expected to send them."""


def is_effect(name: str, body: Mapping[str, Any]) -> bool:
    """True for a command that changes something, or that nobody knows."""
    if name == "aggregate":
        return any(stage in part for part in body["pipeline"] for stage in WRITING_STAGES)
    return name not in READ_ONLY


def receive(connection: socket.socket) -> bytes:
    """One message.

    Raises: OSError where the connection has ended; Unread for what is no message.
    """
    header = exactly(connection, 16)
    length, _, _, _ = struct.unpack("<iiii", header)
    if not 16 <= length <= 48_000_000 + 16_384:  # maxMessageSizeBytes of the server, and some for the header
        raise Unread(f"no message of MongoDB begins with {header.hex()}")
    return header + exactly(connection, length - 16)


def exactly(connection: socket.socket, count: int) -> bytes:
    """So many bytes.

    Raises: OSError.
    """
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise ConnectionResetError
        parts += part
    return bytes(parts)


def flags(message: bytes) -> int:
    """The flag bits of an OP_MSG; 0 for any other message."""
    found: int = struct.unpack_from("<I", message, 16)[0] if opcode(message) == OP_MSG else 0
    return found


def opcode(message: bytes) -> int:
    """The kind of a message."""
    found: int = struct.unpack_from("<i", message, 12)[0]
    return found


def parsed(message: bytes) -> tuple[str, dict[str, Any]]:
    """A request's command: its name, and its body together with the documents of its sections of kind 1.

    Raises: Unread.
    """
    if opcode(message) == OP_QUERY:
        body = bson.decode(message[message.index(b"\0", 20) + 9 :])
        return next(iter(body)), body
    if opcode(message) != OP_MSG:
        raise Unread(f"a message of the kind {opcode(message)}")
    body, more = {}, {}
    end = len(message) - (4 if flags(message) & CHECKSUM_PRESENT else 0)
    at = 20
    while at < end:
        kind, (size,) = message[at], struct.unpack_from("<i", message, at + 1)
        section = message[at + 1 : at + 1 + size]
        if kind == 0:
            body = bson.decode(section)
        elif kind == 1:
            name_ends = section.index(b"\0", 4)
            more[section[4:name_ends].decode()] = bson.decode_all(section[name_ends + 1 :])
        else:
            raise Unread(f"a section of the kind {kind}")
        at += 1 + size
    return next(iter(body), ""), {**body, **more}


@contextlib.contextmanager
def between(address: str, controller: Controller = every_command_passes) -> Iterator[Proxy]:
    """A proxy to `address` while the block runs; nothing that it could not read may be left at its end."""
    host, _, port = address.partition(":")
    proxy = Proxy((host, int(port)), controller)
    thread = threading.Thread(target=proxy.run, name="proxy")
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
    assert proxy.unread == []
