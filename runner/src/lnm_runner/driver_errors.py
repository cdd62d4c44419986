"""The driver's exceptions as errors of ours.

They repeat parts of a URI, and of a malformed one also the password, so no text of theirs is passed on but the server's own words
about a command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pymongo.errors import AutoReconnect, ConfigurationError, InvalidName, OperationFailure, PyMongoError

from lnm_runner.errors import CredentialsError, InputError, PrivilegeError, RetryableError, RunnerError, TopologyError
from lnm_runner.target import WHERE

LONGEST_SERVER_MESSAGE = 400  # characters

# mongo/src/mongo/base/error_codes.yml
UNAUTHORIZED = 13
USER_NOT_FOUND = 11
AUTHENTICATION_FAILED = 18
ATLAS_AUTHENTICATION_FAILED = 8000
USER_WRITES_BLOCKED = 371
MECHANISM_UNAVAILABLE = 334
DATABASE_DIFFERS_IN_CASE = 13297
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
        "No replica set members": "no member of the replica set is ready (is it initiated? does replicaSet=… name it?)",
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
        return InputError(
            "the MongoDB URI asks for what this runner cannot do", hint="look at its options, at authMechanism above all"
        )
    spoken, limit = int(found[1]), int(found[3])
    is_old = found[2] == "requires at least"
    what = f"too old: it is MongoDB {OLD_WIRE.get(spoken, '2.4 or older')}" if is_old else "too new for this runner's driver"
    return TopologyError(
        f"the server is {what} (wire version {spoken}, the driver takes {limit} {'and later' if is_old else 'at most'})",
        hint=f"migrations need MongoDB {'.'.join(map(str, OLDEST))} or later" if is_old else "use a newer kit",
        facts={"wireVersion": spoken, "limit": limit},
    )


WRONG_USER = "look at user, password and authSource in CONCELIER_MONGO_URI, and at CONCELIER_MONGO_PASSWORD_FILE"
REFUSALS: Mapping[int, tuple[type[RunnerError], str, str]] = {
    **dict.fromkeys(
        (USER_NOT_FOUND, AUTHENTICATION_FAILED, ATLAS_AUTHENTICATION_FAILED),
        (CredentialsError, "MongoDB refused the user or the password", WRONG_USER),
    ),
    MECHANISM_UNAVAILABLE: (
        CredentialsError,
        "the server does not know this way to authenticate",
        "leave authMechanism away in the MongoDB URI, or name SCRAM-SHA-256",
    ),
    DATABASE_DIFFERS_IN_CASE: (
        InputError,
        "--db: the server has a database whose name differs in nothing but case",
        "write its name as it is: show dbs",
    ),
    USER_WRITES_BLOCKED: (
        RetryableError,
        "writes are blocked on this cluster (it is frozen)",
        "lnm doctor says who has frozen it; unfreeze first, or use a user that may write in a freeze (lnmBypassFreeze)",
    ),
}
"""`{code: (error, what is wrong, what to do)}`"""


def refused(err: OperationFailure) -> RunnerError:
    """What the server itself refused, by its code."""
    details = err.details or {}
    code, said = err.code or 0, str(details.get("errmsg", ""))
    facts = {"code": code, "codeName": details.get("codeName", "")}
    if code in REFUSALS:
        kind, what, hint = REFUSALS[code]
        return kind(what, hint=hint, facts=facts)
    if code == UNAUTHORIZED:
        return not_allowed(said, facts)
    said = said[:LONGEST_SERVER_MESSAGE]
    is_full = code == OUT_OF_DISK_SPACE or NO_SPACE in said
    if is_full or code in TRANSIENT or err.has_error_label("RetryableWriteError"):
        hint = "make room on the server's disk (lnm preflight says how much is wanted), then " * is_full
        return RetryableError(f"MongoDB could not do it now: {said}", hint=f"{hint}run the same command again", facts=facts)
    return RunnerError(f"MongoDB refused a command (code {code}): {said}", hint="lnm preflight, then lnm doctor", facts=facts)


def not_allowed(said: str, facts: Mapping[str, Any]) -> RunnerError:
    """No user where one is wanted, or one who may not do it; of the server's words the name of the command is passed on."""
    if "requires authentication" in said:
        hint = "name a user in CONCELIER_MONGO_URI: mongodb://USER@HOST…"
        return CredentialsError("MongoDB wants a user and a password, and none was given", hint=hint, facts=facts)
    found = re.search(r"execute command \{ ?(\w+)", said)
    what = f"the command {found[1]}" if found else "a command that is needed here"
    hint = "grant the role of the stage: runbook/roles/ in the kit (lnmRead to look, lnmApply21101, lnmRollback21101)"
    return PrivilegeError(f"the MongoDB user may not run {what}", hint=hint, facts=facts)
