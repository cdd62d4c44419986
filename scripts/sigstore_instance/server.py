"""HTTP on the loopback address: it finds who answers, bounds what it reads, and says in JSON what is refused.

It knows neither certificates nor logs. It listens on 127.0.0.1 alone and logs nothing, as a request holds a token.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripts.errors import InputError, KitError
from scripts.sigstore_instance.entries import parse_json
from scripts.sigstore_instance.refusal import RefusedError

HOST = "127.0.0.1"
LARGEST_REQUEST = 64 << 20  # bytes; a statement about 100,000 files is 20 MB in an entry
MOST_DIGITS = 20
PATIENCE_S = 30  # for a client that stops sending
CODES = {HTTPStatus.BAD_REQUEST: 3, HTTPStatus.UNAUTHORIZED: 16, HTTPStatus.NOT_FOUND: 5}  # gRPC's, which Fulcio answers with
OTHER_CODE = 2


@dataclass(frozen=True)
class Reply:
    """What is sent when all is well: JSON, or a PEM block as text."""

    told: dict[str, Any] | str
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[object, str], Reply]
"""(parsed body or None, the Authorization header) -> what is sent."""
Routes = Mapping[tuple[str, str], Answer]


class Server(ThreadingHTTPServer):
    """A server with its table of routes."""

    daemon_threads = True

    def __init__(self, routes: Routes, port: int) -> None:
        """Binds to the loopback address."""
        self.routes = routes
        super().__init__((HOST, port), Handler)

    def route(self, method: str, path: str) -> Answer:
        """Who answers.

        Raises: RefusedError.
        """
        if found := self.routes.get((method, path)):
            return found
        raise RefusedError(f"{method} {path}: not found", status=HTTPStatus.NOT_FOUND)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S
    wbufsize = -1  # an answer is one write: no wait of Nagle's

    def do_GET(self) -> None:
        """Answers a GET."""
        self.answer("GET")

    def do_POST(self) -> None:
        """Answers a POST."""
        self.answer("POST")

    def answer(self, method: str) -> None:
        """Finds who answers, and sends what he says."""
        try:
            data = self.read_body() if method == "POST" else None
            route = self.server.route(method, self.path)
            request = None if data is None else parse_json(data, "the request")
            self.send(route(request, self.headers.get("Authorization", "")))
        except RefusedError as err:
            self.send(Reply({"code": CODES.get(err.status, OTHER_CODE), "message": err.message}, err.status))
        except KitError as err:
            self.send(Reply({"code": OTHER_CODE, "message": err.message}, HTTPStatus.INTERNAL_SERVER_ERROR))

    def read_body(self) -> bytes:
        """The body, whose length must be told and within bounds.

        Raises: RefusedError; the connection is closed then, as its rest was not read.
        """
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdigit()):
            self.close_connection = True
            raise RefusedError("Content-Length: wanted a number", status=HTTPStatus.LENGTH_REQUIRED)
        if len(told) > MOST_DIGITS or int(told) > LARGEST_REQUEST:
            self.close_connection = True
            message = f"the request is larger than {LARGEST_REQUEST} bytes"
            raise RefusedError(message, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self.rfile.read(int(told))

    def send(self, reply: Reply) -> None:
        """Sends an answer."""
        is_pem = isinstance(reply.told, str)
        data = reply.told.encode("ascii") if isinstance(reply.told, str) else json.dumps(reply.told).encode("ascii")
        self.send_response(reply.status)
        content = {"Content-Type": "application/x-pem-file" if is_pem else "application/json", "Content-Length": str(len(data))}
        for name, value in {**content, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def answering(routes: Routes, port: int) -> Iterator[str]:
    """Yields the address of a server that answers by a table, in threads, until the block ends.

    Raises: InputError where the port cannot be had.
    """
    try:
        server = Server(routes, port)
    except (OSError, OverflowError) as err:
        raise InputError(f"{HOST}:{port}: {err}", hint="name another port, or 0 for a free one") from err
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
