"""Trust policies for the tests, written as an operator would write them, and the small kits of tests/faults that they judge."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lnm_runner.kit import policy
from lnm_runner.kit.policy import Policy

from tests.faults.keys import EDDY, MAIN, SECOND, STRANGER, Key

NAMES = {MAIN: "Build service", SECOND: "Security team", EDDY: "Storage team", STRANGER: "Rehearsal host"}
MEMBERS: dict[str, Any] = {
    "schema": "stellaops.lnm.trust-policy/1",
    "version": 1,
    "channels": ["edge", "stable"],
    "minimum-version": "2026.9.0",
    "algorithms": ["ecdsa-p256-sha256", "ed25519"],
    "kit-max-age-days": 400,
    "evidence-max-age-days": 14,
}


def signer(key: Key, role: str, *, lends: bool = False, name: str | None = None) -> str:
    """One [[signer]]; `lends` leaves its public key to --key."""
    pem = "" if lends else f'public-key = """{key.pem.decode()}"""\n'
    named = NAMES[key] if name is None else name
    return f'[[signer]]\nname = "{named}"\nrole = "{role}"\nfingerprint = "sha256:{key.fingerprint}"\n{pem}'


def identified(identity: str, issuer: str, role: str = "security") -> str:
    """One [[signer]] who has an identity."""
    return f'[[signer]]\nname = "Release workflow"\nrole = "{role}"\nidentity = "{identity}"\nissuer = "{issuer}"\n'


def text(*tables: str, threshold: Mapping[str, int] | None = None, **members: Any) -> bytes:
    """A policy: members by their name with `_` for `-` (None: without it), the threshold, then the other tables."""
    given = {**MEMBERS, **{name.replace("_", "-"): value for name, value in members.items()}}
    lines = [
        f"{name} = {value if isinstance(value, dt.date) else json.dumps(value)}"
        for name, value in given.items()
        if value is not None
    ]
    lines += ["[threshold]", *(f"{name} = {number}" for name, number in (threshold or {"signatures": 1}).items())]
    return "\n".join([*lines, *tables]).encode()


def made(*tables: str, threshold: Mapping[str, int] | None = None, **members: Any) -> Policy:
    """The same, read."""
    return policy.parse(text(*tables, threshold=threshold, **members), "trust-policy.toml")


def written(folder: Path, *tables: str, threshold: Mapping[str, int] | None = None, **members: Any) -> Path:
    """The same in a file."""
    path = folder / "trust-policy.toml"
    path.write_bytes(text(*tables, threshold=threshold, **members))
    return path


BUILDER = signer(MAIN, "builder")
SECURITY = signer(SECOND, "security")
STORAGE = signer(EDDY, "storage")
REHEARSAL = signer(STRANGER, "rehearsal")
