"""Canonical JSON (RFC 8785), the one form in which the build writes JSON that is hashed or signed.

A file of it is one line with one LF. Floats do not occur in what we write, so nothing depends on their printing.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import rfc8785

from scripts.errors import InputError


def render(value: Any) -> bytes:
    """The canonical bytes of a JSON value and one LF."""
    return rfc8785.dumps(value) + b"\n"


def read(data: bytes, name: str) -> Any:
    """Parses JSON that we wrote.

    Raises: InputError where it is not JSON.
    """
    try:
        return json.loads(data)
    except ValueError as err:
        raise InputError(f"{name}: not JSON: {err}", hint="doit forget && doit bundle") from err


def b64(data: bytes) -> str:
    """Base64 of RFC 4648 §4, padded, on one line."""
    return base64.b64encode(data).decode("ascii")
