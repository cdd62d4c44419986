"""A machine that lets kits in: its state folder, what it imports (the small kits of tests/faults), and what it answers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from lnm_runner.kit import Trust, defects, importing, mending, policy, rotation, state
from lnm_runner.kit.admission import Imported
from lnm_runner.kit.importing import Request
from lnm_runner.kit.policy import Policy

from tests.faults import forge
from tests.faults.keys import MAIN, Key
from tests.runner import policies

REASON = "agreed with the security team on 2026-11-29, ticket 7"


@dataclass(frozen=True)
class Machine:
    """`folder` is everything of it; the state folder is made by the first import."""

    folder: Path
    keys: tuple[Key, ...] = (MAIN,)
    made: list[Path] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """LNM_STATE_DIR."""
        return self.folder / "state"

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.state / "trust/journal.jsonl"

    def tarball(self, version: str = "2026.9.1", *signers: Key, text: bytes = b"") -> Path:
        """A kit of a version; `text` makes it another one."""
        place = self.folder / f"kit-{len(self.made)}"
        place.mkdir()
        self.made.append(small_kit(version, *(signers or self.keys), text=text).write_tarball(place))
        return self.made[-1]

    def trust(self) -> Trust:
        """The policy of the state folder, or the keys alone."""
        path, keys = self.state / policy.FILE, []
        for key in self.keys:
            keys.append(self.folder / f"{key.fingerprint[:8]}.pub")
            keys[-1].write_bytes(key.pem)
        return Trust(policy.read(path) if path.exists() else None, tuple(keys))

    def request(self, path: Path, reason: str = "") -> Request:
        """What the operator wants."""
        return Request(path, self.trust(), self.state, reason)

    def let_in(self, path: Path, reason: str = "") -> Imported:
        """`lnm kit import --execute`."""
        with mending.locked(self.state) as found:
            return importing.execute(self.request(path, reason), found)

    def import_versions(self, *versions: str) -> None:
        """Lets kits in, one after the other."""
        for version in versions:
            self.let_in(self.tarball(version))

    def policy(self, *tables: str, **members: Any) -> Policy:
        """Puts a policy in its place by hand."""
        self.state.mkdir(exist_ok=True, mode=0o700)
        return policy.read(policies.written(self.state, *tables, **members))

    def install(self, path: Path) -> None:
        """`lnm trust install --execute`."""
        with mending.locked(self.state) as found:
            rotation.install(found, rotation.offer(path))

    @property
    def settled(self) -> Path:
        """The state folder, after what a killed command had left was mended."""
        with mending.locked(self.state):
            return self.state

    @property
    def active(self) -> str:
        """The version of the active kit; empty where none is."""
        known = state.look(self.state).active_kit
        return known.version if known else ""

    @property
    def defects(self) -> list[str]:
        """What is not as it was left."""
        return list(defects.defects(state.look(self.state)))

    @property
    def events(self) -> list[str]:
        """Those of the journal."""
        return [json.loads(line)["event"] for line in self.journal.read_bytes().splitlines()]

    def copy(self, folder: Path) -> Machine:
        """The same machine once more."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder, made=list(self.made))

    def bytes(self) -> dict[str, str]:
        """Every file of the state folder, but the lock: `{name: sha256}`."""
        files = (path for path in self.state.rglob("*") if path.is_file() and path.name != "lock")
        return {path.relative_to(self.state).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """One on which nothing was ever imported; what is done in this process waits for no disk, and no power fails here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Machine(tmp_path)


def small_kit(version: str, *signers: Key, text: bytes = b"", **more: Any) -> forge.Kit:
    """A small kit of a version."""
    made = forge.Kit(version=version, root=f"concelier-lnm-{version}", signers=signers or (MAIN,), **more)
    made.files[forge.README] += version.encode() + text  # as in a real one: no two versions have one payload
    return made.attest()
