"""lnm_runner.kit inside this process: what an opened kit gives, and each sentence in which it refuses to."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lnm_runner.errors import ChecksumError, InputError, NotFoundError, RunnerError, SignatureError
from lnm_runner.kit import Trust, VerifiedKit, baked, contents, core, open_kit, verify

from tests.faults import forge
from tests.faults.forge import README, SBOM, STEPS
from tests.faults.keys import MAIN, STRANGER

MIGRATION = "migrations/21-101/migration.py"


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """A key and no policy."""
    (tmp_path / "main.pub").write_bytes(MAIN.pem)
    return Trust(None, (tmp_path / "main.pub",))


def truth(trust: str = "key") -> forge.Kit:
    """A kit with a migration."""
    made = forge.Kit()
    made.files |= {MIGRATION: b"ID = 1\n", "migrations/21-101/README.md": b"# It\n"}
    return made.attest().state_with(lambda statement: statement["predicate"].update(trust=trust))


def refused(kind: type[RunnerError], function: Callable[..., Any], *arguments: Any) -> tuple[str, str]:
    """Message and hint of the error of that class, no other."""
    with pytest.raises(RunnerError) as caught:
        function(*arguments)
    assert type(caught.value) is kind
    return caught.value.message, caught.value.hint


def test_an_opened_kit_knows_itself_and_reads_its_files(trust: Trust, tmp_path: Path) -> None:
    made = truth()

    opened = open_kit(made.write_folder(tmp_path), trust)

    assert (opened.folder, opened.signer, opened.warning) == (tmp_path / "kit", MAIN.fingerprint, "")
    assert opened.manifest.root_hash == made.root_hash
    assert opened.read(README) == made.files[README]
    assert list(opened.lines("migrations/21-101")) == ["migrations/21-101/README.md", MIGRATION]
    assert opened.lines("migrations/21") == {}
    assert opened.verified.report.sums == opened.sums


def test_a_development_kit_says_so(trust: Trust, tmp_path: Path) -> None:
    opened = open_kit(truth("dev").write_folder(tmp_path), trust)

    assert opened.warning == "a development key signed this kit: it is for trying out, not for production"


def test_what_changed_after_the_verification_is_not_read(trust: Trust, tmp_path: Path) -> None:
    root = truth().write_folder(tmp_path)
    opened = open_kit(root, trust)
    signed = opened.sums[README][:12]
    (root / README).write_bytes(b"")
    (root / STEPS).unlink()

    assert refused(ChecksumError, opened.read, README) == (
        f"{root / README}: was changed after the kit was verified: sha256 is e3b0c44298fc…, signed is {signed}…",
        core.HINTS[6],
    )
    assert refused(NotFoundError, opened.read, STEPS) == (
        f"{root / STEPS}: cannot be read: No such file or directory",
        "is somebody changing the kit?",
    )
    assert refused(NotFoundError, opened.read, "x") == ("x: not in this kit", "see manifest.json for what the kit holds")


def test_nobody_else_makes_a_verified_kit(trust: Trust, tmp_path: Path) -> None:
    verified = verify(truth().write_folder(tmp_path), trust)

    with pytest.raises(TypeError, match=r"^a VerifiedKit is made by open_kit alone$"):
        VerifiedKit(tmp_path, verified, object())


def test_migrations_are_not_loaded_from_a_tarball(trust: Trust, tmp_path: Path) -> None:
    path = truth().write_tarball(tmp_path)

    assert refused(InputError, open_kit, path, trust) == (
        f"{path}: this is a file, and migrations are loaded from an unpacked kit",
        f"lnm kit verify {path} --key KEY.pub && tar -xzf {path}; then name the folder that came out with --kit",
    )


def test_every_failure_of_the_core_is_an_error_of_ours(trust: Trust, tmp_path: Path) -> None:
    made = truth()
    made.files |= {README: b"", "more": b""}

    with pytest.raises(ChecksumError) as caught:
        verify(made.write_folder(tmp_path), trust)

    first, (other,) = caught.value, caught.value.others
    assert re.fullmatch(rf"refused: {README}: its sha256 is e3b0c44298fc\.\.\., SHA256SUMS says .{{12}}\.\.\.", first.message)
    assert other.message == "refused: more: in the kit, SHA256SUMS does not list it"
    assert (first.hint, other.hint) == (core.HINTS[6], core.HINTS[6])
    wanted = {"kind": "unlisted", "exit": 6, "file": "more", "found": "in the kit", "wanted": "SHA256SUMS does not list it"}
    assert other.facts == {"failure": wanted}


@pytest.mark.parametrize(
    ("code", "kind", "has_hint"),
    [
        (2, InputError, True),
        (4, NotFoundError, True),
        (5, SignatureError, True),
        (6, ChecksumError, True),
        (1, RunnerError, False),
    ],
)
def test_a_failure_has_the_class_and_hint_of_its_exit_code(code: int, kind: type[RunnerError], *, has_hint: bool) -> None:
    failure = SimpleNamespace(kind=SimpleNamespace(exit_code=code), line=lambda: "a line", as_json=lambda: {"a": 1})

    error = core.translated(failure)

    assert (type(error), error.message, error.facts) == (kind, "a line", {"failure": {"a": 1}})
    assert error.hint == (core.HINTS[code] if has_hint else "")


# -- what is baked into an image


def baked_in(folder: Path) -> Path:
    """The migrations of `truth` as an image has them."""
    (folder / "baked/21-101").mkdir(parents=True)
    (folder / "baked/21-101/migration.py").write_bytes(b"ID = 1\n")
    return folder / "baked"


def test_an_image_has_the_migrations_of_the_kit(trust: Trust, tmp_path: Path) -> None:
    root, folder = truth().write_folder(tmp_path), baked_in(tmp_path)
    open_kit(root, trust, folder)
    (folder / "21-101/README.md").write_bytes(b"another page")
    open_kit(root, trust, folder)

    (folder / "21-101/migration.py").write_bytes(b"")
    (folder / "21-101/extra.py").write_bytes(b"")
    message, hint = refused(ChecksumError, open_kit, root, trust, folder)

    assert re.fullmatch(
        r"the migrations in this image are not those of the kit: migrations/21-101/extra\.py is not in the kit; "
        rf"{MIGRATION} has sha256 e3b0c44298fc…, the kit's is .{{12}}…",
        message,
    )
    assert hint == "use the image that is in this kit's images/, or install the runner from its runner/wheelhouse"
    (folder / "21-101/migration.py").unlink()
    (folder / "21-101/extra.py").unlink()
    assert f"kit: {MIGRATION} is not in the image" in refused(ChecksumError, open_kit, root, trust, folder)[0]


def test_an_image_or_a_kit_without_migrations_is_refused(tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    assert refused(NotFoundError, baked.compare, {MIGRATION: "0" * 64}, gone) == (
        f"{gone}: this image has no migrations; LNM_BAKED_MIGRATIONS names that folder",
        baked.HINT,
    )
    assert refused(ChecksumError, baked.compare, {"migrations/21-101/README.md": "0" * 64, SBOM: "0" * 64}, tmp_path) == (
        "the kit has no migrations to compare those in this image with",
        baked.HINT,
    )
    assert baked.counts("migrations/21-101/deep/README.md")
    assert not baked.counts("migrations/21-101/README.md")


# -- the contents, read once more


@pytest.mark.parametrize("form", ["folder", "tarball"])
def test_contents_are_sizes_of_all_and_bytes_of_some(
    trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(contents, "CHUNK", 7)
    made = truth()
    path = made.write_folder(tmp_path) if form == "folder" else made.write_tarball(tmp_path)
    sums = verify(path, trust).report.sums

    found = contents.read(path, sums, lambda name: name == README)

    assert found.sizes == {name: len(made.files[name]) for name in sums}
    assert found.kept == {README: made.files[README]}


def test_a_kit_that_was_exchanged_has_no_contents(trust: Trust, tmp_path: Path) -> None:
    made = truth()
    root, tarball = made.write_folder(tmp_path), made.write_tarball(tmp_path)
    sums = verify(root, trust).report.sums
    hint = "is somebody changing the kit? verify it again"

    def told(path: Path) -> str:
        message, next_step = refused(ChecksumError, contents.read, path, sums, lambda _: False)
        assert next_step == hint
        return message

    (root / README).write_bytes(b"")
    assert told(root) == f"{root}: was changed after it was verified: {README}"
    (root / README).unlink()
    assert told(root) == f"{root}: was changed after it was verified: it cannot be read any more"
    tarball.write_bytes(tarball.read_bytes()[:100])
    assert told(tarball) == f"{tarball}: was changed after it was verified: it cannot be read any more"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(root / SBOM, f"x/{SBOM}")
    assert told(tarball) == f"{tarball}: was changed after it was verified: files are missing"


def test_a_stranger_key_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "stranger.pub").write_bytes(STRANGER.pem)

    message, hint = refused(SignatureError, open_kit, truth().write_folder(tmp_path), Trust(None, (tmp_path / "stranger.pub",)))

    assert f"signed by key {MAIN.fingerprint}, which was not given" in message
    assert hint == core.HINTS[5]
