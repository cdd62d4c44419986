"""Says in SPDX's words what the copyright file of a Debian package says of its licences and who holds the copyright.

Formats: Debian, «Machine-readable debian/copyright file» 1.0, whose short names are mapped to ids of SPDX's list (SPDX 2.3, annex
D); files that are not machine-readable have a row here, written by whoever read them. The licence told is that of the source as
a whole, so it may ask for more than the files in the image do. What SPDX has no id for is a `LicenseRef-debian-<name>`,
whose text is in the package's copyright file. A name that no row knows is refused, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from scripts import licences
from scripts.errors import InputError

if TYPE_CHECKING:
    from debian.copyright import Copyright

OWN = "LicenseRef-debian-"
MACHINE_READABLE = re.compile(r"\AFormat:", re.IGNORECASE)
OLD_FORMAT_URL = re.compile(r"\AFormat: http://")  # python-debian warns of it
MOST = 2000  # characters of notices; the rest is in the file

NAMES = {
    "Apache-2.0": "Apache-2.0",
    "Artistic": "Artistic-1.0-Perl",
    "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause",
    "BSD-4-clause": "BSD-4-Clause",
    "CC0-1.0": "CC0-1.0",
    "Expat": "MIT",
    "GFDL-1.2": "GFDL-1.2-only",
    "GFDL-1.2+": "GFDL-1.2-or-later",
    "GFDL-1.3": "GFDL-1.3-only",
    "GFDL-1.3+": "GFDL-1.3-or-later",
    "GPL": "GPL-1.0-or-later",  # GPL-2, 9: no version is any version
    "GPL-1": "GPL-1.0-only",
    "GPL-1+": "GPL-1.0-or-later",
    "GPL-2": "GPL-2.0-only",
    "GPL-2+": "GPL-2.0-or-later",
    "GPL-3": "GPL-3.0-only",
    "GPL-3+": "GPL-3.0-or-later",
    "ISC": "ISC",
    "LGPL": "LGPL-2.0-or-later",  # as GPL
    "LGPL-2": "LGPL-2.0-only",
    "LGPL-2+": "LGPL-2.0-or-later",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later",
    "LGPL-3": "LGPL-3.0-only",
    "LGPL-3+": "LGPL-3.0-or-later",
    "MIT": "MIT",
    "MPL-1.1": "MPL-1.1",
    "MPL-2.0": "MPL-2.0",
    "X11": "X11",
    "Zlib": "Zlib",
    "public-domain": f"{OWN}public-domain",
}
"""`{Debian's short name: id}`; a name means this wherever it stands."""
NAMES_OF = {
    "bzip2": {"BSD-variant": "bzip2-1.0.6"},
    "media-types": {"ad-hoc": f"{OWN}ad-hoc"},  # «public information compiled from around the 'net and many people»
    "util-linux": {"BSD-4-clause": "BSD-4-Clause-UC", "BSLA": f"{OWN}BSLA"},
    "xz-utils": {
        "Autoconf": "GPL-3.0-or-later WITH Autoconf-exception-macro",
        "PD": f"{OWN}PD",
        "PD-debian": f"{OWN}PD-debian",
        "config-h": f"{OWN}config-h",
        "noderivs": f"{OWN}noderivs",
        "none": f"{OWN}none",
        "permissive-fsf": "FSFULLR",
        "permissive-nowarranty": "FSFAP",
        "probably-PD": f"{OWN}probably-PD",
    },
}
"""`{source: {name: id}}`: names that a source gave to texts of its own, read there."""
BY_HAND = {
    "base-files": "GPL-2.0-or-later",
    "gcc-12": f"GPL-3.0-or-later AND GPL-3.0-or-later WITH GCC-exception-3.1 AND {OWN}gcc-12",
    "glibc": f"LGPL-2.1-or-later AND GPL-2.0-or-later AND BSD-3-Clause AND ISC AND {OWN}glibc",
    "libxcrypt": f"LGPL-2.1-or-later AND BSD-2-Clause AND BSD-3-Clause AND 0BSD AND {OWN}libxcrypt",
    "python3.11": f"Python-2.0 AND {OWN}python3.11",
}
"""`{source: expression}`; the LicenseRef of a source stands for the further notices of its copyright file."""


def read(text: str, source: str) -> Copyright | None:
    """A machine-readable copyright file; None where it is not one.

    Raises: InputError where it says that it is one and is not.
    """
    if not MACHINE_READABLE.match(text):
        return None
    from debian.copyright import Copyright, NotMachineReadableError

    try:
        return Copyright(OLD_FORMAT_URL.sub("Format: https://", text).splitlines(keepends=True), strict=False)
    except (NotMachineReadableError, ValueError) as err:
        raise InputError(f"{source}: its copyright file cannot be read: {err}", hint=row_in("BY_HAND")) from err


def files_of(told: Copyright) -> list[Any]:
    """The paragraphs about files; python-debian does not tell the types of their fields."""
    return list(told.all_files_paragraphs())


def row_in(table: str) -> str:
    """What to do about a licence that nobody has read."""
    return f"read that package's copyright file, then write a row in {table} of scripts/debian_licences.py"


def licence(text: str, source: str) -> str:
    """The SPDX expression for a copyright file: all that any file of the source is under.

    Raises: InputError for a source, or names of licences, that no table knows.
    """
    told = read(text, source)
    if told is None:
        if source not in BY_HAND:
            raise InputError(f"{source}: its copyright file is not machine-readable", hint=row_in("BY_HAND"))
        return BY_HAND[source]
    synopses = sorted({part.license.synopsis for part in files_of(told) if part.license})
    known = {**NAMES, **NAMES_OF.get(source, {})}
    unknown = sorted({name for synopsis in synopses for name in names(synopsis) if name not in known})
    if unknown or not synopses:
        message = f"{source}: licences that no table knows: {', '.join(unknown) or 'the file names none'}"
        raise InputError(message, hint=row_in("NAMES_OF"))
    return " AND ".join(sorted({expression(synopsis, known) for synopsis in synopses}))


def names(synopsis: str) -> list[str]:
    """The short names in a License field."""
    return [name for name in map(str.strip, re.split(r",?\s+(?:and|or)\s+|,", synopsis)) if name]


def expression(synopsis: str, known: dict[str, str]) -> str:
    """A License field as SPDX has it: `and` binds more than `or`, unless there is a comma before it (1.0, 7.2)."""
    parts = []
    for part in re.split(r",\s*and\s+", synopsis):
        either = [" AND ".join(known[name] for name in names(one)) for one in re.split(r",?\s+or\s+", part)]
        parts.append(f"({' OR '.join(either)})" if len(either) > 1 else either[0])
    return " AND ".join(parts)


def notices(text: str, source: str) -> str:
    """The copyright notices of a copyright file on one line, as many as fit; nothing where it has none."""
    told = read(text, source)
    if told is None:
        return bounded(licences.notices([text]).split("; "))
    lines = [line for part in files_of(told) for line in (part.copyright or "").splitlines()]
    return bounded(sorted({" ".join(line.split()).strip(" .,;") for line in lines}))


def bounded(held: Iterable[str]) -> str:
    """Notices joined by a semicolon, and a word where they are too many."""

    def fitting() -> Iterator[str]:
        room = MOST
        for notice in filter(None, held):
            room -= len(notice) + 2
            if room < 0:
                yield "and others"
                return
            yield notice

    return "; ".join(fitting())
