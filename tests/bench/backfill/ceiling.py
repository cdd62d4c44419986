"""The ceiling: the finished documents, written by `insert_many` and nothing else, with the same indexes, validators and concern.

They are kept in files, a file a collection, as BSON end to end, so that the memory of who writes them does not matter.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from tests.bench.backfill.site import OUTPUTS
from tests.bench.measure import Sample

BATCH = 500
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


def keep(database: Database[dict[str, Any]], folder: Path) -> dict[str, int]:
    """Keeps what a backfill has made, in its order; how many documents each collection has."""
    folder.mkdir()
    many = {}
    for name in OUTPUTS:
        with (folder / name).open("wb") as out:
            found = database[name].with_options(codec_options=RAW).find()
            many[name] = sum(out.write(document.raw) > 0 for document in found)
    return many


def kept(path: Path) -> Iterator[RawBSONDocument]:
    """The documents of a file."""
    with path.open("rb") as file:
        while head := file.read(4):
            yield RawBSONDocument(head + file.read(int.from_bytes(head, "little") - 4))


def write(database: Database[dict[str, Any]], folder: Path) -> Sample:
    """Writes them all; the memory is not measured."""
    database = database.with_options(write_concern=WriteConcern("majority", j=True))
    gc.collect()
    gc.freeze()
    began, cpu = time.perf_counter(), time.process_time()
    for name in OUTPUTS:
        documents = kept(folder / name)
        while batch := list(itertools.islice(documents, BATCH)):
            database[name].insert_many(batch)
    found = Sample(time.perf_counter() - began, time.process_time() - cpu, 0)
    gc.unfreeze()
    return found
