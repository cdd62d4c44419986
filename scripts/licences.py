"""Reads in a wheel what its metadata does not say surely: the copyright notices, which of the BSD licences it means, and MIT.

Looked at are the licence files of `.dist-info` (PyPA, «Recording installed projects»; PEP 639) and, where they say nothing, the
first lines of the modules; for notices, then, NOTICE and, at last, the readme in METADATA.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

LICENCE_FILE = re.compile(r"[^/]+\.dist-info/(.+/)?(LICEN[CS]E|COPYING)[^/]*", re.IGNORECASE)
NOTICE_FILE = re.compile(r"[^/]+\.dist-info/(.+/)?NOTICE[^/]*", re.IGNORECASE)  # Apache-2.0, 4 (d)
METADATA = re.compile(r"[^/]+\.dist-info/METADATA")  # the readme is in it
MODULE = re.compile(r"[^/]+(/[^/]+)?\.py")
HEAD = 4096  # bytes of a module in which its licence stands, if anywhere
NOTICE = re.compile(
    r"""^[#\t *]*(?:i\.e\.,\s")?                        # the licences of Python quote theirs
    (Copyright\s+(?:\(c\)|©|[12][0-9]{3})[^\n"]*     # a copyright, and not the word alone
    (?:(?<=[0-9,])\s*?\n[#\t *]*[^\n"]+)*)""",  # goes on where a line ends in a year or a comma
    re.MULTILINE | re.IGNORECASE | re.VERBOSE,
)
OF_THE_TEXT = re.compile(
    r"^[^\n]*\n\s*Everyone is permitted to copy and distribute verbatim", re.MULTILINE
)  # GNU's licences: their own
BSD_2 = (
    "redistributions of source code must retain the above copyright notice",
    "redistributions in binary form must reproduce the above copyright notice",
    "this software is provided by the copyright holders and contributors",
)  # the sentences of https://spdx.org/licenses/BSD-2-Clause.html; the third clause follows
BSD_3 = re.compile(r"neither the names? of .{1,200}? may be used to endorse or promote products")
BSD_4 = "all advertising materials"
MIT = (
    "permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation",
    "to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the software",
    "the above copyright notice and this permission notice shall be included in all copies or substantial portions",
    'the software is provided "as is", without warranty of any kind, express or implied',
)  # the sentences of https://spdx.org/licenses/MIT.html


def licence_files(wheel: Path) -> Iterator[str]:
    """The text of each licence file."""
    return texts_of(wheel, LICENCE_FILE)


def texts_of(wheel: Path, names: re.Pattern[str]) -> Iterator[str]:
    """The text of each file of such a name."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(filter(names.fullmatch, archive.namelist())):
            yield archive.read(name).decode("utf-8", "replace")


def heads(wheel: Path) -> Iterator[str]:
    """The first lines of each module at the top, or one folder below it."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(filter(MODULE.fullmatch, archive.namelist())):
            with archive.open(name) as module:
                yield module.read(HEAD).decode("utf-8", "replace")


def bsd(text: str) -> str:
    """BSD-2-Clause or BSD-3-Clause where the text is surely that; else nothing."""
    words = re.sub(r"[\s#*]+", " ", text).lower()
    if BSD_4 in words or not all(sentence in words for sentence in BSD_2):
        return ""
    return "BSD-3-Clause" if BSD_3.search(words) else "BSD-2-Clause"


def which_bsd(wheel: Path) -> str:
    """Which BSD licence a wheel holds, where all the texts in it that are one agree; else nothing."""
    for texts in (licence_files(wheel), heads(wheel)):
        found = {identifier for identifier in map(bsd, texts) if identifier}
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def is_mit(wheel: Path) -> bool:
    """True where every licence file of a wheel is the MIT licence, and there is one."""
    texts = [" ".join(text.lower().split()) for text in licence_files(wheel)]
    return bool(texts) and all(sentence in text for text in texts for sentence in MIT)


def notices(texts: Iterable[str]) -> str:
    """The copyright notices of some texts, each once, sorted, on one line."""
    found = {
        re.sub(r"[\s#*]+", " ", notice).strip(" .,") for text in texts for notice in NOTICE.findall(OF_THE_TEXT.sub("", text))
    }
    return "; ".join(sorted(found))


def copyright_of(wheel: Path) -> str:
    """The copyright notices of a wheel; nothing where it has none that can be found."""
    places = (licence_files(wheel), heads(wheel), texts_of(wheel, NOTICE_FILE), texts_of(wheel, METADATA))
    return next(filter(None, map(notices, places)), "")


def is_without_notice(wheel: Path) -> bool:
    """True where no file of a wheel holds a notice, which is more than that none was found where notices stand."""
    with zipfile.ZipFile(wheel) as archive:
        return not notices(archive.read(name).decode("utf-8", "replace") for name in archive.namelist())
