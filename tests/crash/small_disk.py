"""A small file system for one mongod, mounted where no other process sees it: in a mount namespace of its own.

Root mounts it; anybody else does so in a user namespace, where the kernel allows that. It is gone with the last process in it
(mount_namespaces(7)), so that nothing is left behind however the tests end.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runner.mongod import die_with_parent

PAGE = 4096  # bytes
MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec sleep infinity'


@dataclass(frozen=True)
class SmallDisk:
    """The file system, and the process that keeps its namespace."""

    folder: Path
    keeper: subprocess.Popen[str]

    @property
    def within(self) -> tuple[str, ...]:
        """The command that runs another one where the file system is seen."""
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        return ("nsenter", "--target", str(self.keeper.pid), "--mount", *user)

    @property
    def seen_from_here(self) -> Path:
        """The folder, from outside of the namespace (proc(5), /proc/PID/root)."""
        return Path(f"/proc/{self.keeper.pid}/root{self.folder}")

    @property
    def free(self) -> int:
        """Bytes that are left."""
        found = os.statvfs(self.seen_from_here)
        return found.f_bavail * found.f_frsize

    @property
    def ballast(self) -> Path:
        """The file that fills it."""
        return self.seen_from_here / "ballast"

    def fill(self) -> None:
        """Leaves not one byte."""
        with self.ballast.open("wb", buffering=0) as written, contextlib.suppress(OSError):
            os.posix_fallocate(written.fileno(), 0, max(self.free, 1))
            written.seek(0, os.SEEK_END)
            while True:  # what the server has given back meanwhile
                written.write(bytes(PAGE))

    def make_space(self) -> None:
        """Takes away what filled it, if anything did."""
        self.ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(folder: Path, size: int) -> Iterator[SmallDisk]:
    """A file system of so many bytes on a folder while the block runs."""
    folder.mkdir(parents=True)
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    keeper = subprocess.Popen(
        [*namespace, "sh", "-c", MOUNT, "sh", str(size), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call of libc
    )
    with keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stderr is not None
            if keeper.stdout.readline() != "mounted\n":
                pytest.skip(f"no file system can be mounted here: {keeper.stderr.read().strip()}")
            yield SmallDisk(folder, keeper)
        finally:
            keeper.kill()
