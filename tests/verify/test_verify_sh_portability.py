"""verify.sh gives the same verdict under every shell, awk and tar format that can be had here; who is absent is skipped by name."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.faults.forge import MANIFEST, MANIFEST_KEYLESS, SUMS, SUMS_KEYLESS, line, manifest_keyless, sums_keyless
from tests.faults.images import ARM64
from tests.verify.verify_sh_kit import (
    AWKS,
    EC,
    EC_OTHER,
    ED,
    ROOT,
    SHELLS,
    VERIFY_SH,
    Kit,
    run,
    tar_of,
    tool_path,
    write_folder,
    write_keys,
    write_tarball,
)

GOOD = ["good", "good.tar.gz", "ed25519.tar.gz"]
LAST = f"verified: concelier-lnm-{ROOT.removeprefix('concelier-lnm-')} rootHash "
GNU_TAR = "GNU tar" in subprocess.run(["tar", "--version"], capture_output=True, text=True, check=False).stdout


def accepted(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether the verdict is yes, with its line as the last one and nothing else to say."""
    return done.returncode == 0 and done.stdout.splitlines()[-1].startswith(LAST) and done.stderr == ""


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """Each shell that is here."""
    name = str(request.param)
    if shutil.which(SHELLS[name][0]) is None:
        pytest.skip(f"{SHELLS[name][0]} is not installed")
    return name


@pytest.fixture(params=AWKS)
def path_with_awk(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH for each awk that is here."""
    name = str(request.param)
    if shutil.which(name.partition("-posix")[0]) is None:
        pytest.skip(f"{name} is not installed")
    return tool_path(tmp_path / "bin", name)


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys, kits and tarballs: good ones with an image and keyless files, and one with three defects."""
    place = tmp_path_factory.mktemp("kits")
    write_keys(place / "k.pub", EC, ED, EC_OTHER)
    write_tarball(tar_of(Kit(key=ED, image=ARM64).files()), place / "ed25519.tar.gz")
    files = Kit(others=(EC_OTHER,), image=ARM64).files()
    files |= {SUMS_KEYLESS: line(sums_keyless(files[SUMS])), MANIFEST_KEYLESS: line(manifest_keyless(files[MANIFEST]))}
    write_folder(files, place / "good")
    write_tarball(tar_of(files), place / "good.tar.gz")
    bad = {**files, "README.md": b"# Other\n", "added": b""}
    del bad["block"]
    write_folder(bad, place / "bad")
    write_tarball(tar_of(bad), place / "bad.tar.gz")
    loose = files[SUMS_KEYLESS].replace(b"log.invalid - 7", b"log.invalid \\t 7")
    write_folder({**files, SUMS_KEYLESS: loose}, place / "loose")
    return place


RIGHT, WRONG = (sha256(data).hexdigest()[:12] for data in (b"# Kit\n", b"# Other\n"))
BAD = f"""\
refused: README.md: its sha256 is {WRONG}..., SHA256SUMS says {RIGHT}...
refused: added: in the kit, SHA256SUMS does not list it
refused: block: not in the kit, SHA256SUMS lists it
"""


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The reasons in one order."""
    return "".join(sorted(line for line in done.stderr.splitlines(keepends=True) if line.startswith("refused: ")))


@pytest.mark.parametrize("container", GOOD)
def test_good_kit_is_verified_under_every_shell(container: str, shell: str, kits: Path) -> None:
    assert accepted(run(kits / "k.pub", kits / container, shell=shell))


@pytest.mark.parametrize("container", GOOD)
def test_good_kit_is_verified_with_every_awk(container: str, path_with_awk: str, kits: Path) -> None:
    assert accepted(run(kits / "k.pub", kits / container, environment={"PATH": path_with_awk}))


@pytest.mark.parametrize("container", ["bad", "bad.tar.gz"])
def test_every_defect_is_named_under_every_shell(container: str, shell: str, kits: Path) -> None:
    done = run(kits / "k.pub", kits / container, shell=shell)

    assert (done.returncode, done.stdout, said(done)) == (6, "", BAD)
    assert done.stderr.splitlines()[-1].startswith("next: ")


@pytest.mark.parametrize("container", ["bad", "bad.tar.gz"])
def test_every_defect_is_named_with_every_awk(container: str, path_with_awk: str, kits: Path) -> None:
    done = run(kits / "k.pub", kits / container, environment={"PATH": path_with_awk})

    assert (done.returncode, done.stdout, said(done)) == (6, "", BAD)


def test_form_of_an_identity_signature_is_judged_with_every_awk(path_with_awk: str, kits: Path) -> None:
    done = run(kits / "k.pub", kits / "loose", environment={"PATH": path_with_awk})

    reason = (
        "not in the one form of a keyless bundle, wanted a signature, a certificate and one entry of a Rekor v1 log, canonical"
    )
    assert (done.returncode, said(done)) == (5, f"refused: {SUMS_KEYLESS}: {reason}\n")


@pytest.mark.parametrize(("container", "code"), [*((name, 0) for name in GOOD), ("bad", 6), ("bad.tar.gz", 6)])
def test_busybox_and_openssl_are_enough(container: str, code: int, kits: Path, tmp_path: Path) -> None:
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")

    done = run(kits / "k.pub", kits / container, shell="busybox", environment={"PATH": tool_path(tmp_path / "bin", busybox=True)})

    assert done.returncode == code, done


@pytest.mark.parametrize("container", ["good", "good.tar.gz"])
def test_verify_sh_can_be_started_as_a_program(container: str, kits: Path) -> None:
    done = subprocess.run([VERIFY_SH, kits / "k.pub", kits / container], capture_output=True, text=True, check=False)
    assert accepted(done)


def test_success_names_what_was_checked(tmp_path: Path) -> None:
    kit = Kit(key=ED, others=(EC_OTHER,), predicate={"trust": "dev"})
    write_folder(kit.files(), tmp_path / "kit")

    done = run(write_keys(tmp_path / "k.pub", EC_OTHER, ED), tmp_path / "kit")

    text = done.stdout
    assert f"signed by Ed25519 {ED.fingerprint}" in text
    assert f"signed by Ed25519 {ED.fingerprint}, ECDSA P-256 {EC_OTHER.fingerprint}" in text
    assert "9 files" in text
    assert "channel edge, trust dev" in text
    assert "21-101 ready (m_21_101), 21-102 absent (" in text
    assert "image ready, seeds absent (none)" in text
    assert "warning: this kit was signed with a development key" in text


@pytest.mark.parametrize("folders", [False, True], ids=["no_folders", "folders"])
@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT], ids=["pax", "gnu", "ustar"])
def test_archives_of_python_are_read(format_: int, folders: bool, tmp_path: Path) -> None:
    archive = tar_of(Kit().files(), format_=format_, folders=folders)

    done = run(write_keys(tmp_path / "k.pub", EC), write_tarball(archive, tmp_path / "kit.tar.gz"))

    assert accepted(done), done


@pytest.mark.parametrize("format_", ["gnu", "oldgnu", "posix", "pax", "ustar"])
@pytest.mark.parametrize("sort", ["name", "none"])
def test_archives_of_gnu_tar_are_read(format_: str, sort: str, tmp_path: Path) -> None:
    if not GNU_TAR:
        pytest.skip("tar is not GNU tar")
    write_folder(Kit().files(), tmp_path / ROOT)
    options = ["--mode=u=rwX,go=rX", f"--format={format_}", f"--sort={sort}"]
    subprocess.run(["tar", *options, "-czf", "kit.tar.gz", ROOT], cwd=tmp_path, check=True)

    assert accepted(run(write_keys(tmp_path / "k.pub", EC), tmp_path / "kit.tar.gz"))


def test_archive_of_busybox_tar_is_read(tmp_path: Path) -> None:
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")
    write_folder(Kit().files(), tmp_path / ROOT)
    subprocess.run(["busybox", "tar", "-czf", "kit.tar.gz", ROOT], cwd=tmp_path, check=True)

    assert accepted(run(write_keys(tmp_path / "k.pub", EC), tmp_path / "kit.tar.gz"))


@pytest.mark.parametrize("level", ["-1", "-9"])
def test_members_may_stand_in_any_order_and_compression_is_free(level: str, tmp_path: Path) -> None:
    files = dict(sorted(Kit().files().items(), key=lambda item: item[0][::-1]))
    (tmp_path / "kit.tar").write_bytes(tar_of(files))
    subprocess.run(["gzip", level, "--name", "kit.tar"], cwd=tmp_path, check=True)  # the header holds the file's name

    assert accepted(run(write_keys(tmp_path / "k.pub", EC), tmp_path / "kit.tar.gz"))


def test_dd_that_counts_blocks_only_unpacks_as_well(tmp_path: Path) -> None:
    """POSIX has no iflag; files of whole blocks, of none and of a part of one are cut out all the same."""
    path = tool_path(tmp_path / "bin", "awk")
    (tmp_path / "bin" / "dd").write_text(
        '#!/bin/sh\ncase "$*" in *iflag*) exit 1 ;; esac\nexec ' + str(shutil.which("dd")) + ' "$@"\n'
    )
    (tmp_path / "bin" / "dd").chmod(0o755)
    archive = write_tarball(tar_of(Kit().files()), tmp_path / "kit.tar.gz")

    assert accepted(run(write_keys(tmp_path / "k.pub", EC), archive, environment={"PATH": path}))


@pytest.mark.parametrize("container", ["good", "good.tar.gz"])
def test_environment_does_not_matter(container: str, kits: Path, tmp_path: Path) -> None:
    hostile = {
        "IFS": "/.0",
        "CDPATH": "/",
        "ENV": str(tmp_path / "env"),
        "BASH_ENV": str(tmp_path / "env"),
        "GZIP": "-9",
        "TAR_OPTIONS": "--to-stdout",
        "POSIXLY_CORRECT": "1",
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "TZ": "Pacific/Kiritimati",
        "work": str(kits),
        "verdict": "0",
        "failures": "x",
    }
    (tmp_path / "env").write_text("exit 0\n")

    assert accepted(run(kits / "k.pub", kits / container, environment=hostile))
    assert accepted(run(kits / "k.pub", kits / container, environment=hostile, shell="bash"))
    assert kits.is_dir()  # noqa: PTH112: «work» was not taken from outside and removed
