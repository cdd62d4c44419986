"""The vendor's tools and ours read and write the same backups: real mongodump and mongorestore (`sh ci/tools/build.sh mongo`)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lnm_runner import fingerprint
from lnm_runner.backup import layout, mongodump
from lnm_runner.errors import BackupError
from lnm_runner.target import Target
from pymongo.database import Database

from tests.runner import backups, mongod
from tests.runner.backups import frozen
from tests.runner.fixtures import Site
from tests.runner.kits import Kit
from tests.runner.test_backup import saver_of

pytestmark = pytest.mark.mongod

RECORDER = """#!/bin/sh
printf '%s\\n' "$@" > "{folder}/arguments"
env > "{folder}/environment"
exec "{tool}" "$@"
"""
DISTURBED = """#!/bin/sh
"{tool}" "$@" && find "{folder}" -name things.bson -exec sed -i s/W/w/ {{}} +
"""


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder that mongodump and mongorestore are in."""
    named = os.environ.get("LNM_MONGO_TOOLS")
    found = shutil.which("mongorestore", path=named or os.environ["PATH"])
    if found is None or shutil.which("mongodump", path=named or os.environ["PATH"]) is None:
        pytest.skip("no mongodump and mongorestore: export LNM_MONGO_TOOLS=$(sh ci/tools/build.sh mongo)")
    return Path(found).parent


def hashes(database: Database[dict[str, Any]]) -> dict[str, str]:
    """What the server itself says of each collection, the lease apart."""
    found: dict[str, str] = database.command("dbHash")["collections"]
    return {name: digest for name, digest in found.items() if name not in {"lnm_lease", "system.views"}}


def indexes(database: Database[dict[str, Any]]) -> dict[str, list[str]]:
    """The names of all indexes."""
    return {name: sorted(index["name"] for index in database[name].list_indexes()) for name in hashes(database)}


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_mongorestore_restores_our_backup(tools: Path, site: Site, kit: Kit, tmp_path: Path, compress: str) -> None:
    saver = saver_of(site, kit, tmp_path)
    backups.fill(saver.database)
    saver.stage("backup", compress=compress)
    other = saver.database.client[f"{saver.database.name}_other"]
    uri = f"mongodb://{':'.join(mongod.ROOT)}@{site.server.address}/?{site.server.tls}"

    done = subprocess.run(
        [tools / "mongorestore", "--uri", uri, "--bypassDocumentValidation", *(["--gzip"] if compress == "gzip" else []),
         "--nsFrom", f"{saver.database.name}.*", "--nsTo", f"{other.name}.*", saver.place / "dump"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert hashes(other) == hashes(saver.database)
    assert indexes(other) == indexes(saver.database)
    unlike = fingerprint.differences(saver.seen(), fingerprint.restorable(other))
    assert [line for line in unlike if " index " in line or "documents" in line] == []
    other.client.drop_database(other.name)


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_mongodump_is_used_where_it_is_and_its_dump_comes_back(
    tools: Path, site: Site, kit: Kit, tmp_path: Path, compress: str
) -> None:
    """Nothing secret is in its arguments or its environment."""
    (recorder := tmp_path / "bin/mongodump").parent.mkdir()
    recorder.write_text(RECORDER.format(folder=tmp_path, tool=tools / "mongodump"))
    recorder.chmod(0o755)
    saver = saver_of(site, kit, tmp_path)
    saver.environment = {"PATH": f"{recorder.parent}:/usr/bin:/bin"}
    backups.fill(saver.database)
    before, before_hashes = saver.seen(), hashes(saver.database)
    with frozen(saver.database):
        assert any("mongodump" in line for line in saver.check("backup"))
        backup = saver.stage("backup", compress=compress).evidence
        saver.stage("prove_backup")
    backups.spoil(saver.database)
    with frozen(saver.database):
        saver.stage("restore")

    assert (backup["tool"], backup["fingerprint"]["database"]) == ("mongodump", before.sha256)
    assert fingerprint.differences(before, saver.seen()) == []
    now = hashes(saver.database)
    assert {name: now[name] for name in before_hashes if name != "lnm_settings"} == {
        name: digest for name, digest in before_hashes.items() if name != "lnm_settings"
    }
    told = (tmp_path / "arguments").read_text() + (tmp_path / "environment").read_text()
    assert f"--db\n{saver.database.name}\n" in told
    assert site.passwords["saver"] not in told
    assert "CONCELIER" not in told


def test_a_dump_that_is_not_what_the_database_holds_is_no_backup(tools: Path, site: Site, kit: Kit, tmp_path: Path) -> None:
    """As where somebody writes meanwhile: mongodump itself says nothing, and ends well."""
    (disturbed := tmp_path / "bin/mongodump").parent.mkdir()
    disturbed.write_text(DISTURBED.format(folder=tmp_path, tool=tools / "mongodump"))
    disturbed.chmod(0o755)
    saver = saver_of(site, kit, tmp_path)
    saver.environment = {"PATH": f"{disturbed.parent}:/usr/bin:/bin"}
    backups.fill(saver.database)

    with frozen(saver.database), pytest.raises(BackupError, match=r"things: as many documents \(200\), but with other content"):
        saver.stage("backup")
    assert not saver.place.exists()


def test_a_mongodump_that_fails_is_told_without_anything_secret(tools: Path, site: Site, kit: Kit, tmp_path: Path) -> None:
    saver = saver_of(site, kit, tmp_path)
    saver.environment = {"PATH": f"{tools}:/usr/bin:/bin", "LNM_BACKUP_TOOL": "mongodump"}
    backups.fill(saver.database)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    with saver.context() as context:
        part = layout.Place(layout.new_part(tmp_path / "x", saver.database.name))
        other_authority = f"{saver.uri.split('tlsCAFile=')[0]}tlsCAFile={tmp_path}/ca.pem"
        for uri in (saver.uri.replace(site.passwords["saver"], "Sentinel-Wrong"), other_authority):
            with pytest.raises(BackupError, match=r"mongodump has failed \(exit 1\)") as caught:
                mongodump.run(str(tools / "mongodump"), Target(uri, None, saver.database.name), part, context.options.environment)
            assert "Sentinel" not in f"{caught.value.message}{caught.value.hint}{caught.value.facts}"
