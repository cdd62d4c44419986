"""A stand-in for a router (mongos), in front of a real config server and real shards. Strict: what is not modelled here is refused.

What it does, and where that was looked up (the sources of MongoDB 6.0, src/mongo/s/commands, read and not copied):

- shardCollection becomes `_shardsvrCreateCollection` on the primary shard, and so it is the real catalogue that takes or refuses a key.
- Commands on an **unsharded** collection, transactions too, go byte by byte to the primary shard of the database. A router adds the
  version of the database to them; this does not.
- On a **sharded** collection createIndexes goes to every shard that owns a chunk; collMod, dropIndexes and drop become the primary
  shard's own `_shardsvr…` commands, which reach the owners by themselves; listIndexes is answered by the owner of the lowest chunk.
- Reading documents of a sharded collection is answered where it is empty on every shard, when any shard gives the answer of all.
  Everything else on documents of a sharded collection is refused with code 59: shards trust the sender, so it could only be pretended.
- A command on the database config goes to the config server, if it reads.

What it is not: mongos. Its parsing, retries on stale versions, scatter and gather, cross-shard transactions and privileges are not
checked by anything here. **Nothing of this project was ever run against a real mongos.**
"""

from __future__ import annotations

import contextlib
import datetime as dt
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pymongo.errors import OperationFailure

from tests.sharding import wire
from tests.sharding.cluster import Cluster
from tests.sharding.wire import Body, Message, Upstream

COMMAND_NOT_FOUND = 59
NAMESPACE_NOT_FOUND = 26
INTERNAL_ERROR = 8  # of ours: seen by a client where this file has a mistake

OF_THE_DRIVER = {"lsid", "$clusterTime", "$db", "$readPreference", "txnNumber", "startTransaction", "autocommit"}
"""What a driver adds to a command."""
OF_THE_SERVERS = {"lastCommittedOpTime", "isImplicitDefaultMajorityWC"}
"""What shards add to an answer, and a router takes off."""

OF_ANY_SERVER = {"hello", "ismaster", "buildinfo", "ping", "endsessions"}
READS = {"find", "aggregate", "count", "getMore", "killCursors", "listCollections", "listIndexes"}
WRITES = {"insert", "update", "delete", "findAndModify"}
DDL = {"create", "createIndexes", "collMod", "dropIndexes", "drop", "dropDatabase", "shardCollection"}
OF_THE_PRIMARY = {"collMod": "_shardsvrCollMod", "dropIndexes": "_shardsvrDropIndexes", "drop": "_shardsvrDropCollection"}
"""How a router hands these on for a sharded collection."""
LIMITS = (
    "maxBsonObjectSize",
    "maxMessageSizeBytes",
    "maxWriteBatchSize",
    "logicalSessionTimeoutMinutes",
    "minWireVersion",
    "maxWireVersion",
)


@dataclass(frozen=True)
class Sent:
    """A command as a client sent it, less what drivers add."""

    database: str
    name: str
    body: Body

    @property
    def collection(self) -> str | None:
        """The collection that it is about."""
        target = self.body["collection"] if self.name == "getMore" else self.body[self.name]
        return target if isinstance(target, str) else None


@dataclass
class Shim:
    """The router's part of a cluster, and what it was sent."""

    cluster: Cluster
    sent: list[Sent] = field(default_factory=list)
    before: dict[tuple[str, str], Callable[[], object]] = field(default_factory=dict)
    """`{(database, command): what happens once, just before it is handled}`: what another client does, or a refusal to raise."""
    transactions: dict[bytes, int] = field(default_factory=dict)
    """`{session: port of the shard}` of the transactions that were begun."""
    port: int = 0

    @property
    def uri(self) -> str:
        """Where it listens."""
        return f"mongodb://127.0.0.1:{self.port}"

    def changes(self) -> list[Sent]:
        """What was sent that changes something."""
        return [sent for sent in self.sent if sent.name in WRITES | DDL]

    def answer(self, message: Message, upstreams: Upstreams) -> Body:
        """The answer to one command."""
        body = {name: value for name, value in message.body.items() if name not in OF_THE_DRIVER}
        sent = Sent(message.body["$db"], next(iter(body)), body)
        self.sent.append(sent)
        self.before.pop((sent.database, sent.name), lambda: None)()
        if sent.name.lower() in OF_ANY_SERVER:
            return self.itself(sent.name.lower())
        if sent.database == "admin":
            return self.administered(sent, message, upstreams)
        if sent.database == "config" and sent.name in READS:
            return upstreams.passed_on(self.cluster.config.port, message)
        if sent.database in {"config", "local"}:
            return refused(sent)
        return self.routed(sent, message, upstreams)

    def itself(self, name: str) -> Body:
        """What a router says of itself: no topologyVersion, so that drivers ask again instead of waiting on one connection."""
        if name in {"ping", "endsessions"}:
            return {"ok": 1.0}
        if name == "buildinfo":
            return self.cluster.config.client.admin.command("buildInfo")
        known = self.cluster.config.client.admin.command("hello")
        router = {"msg": "isdbgrid", "isWritablePrimary": True, "ismaster": True, "readOnly": False, "ok": 1.0}
        return {**router, **{name: known[name] for name in LIMITS}, "localTime": dt.datetime.now(dt.UTC)}

    def administered(self, sent: Sent, message: Message, upstreams: Upstreams) -> Body:
        """Commands on the database admin."""
        if sent.name == "shardCollection":
            namespace = sent.body["shardCollection"]
            passed = {name: sent.body[name] for name in ("unique", "collation") if name in sent.body}
            if set(sent.body) - {"shardCollection", "key", *passed}:
                return refused(sent)
            self.cluster.shard(namespace, sent.body["key"], **passed)
            return {"collectionsharded": namespace, "ok": 1.0}
        if sent.name == "balancerStatus":
            return self.cluster.config.client.admin.command("_configsvrBalancerStatus")
        if sent.name == "connectionStatus":  # a router knows users as its config server does
            return upstreams.passed_on(self.cluster.config.port, message)
        if sent.name in {"commitTransaction", "abortTransaction"} and session(message) in self.transactions:
            return upstreams.passed_on(self.transactions[session(message)], message)
        return refused(sent)

    def routed(self, sent: Sent, message: Message, upstreams: Upstreams) -> Body:
        """Commands on a database of the product."""
        if sent.name not in READS | WRITES | DDL:
            return refused(sent)
        row = self.cluster.database(sent.database)
        if row is None and sent.name in READS | {"drop", "dropDatabase"}:
            return nothing(sent)
        row = row or self.cluster.create_database(sent.database)
        if sent.name == "dropDatabase":
            return self.cluster.on_primary("_shardsvrDropDatabase", sent.database, 1, {})
        owners = self.cluster.owners(f"{sent.database}.{sent.collection}")
        if owners and sent.name != "create":
            return self.sharded(owners, sent, message, upstreams)
        primary = self.cluster.shards[row["primary"]].port
        if message.body.get("startTransaction"):
            self.transactions[session(message)] = primary
        return upstreams.passed_on(primary, message)

    def sharded(self, owners: list[str], sent: Sent, message: Message, upstreams: Upstreams) -> Body:
        """Commands on a sharded collection."""
        if sent.name in OF_THE_PRIMARY:
            options = {name: value for name, value in sent.body.items() if name not in {sent.name, "writeConcern"}}
            return self.cluster.on_primary(OF_THE_PRIMARY[sent.name], sent.database, sent.collection, options)
        lowest = self.cluster.shards[owners[0]].port
        if sent.name == "createIndexes":
            answers = {name: upstreams.passed_on(self.cluster.shards[name].port, message) for name in owners}
            failed = next((answer for answer in answers.values() if not answer["ok"]), {"ok": 1.0})
            return {"raw": answers, **failed}
        if sent.name == "listIndexes" or (sent.name in {"aggregate", "count", "find"} and self.is_empty(sent)):
            return upstreams.passed_on(lowest, message)
        return refused(sent)

    def is_empty(self, sent: Sent) -> bool:
        """True where no shard holds a document of the collection."""
        found = (
            server.client[sent.database][sent.collection or ""].find_one({}, {"_id": 1})
            for server in self.cluster.shards.values()
        )
        return all(document is None for document in found)


class Upstreams:
    """The connections behind one client's connection, by port."""

    def __init__(self) -> None:
        self.open: dict[int, Upstream] = {}

    def passed_on(self, port: int, message: Message) -> Body:
        """Sends a command to a server as it is; returns the answer less what no router would answer."""
        if port not in self.open:
            self.open[port] = Upstream(port)
        answer = self.open[port].passed_on(message)
        return {name: value for name, value in answer.items() if name not in OF_THE_SERVERS}

    def close(self) -> None:
        """Ends them."""
        for upstream in self.open.values():
            upstream.close()


def session(message: Message) -> bytes:
    """The session of a command; a session has one transaction at a time, on whatever connections."""
    return bytes(message.body["lsid"]["id"])


def refused(sent: Sent) -> Body:
    """The answer to what is not modelled."""
    said = f"the stand-in for a router does not know {sent.name} on {sent.database}.{sent.collection}"
    return {"ok": 0.0, "errmsg": said, "code": COMMAND_NOT_FOUND, "codeName": "CommandNotFound"}


def nothing(sent: Sent) -> Body:
    """What a router finds in a database that is not there."""
    if sent.name in {"drop", "dropDatabase"}:
        return {"ok": 1.0}
    if sent.name == "listIndexes":
        return {
            "ok": 0.0,
            "errmsg": f"ns does not exist: {sent.database}",
            "code": NAMESPACE_NOT_FOUND,
            "codeName": "NamespaceNotFound",
        }
    if sent.name == "count":
        return {"n": 0, "ok": 1.0}
    return {"cursor": {"id": 0, "ns": f"{sent.database}.{sent.collection}", "firstBatch": []}, "ok": 1.0}


class Handler(socketserver.StreamRequestHandler):
    """One connection of a client."""

    def handle(self) -> None:
        """Answers until the client leaves."""
        shim, upstreams = cast("Server", self.server).shim, Upstreams()
        try:
            with contextlib.suppress(ConnectionError):
                while (message := wire.read(cast("Any", self.rfile))) is not None:
                    self.wfile.write(wire.reply(message, self.answer(shim, message, upstreams)))
        finally:
            upstreams.close()

    @staticmethod
    def answer(shim: Shim, message: Message, upstreams: Upstreams) -> Mapping[str, Any]:
        """The answer, where a real server has refused as well."""
        try:
            answer = shim.answer(message, upstreams)
        except OperationFailure as err:
            said = err.details or {}
            answer = {"ok": 0.0, "errmsg": said.get("errmsg", ""), "code": err.code, "codeName": said.get("codeName", "")}
        except Exception as err:  # noqa: BLE001 - a mistake in this file must reach the test, and not only this thread
            answer = {"ok": 0.0, "errmsg": f"the stand-in failed: {err!r}", "code": INTERNAL_ERROR, "codeName": "InternalError"}
        return {name: value for name, value in answer.items() if name not in OF_THE_SERVERS}


class Server(socketserver.ThreadingTCPServer):
    """The server of a shim."""

    daemon_threads = True

    def __init__(self, shim: Shim) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.shim = shim


@contextlib.contextmanager
def running(cluster: Cluster) -> Iterator[Shim]:
    """A router while the block runs."""
    shim = Shim(cluster)
    with Server(shim) as server:
        shim.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield shim
        finally:
            server.shutdown()
            thread.join()


OWN_STATE = {"lnm_migrations", "schema_migrations", "lnm_lease"}


def ddl(commands: list[Sent]) -> list[Sent]:
    """Those commands that change a schema, our own state collections apart."""
    return [sent for sent in commands if sent.name in DDL and sent.collection not in OWN_STATE]
