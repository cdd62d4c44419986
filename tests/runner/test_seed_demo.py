"""`lnm seed-demo`: the same bytes each time, documents as the product would have stored them, and no database but an empty one."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from tests.conftest import ROOT
from tests.runner import roles
from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm
from tests.runner.kits import Kit
from tests.runner.test_roles import TABLE, here, refused, restricted
from tests.runner.wheel import module

pytestmark = pytest.mark.mongod

REAL = sorted((ROOT.parent / "shared/advisories").glob("*.ndjson.gz"))
"""Real advisories, where this machine has some; no part of the project."""
OSV = {
    "schema_version": "1.6.0",
    "modified": "2024-05-02T10:00:00.123456Z",
    "published": "2024-05-01T10:00:00Z",
    "details": "See CVE-2024-1001.",
    "references": [{"type": "WEB", "url": "https://example.org/CVE-2024-1001"}],
}
SEEDED = ("documents.chunks", "documents.files", "advisory_raw", "advisory")


@pytest.fixture(scope="module")
def seeding(program: Path) -> Any:
    """The module from the wheel."""
    return module(program, "lnm_runner.demo.seeding")


def corpus(folder: Path, *lines: Mapping[str, Any] | bytes, name: str = "osv.ndjson.gz") -> Path:
    """A file of advisories."""
    path = folder / name
    data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data))
    return path


def osv(identity: str, *aliases: str, **more: Any) -> dict[str, Any]:
    """An advisory."""
    package = {"ecosystem": "PyPI", "name": identity.lower(), "purl": f"pkg:pypi/{identity.lower()}"}
    affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}]}]}]
    return {**OSV, "id": identity, "aliases": list(aliases), "affected": affected, **more}


def some(folder: Path) -> Path:
    """Ten advisories in six components: one of three, two of two, and three alone."""
    return corpus(
        folder,
        b"\xef\xbb\xbf" + json.dumps(osv("PYSEC-2024-1", "CVE-2024-1001")).encode(),
        osv("GO-2024-0001", "CVE-2024-1001", "GHSA-2222-3333-4444"),
        osv("PYSEC-2024-2", " cve-2024-1002 ", modified="0001-01-01T00:00:00Z"),
        osv("GHSA-2222-3333-4444"),
        osv("RUSTSEC-2024-0001", "SNYK-RUST-THING-570471"),
        osv("GO-2024-0002", "CVE-2024-1002", modified=None, published=None),
        osv("DSA-1", "SNYK-RUST-THING-570471", aliases_of="nothing"),
        osv("alone"),
        osv("PYSEC-2024-3", modified="2024-10-01 21:22:35.777428+00:00"),
        osv("GO-2024-0003", "CVE-2024-123456789"),
    )


def encoded(demo: Any) -> list[bytes]:
    """All documents of a demo, each with its collection before it."""
    return [stored.collection.encode() + bson.encode(stored.document) for stored in demo.stored()]


def made(demo: Any, collection: str) -> list[dict[str, Any]]:
    """The documents of a collection."""
    return [stored.document for stored in demo.stored() if stored.collection == collection]


def names_of(raws: Iterable[Mapping[str, Any]]) -> list[Sequence[str]]:
    """Of each raw document the id, then the aliases."""
    return [(document["upstream"]["upstream_id"], *document["identifiers"]["aliases"]) for document in raws]


def component_sizes(advisories: Iterable[Sequence[str]]) -> Counter[int]:
    """How many advisories are joined by names: `{advisories: components}`; an own walk, no code of the runner's."""
    names: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, set[str]] = defaultdict(set)
    for identity, *aliases in advisories:
        for name in (identity, *aliases):
            names[identity.upper()].add(name.upper())
            ids[name.upper()].add(identity.upper())
    sizes: Counter[int] = Counter()
    left = set(names)
    while left:
        reached, edge = set[str](), {left.pop()}
        while edge:
            reached |= edge
            edge = {other for identity in edge for name in names[identity] for other in ids[name]} - reached
        left -= reached
        sizes[len(reached)] += 1
    return sizes


# ---- what is made


def test_every_invented_payload_is_read_by_its_reader(program: Path, seeding: Any) -> None:
    formats, scores = (module(program, f"lnm_runner.advisories.{name}") for name in ("formats", "scores"))
    advisories = [entry.advisory for number in (0, 3) for entry in seeding.demo().corpus.round(number)]

    for advisory in advisories:
        record = formats.read(advisory.format, advisory.payload)
        assert (record.id, set(record.aliases)) == (advisory.names[0], set(advisory.names[1:]))
        assert all(scores.of_vector(one.vector, "").score == one.score for one in record.severities)
    assert 250 <= len(advisories) / 2 <= 350
    assert {advisory.format for advisory in advisories} == {"OSV", "CSAF", "NVD"}


def test_the_invented_sources_agree_and_contradict_each_other(program: Path, seeding: Any) -> None:
    formats = module(program, "lnm_runner.advisories.formats")
    by_component = defaultdict(list)
    for entry in seeding.demo().corpus.round(0):
        record = formats.read(entry.advisory.format, entry.advisory.payload)
        by_component[entry.component.key].append((entry.advisory.format, record))

    def highest(record: Any) -> float:
        return max((one.score for one in record.severities), default=0.0)

    scored = [[highest(record) for _, record in found if highest(record)] for found in by_component.values()]
    linked = [[set(record.references) for _, record in found if record.references] for found in by_component.values()]
    assert sum(len(scores) > 1 and max(scores) - min(scores) <= 0.1 for scores in scored) >= 20
    assert sum(len(scores) > 1 and max(scores) - min(scores) > 1 for scores in scored) >= 5
    assert sum(len(links) > 1 and not set.intersection(*links) for links in linked) >= 5
    assert sum(len({form for form, _ in found}) == 3 for found in by_component.values()) >= 20
    assert any(record.withdrawn for found in by_component.values() for _, record in found)


def test_the_same_input_gives_the_same_bytes(seeding: Any, tmp_path: Path) -> None:
    for files in ([], [some(tmp_path)]):
        first, second = (encoded(seeding.demo(files, 3, 700)) for _ in range(2))

        assert first == second
        assert len(set(first)) == len(first)


def test_a_smaller_demo_is_the_beginning_of_a_larger_one(seeding: Any, tmp_path: Path) -> None:
    for files in ([], [some(tmp_path)]):
        smaller, larger = (encoded(seeding.demo(files, 2, number)) for number in (101, 150))

        assert larger[: len(smaller)] == smaller
        assert sum(document.startswith(b"advisory_raw") for document in smaller) == 101


def test_without_a_number_the_corpus_is_there_once(seeding: Any, tmp_path: Path) -> None:
    demo = seeding.demo([some(tmp_path)], 2)

    raws = made(demo, "advisory_raw")

    first = [document for document in raws if document["supersedes"] is None and document["tenant"] == raws[0]["tenant"]]
    assert len(first) == 10
    assert demo.count() == len(raws)


def test_the_copies_of_a_corpus_are_joined_as_it_is(seeding: Any, tmp_path: Path) -> None:
    copies = 40
    demo = seeding.demo([some(tmp_path)], 1)

    raws = [stored.document for number in range(copies) for stored in demo.round(number) if stored.collection == "advisory_raw"]

    assert component_sizes(names_of(made(demo, "advisory_raw"))) == {1: 3, 2: 2, 3: 1}
    for document in raws:
        if "raw" in document["content"]:
            assert [name.strip() for name in document["content"]["raw"]["aliases"]] == document["identifiers"]["aliases"]
    assert component_sizes(names_of(raws)) == {1: 3 * copies, 2: 2 * copies, 3: copies}


def test_a_copy_has_other_names_everywhere(seeding: Any, tmp_path: Path) -> None:
    demo = seeding.demo([some(tmp_path)], 1)

    original, copy = (next(iter(demo.corpus.round(number))).advisory.value for number in (0, 3))

    assert copy["id"] == "PYSEC-2024-30000001"
    assert copy["aliases"] == ["CVE-2024-30001001"]
    assert copy["details"] == "See CVE-2024-30001001."
    assert copy["references"] == [{"type": "WEB", "url": "https://example.org/CVE-2024-30001001"}]
    assert copy["affected"][0]["package"] == {
        "ecosystem": "PyPI", "name": "pysec-2024-1-copy3", "purl": "pkg:pypi/pysec-2024-1-copy3",
    }  # fmt: skip
    assert copy["affected"][0]["ranges"] == original["affected"][0]["ranges"]


def test_no_raw_document_breaks_the_contract(program: Path, seeding: Any, tmp_path: Path) -> None:
    aoc = module(program, "lnm_runner.backfill.aoc")

    for files in ([], [some(tmp_path)]):
        for document in made(seeding.demo(files, 2), "advisory_raw"):
            stored = bson.decode(bson.encode(document))
            assert list(aoc.violations(stored)) == []


def test_dates_come_from_the_advisory(seeding: Any, tmp_path: Path) -> None:
    fetched = {
        document["upstream"]["upstream_id"]: document["upstream"]["fetched_at"]
        for document in made(seeding.demo([some(tmp_path)], 1), "advisory_raw")
        if document["supersedes"] is None
    }

    days = {identity: f"{at:%Y-%m-%d}" for identity, at in fetched.items()}
    assert days["GO-2024-0001"] == "2024-05-02", "modified"
    assert days["PYSEC-2024-2"] == "2024-05-01", "published, as modified is of the year 1"
    assert days["GO-2024-0002"] == "2025-01-01", "neither is there"
    assert days["PYSEC-2024-3"] == "2024-10-01"
    assert {at.microsecond % 1000 for at in fetched.values()} == {0}


def test_memory_does_not_grow_with_the_number_of_documents(seeding: Any) -> None:
    tracemalloc.start()

    counts = seeding.count(seeding.demo((), 2, 2000))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts.sizes.total() > 4 << 20
    assert peak < 1 << 20


def test_copies_of_the_corpus_are_as_it_is(seeding: Any) -> None:
    corpus = seeding.demo(REAL).corpus
    rounds = [[entry.advisory for entry in corpus.round(number)] for number in range(2)]

    one, other = (component_sizes(advisory.names for advisory in found) for found in rounds)
    bytes_of_one, bytes_of_other = (sum(len(advisory.payload) for advisory in found) for found in rounds)

    assert one == other or not REAL, "invented are others in each round"
    assert component_sizes(advisory.names for found in rounds for advisory in found) == one + other
    assert bytes_of_other == pytest.approx(bytes_of_one, rel=0.1)


# ---- the command


def answered(lnm: Lnm, site: Site, *arguments: str | Path, wanted: int = 0) -> dict[str, Any]:
    """`lnm seed-demo` by a user who has the role."""
    if "seeder" not in site.passwords:
        site.add_user("seeder", "lnmSeedDemo")
    return lnm(
        "seed-demo", "--json", *arguments, wanted=wanted, CONCELIER_MONGO_URI=site.uri("seeder"), LNM_TRUSTED_KEY=None
    ).json


def test_it_is_only_counted_without_execute(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    with watched(site.server) as writes:
        counted = answered(lnm, site, some(tmp_path), "--documents", "300")
    written = answered(lnm, site, some(tmp_path), "--documents", "300", "--execute")

    assert (counted["executed"], written["executed"]) == (False, True)
    assert {**counted, "executed": True} == written
    assert not [entry for entry in writes.oplog if "." in entry["ns"] and not entry["ns"].startswith("admin.")]
    assert written["collections"]["advisory_raw"]["documents"] == 300
    assert written["corpus"] == ["osv.ndjson.gz"]


def test_what_it_has_made_can_be_migrated(lnm: Lnm, site: Site) -> None:
    lnm("seed-demo", "--execute", CONCELIER_MONGO_URI=site.uri("operator"), wanted=2)
    said = answered(lnm, site, "--execute", "--tenants", "3")

    assert len(said["tenants"]) == 3
    assert not lnm.plan("--json").json["plans"][0]["nothingToDo"]
    lnm.apply()


def test_people_are_told_what_was_written(lnm: Lnm, site: Site) -> None:
    site.add_user("seeder", "lnmSeedDemo")
    dry, wet = (
        lnm("seed-demo", *options, CONCELIER_MONGO_URI=site.uri("seeder")).stdout
        for options in (["--tenants", "1"], ["--tenants", "1", "--execute"])
    )

    assert "Nothing was written; add --execute to do it." in dry
    assert "advisory_raw: 343 documents" in wet
    assert all(row["_id"].count(":") == 3 for row in site.database["advisory_raw"].find({}, {"_id": True})), (
        "one tenant needs no suffix"
    )


def test_it_is_never_poured_over_what_is_there(lnm: Lnm, site: Site) -> None:
    for held, options in zip(SEEDED, ([], ["--execute"], ["--execute"], []), strict=True):
        site.database[held].insert_one({})

        error = answered(lnm, site, *options, wanted=2)["error"]

        assert (error["type"], error["collections"]) == ("InputError", [held])
        assert [name for name in SEEDED if site.database[name].find_one()] == [held]
        site.database[held].drop()


def test_the_role_alone_is_enough_and_all_of_it_is_needed(lnm: Lnm, site: Site, kit: Kit, seeding: Any) -> None:
    demo = seeding.demo((), 1, 20)
    assert {resource["collection"] for resource, _ in roles.each(TABLE["lnmSeedDemo"])} == set(SEEDED) == set(seeding.ORDER)
    answered(lnm, site)

    for resource, action in roles.each(TABLE["lnmSeedDemo"]):
        site.database.command("updateUser", "seeder", roles=[restricted(site, kit, "lnmSeedDemo", resource, action)])
        with MongoClient[dict[str, Any]](site.uri("seeder")) as client:
            refused(partial(seeding.write, client[site.database.name], demo))
        for name in SEEDED:
            site.database[name].drop()

    error = answered(lnm, site, "--execute", wanted=2)["error"]
    assert error["type"] == "PrivilegeError"
    assert error["missing"] == [{"resource": here(site, resource), "action": action, "role": "lnmSeedDemo"}]
    assert not set(SEEDED) & set(site.database.list_collection_names())


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([osv("A-1"), b"[]"], "line 2: it is no JSON object"),
        ([b'{"id":'], "line 1: it is no JSON"),
        ([b'{"id": "A-1", "x": NaN}'], "line 1: NaN is no JSON number"),
        ([b"\xff"], "line 1: it is no JSON"),
        ([{"summary": "x"}], "line 1: id: not there"),
        ([{"id": 7}], "line 1: id: found a number, wanted text"),
        ([osv("A-1"), b"", osv("a-1")], "line 3: a-1 is in {path}: line 1 as well"),
        ([osv("A-1", number=2**64)], "line 1: it holds a number, a name or a text that MongoDB cannot store"),
        ([{**osv("A-1"), "a\0b": 1}], "line 1: it holds a number, a name or a text that MongoDB cannot store"),
        ([osv("A-1", text="\ud800")], "line 1: it holds a number, a name or a text that MongoDB cannot store"),
        ([osv("A-1", x=json.loads("[" * 150 + "]" * 150))], "line 1: nested deeper than 96"),
        ([], "there is no advisory in these files"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_that_is_no_advisory_is_told(program: Path, seeding: Any, tmp_path: Path, lines: Sequence[Any], said: str) -> None:
    errors = module(program, "lnm_runner.errors")
    path = corpus(tmp_path, *lines)

    with pytest.raises(errors.InputError) as caught:
        seeding.demo([path])

    assert said.format(path=path) in caught.value.message


def test_all_defects_are_told_and_nothing_is_written(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    torn = corpus(tmp_path, *(osv(f"T-{number}") for number in range(50)), name="torn.gz")
    torn.write_bytes(torn.read_bytes()[:-20])
    (plain := tmp_path / "plain.gz").write_text('{"id": "A-1"}\n')
    bad = corpus(tmp_path, b"1", b"2")

    said = answered(lnm, site, torn, plain, bad, "--execute", wanted=2)

    messages = [error["message"] for error in (said["error"], *said["others"])]
    assert messages == [
        f"{torn}: it is torn, or damaged",
        f"{plain}: no gzip file, or a damaged one",
        f"{bad}: line 1: it is no JSON object",
        f"{bad}: line 2: it is no JSON object",
    ]
    assert not set(SEEDED) & set(site.database.list_collection_names())


def test_wrong_options_are_told(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    assert "--tenants" in answered(lnm, site, "--tenants", "0", wanted=2)["error"]["message"]
    assert "--documents" in answered(lnm, site, "--documents", "0", wanted=2)["error"]["message"]
    assert "not there" in answered(lnm, site, tmp_path / "none.gz", wanted=4)["error"]["message"]
