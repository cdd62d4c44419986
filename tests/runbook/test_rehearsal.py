"""A whole rehearsal by `lnm` as an operator has it, killed at lines of its journal; and what production makes of its evidence.

The driver of the rehearsal (scripts/staging) sees for itself that both ways back lead to where they began, that each backfill makes
the same bytes, and that a late rollback is refused; that it came to its end is what the fixture `rehearsed` shows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bson import Int64
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from lnm_runner import cli

from scripts.staging import eyes, seed, users
from scripts.staging.embedded import ROLES
from scripts.staging.program import Answer, Lnm
from scripts.staging.rehearsal import ORDER, Step, carry_out
from scripts.staging.scene import RehearsalError, Scene
from scripts.staging.users import SEEDER, Users
from tests.runbook.evidence_lies import LIES, statement_of, told
from tests.runbook.rehearsals import DOCUMENTS, IS_EXHAUSTIVE, Rehearsed
from tests.runner import policies
from tests.runner.kits import Kit

pytestmark = pytest.mark.mongod

PRODUCTION = "in_production"
KIT_SIGNER = '[[signer]]\nname = "Builder of the tests"\nrole = "builder"\nfingerprint = "sha256:{}"\npublic-key = """{}"""\n'


def stages(journal: list[dict[str, Any]], *states: str) -> set[str]:
    return {line["stage"] for line in journal if line["state"] in states}


class TestKilled:
    """SIGKILL at lines of the journal."""

    def test_kills_have_met_lines_at_every_moment(self, rehearsed: Rehearsed) -> None:
        wanted = {"before", "torn", "line", "after"}
        assert {moment for _, _, moment in rehearsed.killed.kills} == wanted
        assert len(rehearsed.killed.kills) >= (len(ORDER) * len(wanted) if IS_EXHAUSTIVE else len(wanted))

    def test_the_journal_is_one_chain_that_says_done_of_every_stage(self, rehearsed: Rehearsed) -> None:
        answer = rehearsed.lnm("runbook", "status", "--json", **rehearsed.users.variables("status"))
        assert answer.exit_code == 0, answer.stderr
        lines = rehearsed.scene.journal()
        assert stages(lines, "done", "absent") == set(lines[0]["evidence"]["stages"])

    def test_what_a_kill_has_left_is_told_before_anything_else(self, rehearsed: Rehearsed) -> None:
        assert rehearsed.killed.unended
        for stage, answer in rehearsed.killed.unended:
            said = f"{answer.stderr}{answer.stdout}"
            assert said.index(f"{stage} was begun at ") < said.index(f"{stage}: ")


class TestTold:
    """What is printed to be typed."""

    def test_every_command_that_was_told_is_one_that_the_program_knows(self, rehearsed: Rehearsed) -> None:
        said = "\n".join(part for answer in rehearsed.killed.answers for part in (answer.stdout, answer.stderr))
        commands = set(re.findall(r"(?:next[a-z, ]*|back|name|begin|first): (lnm [^;,\n]+)", said))
        wanted = {"lnm runbook"} if IS_EXHAUSTIVE else {"lnm runbook", "lnm outbox"}  # the latter by a call that is killed there
        assert wanted <= {" ".join(command.split()[:2]) for command in commands}
        for command in commands:
            cli.parser().parse_args(shlex.split(command.rstrip("."))[1:])


class TestSecrets:
    """Planted passwords appear nowhere."""

    def test_no_password_is_in_what_was_said(self, rehearsed: Rehearsed) -> None:
        said = "\n".join(
            [*rehearsed.said, *(part for answer in rehearsed.killed.answers for part in (answer.stdout, answer.stderr))]
        )
        assert [secret for secret in rehearsed.secrets if secret in said] == []

    def test_no_password_is_in_a_file_that_is_left(self, rehearsed: Rehearsed) -> None:
        files = [path for path in rehearsed.scene.out.rglob("*") if path.is_file()]
        assert {"rehearsal-evidence.dsse.json", "report.html", "receipt.txt", "journal.jsonl"} <= {path.name for path in files}
        assert [path.name for path in files for secret in rehearsed.secrets if secret.encode() in path.read_bytes()] == []

    def test_only_their_owner_can_read_the_files_with_passwords(self, rehearsed: Rehearsed) -> None:
        files = list(rehearsed.users.folder.iterdir())
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert rehearsed.users.folder.stat().st_mode & 0o777 == 0o700

    def test_no_password_was_ever_an_argument(self, rehearsed: Rehearsed) -> None:
        assert any(b"lnm" in line for line in rehearsed.command_lines)
        assert [secret for secret in rehearsed.secrets for line in rehearsed.command_lines if secret.encode() in line] == []


class TestUndisturbed:
    """What a rehearsal that was killed again and again has made is what a run makes that nobody disturbs."""

    def test_the_backfill_has_made_the_same_bytes(self, rehearsed: Rehearsed, tmp_path: Path) -> None:
        database, password = rehearsed.server.client["undisturbed"], tmp_path / "password"
        password.write_text("Sentinel-of-the-undisturbed")
        database.command("createUser", "all", pwd=password.read_text(), roles=[{"role": "root", "db": "admin"}])
        user = {
            "CONCELIER_MONGO_URI": rehearsed.server.uri("all", database.name),
            "CONCELIER_MONGO_PASSWORD_FILE": str(password),
            "CONCELIER_DB": database.name,
            "LNM_STATE_DIR": str(tmp_path / "state"),
        }
        seed.fill(rehearsed.lnm, (), DOCUMENTS, **user)
        for words in (("apply", "21-101"), ("backfill",)):
            answer = rehearsed.lnm(*words, "--execute", **user)
            assert answer.exit_code == 0, answer.stderr

        assert eyes.differences(eyes.picture(database), rehearsed.scene.pictures["filled"]) == []


class TestEyes:
    """What the driver of the rehearsal sees, and what a program that only says so would meet."""

    def test_every_kind_of_difference_is_seen(self, rehearsed: Rehearsed) -> None:
        database = rehearsed.server.client["for_eyes"]
        for name in ("same", "changed", "gone", "indexed", "optioned"):
            database[name].insert_one({"_id": 1, "number": 1})
        before = eyes.picture(database)
        database["changed"].replace_one({"_id": 1}, {"_id": 1, "number": Int64(1)})
        database["gone"].drop()
        database["indexed"].create_index("number")
        database.command("collMod", "optioned", validator={"number": {"$gt": 0}})
        database["new"].insert_one({})

        assert eyes.differences(before, eyes.picture(database)) == [
            "changed has other documents (1 before, 1 now)",
            "gone is gone",
            "indexed has other options or indexes",
            "new was not there before",
            "optioned has other options or indexes",
        ]

    @pytest.mark.parametrize("step", ORDER, ids=lambda step: step.name)
    def test_a_step_that_only_says_so_is_found_out(self, step: Step, rehearsed: Rehearsed, tmp_path: Path) -> None:
        """Nothing was ever done on this database, whose program says that all went well."""
        database = rehearsed.server.client["untouched"]
        liar = Scene(lambda *_words, **_variables: Answer(step.wanted, "", ""), lambda _: {}, database, tmp_path, tmp_path)
        with pytest.raises(RehearsalError):
            carry_out(liar, lambda _: None, [step])


class TestStopped:
    """Ctrl-C, `kill` and a lost terminal in the middle of a stage."""

    @pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_stage_that_is_stopped_says_so_and_goes_on_later(self, name: signal.Signals, rehearsed: Rehearsed) -> None:
        before, samples = len(rehearsed.scene.journal()), rehearsed.scene.folder / "samples.jsonl"
        measured = samples.stat().st_size
        words = ("runbook", "watch", "--execute", "--calm", "3600", "--kit", str(rehearsed.lnm.kit))
        variables = {**rehearsed.lnm.environment, **rehearsed.users.variables("watch")}
        process = subprocess.Popen(
            [*rehearsed.lnm.program, *words], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: samples.stat().st_size > measured, process)
        process.send_signal(name)
        stdout, stderr = process.communicate(timeout=30)

        assert process.returncode == 130, stdout + stderr
        assert [line["state"] for line in rehearsed.scene.journal()[before:]] == ["started", "interrupted"]
        again = rehearsed.lnm("runbook", "watch", "--execute", "--calm", "1", **rehearsed.users.variables("watch"))
        assert again.exit_code == 0, again.stderr


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Returns when something holds, as long as the process runs."""
    deadline = time.monotonic() + 30
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it does not come so far"
        time.sleep(0.05)


@dataclasses.dataclass(frozen=True)
class Production:
    """A second database on the same server, and `lnm` for it; its roles take the place of the first one's."""

    lnm: Lnm
    users: Users
    folder: Path

    def preflight(self, *words: str, **variables: str) -> Answer:
        """The first stage in production."""
        command = ("runbook", "preflight", "--env", "production", "--execute", *words)
        return self.lnm(*command, **{**self.users.variables("preflight"), **variables})


@pytest.fixture(scope="module")
def policy(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that takes the kit of the tests, and evidence by the rehearsal's key."""
    pem = kit.key.read_bytes()
    der = load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    builder = KIT_SIGNER.format(hashlib.sha256(der).hexdigest(), pem.decode())
    return policies.written(tmp_path_factory.mktemp("policy"), builder, policies.REHEARSAL, development=True)


@pytest.fixture(scope="module")
def production(rehearsed: Rehearsed, policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Production:
    """As it is before its first window."""
    folder = tmp_path_factory.mktemp("production")
    made = users.made(rehearsed.server, PRODUCTION, rehearsed.kit, folder / "users", ROLES)
    trusted = {name: value for name, value in rehearsed.lnm.environment.items() if name != "LNM_TRUSTED_KEY"}
    environment = {**trusted, "CONCELIER_DB": PRODUCTION, "LNM_STATE_DIR": str(folder / "state")}
    lnm = dataclasses.replace(rehearsed.lnm, environment=environment)
    seed.fill(lnm, (), DOCUMENTS, **made.variables(SEEDER))
    (folder / "state").mkdir(mode=0o700)
    installed = lnm("trust", "install", str(policy), "--execute")
    assert installed.exit_code == 0, installed.stderr
    return Production(lnm, made, folder)


class TestProduction:
    """`--env production` wants the evidence of a rehearsal."""

    def test_without_evidence_it_is_refused(self, production: Production) -> None:
        answer = production.preflight()
        assert answer.exit_code == 4, answer.stderr
        assert "evidence" in answer.stderr

    @pytest.mark.parametrize("name", LIES)
    def test_evidence_that_lies_is_refused_and_what_it_lies_about_is_named(
        self, name: str, rehearsed: Rehearsed, production: Production
    ) -> None:
        file = production.folder / "lie.json"
        file.write_bytes(told(LIES[name], rehearsed.evidence))

        answer = production.preflight("--evidence", str(file))

        assert answer.exit_code == LIES[name].exit_code, answer.stderr
        names = LIES[name].names
        assert (names if isinstance(names, str) else names(statement_of(rehearsed.evidence))) in answer.stderr
        assert not list(production.folder.glob("state/runbook/*/journal.jsonl"))

    def test_one_changed_byte_of_the_evidence_is_refused(self, rehearsed: Rehearsed, production: Production) -> None:
        data = bytearray(rehearsed.evidence.read_bytes())
        data[len(data) // 2] ^= 1
        file = production.folder / "edited.json"
        file.write_bytes(bytes(data))

        assert production.preflight("--evidence", str(file)).exit_code == 5

    def test_the_true_evidence_lets_production_begin(self, rehearsed: Rehearsed, production: Production) -> None:
        answer = production.preflight("--evidence", str(rehearsed.evidence))
        assert answer.exit_code == 0, answer.stderr
        (journal,) = production.folder.glob("state/runbook/*/journal.jsonl")
        assert json.loads(journal.read_bytes().splitlines()[0])["evidence"]["environment"] == "production"
