"""A password is never repeated: not in output, not in errors, not in the ledger, however malformed the URI is.

`Lnm` searches whatever is printed for every password of the site after each run; what is planted here is added to them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.runner.fixtures import Site
from tests.runner.installed import Lnm

pytestmark = pytest.mark.mongod

SECRET = "Planted0Sentinel"


@pytest.fixture
def planted(lnm: Lnm) -> Lnm:
    """The program, whose output is searched for the planted secret as well."""
    return dataclasses.replace(lnm, secrets=(*lnm.secrets, SECRET))


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("plan", "21-101"),
    ("preflight", "21-101"),
    ("apply", "21-101", "--execute"),
    ("rollback", "21-101", "--execute"),
    ("doctor",),
)


@pytest.mark.parametrize("form", ["words", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_password_in_the_variable_is_not_in_what_a_command_says(lnm: Lnm, command: tuple[str, ...], form: str) -> None:
    lnm(*command, "--kit", lnm.kit.folder, *(["--json"] if form == "json" else []))


def test_a_password_is_not_in_the_ledger(lnm: Lnm, site: Site) -> None:
    lnm.apply()

    stored = str(list(site.database["lnm_migrations"].find()))
    assert not any(password in stored for password in site.passwords.values())


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["bare", "lf", "crlf"])
def test_a_password_can_come_from_a_file(lnm: Lnm, site: Site, tmp_path: Path, end: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(f"{site.passwords['operator']}{end}".encode())
    uri = site.uri_without_password("operator")

    by_variable = lnm.plan(CONCELIER_MONGO_URI=uri, CONCELIER_MONGO_PASSWORD_FILE=str(file))
    by_option = lnm.plan("--mongo-uri", uri, CONCELIER_MONGO_URI="", CONCELIER_MONGO_PASSWORD_FILE=str(file))

    assert by_variable.stdout == by_option.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_wrong_password_is_refused_and_not_repeated(planted: Lnm, site: Site, command: tuple[str, ...]) -> None:
    uri = site.uri("operator", SECRET)

    answer = planted(*command, "--json", "--kit", planted.kit.folder, wanted=2, CONCELIER_MONGO_URI=uri)

    assert answer.json["error"]["type"] == "CredentialsError"
    assert answer.json["error"]["message"] == "MongoDB refused the user or the password"


def test_a_wrong_password_in_the_file_is_refused_and_not_repeated(planted: Lnm, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    uri = site.uri_without_password("operator")

    answer = planted.plan("--json", wanted=2, CONCELIER_MONGO_URI=uri, CONCELIER_MONGO_PASSWORD_FILE=str(file))

    assert answer.json["error"]["type"] == "CredentialsError"


def test_no_user_at_all_is_told_apart_from_a_wrong_one(lnm: Lnm, site: Site) -> None:
    answer = lnm.plan("--json", wanted=2, CONCELIER_MONGO_URI=f"mongodb://{site.server.address}/?{site.server.tls}")

    assert answer.json["error"]["message"] == "MongoDB wants a user and a password, and none was given"


PASSWORDS_IN_ARGUMENTS = (
    f"mongodb://operator:{SECRET}@127.0.0.1:1/",
    f"mongodb://operator%3A{SECRET}@127.0.0.1:1/",
    f"mongodb://op/erator:{SECRET}@127.0.0.1:1/",
    f"mongodb://operator:1/{SECRET}@127.0.0.1:1/",
    f"operator:{SECRET}@127.0.0.1:1",
    f"mongodb+srv://operator:{SECRET}@cluster.example",
    f"mongodb://127.0.0.1:1/?tls=true&tlsCertificateKeyFilePassword={SECRET}",
    f"mongodb://127.0.0.1:1/?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}",
)


@pytest.mark.parametrize("uri", PASSWORDS_IN_ARGUMENTS)
@pytest.mark.parametrize("form", ["apart", "joined"])
def test_a_password_in_an_argument_is_refused_and_not_repeated(planted: Lnm, uri: str, form: str) -> None:
    arguments = ["--mongo-uri", uri] if form == "apart" else [f"--mongo-uri={uri}"]

    answer = planted("status", "--json", *arguments, wanted=2)

    assert answer.json["error"]["message"].startswith("--mongo-uri holds a password")


MALFORMED = (
    f"mongodb://operator:{SECRET}",
    f"mongodb://operator:p@{SECRET}@127.0.0.1:1/",
    f"mongodb://operator:p/{SECRET}@127.0.0.1:1/",
    f"mongodb://operator:1/{SECRET}@127.0.0.1:1/",
    f"mongodb://operator:%{SECRET}@127.0.0.1:1/",
    f"mongodb://operator:p:{SECRET}@127.0.0.1:1/",
    f"mongodb://operator:{SECRET}@127.0.0.1:99999/",
    f"mongodb://operator:{SECRET}@/",
    f"mongodb://operator:{SECRET}@[::1/",
    f"mongodb://operator:{SECRET}@127.0.0.1:1/a.b c?x",
    f"mongodb://operator:{SECRET}@127.0.0.1:1/?serverSelectionTimeoutMS={SECRET}",
    f"mongodb://operator:{SECRET}@127.0.0.1:1/?unknownOption={SECRET}",
    f"mongodb://operator:{SECRET}@127.0.0.1:1/?authMechanism={SECRET}",
    f"mongodb://operator:{SECRET}@127.0.0.1:1/?tlsCAFile=/no/{SECRET}&tls=true",
    f"mongodb:/operator:{SECRET}@127.0.0.1:1/",
    f"http://operator:{SECRET}@127.0.0.1:1/",
    f"operator:{SECRET}@127.0.0.1:1",
    f"{SECRET}",
    f"mongodb+srv://operator:{SECRET}@localhost",
)


@pytest.mark.parametrize("uri", MALFORMED)
def test_a_malformed_uri_is_refused_and_not_repeated(planted: Lnm, uri: str) -> None:
    answer = planted.start("status", CONCELIER_MONGO_URI=quick(uri))
    printed = "".join(answer.communicate(timeout=60))

    assert answer.returncode in {2, 10}, printed
    assert SECRET not in printed
    assert "Traceback" not in printed
    assert "unexpected" not in printed


def quick(uri: str) -> str:
    """The URI with a short time to wait for a server, where it can take one."""
    return uri + "?serverSelectionTimeoutMS=500" if uri.endswith("/") and uri.startswith("mongodb:") else uri


def test_options_that_nobody_knows_are_named_without_their_values(planted: Lnm) -> None:
    answer = planted("plan", f"--password={SECRET}", "--pass", SECRET, f"-p{SECRET}", wanted=2)

    assert answer.stderr == "error: unknown options: --password, --pass\n  next: lnm --help\n"


@pytest.mark.parametrize(
    "arguments", [("apply", "21-101", "--accept-ttl-deletes", SECRET), (SECRET,), ("kit", SECRET), ("plan", SECRET)]
)
def test_values_that_are_none_are_not_repeated(planted: Lnm, arguments: tuple[str, ...]) -> None:
    kit = ("--kit", str(planted.kit.folder)) if arguments[0] == "plan" else ()

    planted(*arguments, *kit, wanted=2)


def test_a_server_that_is_not_there_is_named_without_the_password(planted: Lnm) -> None:
    uri = f"mongodb://operator:{SECRET}@127.0.0.1:1/?serverSelectionTimeoutMS=500"

    answer = planted.plan(wanted=10, CONCELIER_MONGO_URI=uri)

    assert "no MongoDB server could be used at 127.0.0.1:1: the connection was refused" in answer.stderr


def test_a_host_that_may_be_a_password_is_not_named(planted: Lnm) -> None:
    """The driver takes `operator:1` for the host and the rest for a database."""
    uri = f"mongodb://operator:1/{SECRET}@127.0.0.1/?serverSelectionTimeoutMS=500"

    answer = planted.plan(wanted=10, CONCELIER_MONGO_URI=uri)

    assert "operator" not in answer.stderr


class TestPasswordFile:
    """CONCELIER_MONGO_PASSWORD_FILE, and how it can be wrong."""

    def test_it_is_not_there(self, lnm: Lnm) -> None:
        answer = lnm.plan(wanted=4, CONCELIER_MONGO_PASSWORD_FILE="/no/such/file")

        assert "CONCELIER_MONGO_PASSWORD_FILE: /no/such/file: no such file" in answer.stderr

    @pytest.mark.parametrize("data", [b"", b"\n", b"\xff\xfe"], ids=["empty", "newline", "binary"])
    def test_it_holds_no_password(self, lnm: Lnm, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "password").write_bytes(data)

        lnm.plan(wanted=2, CONCELIER_MONGO_PASSWORD_FILE=str(tmp_path / "password"))

    def test_the_uri_has_a_password_too(self, planted: Lnm, tmp_path: Path) -> None:
        (tmp_path / "password").write_text(SECRET)

        answer = planted.plan(wanted=2, CONCELIER_MONGO_PASSWORD_FILE=str(tmp_path / "password"))

        assert "the MongoDB URI has a password too" in answer.stderr

    def test_the_uri_names_no_user(self, planted: Lnm, site: Site, tmp_path: Path) -> None:
        (tmp_path / "password").write_text(SECRET)
        uri = f"mongodb://{site.server.address}/?{site.server.tls}"

        answer = planted.plan(wanted=2, CONCELIER_MONGO_URI=uri, CONCELIER_MONGO_PASSWORD_FILE=str(tmp_path / "password"))

        assert "names no user" in answer.stderr
