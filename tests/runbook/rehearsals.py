"""A whole rehearsal for the tests: by scripts.staging, on a server of its own, as one who is killed again and again; and what was seen of it.

`LNM_KILLS=all` (`nox -s crash`) kills at every moment of every line of the journal; without it each third call is killed once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from scripts.staging.environment import Kit
from scripts.staging.program import Answer, Lnm
from scripts.staging.scene import Scene
from scripts.staging.server import Server
from scripts.staging.users import Users
from tests.faults.keys import Key

DOCUMENTS = 60
KEY_PASSWORD = "Sentinel-of-the-evidence-key"
MOMENTS = ("before", "torn", "line", "after")
"""killing.py says what they are."""
IS_EXHAUSTIVE = os.environ.get("LNM_KILLS") == "all"
KILLING = Path(__file__).with_name("killing.py")
KILLED = -signal.SIGKILL
LINES = 2
"""That a call writes, begun and absent ones apart: `started` and how it ended."""
EACH = 3
MOST = 40
LOOKED_AT_S = 0.05


@dataclass
class Killed:
    """`lnm`, killed at lines of the journal before a call comes to its end."""

    lnm: Lnm
    answers: list[Answer] = field(default_factory=list)
    kills: list[tuple[str, int, str]] = field(default_factory=list)
    """`(stage, which line of the call, moment)` of each kill that has met a line."""
    unended: list[tuple[str, Answer]] = field(default_factory=list)
    """`(stage, the next call of it)` where a kill has left a stage begun and not ended."""
    left: str = ""
    calls: int = 0

    def __call__(self, *words: str, **variables: str) -> Answer:
        """Runs it to its end, killed on the way."""
        self.calls += 1
        if words[0] == "runbook" and "--execute" in words and words[1] != "evidence":
            for number, moment in self.points():
                answer = self.killed(number, moment, *words, **variables)
                if answer.exit_code != KILLED:
                    return answer
                self.kills.append((words[1], number, moment))
        return self.kept(words[1], self.lnm(*words, **variables))

    def points(self) -> Iterator[tuple[int, str]]:
        """Where a call is killed: by turns in a part of the calls, or everywhere."""
        if IS_EXHAUSTIVE:  # once a last line is on the disk, a call has nothing more to write: the last two moments by turns
            *early, one, other = MOMENTS
            moments = (*early, one, other) if self.calls % 2 else (*early, other, one)
            yield from ((number, moment) for number in range(1, MOST) for moment in moments)
        elif self.calls % EACH == 0:
            turn = self.calls // EACH
            yield turn % LINES + 1, MOMENTS[turn % len(MOMENTS)]

    def killed(self, number: int, moment: str, *words: str, **variables: str) -> Answer:
        """One run that is to be killed."""
        python = str(Path(self.lnm.program[0]).with_name("python"))
        launcher = (python, str(KILLING), str(number), moment)
        return self.kept(words[1], dataclasses.replace(self.lnm, program=launcher)(*words, **variables))

    def kept(self, stage: str, answer: Answer) -> Answer:
        """Keeps what was said, and whether it comes after a stage that was begun and not ended."""
        self.answers.append(answer)
        if self.left and stage == self.left:
            self.unended.append((stage, answer))
        self.left = self.begun_and_not_ended()
        return answer

    def begun_and_not_ended(self) -> str:
        """The stage that the last whole line of the journal says was begun; empty where it says something else."""
        for path in Path(self.lnm.environment["LNM_STATE_DIR"]).glob("runbook/*/journal.jsonl"):
            *lines, _torn = path.read_bytes().split(b"\n")
            last = json.loads(lines[-1]) if lines else {"state": ""}
            return str(last["stage"]) if last["state"] == "started" else ""
        return ""


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """The command lines of all processes that are seen while the block runs."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOKED_AT_S):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def sealed_key(key: Key, folder: Path) -> dict[str, str]:
    """A private key under a password, and the variables that name both."""
    file, password = folder / "evidence.key", folder / "evidence.password"
    sealed = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(KEY_PASSWORD.encode()))
    for path, data in ((file, sealed), (password, KEY_PASSWORD.encode())):
        path.touch(mode=0o600)
        path.write_bytes(data)
    return {"LNM_EVIDENCE_KEY": str(file), "LNM_EVIDENCE_KEY_PASSWORD_FILE": str(password)}


@dataclass
class Rehearsed:
    """A rehearsal that has come to its end."""

    kit: Kit
    scene: Scene
    lnm: Lnm
    """Not killed any more."""
    server: Server
    users: Users
    killed: Killed
    said: list[str]
    """By the driver."""
    command_lines: set[bytes]
    secrets: list[str]

    @property
    def evidence(self) -> Path:
        """The signed evidence."""
        return self.scene.out / "rehearsal-evidence.dsse.json"
