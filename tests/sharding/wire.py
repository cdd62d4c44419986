"""Messages of the MongoDB wire protocol, as far as a driver's commands need them: OP_MSG, and OP_QUERY for the first hello.

Authority: MongoDB manual, «MongoDB Wire Protocol». Checksums, compression, exhaust cursors and unacknowledged writes are refused.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import bson
from bson.codec_options import CodecOptions

Body = dict[str, Any]
ORDERED = CodecOptions(document_class=dict[str, Any], tz_aware=True)

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HEADER = struct.Struct("<iiii")  # length, request, the request that it answers, operation
KIND_BODY, KIND_SEQUENCE = 0, 1


@dataclass(frozen=True)
class Message:
    """One command, and the bytes that it came in."""

    request: int
    operation: int
    body: Body
    """The command; documents that came beside it are in their places."""
    raw: bytes


def read(stream: BinaryIO) -> Message | None:
    """The next command, or None when the client has gone."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    length, request, _, operation = HEADER.unpack(header)
    rest = stream.read(length - HEADER.size)
    if operation == OP_MSG:
        return Message(request, operation, parsed(rest), header + rest)
    if operation != OP_QUERY:
        raise ValueError(f"operation {operation}")
    end = rest.index(b"\0", 4)  # of the name of the collection; two numbers follow
    return Message(request, operation, {**bson.decode(rest[end + 9 :], ORDERED), "$db": "admin"}, header + rest)


def parsed(rest: bytes) -> Body:
    """The command of an OP_MSG, from behind its header."""
    (flags,) = struct.unpack_from("<I", rest)
    if flags:
        raise ValueError(f"flags {flags:#x}")
    body: Body = {}
    beside: dict[str, list[Body]] = {}
    place = 4
    while place < len(rest):
        kind, (size,) = rest[place], struct.unpack_from("<i", rest, place + 1)
        part = rest[place + 1 : place + 1 + size]
        place += 1 + size
        if kind == KIND_BODY:
            body = bson.decode(part, ORDERED)
        elif kind == KIND_SEQUENCE:
            end = part.index(b"\0", 4)
            beside[part[4:end].decode()] = bson.decode_all(part[end + 1 :], ORDERED)
        else:
            raise ValueError(f"a section of kind {kind}")
    return {**body, **beside}


def reply(to: Message, body: Mapping[str, Any], number: int = 0) -> bytes:
    """The answer to a command, in the form in which it was asked."""
    if to.operation == OP_MSG:
        rest = struct.pack("<IB", 0, KIND_BODY) + bson.encode(body)
    else:
        rest = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(body)
    operation = OP_MSG if to.operation == OP_MSG else OP_REPLY
    return HEADER.pack(HEADER.size + len(rest), number, to.request, operation) + rest


class Upstream:
    """A connection to a server, for commands that are passed on byte by byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.stream = self.socket.makefile("rb")

    def passed_on(self, message: Message) -> Body:
        """Sends the bytes of a command as they came; returns the answer."""
        self.socket.sendall(message.raw)
        answer = read(self.stream)
        if answer is None:
            raise ConnectionError("the server has gone")
        return answer.body

    def close(self) -> None:
        """Ends it."""
        self.stream.close()
        self.socket.close()
