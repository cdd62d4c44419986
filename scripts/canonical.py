"""Canonical JSON (RFC 8785), the one form in which the build writes JSON that is hashed or signed.

A file of it is one line with one LF. Floats do not occur in what we write, so nothing depends on their printing.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import rfc8785

from scripts.errors import InputError

LARGEST = 2**53 - 1  # RFC 8785, appendix D: integers beyond are no I-JSON
QUICK = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True)


def render(value: Any) -> bytes:
    """The canonical bytes of a JSON value and one LF.

    json's encoder in C does what rfc8785 does for what is plain, ten times as fast; tests/build/test_canonical.py compares them.
    """
    return (QUICK.encode(value).encode("utf-8") if is_plain(value) else rfc8785.dumps(value)) + b"\n"


def is_plain(value: Any) -> bool:
    """True for ASCII keys, text, whole numbers that every reader keeps, booleans and null: no floats, no odd classes."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is dict:
        return all(type(key) is str and key.isascii() for key in value) and all(map(is_plain, value.values()))
    if kind is list or kind is tuple:
        return all(map(is_plain, value))
    return kind is int and -LARGEST <= value <= LARGEST


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
