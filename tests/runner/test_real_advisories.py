"""Every real advisory beside the project is read, observed and linked without an error; conftest.py leaves this out where there are none."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
from collections import defaultdict
from typing import Any

import bson
import pytest
from lnm_runner.advisories import formats
from lnm_runner.backfill import aoc, events, linksets, observations
from lnm_runner.backfill.observations import Place, Raw

from tests.runner.conftest import REAL_ADVISORIES

TENANT = "urn:tenant:00000000-0000-0000-0000-000000000001"
AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
Document = dict[str, Any]


def document(payload: bytes) -> Document:
    """The observation of a payload, as a document of `advisory_raw` would have it."""
    record = formats.read("OSV", payload)
    sha256 = hashlib.sha256(payload).hexdigest()
    raw = Raw(TENANT, record.id.partition("-")[0].lower(), record.id, f"sha256:{sha256}", AT, sha256, "OSV", {}, {})
    return observations.document(raw, record, Place(1, None), "r" * 64)


@pytest.fixture(scope="module")
def every() -> list[Document]:
    """The observations of all of them."""
    files = sorted(REAL_ADVISORIES.glob("osv-*.ndjson.gz"))
    return [document(line.rstrip(b"\n")) for path in files for line in gzip.open(path)]


def components(documents: list[Document]) -> list[list[Document]]:
    """Those that names join."""
    joined: dict[str, str] = {}

    def first(name: str) -> str:
        while joined.setdefault(name, name) != name:
            name = joined[name]
        return name

    for one in documents:
        names = [name.upper() for name in one["linkset"]["aliases"]]
        for name in names[1:]:
            joined[first(name)] = first(names[0])
    found: defaultdict[str, list[Document]] = defaultdict(list)
    for one in documents:
        found[first(one["linkset"]["aliases"][0].upper())].append(one)
    return list(found.values())


def test_each_is_an_observation_of_its_own(every: list[Document]) -> None:
    assert len(every) == len({one["_id"] for one in every}) == 6952
    for one in every:
        assert set(one) >= {"_id", "tenantId", "source", "advisoryId", "affected", "provenance", "ingestedAt"}
        assert all(entry["purl"].startswith(("pkg:golang/", "pkg:pypi/")) for entry in one["affected"])
        assert not {name for name in one if name in aoc.DERIVED or name.startswith(aoc.EFFECTIVE)}
        assert bson.decode(bson.encode(one), bson.CodecOptions(tz_aware=True)) == one


def test_each_is_in_one_component_and_each_component_has_its_linksets(every: list[Document]) -> None:
    made = [linkset for component in components(every) for linkset in linksets.documents(component, "r" * 64)]
    assert len(made) == len({one["_id"] for one in made}) == len({one["linksetHash"] for one in made}) == 6952
    linked = {one for linkset in made for one in linkset["observations"]}
    assert linked == {one["_id"] for one in every}
    for one in made:
        assert one["confidence"] is None or 0 <= one["confidence"] <= 1
        assert (one["confidence"] is None) == (len(one["observations"]) == 1)
        assert len(bson.encode(events.of_linkset(one))) < 512 * 1024
