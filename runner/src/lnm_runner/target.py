"""Where MongoDB is, and as whom: what the operator has named, read and judged before anything is sent.

The URI comes from --mongo-uri (without a password: arguments are seen by everybody on the machine) or CONCELIER_MONGO_URI, the
password from that variable or from the file that CONCELIER_MONGO_PASSWORD_FILE names. Nothing of a URI is repeated but its hosts.
"""

from __future__ import annotations

import re
import stat
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lnm_runner.errors import InputError, NotFoundError
from lnm_runner.options import Options

WHERE = "CONCELIER_MONGO_URI (or --mongo-uri without a password)"
NOT_OURS = {"admin", "local", "config"}
LONGEST_NAME = 63  # bytes of a database's name (MongoDB manual, «MongoDB Limits»)
LONGEST_PASSWORD = 4096  # bytes; what is longer is no file with a password
REFUSED = {
    "loadbalanced": "migrations go to a replica set or a router, not through a load balancer",
    "maxstalenessseconds": "the runner reads from the primary",
    "readpreferencetags": "the runner reads from the primary",
    "sockettimeoutms": "the server is not given up while it builds an index",
    "timeoutms": "the server is not given up while it builds an index",
}
"""Options of a URI that would break a run, in small letters, and why."""
FILES = ("tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile")


@dataclass(frozen=True)
class Target:
    """What to connect to; its repr shows nothing of it."""

    uri: str = field(repr=False)
    password: str | None = field(repr=False)
    """The password from the file; None where it is in the URI or there is none."""
    database: str


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
    return Target(uri, password, database(options))


def with_hosts(wanted: Target, replica_set: str, hosts: str) -> Target | None:
    """The same user and options for another replica set, as a shard; None for a URI that does not name its hosts (SRV)."""
    scheme, _, rest = wanted.uri.partition("://")
    if scheme != "mongodb":
        return None
    authority, slash, tail = rest.partition("/")
    user, at, _ = authority.rpartition("@")
    path, _, query = tail.partition("?")
    kept = [
        part for part in query.split("&") if part and part.partition("=")[0].lower() not in {"replicaset", "directconnection"}
    ]
    return replace(
        wanted, uri=f"mongodb://{user}{at}{hosts}/{path * bool(slash)}?{'&'.join([*kept, f'replicaSet={replica_set}'])}"
    )


def database(options: Options) -> str:
    """The name of the database.

    Raises: InputError for what is no name, or the name of one of the server's own.
    """
    name = options.database_name
    if not re.fullmatch(r"[^\x00-\x20/\\.\"$*<>:|?]+", name) or len(name.encode()) > LONGEST_NAME:
        raise InputError("--db: no name of a database", hint="letters, digits, - and _ are safe, 63 at most")
    if name in NOT_OURS:
        raise InputError(f"--db: {name} is the server's own database", hint="name that of the product: --db concelier")
    return name


def check_options(options: Mapping[str, Any]) -> None:
    """Refuses options of a URI that would break a run.

    Raises: InputError.
    """
    for name in options:
        if reason := REFUSED.get(name.lower()):
            raise InputError(f"the MongoDB URI has the option {name}: {reason}", hint="leave it away")


def unreadable_file(uri: str) -> InputError | None:
    """The error for a file that a URI names and that is none, or not what it should be."""
    given = {name.lower(): value for name, value in urllib.parse.parse_qsl(uri.partition("?")[2])}
    named = [name for name in FILES if name.lower() in given]
    for name in named:  # the name alone is told: of a malformed URI anything may stand here
        try:
            data = Path(given[name.lower()]).read_bytes()
        except OSError as err:
            return InputError(f"{name} in the MongoDB URI: the file cannot be read: {err.strerror}", hint="mend the path")
        if b"-----BEGIN " not in data:
            return InputError(f"{name} in the MongoDB URI: the file holds nothing in PEM form", hint="look into the file")
    return None


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
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_fifo():
            raise InputError(f"{name}: {path}: is no file", hint="name a file with the password in it, and nothing else")
        with path.open("rb") as file:
            text = file.read(LONGEST_PASSWORD + 1).decode()
    except FileNotFoundError as err:
        raise NotFoundError(f"{name}: {path}: no such file", hint=f"mend {name}, or unset it") from err
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "not UTF-8 text"
        raise InputError(f"{name}: {path}: cannot be read: {reason}", hint="name a file that you can read") from err
    if len(text.encode()) > LONGEST_PASSWORD:
        raise InputError(f"{name}: {path}: holds more than a password", hint="put the password into it, and nothing else")
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise InputError(f"{name}: {path}: is empty", hint=f"put the password into it, or unset {name}")
    return password


def file_password(parsed: Mapping[str, Any], password: str) -> dict[str, Any]:
    """The driver's arguments for a password that is not in the URI.

    Raises: InputError where the URI has no user, or a password of its own.
    """
    name = "CONCELIER_MONGO_PASSWORD_FILE"
    if not parsed["username"]:
        raise InputError(f"{name} is set, but the MongoDB URI names no user", hint="write mongodb://USER@HOST…")
    if parsed["password"]:
        raise InputError(f"{name} is set, and the MongoDB URI has a password too", hint="keep one of them")
    return {"username": parsed["username"], "password": password}
