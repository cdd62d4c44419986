"""No migration is loaded from a kit that the runner's own verifier has not accepted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.keys import rsa_public
from tests.runner.fixtures import Site, watched
from tests.runner.installed import Lnm
from tests.runner.kits import Kit, variant

pytestmark = pytest.mark.mongod

MIGRATION = "migrations/21-101/migration.py"
SOURCE = b'ID = "20251202_lnm_21_101_sharding_and_ttl"\nSUMMARY = "A migration."\n'


@pytest.fixture(scope="session", name="kit")
def whole_kit(built_kit: Kit) -> Kit:
    """With its images and all of its wheels."""
    return built_kit


def trap(folder: Path) -> tuple[Path, bytes]:
    """A migration that leaves a trace when it is run, and the trace."""
    trace = folder / "it-was-run"
    return trace, SOURCE + f"open({str(trace)!r}, 'w').close()\n".encode()


def test_a_kit_is_verified_folder_or_tarball(lnm: Lnm, kit: Kit, dist: Path, version: str) -> None:
    for path in (kit.folder, dist / f"lnm-offline-kit-{version}.tar.gz"):
        answer = lnm("kit", "verify", path)
        assert answer.stdout.splitlines()[-1] == f"verified: concelier-lnm-{version} rootHash {kit.manifest['rootHash']}"


def test_a_verified_kit_is_told_as_json(lnm: Lnm, kit: Kit) -> None:
    answer = lnm("kit", "verify", "--json", kit.folder).json

    assert answer["ok"]
    assert answer["rootHash"] == kit.manifest["rootHash"]


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_tampered_migration_is_not_loaded(lnm: Lnm, site: Site, tmp_path: Path, command: str) -> None:
    trace, source = trap(tmp_path)
    tampered = lnm.with_kit(lnm.kit.tampered(tmp_path / "kit", MIGRATION, source))

    with watched(site.server) as writes:
        answer = getattr(tampered, command)("--json", wanted=6).json

    assert answer["error"]["type"] == "ChecksumError"
    assert MIGRATION in answer["error"]["message"]
    assert not trace.exists()
    assert writes.oplog == []


def test_a_file_that_was_added_is_not_loaded(lnm: Lnm, tmp_path: Path) -> None:
    tampered = lnm.kit.tampered(tmp_path / "kit", "migrations/21-101/extra.py", b"")

    answer = lnm.with_kit(tampered).plan("--json", wanted=6).json

    assert "migrations/21-101/extra.py" in answer["error"]["message"]


def test_a_kit_signed_by_another_key_is_not_loaded(lnm: Lnm, tmp_path: Path) -> None:
    trace, source = trap(tmp_path)
    forged = variant(lnm.kit, tmp_path / "kit", {MIGRATION: source})

    error = lnm.plan("--json", "--kit", str(forged.folder), wanted=5).json["error"]

    assert error["type"] == "SignatureError"
    assert not trace.exists()


def test_without_a_key_no_kit_is_opened(lnm: Lnm) -> None:
    answer = lnm.plan(wanted=2, LNM_TRUSTED_KEY="")

    assert "no key was named that a kit may be signed by" in answer.stderr


def test_of_several_keys_one_must_have_signed(lnm: Lnm, tmp_path: Path) -> None:
    other = variant(lnm.kit, tmp_path / "other", {}).key

    lnm.plan("--key", str(other), wanted=5)
    lnm.plan("--key", str(other), "--key", str(lnm.kit.key))


def test_a_key_that_is_none_is_refused(lnm: Lnm, tmp_path: Path) -> None:
    (tmp_path / "none.pub").write_text("no key")

    lnm.plan("--key", str(tmp_path / "none.pub"), wanted=2)
    lnm.plan("--key", str(tmp_path / "missing.pub"), wanted=4)


def test_a_key_of_another_kind_is_refused_by_name(lnm: Lnm, tmp_path: Path) -> None:
    for bits in (2048, 4096):
        (tmp_path / "rsa.pub").write_bytes(rsa_public(bits))
        answer = lnm.plan("--key", str(tmp_path / "rsa.pub"), wanted=2)
        assert f"RSA of {bits} bits (RSA below 3072 bits is refused anywhere" in answer.stderr
        assert "wanted ECDSA P-256" in answer.stderr


def test_a_kit_that_is_not_there_is_told(lnm: Lnm, tmp_path: Path) -> None:
    lnm.plan("--kit", str(tmp_path / "nowhere"), wanted=4)


def test_plan_and_apply_want_a_kit(lnm: Lnm) -> None:
    assert "no kit was named" in lnm("plan", wanted=2).stderr


def test_migrations_are_not_loaded_from_a_tarball(lnm: Lnm, dist: Path, version: str) -> None:
    tarball = dist / f"lnm-offline-kit-{version}.tar.gz"

    answer = lnm.plan("--kit", str(tarball), wanted=2)

    assert f"tar -xzf {tarball}" in answer.stderr


def test_loading_a_migration_leaves_the_kit_as_it_was(lnm: Lnm) -> None:
    lnm.apply()

    lnm("kit", "verify", lnm.kit.folder)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"import lnm_runner.not_there\n", "does not run under this runner"),
        (b"1 / 0\n", "does not run under this runner"),
        (b"(\n", "does not run under this runner"),
        (b'ID = "20251202_lnm_21_101_sharding_and_ttl"\n', "wanted ID, SUMMARY, and plan"),
        (SOURCE.replace(b"_ttl", b"_other") + b"def plan(database, settings): ...\n", "the manifest says"),
    ],
    ids=["import", "exception", "syntax", "no_plan", "other_id"],
)
def test_a_signed_migration_that_is_broken_is_an_error_of_ours(lnm: Lnm, tmp_path: Path, source: bytes, said: str) -> None:
    broken = variant(lnm.kit, tmp_path / "kit", {MIGRATION: source})

    error = lnm.with_kit(broken).plan("--json", wanted=2).json["error"]

    assert error["type"] == "PlanError"
    assert said in error["message"]


def test_what_nobody_foresaw_is_told_in_one_line_without_its_text(lnm: Lnm, tmp_path: Path) -> None:
    source = SOURCE + b"def plan(database, settings):\n    raise ZeroDivisionError('this text could hold anything')\n"
    broken = variant(lnm.kit, tmp_path / "kit", {MIGRATION: source})

    answer = lnm.with_kit(broken).plan(wanted=1)

    assert answer.stderr.splitlines()[0] == "error: unexpected: ZeroDivisionError in migration.py:4"


def test_a_manifest_with_another_digest_is_refused(lnm: Lnm, tmp_path: Path) -> None:
    source = (lnm.kit.folder / MIGRATION).read_bytes() + b"# edited\n"
    wrong = variant(lnm.kit, tmp_path / "kit", {MIGRATION: source}, digests=False)

    answer = lnm.with_kit(wrong).plan(wanted=2)

    assert "the manifest says" in answer.stderr


def test_dataclasses_work_in_a_migration(lnm: Lnm, tmp_path: Path) -> None:
    """They look their module up in sys.modules while it is being executed."""
    source = b"from __future__ import annotations\nfrom dataclasses import dataclass\n" + SOURCE
    source += b"from lnm_runner.planning import Plan\n@dataclass\nclass Row:\n    name: str\n"
    source += b"def plan(database, settings):\n    return Plan((), (Row('from a dataclass').name,))\n"
    other = variant(lnm.kit, tmp_path / "kit", {MIGRATION: source})

    assert "from a dataclass" in lnm.with_kit(other).plan().stdout


def test_a_kit_that_changes_while_it_is_used_is_refused(program: Path, kit: Kit, tmp_path: Path) -> None:
    """What is read is compared with the signed hash once more; a `VerifiedKit` cannot be made by hand."""
    copied = kit.tampered(tmp_path / "kit", "README.md", (kit.folder / "README.md").read_bytes())
    code = """
import pathlib, sys
from lnm_runner.errors import RunnerError
from lnm_runner.kit import Trust, VerifiedKit, open_kit
folder, key = map(pathlib.Path, sys.argv[1:])
kit = open_kit(folder, Trust(None, (key,)))
kit.read("README.md")
(folder / "README.md").write_bytes(b"changed")
(folder / "LICENSE").unlink()
for name in ("README.md", "LICENSE", "not-listed"):
    try:
        kit.read(name)
    except RunnerError as err:
        print(type(err).__name__, err.exit_code)
try:
    VerifiedKit(folder, None, object())
except TypeError as err:
    print(err)
"""
    command = [str(program.with_name("python")), "-c", code, str(copied.folder), str(copied.key)]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        "ChecksumError 6",
        "NotFoundError 4",
        "NotFoundError 4",
        "a VerifiedKit is made by open_kit alone",
    ]


def test_an_image_has_the_migrations_of_the_kit_that_is_mounted(lnm: Lnm, kit: Kit, tmp_path: Path) -> None:
    baked = shutil.copytree(kit.folder / "migrations", tmp_path / "migrations")
    named = str(baked)
    (baked / "21-101/README.md").write_text("another page is no other migration\n")
    lnm.plan(LNM_BAKED_MIGRATIONS=named)

    script = baked / "21-102/rollback-lnm-backfill.js"
    script.write_bytes(script.read_bytes() + b"\n")
    (baked / "21-101/extra.py").touch()
    (baked / MIGRATION.removeprefix("migrations/")).unlink()
    error = lnm.plan("--json", wanted=6, LNM_BAKED_MIGRATIONS=named).json["error"]

    assert error["type"] == "ChecksumError"
    assert f"{MIGRATION} is not in the image" in error["message"]
    assert "migrations/21-101/extra.py is not in the kit" in error["message"]
    assert "migrations/21-102/rollback-lnm-backfill.js has sha256" in error["message"]
    assert "is empty" in lnm.plan("--json", wanted=2, LNM_BAKED_MIGRATIONS="").json["error"]["message"]
    assert lnm.plan("--json", wanted=4, LNM_BAKED_MIGRATIONS=str(tmp_path / "gone")).json["error"]["type"] == "NotFoundError"
