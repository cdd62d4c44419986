"""The log of signatures: a file that is only ever appended to, a tree over it, and what a client gets as proof.

Forms: Rekor's API v1 (openapi.yaml: LogEntry) with a SignedEntryTimestamp over RFC 8785, and the signed checkpoint of C2SP
tlog-checkpoint. One line of the file is `<leaf hash, hex> <entry, base64>` + LF. An entry is on the disk before anyone gets a
promise for it; a line without its LF was never answered for, and is cut off. Every process that has the file open takes a
lock for an entry and first reads what others have added. Two equal entries are two entries.

It is a development log, and no transparency log: whoever has the folder can write another one.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from scripts import canonical
from scripts.errors import ChecksumError, InputError
from scripts.files import advice
from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.merkle import Tree, leaf_hash

HOST = "rekor.lnm-dev.invalid"  # RFC 6761 §6.4: never resolved

AGAIN = "move the folder of the development instance away; a new one is made"


@dataclass(frozen=True)
class Place:
    """Where an entry is, in a tree of which size."""

    index: int
    size: int


class Log:
    """A log in one file, as this process knows it."""

    def __init__(self, path: Path, key: KeyPair) -> None:
        """Reads what is there; the file is made if it is not.

        Raises: InputError where it cannot be opened; ChecksumError where a line is damaged.
        """
        self.path = path
        self.key = key
        self.tree = Tree()
        self.read_to = 0
        self.turn = threading.Lock()
        with self.held() as file:
            self.catch_up(file)
            sync(path.parent)  # so that its name is on the disk as well

    def append(self, body: bytes) -> Place:
        """Adds an entry, on the disk before this returns."""
        leaf = leaf_hash(body)
        line = f"{leaf.hex()} {canonical.b64(body)}\n".encode("ascii")
        with self.held() as file:
            self.catch_up(file)
            write_all(file, line)
            os.fsync(file)
            self.read_to += len(line)
            self.tree.append(leaf)
            return Place(len(self.tree) - 1, len(self.tree))

    def size(self) -> int:
        """The number of entries, those of other processes included."""
        with self.held() as file:
            self.catch_up(file)
            return len(self.tree)

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        """Yields the file, which this thread of this process has for itself meanwhile.

        Raises: InputError for what the operating system refuses.
        """
        with self.turn:
            try:
                file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    yield file
                finally:
                    os.close(file)
            except OSError as err:
                raise InputError(f"{self.path.name}: {err.strerror}", hint=advice(err)) from err

    def catch_up(self, file: int) -> None:
        """Reads what was added since; cuts off a line that somebody was killed in.

        Raises: ChecksumError.
        """
        size = os.fstat(file).st_size
        if size < self.read_to:
            raise ChecksumError(f"{self.path.name}: entries were cut off", hint=AGAIN)
        data = os.pread(file, size - self.read_to, self.read_to)
        *lines, torn = data.split(b"\n")
        first = len(self.tree) + 1
        for leaf in [checked(line, f"{self.path.name}: line {number}") for number, line in enumerate(lines, first)]:
            self.tree.append(leaf)
        self.read_to = size - len(torn)
        if torn:
            os.ftruncate(file, self.read_to)

    def entry(self, body: bytes, place: Place, integrated_s: int) -> dict[str, Any]:
        """What Rekor answers about an entry: `{uuid: LogEntry}`; the time is in seconds since 1970."""
        root = self.tree.root(place.size)
        proof = {
            "logIndex": place.index,
            "treeSize": place.size,
            "rootHash": root.hex(),
            "hashes": [digest.hex() for digest in self.tree.inclusion(place.index, place.size)],
            "checkpoint": checkpoint(self.key, place.size, root),
        }
        promised = promise(self.key, body, place.index, integrated_s)
        told = told_of(self.key, body, place.index, integrated_s)
        verification = {"signedEntryTimestamp": canonical.b64(promised), "inclusionProof": proof}
        return {leaf_hash(body).hex(): {**told, "verification": verification}}

    def head(self) -> dict[str, Any]:
        """What Rekor answers about the log as a whole (LogInfo)."""
        size = self.size()
        root = self.tree.root(size)
        signed = checkpoint(self.key, size, root)
        return {"rootHash": root.hex(), "treeSize": size, "signedTreeHead": signed, "treeID": tree_id(self.key)}


def sync(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(file: int, data: bytes) -> None:
    """Writes all of it, though the system may take less at once."""
    while data:
        data = data[os.write(file, data) :]


def checked(line: bytes, where: str) -> bytes:
    """The leaf hash of a line.

    Raises: ChecksumError where the entry is not the one that the hash was made of.
    """
    digest, _, text = line.partition(b" ")
    try:
        leaf = leaf_hash(base64.b64decode(text, validate=True))
    except ValueError:
        leaf = b""
    if leaf.hex().encode("ascii") != digest:
        raise ChecksumError(f"{where}: the entry is damaged", hint=AGAIN)
    return leaf


def told_of(key: KeyPair, body: bytes, index: int, integrated_s: int) -> dict[str, Any]:
    """What a promise is about."""
    return {"body": canonical.b64(body), "integratedTime": integrated_s, "logID": key.log_id.hex(), "logIndex": index}


def promise(key: KeyPair, body: bytes, index: int, integrated_s: int) -> bytes:
    """Rekor's SignedEntryTimestamp: that this entry has this index since this time."""
    return key.sign(rfc8785.dumps(told_of(key, body, index, integrated_s)))


def checkpoint(key: KeyPair, size: int, root: bytes) -> str:
    """A signed note of what the log was at a size.

    The origin is «host - tree», and the signature is the host's: by this form sigstore-go tells a log of Rekor v1.
    """
    note = f"{HOST} - {tree_id(key)}\n{size}\n{canonical.b64(root)}\n"
    signature = canonical.b64(key.log_id[:4] + key.sign(note.encode("ascii")))
    return f"{note}\n\u2014 {HOST} {signature}\n"


def tree_id(key: KeyPair) -> str:
    """The number of the log's one tree, made of its key's name."""
    return str(int.from_bytes(key.log_id[:6], "big"))
