"""A stand-in for a mongos, as far as being recognised as one: it answers the hand-shake and refuses all else.

No mongos can be had from the registries. This speaks OP_MSG and OP_QUERY (MongoDB wire protocol) just far enough.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HELLO = {
    "ok": 1,
    "isWritablePrimary": True,
    "ismaster": True,
    "msg": "isdbgrid",
    "minWireVersion": 0,
    "maxWireVersion": 17,
    "maxBsonObjectSize": 16777216,
    "maxMessageSizeBytes": 48000000,
    "maxWriteBatchSize": 100000,
    "logicalSessionTimeoutMinutes": 30,
}


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answers until the client leaves."""
        while len(header := self.rfile.read(16)) == 16:
            length, request, _, code = struct.unpack("<iiii", header)
            body = self.rfile.read(length - 16)
            if code == OP_MSG:
                command = bson.decode(body[5:])
                reply = struct.pack("<iB", 0, 0) + bson.encode(self.answer(next(iter(command))))
            else:
                command = bson.decode(body[body.index(b"\0", 4) + 9 :])
                reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(self.answer(next(iter(command))))
            self.wfile.write(struct.pack("<iiii", len(reply) + 16, 0, request, OP_MSG if code == OP_MSG else OP_REPLY) + reply)

    def answer(self, command: str) -> dict[str, Any]:
        """The reply to a command."""
        cast("Router", self.server).commands.append(command)
        answers = cast("Router", self.server).answers
        if command.lower() in {"hello", "ismaster"}:
            return {**HELLO, "localTime": dt.datetime.now(dt.UTC), **answers.get("hello", {})}
        if command in answers:
            return {"ok": 1, **answers[command]}
        if command in {"buildInfo", "buildinfo"}:
            return {"ok": 1, "version": "6.0.5"}
        return {"ok": 1} if command == "endSessions" else {"ok": 0, "code": 59, "errmsg": f"no such command: {command}"}


class Router(socketserver.ThreadingTCPServer):
    """The server, which remembers the commands that it was sent."""

    daemon_threads = True

    def __init__(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.commands: list[str] = []

    @property
    def uri(self) -> str:
        """Where it is."""
        return f"mongodb://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def running(**answers: Mapping[str, Any]) -> Iterator[Router]:
    """A router while the block runs; or another server, by what it answers to some commands, or adds to its `hello`."""
    with Router(answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
