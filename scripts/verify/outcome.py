"""What a check comes to: one line in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"
WRONG_SIGNATURE, WRONG_CHECKSUM, WRONG_INPUT, WRONG_TRUST = 5, 6, 2, 7  # decisions §9


@dataclass(frozen=True)
class Outcome:
    """One finding of one check."""

    state: str
    subject: str
    """The file, as a path below the output folder."""
    words: str
    exit_code: int = 0
    """What the stage exits with when this is the first failure."""

    @property
    def line(self) -> str:
        """The line that a person reads."""
        return f"{self.state:8}{self.subject}: {self.words}"


@dataclass(frozen=True)
class Trusted:
    """Whose identity signatures are good: told from outside, never by the kit."""

    root: Path | None = None
    """A Sigstore trusted root (trusted_root.json)."""
    identity: str | None = None
    issuer: str | None = None


@dataclass(frozen=True)
class Built:
    """The output folder of a build, and the key and the identity that it is held against."""

    dist: Path
    version: str
    key: Path
    verifiers: Path
    """The folder of the trusted copies of verify_kit.py and verify.sh: never the kit's own."""
    trusted: Trusted = Trusted()

    @property
    def kit_name(self) -> str:
        """The kit's root folder."""
        return f"concelier-lnm-{self.version}"

    @property
    def kit(self) -> Path:
        """The unpacked kit."""
        return self.dist / self.kit_name

    @property
    def tarball(self) -> Path:
        """The kit as one file."""
        return self.dist / f"lnm-offline-kit-{self.version}.tar.gz"

    @property
    def bundles(self) -> tuple[Path, ...]:
        """The three delivery bundles."""
        return tuple(self.dist / f"lnm-{delivery}-{self.version}.tar.gz" for delivery in ("21-101", "21-102", "21-103"))


Check = Callable[[Built], Iterator[Outcome]]


def ok(subject: str, words: str) -> Outcome:
    """A check that holds."""
    return Outcome(OK, subject, words)


def failed(subject: str, words: str, exit_code: int) -> Outcome:
    """A check that does not hold."""
    return Outcome(FAILED, subject, words, exit_code)


def skipped(subject: str, words: str) -> Outcome:
    """A check that could not be made here, and why."""
    return Outcome(SKIPPED, subject, words)
