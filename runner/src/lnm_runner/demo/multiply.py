"""Copies of a corpus, so that it may be as large as one likes: each copy has names of its own, joined as those of the corpus are.

A name that ends in a number of up to seven digits gets the copy's number before it: `CVE-2021-4044` in copy 3 is
`CVE-2021-30004044`. A GHSA id is a hash of itself and the number; any other name has the number behind it. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lnm_runner.demo import payloads
from lnm_runner.demo.components import GHSA, Component
from lnm_runner.demo.payloads import Advisory

GHSA_LETTERS = "23456789cfghjmpqrvwx"  # github.com/github/advisory-database, «GHSA IDs»
NUMBERED = re.compile(r"(.*[-:])(\d{1,7})", re.DOTALL)
IN_A_TEXT = re.compile(r"\b(?:GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|[A-Z]{2,10}-(?:19|20)\d\d-\d{1,7})\b")
"""Names that are repeated in descriptions and links."""
NAMED = ("aliases", "related", "upstream")


def ghsa(*parts: object) -> str:
    """A GHSA id, by hash."""
    number = int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest())
    letters = "".join(GHSA_LETTERS[number // len(GHSA_LETTERS) ** place % len(GHSA_LETTERS)] for place in range(12))
    return f"GHSA-{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def name(original: str, copy: int) -> str:
    """What an advisory is called in a copy."""
    if GHSA.fullmatch(original):
        return ghsa(original.upper(), copy)
    if found := NUMBERED.fullmatch(original):
        return f"{found[1]}{copy}{found[2]:0>7}"
    return f"{original}-copy{copy}"


def component(original: Component, copy: int) -> Component:
    """The same component in a copy; copy 0 is the corpus itself."""
    return replace(original, names=tuple(name(each, copy) for each in original.names)) if copy else original


def advisory(original: Advisory, copy: int) -> Advisory:
    """An OSV advisory in a copy: other names, wherever they stand, and other packages; copy 0 is the corpus itself."""
    if not copy:
        return original
    text = IN_A_TEXT.sub(lambda found: name(found[0], copy), original.payload.decode("utf-8-sig"))
    value = json.loads(text)
    value["id"] = name(original.id, copy)
    for member in NAMED:
        if isinstance(given := original.value.get(member), list):
            value[member] = [name(each.strip(), copy) if isinstance(each, str) else each for each in given]
    for entry in value.get("affected") or ():
        if isinstance(entry, dict) and isinstance(entry.get("package"), dict):
            entry["package"] = package(entry["package"], copy)
    return payloads.advisory(original.format, value, tuple(name(each, copy) for each in original.names), original.place)


def package(original: Mapping[str, Any], copy: int) -> dict[str, Any]:
    """A package with another name, in its purl as well."""
    found = dict(original)
    if isinstance(named := found.get("name"), str):
        found["name"] = f"{named}-copy{copy}"
    if isinstance(purl := found.get("purl"), str):
        found["purl"] = re.sub(r"^[^@?#]*[^@?#/]", rf"\g<0>-copy{copy}", purl)
    return found
