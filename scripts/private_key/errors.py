"""Why a private key is not to be had: what is wrong, what to do next, and the exit code (decisions §9)."""

from __future__ import annotations


class KeyFileError(Exception):
    """Base; never raised itself."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keeps what is wrong (`message`) apart from what to do about it (`hint`)."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class UnusableKeyError(KeyFileError):
    """A key file, a password or a variable is not what it must be."""

    exit_code = 2


class MissingKeyError(KeyFileError):
    """A key file that was named is not there."""

    exit_code = 4


class OpeningError(KeyFileError):
    """A library failed that opens keys; trying again may help."""

    exit_code = 10
