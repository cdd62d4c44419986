"""Corpora: where advisories come from, in rounds; a round is as large as the corpus, and no two rounds share a name.

`Files` reads OSV advisories from `*.ndjson.gz`, one JSON object a line, and copies them from the second round on (`multiply`).
All of them are read, and what is wrong with them is found, before the first is given away; names and dates are kept of it.
"""

from __future__ import annotations

import functools
import gzip
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import bson
from bson.errors import BSONError

from lnm_runner.advisories import json_payload
from lnm_runner.advisories.record import PayloadError
from lnm_runner.demo import multiply
from lnm_runner.demo.components import Component, Graph, Member, distinct
from lnm_runner.demo.payloads import Advisory
from lnm_runner.demo.vendors import vendor
from lnm_runner.errors import MOST_SHOWN, InputError, NotFoundError, RunnerError, gathered

LONGEST_LINE = 15 << 20
"""Bytes; a document of MongoDB holds 16 MiB, and a payload is not all that stands in it."""
DEEPEST = 96
"""Levels of a payload, which stands two below the top of its document; that may have 100 («MongoDB Limits»)."""
MOST_DEFECTS = 20
"""After so many the rest of a corpus is not read."""


@dataclass(frozen=True)
class Entry:
    """An advisory of a round."""

    advisory: Advisory
    component: Component
    is_first: bool
    """Of its component."""


class Corpus(Protocol):
    """Where advisories come from."""

    @property
    def files(self) -> Sequence[str]:
        """Names of files; empty where none were read."""

    def round(self, number: int) -> Iterator[Entry]:
        """Its advisories, from 0 on."""


@dataclass(frozen=True)
class Files:
    """OSV advisories from files."""

    paths: Sequence[Path]
    components: Sequence[Component]
    lines: Sequence[tuple[str, int]]
    """Of each advisory its id and the number of its component."""

    @property
    def files(self) -> Sequence[str]:
        """Their names."""
        return [path.name for path in self.paths]

    def round(self, number: int) -> Iterator[Entry]:
        """The advisories in the order of the files, or a copy of them.

        Raises: InputError where the files are no longer what they were.
        """
        seen: set[int] = set()
        for original, (identity, of) in itertools.zip_longest(advisories(self.paths), self.lines, fillvalue=("", 0)):
            if not isinstance(original, Advisory) or original.id != identity:
                raise InputError("a file was changed while it was read", hint="run the same command again, on an empty database")
            component = multiply.component(self.components[of], number)
            yield Entry(multiply.advisory(original, number), component, of not in seen)
            seen.add(of)


@dataclass
class Found:
    """What is known of a corpus while it is read for the first time."""

    graph: Graph = field(default_factory=Graph)
    places: dict[str, str] = field(default_factory=dict)
    """Where each id was met."""
    names: list[tuple[str, ...]] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)

    def add(self, found: Advisory) -> None:
        """Takes an advisory in.

        Raises: InputError for one that cannot be stored.
        """
        if other := self.places.get(found.id.upper()):
            raise InputError(f"{found.place}: {found.id[:MOST_SHOWN]} is in {other} as well", hint="name each corpus once")
        try:
            bson.encode(found.value)
        except (BSONError, OverflowError, UnicodeError, RecursionError) as err:
            why = "it holds a number, a name or a text that MongoDB cannot store"
            raise InputError(f"{found.place}: {why} ({type(err).__name__})", hint="leave this advisory out") from err
        if not is_shallow(found.value, DEEPEST):
            raise InputError(f"{found.place}: nested deeper than {DEEPEST}", hint="leave this advisory out")
        self.places[found.id.upper()] = found.place
        self.graph.join(found.names)
        self.names.append(found.names)
        self.members.append(Member(vendor(found), found.modified))

    def corpus(self, paths: Sequence[Path]) -> Files:
        """All of it, with its components."""
        numbers: dict[str, int] = {}
        numbered = [numbers.setdefault(self.graph.root(names[0]), len(numbers)) for names in self.names]
        together: list[list[int]] = [[] for _ in numbers]
        for line, number in enumerate(numbered):
            together[number].append(line)
        components = [
            Component(distinct(name for line in lines for name in self.names[line]), tuple(self.members[line] for line in lines))
            for lines in together
        ]
        return Files(paths, components, [(names[0], number) for names, number in zip(self.names, numbered, strict=True)])


def files(paths: Sequence[Path]) -> Files:
    """The corpus of some files.

    Raises: RunnerError; the first defect, which carries the others.
    """
    found = Found()
    defects = list(itertools.islice(itertools.chain.from_iterable(read(path, found) for path in paths), MOST_DEFECTS))
    if defects:
        raise gathered(defects)
    if not found.names:
        raise InputError("there is no advisory in these files", hint="wanted *.ndjson.gz, one OSV advisory a line")
    return found.corpus(tuple(paths))


def read(path: Path, found: Found) -> Iterator[RunnerError]:
    """Reads a file; what is wrong with it."""
    try:
        for place, line in lines(path):
            try:
                found.add(advisory(place, line))
            except InputError as err:
                yield err
    except RunnerError as err:
        yield err


def advisories(paths: Sequence[Path]) -> Iterator[Advisory]:
    """The advisories of files.

    Raises: RunnerError.
    """
    return (advisory(place, line) for path in paths for place, line in lines(path))


def lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of a file that are not empty, each with its place, less their ends.

    Raises: NotFoundError, InputError.
    """
    try:
        with gzip.open(path) as unpacked:
            for number, line in enumerate(iter(functools.partial(unpacked.readline, LONGEST_LINE + 1), b""), 1):
                if len(line) > LONGEST_LINE:
                    raise InputError(f"{path}: line {number}: longer than {LONGEST_LINE} bytes", hint="leave this advisory out")
                if line.strip():
                    yield f"{path}: line {number}", line.rstrip(b"\r\n")
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: not there", hint="without a file, an invented corpus is loaded") from err
    except gzip.BadGzipFile as err:
        raise InputError(f"{path}: no gzip file, or a damaged one", hint="wanted *.ndjson.gz; gzip -t FILE") from err
    except (EOFError, zlib.error) as err:
        raise InputError(f"{path}: it is torn, or damaged", hint="copy it again; gzip -t FILE") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="look at the file and its folder") from err


def advisory(place: str, line: bytes) -> Advisory:
    """The OSV advisory of a line.

    Raises: InputError.
    """
    try:
        value = json_payload.read(line)
        identity = json_payload.needed(value, "id")
    except PayloadError as err:
        raise InputError(f"{place}: {err}", hint="wanted one OSV advisory a line: a JSON object with an id") from err
    return Advisory("OSV", value, line, (identity, *aliases(value)), place)


def aliases(value: Mapping[str, Any]) -> Iterator[str]:
    """Its other names, trimmed; what is none is left to whoever reads the payload."""
    given = value.get("aliases")
    yield from (each.strip() for each in given if isinstance(each, str) and each.strip()) if isinstance(given, list) else ()


def is_shallow(value: Any, levels: int) -> bool:
    """True where a value has no more levels than so many."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels >= 0 and all(is_shallow(each, levels - 1) for each in inner if isinstance(each, (dict, list)))
