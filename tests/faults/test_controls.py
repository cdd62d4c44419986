"""Every kit that docs/kit-format.md allows is accepted by both verifiers, in whatever surroundings they run (row A16)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.checksum_lies import SIGNATURE
from tests.faults.controls import CONTROLS, Control
from tests.faults.forge import README, Kit, kit
from tests.faults.images import AMD64, ARM64, Image
from tests.faults.keys import MAIN
from tests.faults.verdicts import accepted, complaints
from tests.faults.verifiers import (
    ALL,
    BOTH,
    PATIENCE_S,
    PY,
    SH,
    VERIFY_SH,
    Outcome,
    environment,
    prepare,
    run,
    verify,
    verify_here,
)


def told_once() -> list[Control]:
    """Each control in one container, those that are in both by turns."""
    by_name: dict[str, list[Control]] = {}
    for control in CONTROLS:
        by_name.setdefault(control.name, []).append(control)
    return [controls[number % len(controls)] for number, controls in enumerate(by_name.values())]


CASES = [
    pytest.param(control, verifier, id=f"{control.name}-{control.container}-{verifier}")
    for verifier, controls in ((PY, CONTROLS), (SH, CONTROLS if ALL else told_once()))
    for control in controls
]


@pytest.mark.parametrize(("control", "verifier"), CASES)
def test_valid_kit_is_accepted(control: Control, verifier: str, place: Path) -> None:
    kit_path, keys = control.write(place)

    outcome = verify(verifier, place, keys, kit_path) if verifier == SH else verify_here(place, keys, kit_path)

    assert accepted(outcome), outcome
    assert outcome.stderr == ""


@pytest.mark.parametrize("verifier", BOTH)
def test_last_line_tells_version_and_root_hash(verifier: str, place: Path) -> None:
    truth = kit()

    outcome = verify(verifier, place, truth.keys, truth.write_tarball(place))

    assert outcome.stdout.splitlines()[-1] == f"verified: concelier-lnm-{truth.version} rootHash {truth.root_hash}"


@pytest.mark.parametrize("name", [AMD64, ARM64])
def test_both_verifiers_say_the_same_of_an_image(name: str, place: Path) -> None:
    truth = kit()
    truth.files |= Image(MAIN, name).files()
    path = truth.attest().write_tarball(place)
    (item,) = json.loads(truth.files[f"images/{name}/index.json"])["manifests"]
    wanted = f"checked: image {name} {item['digest']}: signature, provenance and SBOM statement are about it"

    told = [verify(verifier, place, truth.keys, path).stdout.splitlines() for verifier in BOTH]
    in_json = json.loads(run([*prepare(place, PY, truth.keys, path), "--json"], place).stdout)

    assert [[line for line in lines if " image " in line and "part" not in line] for lines in told] == [[wanted], [wanted]]
    assert in_json["images"] == [{"image": name, "digest": item["digest"]}]


SURROUNDINGS = {
    "turkish": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "utf8": {"LC_ALL": "C.UTF-8"},
    "posix": {"LC_ALL": "C", "POSIXLY_CORRECT": "1"},
    "options": {
        "TAR_OPTIONS": "--wildcards --strip-components=9",
        "GZIP": "-t",
        "GREP_OPTIONS": "-v",
        "CDPATH": "/:/tmp",
        "IFS": "/.=4",
    },
    "openssl": {"OPENSSL_CONF": "/nonexistent"},
    "bash": {"BASH_ENV": "/dev/stdin", "ENV": "/dev/stdin", "SHELLOPTS": "verbose"},
    "python": {"PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONHASHSEED": "0"},
    "names": {
        "work": "/etc",
        "verdict": "0",
        "kit": "/etc",
        "key": "/etc",
        "limit": "0",
        "root": "/",
        "version": "1",
        "name": "x",
    },
}


def run_in(surroundings: dict[str, str], verifier: str, truth: Kit, place: Path) -> Outcome:
    """Runs a verifier on a folder with further variables."""
    arguments = prepare(place, verifier, truth.keys, truth.write_folder(place))
    variables = {**environment(place), **surroundings}
    done = subprocess.run(
        arguments,
        cwd=place,
        env=variables,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_surroundings_change_no_verdict(surroundings: dict[str, str], verifier: str, place: Path) -> None:
    (place / "good").mkdir()
    (place / "bad").mkdir()
    bad = kit()
    bad.files[README] += b"!"

    good_outcome = run_in(surroundings, verifier, kit(), place / "good")
    bad_outcome = run_in(surroundings, verifier, bad, place / "bad")

    assert accepted(good_outcome), good_outcome
    assert bad_outcome.exit == 6, bad_outcome
    assert README in bad_outcome.stderr


@pytest.mark.parametrize("shell", ["dash", "bash", "bash --posix", "busybox sh", "ksh"])
def test_verify_sh_gives_the_same_verdicts_in_other_shells(shell: str, place: Path) -> None:
    program, *options = shell.split()
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    good, bad = kit(), kit()
    bad.files["SHA256SUMS"] = good.sums.replace(b"\n", b"\r\n")
    arguments = prepare(place, SH, good.keys, good.write_tarball(place))[2:]

    good_outcome = run([program, *options, str(VERIFY_SH), *arguments], place)
    bad.write_tarball(place)
    bad_outcome = run([program, *options, str(VERIFY_SH), *arguments], place)

    assert accepted(good_outcome), good_outcome
    assert complaints(bad_outcome, 5, [SIGNATURE], str(place)) == []


@pytest.mark.parametrize("verifier", BOTH)
@pytest.mark.parametrize("argument", ["kit", "./kit", "../k/kit", ".", "-kit", "kit.tar.gz"])
def test_kit_may_be_named_by_a_relative_path(argument: str, verifier: str, place: Path) -> None:
    truth = kit()
    (place / "k").mkdir()
    truth.folder_name = "-kit" if argument == "-kit" else "kit"
    root = truth.write_folder(place / "k")
    truth.write_tarball(place / "k")
    *command, _ = prepare(place, verifier, truth.keys, root)
    named = [*command, "--", argument] if argument == "-kit" and verifier != SH else [*command, argument]

    done = subprocess.run(
        named, cwd=root if argument == "." else place / "k", env=environment(place), capture_output=True, check=False, text=True
    )

    assert accepted(Outcome(done.returncode, done.stdout, done.stderr)), done
