"""What is said of an image follows from its signature and two statements: no other byte can change, even if the kit is signed again."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.forge import Kit, kit
from tests.faults.images import AMD64, Image, hex_of
from tests.faults.keys import MAIN, STRANGER
from tests.faults.verdicts import said_verified
from tests.faults.verifiers import PY, SH, prepare, run, verify, verify_here, written

SEED = 20261129
TRUTH = Image(MAIN).files()
FORMED = sorted(
    name for name in TRUTH if name.startswith(f"attestations/{AMD64}/") or name.rpartition("/")[2] in {"index.json", "oci-layout"}
)


def changed(name: str, *, renamed: bool, chance: random.Random) -> Kit:
    """A kit in which one bit of a file of an image is another; a blob may have the name of its new bytes."""
    files = dict(TRUTH)
    data = files.pop(name)
    at = chance.randrange(len(data))
    data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(7)]) + data[at + 1 :]
    folder, _, last = name.rpartition("/")
    files[f"{folder}/{hex_of(data)}" if renamed and len(last) == 64 else name] = data
    truth = kit()
    truth.files |= files
    return truth.attest()


@pytest.mark.parametrize("renamed", [False, True], ids=["kept", "renamed"])
@pytest.mark.parametrize("number", range(len(FORMED)))
def test_no_change_passes_verify_kit_py(number: int, place: Path, *, renamed: bool) -> None:
    chance = random.Random(f"{SEED} {number} {renamed}")  # noqa: S311 # a sample, no secret
    for turn in range(3):
        (folder := place / str(turn)).mkdir()
        truth = changed(FORMED[number], renamed=renamed, chance=chance)

        outcome = verify_here(folder, truth.keys, truth.write_folder(folder))

        assert outcome.exit == 5, outcome
        assert AMD64 in outcome.stderr


@pytest.mark.parametrize("number", range(len(FORMED)))
def test_no_change_passes_verify_sh(number: int, place: Path) -> None:
    chance = random.Random(f"{SEED} {number}")  # noqa: S311 # a sample, no secret
    truth = changed(FORMED[number], renamed=number % 2 == 0, chance=chance)

    outcome = verify(SH, place, truth.keys, truth.write_folder(place))

    assert outcome.exit == 5, outcome
    assert not said_verified(outcome)


@pytest.mark.parametrize("verifier", [PY, SH])
def test_the_image_itself_is_accepted(verifier: str, place: Path) -> None:
    truth = kit()
    truth.files |= TRUTH
    assert len(FORMED) == 17  # index and layout file of both folders, thirteen blobs

    assert verify(verifier, place, truth.keys, truth.attest().write_folder(place)).exit == 0


BAD = {
    "signature": Image(MAIN, signers={"S": STRANGER}),
    "statement": Image(MAIN, lies={"payload 4": lambda payload: payload.replace(b'"sha256":"', b'"sha256":"0', 1)}),
    "form": Image(MAIN, lies={"13": lambda document: document + b"\n"}),
    "stranger": Image(STRANGER),
    "more": None,
    "none": None,
}


@pytest.mark.parametrize("tool", ["cat", "cmp", "grep", "head", "sed", "tr"])
@pytest.mark.parametrize("lie", BAD)
def test_a_silent_tool_makes_no_bad_image_good(lie: str, tool: str, place: Path) -> None:
    """A program that says nothing and that all went well, in the place of one of the tools of verify.sh."""
    truth = kit()
    truth.files |= (BAD[lie] or Image(MAIN)).files()
    if lie == "more":
        truth.files[f"attestations/{AMD64}/more"] = b""
    if lie == "none":
        truth.files = {name: data for name, data in truth.files.items() if not name.startswith(f"attestations/{AMD64}/")}
    words = prepare(place, SH, truth.keys, truth.attest().write_folder(place))
    (place / "bin").mkdir()
    written(place / "bin" / tool, b"#!/bin/sh\nexit 0\n").chmod(0o755)

    outcome = run(["env", f"PATH={place}/bin:{os.environ['PATH']}", *words], place)

    assert outcome.exit != 0, outcome
    assert not said_verified(outcome)
