"""A backup: what is in it, that it comes back as it was, and that nothing that was done to it goes unseen."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bson
import pytest
from lnm_runner import fingerprint
from lnm_runner.backup import checking, compression, manifest, reading
from lnm_runner.backup.layout import Place
from lnm_runner.errors import BackupError, InputError, LockedError, NotFoundError, RetryableError, RunnerError, StageError

from tests.runner import backups
from tests.runner.backups import FAR, LARGEST, ODD_NAME, Saver, frozen
from tests.runner.fixtures import Site, fresh_site, watched
from tests.runner.kits import Kit
from tests.runner.mongod import Mongod

pytestmark = pytest.mark.mongod

USERS = [{"role": name, "db": "admin"} for name in ("lnmBackup", "lnmRestore")]


def saver_of(site: Site, kit: Kit, folder: Path) -> Saver:
    """The stages, as a user who has the roles for them and no other."""
    site.add_user("saver", *USERS)
    return Saver(site.database, kit, folder / "book", site.uri("saver"))


@pytest.fixture
def saver(site: Site, kit: Kit, tmp_path: Path) -> Saver:
    return saver_of(site, kit, tmp_path)


@pytest.fixture(scope="module")
def made(server: Mongod, kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saver]:
    """A backup that the tests copy before they do anything to it."""
    with fresh_site(server, kit) as site:
        saver = saver_of(site, kit, tmp_path_factory.mktemp("made"))
        backups.fill(saver.database)
        saver.stage("backup", compress="gzip")
        yield saver


# ---- there and back


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_every_kind_of_collection_comes_back_as_it_was(saver: Saver, compress: str) -> None:
    backups.fill(saver.database)
    before = saver.seen()
    with frozen(saver.database):
        backup = saver.stage("backup", compress=compress).evidence
        proof = saver.stage("prove_backup").evidence
    backups.spoil(saver.database)
    spoiled = fingerprint.differences(before, saver.seen())
    with frozen(saver.database):
        restore = saver.stage("restore").evidence

    assert len(spoiled) >= 8
    assert fingerprint.differences(before, saver.seen()) == []
    assert backup["fingerprint"] == {"database": before.sha256, "collections": len(before.collections)}
    for done in (backup, proof, restore):
        assert [done[name] for name in ("collections", "documents", "bytes")] == [
            len(before.collections), before.documents, before.bytes,
        ]  # fmt: skip
    assert proof["fingerprint"] == restore["fingerprint"] == before.sha256
    assert (proof["equal"], restore["equalsBackup"]) == (True, True)
    rows = {row["_id"]: row for row in saver.database["lnm_settings"].find()}
    assert rows == {"pace": {"_id": "pace", "ms": 3}, "ingest": {"_id": "ingest", "enabled": True}, "environment": {
        "_id": "environment", "is": "production"}}  # fmt: skip
    assert not [name for name in saver.database.client.list_database_names() if name.endswith("_lnm_proof")]
    assert saver.database["lnm_lease"].find_one({"_id": "runner"}) is not None


def test_the_demo_comes_back_with_what_was_backfilled_gone(saver: Saver) -> None:
    backups.demo(saver.database, 150)
    before = saver.seen()
    saver.stage("backup", compress="gzip")
    saver.database["advisory_observations"].insert_many([{"_id": number} for number in range(50)])
    saver.database["lnm_runs"].insert_one({"_id": "r"})
    with frozen(saver.database):
        told = saver.check("restore")
        saver.stage("restore")

    assert saver.seen() == before
    assert "advisory_observations: 50 documents now, in the backup it is not there: it goes" in told


def test_a_file_of_documents_is_the_fingerprint_of_its_collection(made: Saver) -> None:
    rows = {row["name"]: row for row in made.manifest["collections"]}
    with gzip.open(made.place / rows["things"]["stored"]["file"]) as file:
        data = file.read()

    seen = fingerprint.database(made.database).collections["things"]
    assert hashlib.sha256(data).hexdigest() == seen.sha256.removeprefix("sha256:")
    assert rows[ODD_NAME]["stored"]["file"] == f"dump/{made.database.name}/odd+name%2F%2524%3B%C3%A4.bson.gz"
    assert (rows["things"]["sha256"], rows["things"]["count"]) == (seen.sha256, 200)


def test_more_documents_than_a_batch_has_and_one_as_large_as_can_be_pass(saver: Saver) -> None:
    saver.database["large"].insert_many([{"_id": number} for number in range(2 * fingerprint.BATCH + 1)])
    saver.database["large"].insert_one({"_id": -1, "x": bytes(LARGEST)})
    before = saver.seen()
    saver.stage("backup", compress="none")
    saver.stage("prove_backup")

    assert saver.done["prove-backup"]["fingerprint"] == before.sha256


def test_documents_may_expire_again_only_once_everything_was_compared(saver: Saver, server: Mongod) -> None:
    """Those of a backup that is some hours old would else die between the load and the comparison, and a restore never end."""
    clustered: dict[str, Any] = {"clusteredIndex": {"key": {"_id": 1}, "unique": True}, "expireAfterSeconds": 3600}
    saver.database.create_collection("dated", **clustered)
    saver.database["dated"].insert_one({"_id": FAR})
    saver.database["short"].create_index("at", name="ttl", expireAfterSeconds=0)
    saver.database["short"].insert_many([{"at": dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)} for _ in range(20)])
    before = saver.seen()
    saver.stage("backup")
    saver.database.drop_collection("short")
    saver.database.drop_collection("dated")
    time.sleep(2)
    with frozen(saver.database), watched(server) as writes:
        done = saver.stage("restore").evidence

    assert (done["fingerprint"], done["documents"]) == (before.sha256, 21)
    expiring = [at for at, entry in enumerate(writes.oplog) if "expireAfterSeconds" in str(entry["o"])]
    assert len(expiring) >= 2
    assert min(expiring) > max(at for at, entry in enumerate(writes.oplog) if "renameCollection" in entry["o"])
    while saver.database["short"].count_documents({}):
        time.sleep(0.1)


# ---- made once, and whole


def test_a_backup_that_is_there_is_taken_for_done_and_never_written_over(saver: Saver) -> None:
    backups.fill(saver.database)
    first = saver.stage("backup").evidence
    again = saver.stage("backup").evidence
    assert again == first
    assert "nothing was written" in " ".join(saver.said)

    saver.database["things"].update_one({"_id": "001"}, {"$set": {"b": 1000}})
    with pytest.raises(BackupError, match="is stale: the database has changed since, though the counts are the same"):
        saver.stage("backup")
    with pytest.raises(BackupError, match="is stale"):
        saver.stage("prove_backup")
    assert manifest.read(saver.place).sha256 == first["manifest"]


def test_what_a_killed_backup_has_left_is_no_backup_and_is_removed(saver: Saver) -> None:
    backups.fill(saver.database)
    part = saver.place.with_name("backup.part")
    (part / "dump" / saver.database.name).mkdir(parents=True)
    (part / "dump" / saver.database.name / "things.bson").write_bytes(b"half")
    with pytest.raises(NotFoundError):
        saver.check("prove_backup")
    saver.stage("backup")

    assert not part.exists()
    saver.stage("prove_backup")


def test_a_folder_of_somebody_else_is_not_written_into(saver: Saver) -> None:
    saver.place.mkdir(parents=True)
    (saver.place / "mine").write_text("x")
    with pytest.raises(StageError, match="holds no backup"):
        saver.stage("backup")
    assert [path.name for path in saver.place.iterdir()] == ["mine"]


def test_somebody_who_writes_meanwhile_is_seen(saver: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a file and the end: what came there is in no file, and no count that is asked for at once tells."""
    backups.fill(saver.database)
    settle = fingerprint.restorable

    def written(database: Any) -> Any:
        saver.database["german"].update_one({"_id": "b"}, {"$set": {"x": 2}})
        return settle(database)

    monkeypatch.setattr(fingerprint, "restorable", written)
    with pytest.raises(BackupError, match="somebody has written into the database while it was backed up: german"):
        saver.stage("backup")
    assert not saver.place.exists()


def test_a_full_disk_a_runner_at_work_and_an_unknown_compression_are_told(saver: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    backups.fill(saver.database)
    with pytest.raises(InputError, match="--compress"):
        saver.check("backup", compress="lzma")
    with pytest.raises(InputError, match="LNM_BACKUP_TOOL"):
        saver.check("backup", LNM_BACKUP_TOOL="tar")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(RetryableError, match=r"wanted on the disk of the backup up to [\d,]+, free 1"):
        saver.check("backup")
    saver.database["lnm_lease"].insert_one(
        {"_id": "runner", "epoch": 1, "owner": {"host": "h", "pid": 1, "run": "r"}, "purpose": "apply"}
        | dict.fromkeys(("acquiredAt", "renewedAt", "expiresAt"), FAR)
    )
    with pytest.raises(LockedError, match="another runner is at work"):
        saver.check("backup")


# ---- proved


def test_a_proof_that_was_killed_is_dropped_by_the_next_and_nobody_elses_database_is(saver: Saver) -> None:
    backups.fill(saver.database)
    saver.stage("backup")
    scratch = saver.database.client[f"{saver.database.name}_lnm_proof"]
    scratch["things"].insert_one({"mine": True})
    with pytest.raises(StageError, match="that no proof of"):
        saver.stage("prove_backup")
    assert scratch["things"].count_documents({}) == 1

    scratch["lnm_proof"].insert_one({"_id": "lnm_proof", "of": saver.database.name})
    assert any("dropped first" in line for line in saver.check("prove_backup"))
    saver.stage("prove_backup")
    assert scratch.list_collection_names() == []


# ---- done to a backup


def gone(place: Path) -> int:
    """Takes the files of a collection away."""
    return sum(shutil.move(one, place.parent) is not None for one in list(place.rglob("things.*")))


def rewrite(place: Path, change: Callable[[dict[str, Any]], object]) -> int:
    """Writes a changed manifest in its one form."""
    path = place / "backup-manifest.json"
    value = json.loads(path.read_bytes())
    change(value)
    return path.write_bytes(manifest.Manifest(value).data)


def row(value: dict[str, Any], name: str = "things") -> dict[str, Any]:
    """A row of a manifest."""
    found: dict[str, Any] = next(one for one in value["collections"] if one["name"] == name)
    return found


def file(place: Path, name: str = "things.bson.gz") -> Path:
    """A file of the backup."""
    return next(place.rglob(name))


def other_documents(place: Path) -> None:
    """A document less, and a manifest that knows of it."""
    path = file(place)
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(packed := gzip.compress(data[: -int.from_bytes(data[:4], "little")], mtime=0))
    sums = {"bytes": len(packed), "sha256": f"sha256:{hashlib.sha256(packed).hexdigest()}"}
    rewrite(place, lambda value: row(value)["stored"].update(sums))


def in_file(place: Path, name: str, old: bytes, new: bytes) -> None:
    """Other bytes in a compressed file."""
    path = file(place, name)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(old, new), mtime=0))


LIES: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "a file cut off": (lambda place: os.truncate(file(place), 100), "things.bson.gz: has 100 bytes"),
    "a byte flipped": (lambda place: flip(file(place), 200), "things.bson.gz"),
    "a byte flipped at the end": (lambda place: flip(file(place), -2), "things.bson.gz"),
    "a file missing": (lambda place: file(place).unlink(), "things.bson.gz: is missing"),
    "a file more": (lambda place: (file(place).parent / "more.bson.gz").write_bytes(b""), "more.bson.gz: is there, and not listed"),
    "a file empty": (lambda place: file(place).write_bytes(b""), "things.bson.gz: has 0 bytes"),
    "a link": (lambda place: (file(place).parent / "x").symlink_to("things.bson.gz"), "x: is no file"),
    "other options": (lambda place: in_file(place, "checked.metadata.json.gz", b"moderate", b"MODERATE"), "checked.metadata.json.gz"),
    "documents taken out": (other_documents, "things.bson.gz: holds 199 documents"),
    "another count": (lambda place: rewrite(place, lambda value: row(value).update(count=199)), "the manifest says 199"),
    "another hash": (
        lambda place: rewrite(place, lambda value: row(value).update(sha256=f"sha256:{'0' * 64}")),
        "its collections come to",
    ),
    "a collection taken out": (
        lambda place: [rewrite(place, lambda value: value["collections"].remove(row(value))), gone(place)],
        "its collections come to",
    ),
    "a place elsewhere": (
        lambda place: rewrite(place, lambda value: row(value)["stored"].update(file="dump/../../etc/passwd")),
        "is no place of a file",
    ),
    "a manifest cut off": (lambda place: os.truncate(place / "backup-manifest.json", 500), "it is no manifest of a backup, or is cut off"),
    "a manifest in another form": (
        lambda place: (place / "backup-manifest.json").write_text(json.dumps(json.loads((place / "backup-manifest.json").read_bytes()))),
        "it was edited",
    ),
    "a member more": (lambda place: rewrite(place, lambda value: value.update(more=1)), "the manifest: has the members"),
    "a count that is a text": (lambda place: rewrite(place, lambda value: row(value).update(count="1")), "count is a str"),
    "another schema": (lambda place: rewrite(place, lambda value: value.update(schema="x/2")), "schema is 'x/2'"),
}  # fmt: skip


def flip(path: Path, place: int) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("lie", LIES)
def test_what_was_done_to_a_backup_is_told(made: Saver, tmp_path: Path, lie: str) -> None:
    do, told = LIES[lie]
    place = tmp_path / "copy"
    shutil.copytree(made.place, place, symlinks=True)
    do(place)

    with pytest.raises(BackupError) as caught:
        checking.require_whole(manifest.read(place), Place(place, "gzip"), lambda _: None)

    said = [caught.value.message, *(other.message for other in caught.value.others)]
    assert any(told in one for one in said), said
    assert str(tmp_path) not in str(said)


def test_every_defect_is_told_and_not_the_first_alone(made: Saver, tmp_path: Path) -> None:
    place = tmp_path / "copy"
    shutil.copytree(made.place, place)
    for name in ("things.bson.gz", "german.bson.gz", "ring.metadata.json.gz"):
        flip(file(place, name), -6)
    with pytest.raises(BackupError) as caught:
        checking.require_whole(manifest.read(place), Place(place, "gzip"), lambda _: None)

    said = " ".join([caught.value.message, *(other.message for other in caught.value.others)])
    assert [name in said for name in ("things.bson.gz", "german.bson.gz", "ring.metadata.json.gz")] == [True, True, True]


def test_a_backup_of_another_database_cluster_or_kit_is_refused(made: Saver) -> None:
    found = manifest.read(made.place)
    right = (found.value["kit"], made.database)
    checking.require_ours(found, right[1], right[0])
    for member, value in (("database", "other"), ("cluster", "sha256:0"), ("kit", "sha256:0")):
        foreign = manifest.Manifest({**found.value, member: value})
        with pytest.raises(BackupError, match=f"it is a backup of another {member}"):
            checking.require_ours(foreign, made.database, right[0])


def test_another_manifest_than_the_journals_is_refused(made: Saver) -> None:
    manifest.read(made.place, manifest.read(made.place).sha256)
    with pytest.raises(BackupError, match="the journal says"):
        manifest.read(made.place, f"sha256:{'0' * 64}")


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_any_cut_of_a_file_is_seen(tmp_path: Path, compress: str) -> None:
    """Also where nobody looks at its size."""
    whole, name = Place(tmp_path, compress), "dump.bson"
    document = bson.encode({"_id": 1})
    whole.write(name, document * 9)
    data = (tmp_path / name).read_bytes()
    assert reading.content(whole, name)[0].count == 9
    unseen = []
    for size in range(1, len(data)):
        (tmp_path / name).write_bytes(data[:size])
        with contextlib.suppress(RunnerError):
            unseen.append((size, reading.content(whole, name)[0].count))
    assert [one for one in unseen if compress != "none" or one[0] % len(document)] == []


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_a_disk_that_becomes_full_is_told_in_words(tmp_path: Path, compress: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, compress)
    monkeypatch.setattr(Path, "open", lambda *_: open("/dev/full", "wb", buffering=0))  # noqa: PTH123, SIM115 - Path's is taken
    with pytest.raises(RetryableError, match="x: No space left on device"):
        place.write("x", os.urandom(100_000))


def test_a_backup_in_zstd_says_what_to_install_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(InputError) as caught:
        compression.require("zstd")
    assert "[zstd]" in caught.value.hint
