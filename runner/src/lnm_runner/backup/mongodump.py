"""The vendor's own tool, `mongodump`, where it is on the PATH and LNM_BACKUP_TOOL is not `lnm`; what it has written is read back.

It gets URI and password through a pipe as its --config, so that nothing secret is in a file, an argument or a variable. Its
exit code is judged, and its last words are repeated only where neither user nor password are in them. Then each file is read
back and held against the database: as it writes documents in the order in which they are stored, and fields of options in none,
both are compared without any, and options and indexes are written down anew, in the server's order.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bson import json_util
from bson.json_util import CANONICAL_JSON_OPTIONS

from lnm_runner import fingerprint
from lnm_runner.backup import layout, reading
from lnm_runner.backup.dump import Collection, changed
from lnm_runner.backup.layout import Place, Stored
from lnm_runner.backup.reading import Content
from lnm_runner.errors import BackupError, InputError, RetryableError
from lnm_runner.fingerprint import LEASE, SWITCHES, Seen
from lnm_runner.mongo import Database
from lnm_runner.target import Target

NAME: Final = "mongodump"
OURS: Final = "lnm"
VARIABLE: Final = "LNM_BACKUP_TOOL"
KEPT: Final = ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that it is given."""
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
MOST_SAID: Final = 300  # characters of its last words


def tool(environment: Mapping[str, str], compress: str) -> str:
    """The path of mongodump; empty where the runner makes the dump itself, as with zstd, which mongodump has not.

    Raises: InputError for another value of LNM_BACKUP_TOOL, or where mongodump is asked for and not there.
    """
    wanted = environment.get(VARIABLE) or ""
    if wanted not in {"", OURS, NAME}:
        raise InputError(
            f"{VARIABLE}: wanted {OURS} or {NAME}", hint=f"unset {VARIABLE}: mongodump is used where it is on the PATH"
        )
    found = "" if wanted == OURS or compress == "zstd" else shutil.which(NAME, path=environment.get("PATH", "")) or ""
    if wanted == NAME and not found:
        why = "it has no zstd" if compress == "zstd" else "it is not on the PATH"
        raise InputError(f"{VARIABLE} asks for mongodump, and {why}", hint=f"set {VARIABLE}=lnm: the format is the same")
    return found


def make(program: str, wanted: Target, database: Database, part: Place, environment: Mapping[str, str]) -> list[Collection]:
    """Has mongodump write a database into a new folder, and reads it back.

    Raises: BackupError, RetryableError; PyMongoError.
    """
    (part.folder / layout.DUMP / database.name).rmdir()  # it makes its own
    run(program, wanted, part, environment)
    entries = fingerprint.listed(database)
    return [collection(database, name, entry, part) for name, entry in entries.items()]


def run(program: str, wanted: Target, part: Place, environment: Mapping[str, str]) -> None:
    """Runs it; a kill of this process kills it, too.

    Raises: BackupError where it fails; RetryableError where it cannot be started.
    """
    options = ["--db", wanted.database, "--out", str(part.folder / layout.DUMP)]
    options += ["--readPreference", "primary", "--excludeCollection", "system.js"]
    options += ["--gzip"] if part.compress == "gzip" else []
    given = {name: environment[name] for name in KEPT if name in environment} | {"LC_ALL": "C"}
    read, write = os.pipe()
    try:
        os.write(write, config(wanted))  # less than a pipe holds: a URI and a password
        os.close(write)
        done = subprocess.run(
            [program, f"--config=/dev/fd/{read}", *options],
            env=given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            pass_fds=(read,),
            preexec_fn=die_with_us,  # else it would write on into what the next run removes
        )
    except OSError as err:
        raise RetryableError(f"mongodump cannot be started: {err.strerror}", hint=f"look at it, or set {VARIABLE}=lnm") from err
    finally:
        os.close(read)
    said = done.stderr.decode(errors="replace")
    if done.returncode or "Failed:" in said:
        raise failed(done.returncode, said, wanted)


def die_with_us() -> None:
    """Runs in the child: SIGKILL as soon as this process is gone (prctl(2), Linux alone)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def config(wanted: Target) -> bytes:
    """Its configuration in YAML, of which JSON is a part."""
    return f"uri: {json.dumps(uri(wanted))}\n".encode()


def uri(wanted: Target) -> str:
    """The URI with the password of its file in it, and with no database: that comes by --db, and mongodump takes but one."""
    scheme, _, rest = wanted.uri.partition("://")
    head, mark, query = rest.partition("?")
    authority, _, database = head.partition("/")
    if wanted.password is not None:
        user, _, hosts = authority.rpartition("@")
        authority = f"{user}:{urllib.parse.quote(wanted.password, safe='')}@{hosts}"
    if database and "authsource=" not in query.lower():
        query = "&".join(filter(None, [query, f"authSource={database}"]))
    return f"{scheme}://{authority}/{'?' * bool(mark or query)}{query}"


def failed(code: int, said: str, wanted: Target) -> BackupError:
    """The error of a run that failed; its last words where they are safe."""
    lines = [line.partition("\t")[2] or line for line in said.splitlines() if line.strip()]
    last = "".join(one if one.isprintable() else " " for one in (lines or [""])[-1])[:MOST_SAID]
    secrets = {wanted.password or "", *wanted.uri.partition("://")[2].rpartition("@")[0].split(":")} - {""}
    is_safe = "mongodb" not in last.lower() and not any(one in last or urllib.parse.unquote(one) in last for one in secrets)
    return BackupError(
        f"mongodump has failed (exit {code}){f': {last}' if last and is_safe else ''}",
        hint=f"mend that, or let the runner make the dump itself: {VARIABLE}=lnm lnm runbook backup --execute",
        facts={"exit": code},
    )


def collection(database: Database, name: str, entry: Mapping[str, Any], part: Place) -> Collection:
    """One collection as it was dumped, held against the database as it is now.

    Raises: BackupError.
    """
    indexes = fingerprint.indexes(database, name, entry)
    about = part.metadata_file(database.name, name)
    wrong = list(unlike(reading.metadata(part, about), entry, indexes))
    digest = reading.Unordered()
    seen = look(database, name, entry, indexes, digest)
    stored, content = None, ""
    if entry["type"] != "view":
        file = part.documents_file(database.name, name)
        held, stored = reading.content(part, file, unordered=True)
        content = held.sha256
        wrong += compared(held, digest, seen) if name not in LEASE else ()
    if wrong:
        raise changed([f"{name}: {one}" for one in wrong])
    with layout.told(about):
        (part.folder / about).unlink()
    metadata = part.write(about, layout.metadata(entry, indexes))
    apart = fingerprint.look(database, name, entry, SWITCHES[name]) if name in SWITCHES else None
    return Collection(name, seen, stored, content, metadata, apart, tuple(str(index["name"]) for index in indexes))


def look(
    database: Database, name: str, entry: Mapping[str, Any], indexes: list[dict[str, Any]], unordered: reading.Unordered
) -> Seen:
    """Reads a collection in its order, and hashes it without any, too."""
    digest = reading.Ordered()
    for batch in fingerprint.batches(database, name, entry):
        digest.add(batch)
        unordered.add(batch)
    return fingerprint.made(entry, indexes, digest.count, digest.size, digest.hex)


def compared(held: Content, digest: reading.Unordered, seen: Seen) -> Iterator[str]:
    """How the documents of a file differ from those of the database."""
    if held.count != seen.count:
        yield f"{held.count:,} documents were dumped, there are {seen.count:,}"
    elif held.unordered != digest.value:
        yield f"as many documents ({seen.count:,}), but with other content"


def unlike(said: Mapping[str, Any], entry: Mapping[str, Any], indexes: list[dict[str, Any]]) -> Iterator[str]:
    """How options and indexes that were dumped differ from those of the database; the order of fields apart."""
    if in_any_order(said.get("options") or {}) != in_any_order(entry["options"]):
        yield "its options are not those that were dumped"
    if sorted(map(in_any_order, said.get("indexes") or [])) != sorted(map(in_any_order, indexes)):
        yield "its indexes are not those that were dumped"


def in_any_order(value: Mapping[str, Any]) -> str:
    """Extended JSON, all fields sorted."""
    return json_util.dumps(value, json_options=CANONICAL_JSON_OPTIONS, sort_keys=True)


def others(part: Place, known: set[str]) -> list[Stored]:
    """The files that mongodump has written beside those of the collections; newer ones write a `prelude.json`.

    Raises: BackupError for what it is not known to write.
    """
    found = [name for name in layout.files(part.folder) if name not in known]
    if strange := [name for name in found if not Path(name).name.startswith("prelude.json")]:
        raise BackupError(
            f"mongodump has written what is not in the database now: {', '.join(strange[:3])}",
            hint="run the same command again; freeze first, so that nobody makes or drops collections meanwhile",
        )
    return [reading.stored(part, name) for name in found]
