"""Names of products: CPE (NISTIR 7695) in the 2.3 binding; the older URI binding is taken over into it (6.1.3)."""

from __future__ import annotations

import functools
import re
import urllib.parse

from lnm_runner.advisories.record import PayloadError

NAME = re.compile(r"cpe:2\.3:[aho*\-](?::(?:\\.|[^:\\\s])+){10}")
PART = re.compile(r"(?:\\.|[^:\\])+")
ANY, NOT_APPLICABLE = "*", "-"
URI_PARTS, EDITION_PARTS = 7, 5  # part to language; edition, software edition, target software, target hardware, other
WILDCARDS = {"\x01": "?", "\x02": "*"}  # how a URI spells them
REMEMBERED = 1_024  # names, 1 KB each


@functools.lru_cache(maxsize=REMEMBERED)
def canonical(text: str) -> str:
    """A CPE name in the 2.3 binding and in small letters, as capitals mean nothing in it; empty for what is none."""
    found = of_uri(text) if text.startswith("cpe:/") else text
    return found.lower() if NAME.fullmatch(found) else ""


def name(text: str, place: str) -> str:
    """The same.

    Raises: PayloadError for what is no CPE name.
    """
    found = canonical(text)
    if not found:
        raise PayloadError(f"{place}: {text[:60]!r} is no CPE name")
    return found


def of_uri(text: str) -> str:
    """The 2.3 binding of a URI; the packed edition (`~edition~sw~target~…`) is unpacked; empty for one with too many parts."""
    parts = text.removeprefix("cpe:/").split(":")
    edition = parts[5].split("~")[1:] if parts[5:] and parts[5].startswith("~") else parts[5:6]
    if len(parts) > URI_PARTS or len(edition) > EDITION_PARTS:
        return ""
    parts += [""] * (URI_PARTS - len(parts))
    edition += [""] * (EDITION_PARTS - len(edition))
    ordered = [*parts[1:5], edition[0], parts[6], *edition[1:]]
    return ":".join(["cpe", "2.3", parts[0], *map(of_uri_value, ordered)])


def of_uri_value(value: str) -> str:
    """One value; empty is any."""
    if value in {"", NOT_APPLICABLE}:
        return value or ANY
    return "".join(map(of_uri_character, urllib.parse.unquote(value)))


def of_uri_character(char: str) -> str:
    """One character, with a backslash where the 2.3 binding wants one."""
    if char in WILDCARDS:
        return WILDCARDS[char]
    return char if char.isalnum() or char in "._-" or not char.isascii() else f"\\{char}"


@functools.lru_cache(maxsize=REMEMBERED)
def parts(of: str) -> tuple[str, ...]:
    """The parts of a name, unescaped: `cpe`, `2.3`, part, vendor, product, version, update and so on."""
    return tuple(re.sub(r"\\(.)", r"\1", part) for part in PART.findall(of))


def vendor_and_product(of: str) -> tuple[str, str]:
    """The two of a name."""
    vendor, product = parts(of)[3:5]
    return vendor, product


def version(of: str) -> str:
    """The version of a name; empty where it is any or none, and where an update (`rc1`) makes it another one."""
    found, update = parts(of)[5:7]
    return "" if found in {ANY, NOT_APPLICABLE} or update not in {ANY, NOT_APPLICABLE} else found


def is_any_version(of: str) -> bool:
    """True for a name that means every version of its product."""
    found, update = parts(of)[5:7]
    return found == ANY and update in {ANY, NOT_APPLICABLE}
