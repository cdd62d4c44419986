"""scripts/roles.py: the roles of the kit are the runner's table, as JSON and as a script that says the same."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import canonical, roles
from scripts.errors import InputError, MissingError
from tests.conftest import ROOT

TABLE = ROOT / "runner/src/lnm_runner/roles.py"
RECORDER = """
const calls = [];
const known = new Set(JSON.parse(process.argv[3]));
globalThis.print = () => {};
globalThis.db = {
  getSiblingDB: (name) => ({
    runCommand: (command) => {
      if ("rolesInfo" in command) return { ok: 1, roles: known.has(command.rolesInfo) ? [{}] : [] };
      calls.push([name, command]);
      return command.createRole === "lnmRead" && process.argv[4] ? { ok: 0, errmsg: "no" } : { ok: 1 };
    },
  }),
};
require("vm").runInThisContext(require("fs").readFileSync(process.argv[2], "utf8").replace(/process\\.env\\.(\\w+)/g,
  (_, name) => JSON.stringify(process.env[name] || "")));
console.log(JSON.stringify(calls));
"""
"""Answers like a server as far as the script asks, and says what it was told to do."""


def written(step: Any, source: Path = TABLE) -> bytes:
    out = io.BytesIO()
    step(out, source=source)
    return out.getvalue()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "create-roles.js"
    path.write_bytes(written(roles.write_script))
    return path


def ran(script: Path, known: list[str], database: str = "", *, refuse: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs the script in node, which is not mongosh: the commands that it sends are what is looked at."""
    if shutil.which("node") is None:
        pytest.skip("no node: apt install nodejs")
    (recorder := script.with_name("recorder.js")).write_text(RECORDER)
    command = ["node", str(recorder), str(script), json.dumps(known), *(["refuse"] if refuse else [])]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CONCELIER_DB": database}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def said_by(data: dict[str, Any], verb: str) -> list[Any]:
    """What a script must send for the roles of roles.json."""
    return [
        [
            role["db"],
            {
                verb: role["role"],
                "privileges": [{"resource": item["resource"], "actions": item["actions"]} for item in role["privileges"]],
                "roles": role["roles"],
            },
        ]
        for role in data["roles"]
    ]


def test_the_json_is_canonical_and_names_every_privilege_with_its_reason() -> None:
    data = written(roles.write_json)

    parsed = json.loads(data)
    assert canonical.render(parsed) == data
    assert (parsed["schema"], parsed["database"]) == ("stellaops.lnm.roles/1", "concelier")
    assert [role["role"] for role in parsed["roles"]] == [
        "lnmRead", "lnmPreflight", "lnmApply21101", "lnmRollback21101", "lnmBackfill21102", "lnmRollback21102", "lnmValidate",
        "lnmBypassFreeze", "lnmFreeze", "lnmEnableOutbox", "lnmPublish", "lnmWatch",
        "lnmRunbook", "lnmFingerprint", "lnmBackup", "lnmRestore", "lnmSeedDemo",
    ]  # fmt: skip
    assert all(privilege["why"] for role in parsed["roles"] for privilege in role["privileges"])


@pytest.mark.parametrize(("known", "verb"), [(False, "createRole"), (True, "updateRole")], ids=["new", "again"])
def test_the_script_sends_what_the_json_says(script: Path, known: bool, verb: str) -> None:
    data = json.loads(written(roles.write_json))

    done = ran(script, [role["role"] for role in data["roles"]] if known else [])

    assert done.stderr == ""
    assert json.loads(done.stdout) == said_by(data, verb)


def test_the_script_takes_the_database_from_the_variable(script: Path) -> None:
    text = written(roles.write_json)
    data = json.loads(text.replace(b'"concelier"', b'"other"').replace(b'"concelier_lnm_proof"', b'"other_lnm_proof"'))

    assert json.loads(ran(script, [], "other").stdout) == said_by(data, "createRole")


def test_the_script_stops_at_what_the_server_refuses(script: Path) -> None:
    done = ran(script, [], refuse=True)

    assert done.returncode != 0
    assert "lnmRead: no" in done.stderr


def test_there_is_no_password_in_it(script: Path) -> None:
    text = script.read_text()

    assert "pwd: passwordPrompt()" in text
    assert text.count("pwd") == 1


def test_the_kit_holds_both(dist: Path, version: str) -> None:
    folder = dist / f"concelier-lnm-{version}/runbook/roles"

    assert (folder / "roles.json").read_bytes() == written(roles.write_json)
    assert (folder / "create-roles.js").read_bytes() == written(roles.write_script)
    assert (folder / "README.md").read_bytes() == (ROOT / "bundle-layout/runbook/roles/README.md").read_bytes()


def test_the_page_names_every_role_and_where_it_lives(dist: Path, version: str) -> None:
    page = (dist / f"concelier-lnm-{version}/runbook/roles/README.md").read_text(encoding="utf-8")

    for role in json.loads(written(roles.write_json))["roles"]:
        lives_in = "`admin`" if role["db"] == "admin" else "your database"
        assert f"| `{role['role']}` | {lives_in} |" in page


def test_the_table_is_executed_without_being_installed_and_leaves_nothing_behind() -> None:
    assert roles.table(TABLE).ROLES
    assert roles.MODULE not in sys.modules


def test_a_table_that_does_not_run_is_told(tmp_path: Path) -> None:
    (source := tmp_path / "roles.py").write_text("import lnm_no_such_module\n")

    with pytest.raises(InputError, match=r"roles\.py: does not run \(ModuleNotFoundError"):
        written(roles.write_json, source)


def test_a_file_without_a_table_is_told(tmp_path: Path) -> None:
    (source := tmp_path / "roles.py").write_text("ROLES = ()\n")

    with pytest.raises(InputError, match=r"wanted a table ROLES"):
        written(roles.write_script, source)


def test_a_table_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        written(roles.write_json, tmp_path / "roles.py")
