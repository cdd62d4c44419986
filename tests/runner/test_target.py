"""What the operator names: databases, options of a URI, and the files in it; each refusal says which, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 64, "concelier\n", "a/b", "a.b", "admin", "local", "config"])
@pytest.mark.parametrize("command", ["status", "apply"])
def test_what_is_no_database_of_the_product_is_refused(lnm: Lnm, name: str, command: str) -> None:
    words = ("apply", "21-101", "--execute", "--kit", lnm.kit.folder) if command == "apply" else ("status",)

    error = lnm(*words, "--json", "--db", name, wanted=2).json["error"]

    assert error["message"].startswith("--db: ")
    assert error["hint"]


def test_a_name_that_differs_in_case_alone_is_told(lnm: Lnm, site: Site) -> None:
    root = lnm.with_database(site.database.name.swapcase())
    site.database["advisory"].insert_one({})
    site.server.client["admin"].command("createUser", "anywhere", pwd="x", roles=["root"])
    uri = site.uri_without_password("anywhere:x").replace(f"authSource={site.database.name}", "authSource=admin")
    try:
        error = root.apply("--json", wanted=2, CONCELIER_MONGO_URI=uri).json["error"]
    finally:
        site.server.client["admin"].command("dropUser", "anywhere")

    assert "differs in nothing but case" in error["message"]


@pytest.mark.parametrize(
    "option", ["timeoutMS=5", "socketTimeoutMS=1", "maxStalenessSeconds=90", "readPreferenceTags=dc:x", "loadBalanced=true"]
)
def test_an_option_that_would_break_a_run_is_named(lnm: Lnm, site: Site, option: str) -> None:
    extra = "&readPreference=secondary" if "tale" in option or "Tags" in option else ""

    error = lnm("status", "--json", wanted=2, CONCELIER_MONGO_URI=f"{site.uri('operator')}&{option}{extra}").json["error"]

    assert option.partition("=")[0].lower() in error["message"].lower()
    assert error["hint"] == "leave it away"


@pytest.mark.parametrize(
    "option", ["readPreference=secondary", "readConcernLevel=snapshot", "w=0", "retryWrites=false", "compressors=snappy", "w=5"]
)
def test_an_option_that_the_runner_overrules_hinders_nothing(lnm: Lnm, site: Site, option: str) -> None:
    uri = f"{site.uri('operator')}&{option}"

    looked = lnm("preflight", "21-101", "--kit", lnm.kit.folder, CONCELIER_MONGO_URI=uri)
    lnm.apply(CONCELIER_MONGO_URI=uri)

    assert looked.stderr == ""


@pytest.mark.parametrize("option", ["authMechanism=PLAIN", "authMechanism=MONGODB-AWS"])
def test_a_way_to_authenticate_that_is_none_here_is_told(lnm: Lnm, site: Site, option: str) -> None:
    uri = site.uri("operator").replace(f"authSource={site.database.name}", "authSource=%24external")

    error = lnm("status", "--json", wanted=2, CONCELIER_MONGO_URI=f"{uri}&{option}").json["error"]

    assert "authMechanism" in error["hint"]


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "No such file"), ("folder", "Is a directory"), ("junk", "nothing in PEM form"), ("", "PEM form")],
)
@pytest.mark.parametrize("option", ["tlsCAFile", "tlsCertificateKeyFile"])
def test_a_file_that_a_uri_names_and_that_is_wrong_is_named_by_its_option(
    lnm: Lnm, tmp_path: Path, option: str, data: str | None, said: str
) -> None:
    path = tmp_path / "file"
    if data == "folder":
        path.mkdir()
    elif data is not None:
        path.write_text(data)

    error = lnm("status", "--json", wanted=2, CONCELIER_MONGO_URI=f"mongodb://127.0.0.1:1/?tls=true&{option}={path}").json[
        "error"
    ]

    assert error["message"].startswith(f"{option} in the MongoDB URI: the file ")
    assert said in error["message"]


@pytest.mark.parametrize("what", ["/dev/full", "/dev/zero", "a folder", "a long file"])
def test_what_is_no_file_with_a_password_is_not_read_to_its_end(lnm: Lnm, tmp_path: Path, what: str) -> None:
    path = {"a folder": tmp_path, "a long file": tmp_path / "long"}.get(what, Path(what))
    (tmp_path / "long").write_bytes(b"x" * 5000)

    lnm("status", wanted=2, CONCELIER_MONGO_PASSWORD_FILE=str(path))


def test_a_password_may_come_through_a_pipe(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    """As a shell makes one: `<(pass show concelier)`."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    uri = site.uri_without_password("operator")
    runner = lnm.start("status", CONCELIER_MONGO_URI=uri, CONCELIER_MONGO_PASSWORD_FILE=str(fifo))
    fifo.write_text(site.passwords["operator"])
    runner.communicate(timeout=60)

    assert runner.returncode == 0


def test_a_line_break_in_a_password_is_told(lnm: Lnm, site: Site, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{site.passwords['operator']}\n\n")

    with watched(site.server) as writes:
        error = lnm(
            "status",
            "--json",
            wanted=2,
            CONCELIER_MONGO_URI=site.uri_without_password("operator"),
            CONCELIER_MONGO_PASSWORD_FILE=str(tmp_path / "password"),
        ).json["error"]

    assert "line break" in error["message"]
    assert writes.oplog == []
