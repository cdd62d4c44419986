"""The one family of errors of the build: what is wrong, and what to do next.

A message names file, place, found and wanted; the hint is the next command. Exit codes: decisions §9. Only entry points
print and exit; doit keeps its own codes, so `str()` of an error ends with `[exit N]`.
"""

from __future__ import annotations


class KitError(Exception):
    """Base of all errors that a user can meet; never raised itself."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keeps what is wrong (`message`) apart from what to do about it (`hint`)."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The message, the hint on a line of its own, and the exit code."""
        advice = f"\n  next: {self.hint}" if self.hint else ""
        return f"{self.message}{advice} [exit {self.exit_code}]"


class InputError(KitError):
    """A source, a setting or an option is not what it must be."""

    exit_code = 2


class MissingError(KitError):
    """Something that was named is not there."""

    exit_code = 4


class SignatureError(KitError):
    """A signature or a signed statement does not say what it must."""

    exit_code = 5


class ChecksumError(KitError):
    """Bytes are not the bytes that were recorded for them."""

    exit_code = 6


class LockedError(KitError):
    """Another build works in this tree."""

    exit_code = 9


class ToolError(KitError):
    """A program or library that a step uses failed; trying again may help."""

    exit_code = 10
