"""What may never stand in evidence: numbers with fractions, addresses, paths of a machine, credentials and private keys.

Defence in depth: no stage puts any of it there. A text that people have written may name a host or a path, which is theirs to
say; a URI with a server in it and a private key are refused there, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lnm_runner.errors import InputError

BY_PEOPLE: Final = frozenset({"operator", "reason"})
"""The members that people write."""
NAMES: Final = frozenset({"credentials", "host", "hosts", "password", "path", "port", "secret", "token", "uri", "url", "user"})
"""No member is called so."""
SECRETS: Final[Mapping[str, str]] = {
    r"[a-z][a-z0-9+.-]*://\S*@|mongodb(\+srv)?://": "a URI of a server",
    r"PRIVATE KEY": "a private key",
}
PLACES: Final[Mapping[str, str]] = {
    r"(?:^|[\s\"'(=])(?:~|\.\.?)?/[^\s/]|\b[A-Za-z]:\\": "a path of a machine",
    r"(?:^|[\s\"'(=,/])(?:[A-Za-z0-9-]+\.)*[A-Za-z][A-Za-z0-9-]*:[0-9]{4,5}(?![0-9A-Za-z])": "an address",
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b": "an address by numbers",
}
UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Categories of Unicode: what commands a terminal, turns the direction of a text, or has no width."""
EXEMPT: Final = re.compile(r"sha256:[0-9a-f]{64}")
LARGEST: Final = 2**53 - 1  # RFC 8785, appendix D: integers beyond are no I-JSON


def require(value: Mapping[str, Any]) -> None:
    """Lets nothing of it through.

    Raises: InputError naming each member, and what it holds, never the value.
    """
    found = list(unfit(value, ""))
    if found:
        raise InputError(
            f"this does not belong into evidence: {'; '.join(found)}",
            hint="nothing was written; a reason or a name that says so is put right by a journal begun anew: lnm runbook begin",
            facts={"members": found},
        )


def unfit(value: Any, where: str) -> Iterator[str]:
    """Each member that has no place there: where it stands, and what it holds."""
    if isinstance(value, Mapping):
        for name, held in value.items():
            place = f"{where}.{name}" if where else str(name)
            if str(name).casefold() in NAMES:
                yield f"{place}: a member of that name"
            yield from unfit(held, place)
    elif isinstance(value, list | tuple):
        for number, held in enumerate(value, 1):
            yield from unfit(held, f"{where}[{number}]")
    else:
        yield from (f"{where}: {what}" for what in unfit_value(value, is_free=where.rpartition(".")[2] in BY_PEOPLE))


def unfit_value(value: Any, *, is_free: bool) -> Iterator[str]:
    """What a value holds that has no place there; `is_free`: people have written it."""
    if isinstance(value, str):
        if any(unicodedata.category(letter) in UNSEEN for letter in value):
            yield "a character that moves what is shown, or is not seen"
        if not is_unicode(value):
            yield "a text that is no Unicode"
        rules = SECRETS if is_free else {**SECRETS, **PLACES}
        text = EXEMPT.sub("", value)
        yield from (what for pattern, what in rules.items() if re.search(pattern, text, re.IGNORECASE))
    elif value is not None and type(value) not in {bool, int}:
        yield "a value that is no text, whole number or truth value"
    elif value is not None and abs(value) > LARGEST:
        yield "a number beyond 2**53 - 1"


def is_unicode(text: str) -> bool:
    """Whether a text can be written in UTF-8; one that came from another encoding by argv cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
