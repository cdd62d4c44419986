"""The connection: where it comes from, what kind of server answers, and what its errors are called here.

The URI comes from --mongo-uri (without a password: arguments are seen by everybody on the machine) or CONCELIER_MONGO_URI, the
password from that variable or from the file that CONCELIER_MONGO_PASSWORD_FILE names. The driver's exceptions repeat parts of
a URI, and of a malformed one also the password, so no text of theirs is passed on but the server's own words about a command.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.database import Database as DriverDatabase
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    InvalidName,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_preferences import ReadPreference
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from lnm_runner import sharding
from lnm_runner.errors import (
    CredentialsError,
    InputError,
    LedgerError,
    NotFoundError,
    PrivilegeError,
    RetryableError,
    RunnerError,
    TopologyError,
)
from lnm_runner.options import Options

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = DriverDatabase[Document]

PARTING_S = 1
"""How long the driver may take to part from a server, whatever that one does."""
SELECTION_TIMEOUT_MS = 10_000  # the driver's own is 30 s; a URI may say otherwise
LONGEST_SERVER_MESSAGE = 400  # characters

# mongo/src/mongo/base/error_codes.yml
UNAUTHORIZED = 13
USER_NOT_FOUND = 11
AUTHENTICATION_FAILED = 18
ATLAS_AUTHENTICATION_FAILED = 8000
USER_WRITES_BLOCKED = 371
OUT_OF_DISK_SPACE = 14031
NO_SPACE = "No space left on device"  # strerror(ENOSPC), which the storage engine passes on under another code
TRANSIENT = {
    6,  # HostUnreachable: a router cannot reach a shard or the config servers
    46,  # LockBusy: another change of the schema is under way in a sharded cluster
    50,  # MaxTimeMSExpired
    64,  # WriteConcernFailed
    89,  # NetworkTimeout
    91,  # ShutdownInProgress
    112,  # WriteConflict
    117,  # ConflictingOperationInProgress: the same, or the collection is being sharded in another way
    133,  # FailedToSatisfyReadPreference: a shard or the config servers have no primary now
    189,  # PrimarySteppedDown
    249,  # StaleDbVersion: a router that did not catch up with the catalogue
    262,  # ExceededTimeLimit
    276,  # IndexBuildAborted
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11602,  # InterruptedDueToReplStateChange
    13388,  # StaleConfig, as StaleDbVersion
    12587,  # BackgroundOperationInProgressForNamespace: an index is being built
    13435,  # NotPrimaryNoSecondaryOk
    13436,  # NotPrimaryOrSecondary
}

OLDEST = (6, 0)
"""The oldest MongoDB that is migrated: collMod gives a plain index an expiry from 5.1 on, writes can be frozen from 6.0 on."""
OLD_WIRE = {2: "2.6", 3: "3.0", 4: "3.2", 5: "3.4", 6: "3.6", 7: "4.0", 8: "4.2"}  # mongo/src/mongo/db/wire_version.h

WHERE = "CONCELIER_MONGO_URI (or --mongo-uri without a password)"


class Topology(enum.Enum):
    """The kinds of server, told apart by `hello`."""

    REPLICA_SET = "replica set"
    ROUTER = "router"
    STANDALONE = "standalone"
    MEMBER = "member of a sharded cluster"


@dataclass(frozen=True)
class Target:
    """What to connect to; its repr shows nothing of it."""

    uri: str = field(repr=False)
    password: str | None = field(repr=False)
    """The password from the file; None where it is in the URI or there is none."""
    database: str


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


def target(options: Options) -> Target:
    """Reads where to connect to and as whom.

    Raises: InputError, NotFoundError; neither repeats a value.
    """
    if options.mongo_uri is not None:
        refuse_secrets(options.mongo_uri)
    uri = options.mongo_uri or options.environment.get("CONCELIER_MONGO_URI")
    if not uri:
        raise InputError("no MongoDB was named", hint=f"set {WHERE}")
    file = options.environment.get("CONCELIER_MONGO_PASSWORD_FILE")
    password = read_password(Path(file)) if file else None
    return Target(uri, password, options.database_name)


def refuse_secrets(uri: str) -> None:
    """Refuses a URI with a password in it, however malformed it is otherwise.

    Raises: InputError that does not repeat it.
    """
    userinfo = uri.split("://", 1)[-1].rpartition("@")[0].lower()
    secret_option = re.search(r"[?&;][^=&;]*(password|token)[^=&;]*=|_token:", uri, re.IGNORECASE)
    if ":" in userinfo or "%3a" in userinfo or secret_option:
        raise InputError(
            "--mongo-uri holds a password, and arguments are seen by everybody on this machine",
            hint="put the URI into CONCELIER_MONGO_URI, or the password into a file named by CONCELIER_MONGO_PASSWORD_FILE",
        )


def read_password(path: Path) -> str:
    """The password in a file, less the newline at its end.

    Raises: NotFoundError, InputError.
    """
    name = "CONCELIER_MONGO_PASSWORD_FILE"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as err:
        raise NotFoundError(f"{name}: {path}: no such file", hint=f"mend {name}, or unset it") from err
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "not UTF-8 text"
        raise InputError(f"{name}: {path}: cannot be read: {reason}", hint="name a file that you can read") from err
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise InputError(f"{name}: {path}: is empty", hint=f"put the password into it, or unset {name}")
    return password


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
    arguments: dict[str, Any] = {"appname": "lnm", "tz_aware": True, "w": "majority", "journal": True}
    if "serverselectiontimeoutms=" not in wanted.uri.lower():
        arguments["serverSelectionTimeoutMS"] = SELECTION_TIMEOUT_MS
    try:
        parsed = parse_uri(wanted.uri)  # stricter than MongoClient, which only warns of an option that nobody knows
        if wanted.password is not None:
            arguments |= file_password(parsed, wanted.password)
        return MongoClient(wanted.uri, **arguments)
    except (PyMongoError, ValueError, TypeError, OverflowError, OSError) as err:
        # its text may hold any part of the URI: the name of its class is all that is safe to say
        is_srv = wanted.uri.lower().startswith("mongodb+srv:")
        raise InputError(
            f"the MongoDB URI is not understood{', or DNS has no record for it' * is_srv} ({type(err).__name__})",
            hint=f"wanted mongodb://USER@HOST:PORT,HOST:PORT/?replicaSet=NAME in {WHERE}; in user and password, write %40 "
            "for @, %3A for :, %2F for /, %25 for %",
        ) from err


def file_password(parsed: Document, password: str) -> Document:
    """The driver's arguments for a password that is not in the URI.

    Raises: InputError where the URI has no user, or a password of its own.
    """
    name = "CONCELIER_MONGO_PASSWORD_FILE"
    if not parsed["username"]:
        raise InputError(f"{name} is set, but the MongoDB URI names no user", hint="write mongodb://USER@HOST…")
    if parsed["password"]:
        raise InputError(f"{name} is set, and the MongoDB URI has a password too", hint="keep one of them")
    return {"username": parsed["username"], "password": password}


def look(client: MongoClient[Document], name: str) -> Server:
    """Asks the server what it is.

    Raises: PyMongoError.
    """
    database = client.get_database(
        name,
        codec_options=CodecOptions(tz_aware=True),
        read_preference=ReadPreference.PRIMARY,  # whatever the URI says: a plan that lags behind would be wrong
        write_concern=WriteConcern("majority", j=True),
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


def unreachable(uri: str, text: str) -> RetryableError:
    """No server answered in time. `text` is the driver's, used for its reason and never repeated."""
    reasons = {
        "Connection refused": "the connection was refused",
        "Name or service not known": "the host name is not known",
        "nodename nor servname": "the host name is not known",
        "Temporary failure in name resolution": "the host name cannot be resolved now",
        "CERTIFICATE_VERIFY_FAILED": "the server's TLS certificate is not trusted (tlsCAFile=… in the URI)",
        "SSL handshake failed": "TLS could not be agreed on",
        "connection closed": "the server closed the connection (does it want TLS: tls=true in the URI?)",
        "No primary": "the replica set has no primary now",
        "No replica set members": "no member of the replica set is ready (is it initiated?)",
        "timed out": "it did not answer",
    }
    reason = next((said for key, said in reasons.items() if key in text), "it did not answer")
    return RetryableError(f"no MongoDB server could be used{hosts(uri)}: {reason}", hint=f"is it running? look at {WHERE}")


def hosts(uri: str) -> str:
    """The hosts of a URI, where they surely are hosts.

    A password with an unescaped `/` makes the driver take what stands before it for a host; then an @ comes too late.
    """
    rest = uri.split("://", 1)[-1]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest.removeprefix(authority) or authority.count("@") > 1:
        return ""
    return f" at {authority.rpartition('@')[2]}"


def translated(err: PyMongoError) -> RunnerError:
    """The driver's error as one of ours."""
    if isinstance(err, OperationFailure):
        return refused(err)
    if isinstance(err, AutoReconnect):
        return RetryableError("the connection to MongoDB was lost", hint="run the same command again")
    if isinstance(err, InvalidName):
        return InputError("--db: no name of a database", hint="letters, digits, - and _ are safe")
    if isinstance(err, ConfigurationError):
        return incompatible(err)
    return RunnerError(f"the MongoDB driver failed ({type(err).__name__})")


def incompatible(err: ConfigurationError) -> RunnerError:
    """A server whose wire protocol the driver does not speak; of the driver's text only the numbers are passed on."""
    found = re.search(r"(?:reports|requires) wire version (\d+), but .* (requires at least|only supports up to) (\d+)", str(err))
    if not found:
        return RunnerError(f"the MongoDB driver failed ({type(err).__name__})")
    spoken, limit = int(found[1]), int(found[3])
    is_old = found[2] == "requires at least"
    what = f"too old: it is MongoDB {OLD_WIRE.get(spoken, '2.4 or older')}" if is_old else "too new for this runner's driver"
    return TopologyError(
        f"the server is {what} (wire version {spoken}, the driver takes {limit} {'and later' if is_old else 'at most'})",
        hint=f"migrations need MongoDB {'.'.join(map(str, OLDEST))} or later" if is_old else "use a newer kit",
        facts={"wireVersion": spoken, "limit": limit},
    )


def refused(err: OperationFailure) -> RunnerError:
    """What the server itself refused, by its code."""
    details = err.details or {}
    code = err.code or 0
    facts = {"code": code, "codeName": details.get("codeName", "")}
    if code in {AUTHENTICATION_FAILED, ATLAS_AUTHENTICATION_FAILED, USER_NOT_FOUND}:
        hint = "look at user, password and authSource in CONCELIER_MONGO_URI, and at CONCELIER_MONGO_PASSWORD_FILE"
        return CredentialsError("MongoDB refused the user or the password", hint=hint, facts=facts)
    if code == UNAUTHORIZED and "requires authentication" in str(details.get("errmsg", "")):
        hint = "name a user in CONCELIER_MONGO_URI: mongodb://USER@HOST…"
        return CredentialsError("MongoDB wants a user and a password, and none was given", hint=hint, facts=facts)
    if code == UNAUTHORIZED:
        found = re.search(r"execute command \{ ?(\w+)", str(details.get("errmsg", "")))
        what = f"the command {found[1]}" if found else "a command that is needed here"
        hint = "grant the role of the stage: runbook/roles/ in the kit (lnmRead to look, lnmApply21101, lnmRollback21101)"
        return PrivilegeError(f"the MongoDB user may not run {what}", hint=hint, facts=facts)
    if code == USER_WRITES_BLOCKED:
        hint = "unfreeze first (setUserWriteBlockMode), or use a user that may write in a freeze"
        return RetryableError("writes are blocked on this cluster (it is frozen)", hint=hint, facts=facts)
    said = str(details.get("errmsg", ""))[:LONGEST_SERVER_MESSAGE]
    is_full = code == OUT_OF_DISK_SPACE or NO_SPACE in said
    if is_full or code in TRANSIENT or err.has_error_label("RetryableWriteError"):
        hint = "make room on the server's disk (lnm preflight says how much is wanted), then " * is_full
        return RetryableError(f"MongoDB could not do it now: {said}", hint=f"{hint}run the same command again", facts=facts)
    return RunnerError(f"MongoDB refused a command (code {code}): {said}", facts=facts)
