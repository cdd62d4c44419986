"""`lnm` as an operator has it: installed from the kit's wheelhouse, with no network, into a fresh environment; run as a process.

Whatever it prints is searched for a traceback and for every secret of the test, after each run, and what --json prints must follow the
schema in the kit.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from tests.runner.kits import Kit

TIMEOUT_S = 120


@dataclass(frozen=True)
class Answer:
    """What a run printed, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The object that --json printed."""
        data: dict[str, Any] = json.loads(self.stdout)
        return data


@dataclass(frozen=True)
class Lnm:
    """The program, with the environment that a test gives it."""

    program: Path
    kit: Kit
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    rollback_uri: str = field(default="", repr=False)
    """The URI of the user who may roll back, where it is another one."""
    stdout: int = subprocess.PIPE
    """Where its results go."""

    def __call__(self, *arguments: str | Path, wanted: int = 0, **environment: str | None) -> Answer:
        """Runs it, and expects an exit code; a variable that is None stays unset."""
        done = self.start(*arguments, **environment)
        stdout, stderr = done.communicate(timeout=TIMEOUT_S)
        answer = Answer(done.returncode, stdout, stderr)
        printed = f"{stdout}\n{stderr}"
        assert "Traceback" not in printed
        for secret in self.secrets:
            assert secret not in printed, "a secret was printed"
        assert answer.exit_code == wanted, printed
        if "--json" in arguments:
            schema(self.kit.folder).validate(answer.json)
        return answer

    def start(self, *arguments: str | Path, **environment: str | None) -> subprocess.Popen[str]:
        """Starts it and does not wait."""
        variables = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", **self.environment, **environment}
        return subprocess.Popen(
            [str(self.program), *map(str, arguments)],
            env={name: value for name, value in variables.items() if value is not None},
            stdout=self.stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def with_kit(self, kit: Kit) -> Lnm:
        """The same with another kit, trusting its key."""
        return Lnm(self.program, kit, {**self.environment, "LNM_TRUSTED_KEY": str(kit.key)}, self.secrets, self.rollback_uri)

    def rollback(self, *arguments: str, wanted: int = 0, **environment: str | None) -> Answer:
        """`lnm rollback 21-101 --execute` for the kit, as the user who may."""
        return self.rollback_of("21-101", *arguments, wanted=wanted, **environment)

    def rollback_of(self, delivery: str, *arguments: str, wanted: int = 0, **environment: str | None) -> Answer:
        """The same for any delivery."""
        uri = {"CONCELIER_MONGO_URI": self.rollback_uri} if self.rollback_uri else {}
        command = ("rollback", delivery, "--execute", "--kit", self.kit.folder)
        return self(*command, *arguments, wanted=wanted, **{**uri, **environment})

    def with_database(self, name: str) -> Lnm:
        """The same for another database."""
        return Lnm(self.program, self.kit, {**self.environment, "CONCELIER_DB": name}, self.secrets)

    def plan(self, *arguments: str, wanted: int = 0, **environment: str | None) -> Answer:
        """`lnm plan 21-101` for the kit."""
        return self("plan", "21-101", "--kit", self.kit.folder, *arguments, wanted=wanted, **environment)

    def apply(self, *arguments: str, wanted: int = 0, **environment: str | None) -> Answer:
        """`lnm apply 21-101 --execute` for the kit."""
        return self("apply", "21-101", "--execute", "--kit", self.kit.folder, *arguments, wanted=wanted, **environment)


@functools.cache
def schema(kit: Path) -> jsonschema.Draft202012Validator:
    """The schema of what --json prints, from a kit."""
    text = json.loads((kit / "runner/lnm-output.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(text)
    return jsonschema.Draft202012Validator(text)


def pip_install(environment: Path, runner: Path) -> None:
    """The commands of runner/README.md."""
    run([sys.executable, "-m", "venv", str(environment)])
    pip = [str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install"]
    run([*pip, "--no-index", "--find-links", "wheelhouse", "--require-hashes", "-r", "requirements.txt"], runner)


def run(command: Sequence[str], folder: Path | None = None) -> None:
    """Runs a command that must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr


def environment(runner: Path, shared: Path) -> Path:
    """A fresh environment made from the folder runner/ of a kit, once for all test processes that share a folder."""
    made, done = shared / "lnm", shared / "lnm-is-installed"
    with (shared / "lnm-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            pip_install(made, runner)
            done.touch()
    return made
