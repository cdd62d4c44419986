"""Policies with root keys, and the rotation from one to the next as an operator would do it."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from lnm_runner.kit import mending, rotation
from lnm_runner.kit import policy as trust_policy

from tests.faults.keys import Key, b64, ed25519, p256
from tests.runner import policies
from tests.runner.machines import Machine

ROOT_A, ROOT_B, ROOT_C = p256("root a"), ed25519("root b"), p256("root c")
NAMES = {ROOT_A: "Root key A", ROOT_B: "Root key B", ROOT_C: "Root key C"}


def root(*keys: Key, threshold: int = 2) -> str:
    """The table [root]."""
    rows = [
        f'[[root.key]]\nname = "{NAMES[key]}"\nfingerprint = "sha256:{key.fingerprint}"\npublic-key = """{key.pem.decode()}"""\n'
        for key in keys
    ]
    return f"[root]\nthreshold = {threshold}\n" + "".join(rows)


def with_root(
    *tables: str, version: int = 1, keys: tuple[Key, ...] = (ROOT_A, ROOT_B), threshold: int = 2, trusted: bytes = b""
) -> bytes:
    """A policy of a version, by default with two root keys of which both must sign; `trusted` are the bytes of its trusted root."""
    named = f'[trusted-root]\nfile = "trusted_root.json"\nsha256 = "{hashlib.sha256(trusted).hexdigest()}"\n' if trusted else ""
    return policies.text(*tables, root(*keys, threshold=threshold), named, version=version)


def offered(folder: Path, text: bytes, trusted: bytes = b"") -> Path:
    """The policy as a file, and its trusted root beside it."""
    place = folder / f"offer-{secrets.token_hex(4)}"
    place.mkdir()
    (place / "policy.toml").write_bytes(text)
    if trusted:
        (place / "trusted_root.json").write_bytes(trusted)
    return place / "policy.toml"


def signed(path: Path, *keys: Key) -> list[Path]:
    """Detached signatures of a file, in base64."""
    made = []
    for number, key in enumerate(keys):
        made.append(path.with_name(f"{path.name}.{number}.sig"))
        made[-1].write_text(b64(key.sign(path.read_bytes())) + "\n")
    return made


def rotate(machine: Machine, path: Path, *keys: Key) -> None:
    """`lnm trust rotate --execute`."""
    new = rotation.offer(path)
    with mending.locked(machine.state) as found:
        old = trust_policy.read(machine.state / trust_policy.FILE)
        rotation.rotate(found, old, new, rotation.check_rotation(old, new, signed(path, *keys)))
