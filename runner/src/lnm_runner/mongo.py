"""The connection: what kind of server answers, and what its errors are called here.

Whatever else a URI asks for, the runner reads from the primary, waits for the majority, and sets no time limits but its own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.database import Database as DriverDatabase
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError
from pymongo.saslprep import saslprep
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from lnm_runner import sharding
from lnm_runner.driver_errors import translated, unreachable
from lnm_runner.errors import InputError, LedgerError, TopologyError
from lnm_runner.options import Options
from lnm_runner.target import WHERE, Target, check_options, file_password, target, unreadable_file, with_hosts

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = DriverDatabase[Document]

PARTING_S = 1
"""How long the driver may take to part from a server, whatever that one does."""
SELECTION_TIMEOUT_MS = 10_000  # the driver's own is 30 s; a URI may say otherwise


class Topology(enum.Enum):
    """The kinds of server, told apart by `hello`."""

    REPLICA_SET = "replica set"
    ROUTER = "router"
    STANDALONE = "standalone"
    MEMBER = "member of a sharded cluster"


@dataclass(frozen=True)
class Server:
    """A server that has answered."""

    database: Database
    topology: Topology
    version: str

    @property
    def sharding(self) -> str:
        """What a result says about sharding; a router is asked.

        Raises: PrivilegeError, PyMongoError.
        """
        cluster = sharding.look(self.database) if self.topology is Topology.ROUTER else None
        return f"skipped ({self.topology.value})" if cluster is None else cluster.describe()

    def require(self, *allowed: Topology) -> None:
        """Refuses every other kind of server.

        Raises: TopologyError.
        """
        if self.topology in allowed:
            return
        facts = {"topology": self.topology.value}
        if self.topology is Topology.MEMBER:
            raise TopologyError(
                "the server is a shard or a config server; a sharded cluster is only changed through a router (mongos)",
                hint="name a router in the URI; do not apply on the shards one by one",
                facts=facts,
            )
        raise TopologyError(
            "the server is a standalone one; migrations need a replica set (one member is enough)",
            hint="restart it with --replSet and run rs.initiate(); `lnm plan` works here",
            facts=facts,
        )


def now(database: Database) -> dt.datetime:
    """The server's clock."""
    at: dt.datetime = database.client.admin.command("hello")["localTime"]
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


@contextlib.contextmanager
def connect(options: Options) -> Iterator[Server]:
    """Connects, looks at what answers, and turns every error of the driver inside the block into one of ours.

    Raises: RunnerError of any kind.
    """
    wanted = target(options)
    client = make_client(wanted)
    try:
        yield look(client, wanted.database)
    except ServerSelectionTimeoutError as err:
        raise unreachable(wanted.uri, str(err)) from err
    except PyMongoError as err:
        raise translated(err) from err
    except BSONError as err:
        hint = "look at the collections lnm_lease, lnm_migrations and schema_migrations; restore them from the backup"
        raise LedgerError(f"a document of the database cannot be read ({type(err).__name__})", hint=hint) from err
    finally:
        close(client)


def close(client: MongoClient[Document]) -> None:
    """Closes the client; a server that does not answer is not waited for to end the sessions, as it does so by itself."""
    with pymongo.timeout(PARTING_S):
        client.close()


def make_client(wanted: Target) -> MongoClient[Document]:
    """The driver's client; nothing is sent yet.

    Raises: InputError for a URI that the driver does not understand.
    """
    arguments: dict[str, Any] = {"appname": "lnm", "tz_aware": True, "w": "majority", "journal": True, "retryWrites": True}
    arguments |= {"readPreference": "primary", "readConcernLevel": "local"}
    if "serverselectiontimeoutms=" not in wanted.uri.lower():
        arguments["serverSelectionTimeoutMS"] = SELECTION_TIMEOUT_MS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the URI says and is overruled here
            parsed = parse_uri(wanted.uri)  # stricter than MongoClient, which only warns of an option that nobody knows
            check_options(parsed["options"])
            if wanted.password is not None:
                arguments |= file_password(parsed, wanted.password)
            check_password(arguments.get("password") or parsed["password"])
            return MongoClient(wanted.uri, **arguments)
    except (PyMongoError, ValueError, TypeError, OverflowError, OSError) as err:
        # its text may hold any part of the URI: the name of its class is all that is safe to say
        if broken := unreadable_file(wanted.uri):
            raise broken from err
        is_srv = wanted.uri.lower().startswith("mongodb+srv:")
        raise InputError(
            f"the MongoDB URI is not understood{', or DNS has no record for it' * is_srv} ({type(err).__name__})",
            hint=f"wanted mongodb://USER@HOST:PORT,HOST:PORT/?replicaSet=NAME in {WHERE}; in user and password, write %40 "
            "for @, %3A for :, %2F for /, %25 for %; a user needs a password, there or in CONCELIER_MONGO_PASSWORD_FILE",
        ) from err


def check_password(password: str | None) -> None:
    """Refuses what no server takes for a password.

    Raises: InputError.
    """
    try:
        if password:
            saslprep(password)
    except (ValueError, IndexError) as err:  # IndexError: nothing is left of it
        said = "the password holds a character that none may hold, such as a line break (RFC 4013)"
        raise InputError(said, hint="look at the end of the file that CONCELIER_MONGO_PASSWORD_FILE names") from err


def shard_clients(wanted: Target, server: Server) -> dict[str, MongoClient[Document] | None] | None:
    """A client for each shard behind a router, as the same user; None where there is no router.

    Raises: PyMongoError.
    """
    if server.topology is not Topology.ROUTER:
        return None
    found: dict[str, MongoClient[Document] | None] = {}
    for shard in server.database.client.config["shards"].find({}, {"host": 1}):
        name, _, hosts = str(shard["host"]).partition("/")
        direct = with_hosts(wanted, name, hosts)
        found[str(shard["_id"])] = make_client(direct) if direct is not None else None
    return found


def look(client: MongoClient[Document], name: str) -> Server:
    """Asks the server what it is.

    Raises: PyMongoError.
    """
    database = client.get_database(
        name, codec_options=CodecOptions(tz_aware=True), write_concern=WriteConcern("majority", j=True)
    )
    topology = kind(client.admin.command("hello"))
    version = str(client.admin.command("buildInfo")["version"])
    return Server(database, topology, version)


def kind(hello: Mapping[str, Any]) -> Topology:
    """The kind of a server, by its answer to `hello`, which needs no privilege.

    Only shards answer with isImplicitDefaultMajorityWC (from MongoDB 5.0 on; mongo/src/mongo/db/repl/replication_info.cpp says
    so), and only config servers with configsvr; all else that tells them is shown to cluster administrators alone. An older
    shard, or one that was started without --shardsvr, is not recognised.
    """
    if hello.get("msg") == sharding.ROUTER:
        return Topology.ROUTER
    if "isImplicitDefaultMajorityWC" in hello or "configsvr" in hello:
        return Topology.MEMBER
    return Topology.REPLICA_SET if hello.get("setName") else Topology.STANDALONE
