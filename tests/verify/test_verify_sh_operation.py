"""How verify.sh behaves on a real machine: paths, tools, disks, terminals and signals. It leaves nothing behind and never says yes by accident."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verify.verify_sh_kit import (
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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key, a kit and its tarball, in whose path are a blank, a quote and a dollar."""
    place = tmp_path_factory.mktemp("a place") / "it's $HOME; *"
    place.mkdir()
    files = Kit().files()
    write_keys(place / "the key.pub", EC)
    write_folder(files, place / "the kit")
    write_tarball(tar_of(files), place / "the kit.tar.gz")
    return place


@pytest.fixture
def tmpdir(tmp_path: Path) -> Iterator[Path]:
    """A TMPDIR with a blank in its path that must be empty afterwards."""
    folder = tmp_path / "t m p"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def stub(folder: Path, tool: str, text: str) -> None:
    """Puts a program of that name before the others."""
    (folder / tool).unlink(missing_ok=True)  # what stands there may be a link to the machine's own program
    (folder / tool).write_text(f"#!/bin/sh\n{text}\n")
    (folder / tool).chmod(0o755)


def stubbed(tmp_path: Path, tool: str, text: str) -> dict[str, str]:
    """An environment in which a tool does something else."""
    path = tool_path(tmp_path / "bin", "awk")
    stub(tmp_path / "bin", tool, text)
    return {"PATH": path}


@pytest.mark.parametrize("kit", ["the kit", "the kit.tar.gz"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_paths_may_hold_blanks_and_metacharacters(kit: str, shell: str, place: Path, tmpdir: Path) -> None:
    done = run(place / "the key.pub", place / kit, shell=shell, environment={"TMPDIR": str(tmpdir)})
    assert done.returncode == 0, done


@pytest.mark.parametrize("kit", ["the kit", "the kit.tar.gz", "./the kit", "../it's $HOME; */the kit/", "the kit/."])
def test_paths_may_be_relative(kit: str, place: Path, tmpdir: Path) -> None:
    assert run("the key.pub", kit, cwd=place, environment={"TMPDIR": str(tmpdir)}).returncode == 0


@pytest.mark.parametrize("kit", ["-kit", "--version", "-rf.tar.gz"])
def test_paths_may_look_like_options(kit: str, place: Path, tmp_path: Path, tmpdir: Path) -> None:
    write_keys(tmp_path / "-k", EC)
    if kit.endswith("gz"):
        shutil.copy(place / "the kit.tar.gz", tmp_path / kit)
    else:
        write_folder(Kit().files(), tmp_path / kit)

    assert run("-k", kit, cwd=tmp_path, environment={"TMPDIR": str(tmpdir)}).returncode == 0


def test_tmpdir_may_be_relative(place: Path, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()

    done = run(place / "the key.pub", place / "the kit.tar.gz", cwd=tmp_path, environment={"TMPDIR": "t"})

    assert (done.returncode, list((tmp_path / "t").iterdir())) == (0, []), done


def test_links_to_key_and_kit_are_followed(place: Path, tmp_path: Path) -> None:
    for name in ("the key.pub", "the kit", "the kit.tar.gz"):
        (tmp_path / name).symlink_to(place / name)

    assert run(tmp_path / "the key.pub", tmp_path / "the kit").returncode == 0
    assert run(tmp_path / "the key.pub", tmp_path / "the kit.tar.gz").returncode == 0


def test_key_may_come_from_a_pipe(place: Path) -> None:
    line = f'cat "$1" | {{ sh "{VERIFY_SH}" /dev/fd/0 "$2"; }}'
    done = subprocess.run(
        ["sh", "-c", line, "x", place / "the key.pub", place / "the kit"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done


@pytest.mark.parametrize(
    "name", ["evil\nname", "evil\n./README.md", "\n", "two\n\nlines", "new\nrefused: kit: fake", "tab\t", "\x1b[2J", "\udcff"]
)
def test_odd_name_does_not_fool_the_listing(name: str, tmp_path: Path, tmpdir: Path) -> None:
    root = write_folder(Kit().files(), tmp_path / "kit")
    (root / name.replace("/", "\N{FRACTION SLASH}")).write_bytes(b"")

    done = run(write_keys(tmp_path / "k.pub", EC), root, environment={"TMPDIR": str(tmpdir)})

    assert (done.returncode, done.stdout) == (6, "")
    assert "a character in its name" in done.stderr
    assert all(character == "\n" or " " <= character <= "~" for character in done.stderr)


def test_newline_in_a_folder_name_hides_nothing(tmp_path: Path) -> None:
    root = write_folder(Kit().files(), tmp_path / "kit")
    (root / "x\n.").mkdir()
    (root / "x\n." / "README.md").write_bytes(b"# Kit\n")

    assert run(write_keys(tmp_path / "k.pub", EC), root).returncode == 6


@pytest.mark.parametrize("container", ["folder", "tarball"])
def test_huge_signed_file_is_over_budget(container: str, tmp_path: Path, tmpdir: Path) -> None:
    """64 MiB and one byte of holes; in the tarball it is said before anything is unpacked."""
    files = Kit().files()
    key = write_keys(tmp_path / "k.pub", EC)
    if container == "folder":
        kit = write_folder(files, tmp_path / "kit")
        os.truncate(kit / "attestations" / "spdx.dsse.json", 64 * 2**20 + 1)
    else:
        kit = write_tarball(tar_of({**files, "manifest.json": bytes(64 * 2**20 + 1)}), tmp_path / "kit.tar.gz")

    done = run(key, kit, environment={"TMPDIR": str(tmpdir)})

    assert done.returncode == 6
    assert "67108864" in done.stderr


def test_large_file_of_the_payload_is_read(tmp_path: Path, tmpdir: Path) -> None:
    kit = Kit()
    kit.content["big"] = bytes(80 * 2**20 + 1)

    archive = write_tarball(tar_of(kit.files()), tmp_path / "kit.tar.gz")
    done = run(write_keys(tmp_path / "k.pub", EC), archive, environment={"TMPDIR": str(tmpdir)})

    # 80 MiB of zeros are more than 64 MiB and 100 times what they pack to
    assert (done.returncode, "unpacks to more than" in done.stderr) == (6, True)
    assert run(write_keys(tmp_path / "k.pub", EC), write_folder(kit.files(), tmp_path / "kit")).returncode == 0


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", ">/dev/full 2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("shell", SHELLS)
def test_verdict_that_cannot_be_written_is_no_verdict(redirection: str, shell: str, place: Path, tmpdir: Path) -> None:
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{SHELLS[shell][0]} is not installed")
    command = [*SHELLS[shell], str(VERIFY_SH), str(place / "the key.pub"), str(place / "the kit")]

    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "x", *command],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmpdir)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    if "2>" not in redirection:
        assert (
            done.stderr
            == "refused: kit: standard output cannot be written, the verdict did not get through, nothing is known of this kit\n"
        )


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
@pytest.mark.parametrize(("key", "code"), [(EC, 0), (EC_OTHER, 5)], ids=["good", "wrong_key"])
def test_standard_error_and_input_are_not_needed(redirection: str, key: object, code: int, place: Path, tmp_path: Path) -> None:
    write_keys(tmp_path / "k.pub", EC if key is EC else EC_OTHER)
    command = ["sh", str(VERIFY_SH), str(tmp_path / "k.pub"), str(place / "the kit")]

    done = subprocess.run(["sh", "-c", f'"$@" {redirection}', "x", *command], capture_output=True, text=True, check=False)

    assert done.returncode == code


SLOW = 'sleep 1\nexec {tool} "$@"'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("whole_group", [True, False], ids=["group", "shell_alone"])
def test_signal_is_exit_130(
    number: signal.Signals, shell: str, whole_group: bool, place: Path, tmp_path: Path, tmpdir: Path
) -> None:
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{SHELLS[shell][0]} is not installed")
    environment = stubbed(tmp_path, "sha256sum", SLOW.format(tool=shutil.which("sha256sum")))
    command = [*SHELLS[shell], str(VERIFY_SH), str(place / "the key.pub"), str(place / "the kit")]
    process = subprocess.Popen(
        command,
        env={**environment, "TMPDIR": str(tmpdir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not list(tmpdir.glob("*/sums")):
        time.sleep(0.02)

    (os.killpg if whole_group else os.kill)(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)

    assert (process.returncode, stdout) == (130, "")
    assert "refused: kit: interrupted, nothing is known of this kit\n" in stderr


def test_killed_pipe_is_not_ok(place: Path, tmpdir: Path) -> None:
    line = '{ sh "$@"; echo "exit $?" >&2; } | true'
    done = subprocess.run(
        ["sh", "-c", line, "x", VERIFY_SH, place / "the key.pub", place / "the kit"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmpdir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "exit 1"


TOOLS = [
    "awk",
    "cat",
    "cmp",
    "cut",
    "dd",
    "grep",
    "gzip",
    "head",
    "mkdir",
    "od",
    "openssl",
    "sed",
    "sha256sum",
    "sort",
    "tail",
    "tr",
    "wc",
    "xargs",
]


@pytest.mark.parametrize(
    "how", ["exit 1", "exit 127", "kill -9 $$", "exit 0"], ids=["fails", "is_broken", "is_killed", "does_nothing"]
)
@pytest.mark.parametrize("tool", [*TOOLS, "find", "mktemp", "uniq"])
def test_tool_that_fails_is_never_a_yes(tool: str, how: str, place: Path, tmp_path: Path, tmpdir: Path) -> None:
    """The kit is good: what only compares (cmp, grep) and says «well» without a look is right about it, and none is asked that is not used (uniq)."""
    kit = "the kit" if tool == "find" else "the kit.tar.gz"

    done = run(place / "the key.pub", place / kit, environment={**stubbed(tmp_path, tool, how), "TMPDIR": str(tmpdir)})

    if tool != "uniq" and (tool, how) not in {("cmp", "exit 0"), ("grep", "exit 0")}:
        assert done.returncode != 0, done
        assert "verified: " not in done.stdout
    assert "Syntax error" not in done.stderr


@pytest.mark.parametrize("says", ["true", 'echo "$KEPT"', 'echo "$KEPT/"', "echo .", "echo /", "pwd"])
def test_mktemp_that_names_another_folder_costs_nobody_a_file(says: str, place: Path, tmp_path: Path) -> None:
    """What is removed at the end was made by this very run; once an empty answer of mktemp meant the folder we were started in."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("precious")
    environment = {**stubbed(tmp_path, "mktemp", says), "KEPT": str(kept)}

    done = run(place / "the key.pub", place / "the kit", cwd=kept, environment=environment)

    assert (done.returncode, done.stdout) == (1, "")
    assert (kept / "file").read_text() == "precious"


@pytest.mark.parametrize("tool", ["openssl", "gzip", "sha256sum", "awk", "od"])
def test_missing_tool_is_named(tool: str, place: Path, tmp_path: Path) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in {*TOOLS, "find", "mktemp", "uniq", "rm", "rmdir", "sh"} - {tool}:
        (bin_ / name).symlink_to(str(shutil.which(name)))

    done = run(place / "the key.pub", place / "the kit", shell="sh", environment={"PATH": str(bin_)})

    assert (done.returncode, done.stderr) == (1, f"refused: kit: the tool {tool} is not here, nothing is known of this kit\n")


def openssl_stub(version: str, lacks: str) -> str:
    """An openssl that calls itself another version and has no such option."""
    real = shutil.which("openssl")
    return f"""case "$*" in
version) echo '{version}'; exit ;;
*'{lacks}'*) echo 'unknown option' >&2; exit 1 ;;
'pkeyutl -help') echo 'no such option'; exit 1 ;;
esac
exec {real} "$@\""""


@pytest.mark.parametrize(("key", "code"), [(EC, 0), (ED, 1)], ids=["ecdsa", "ed25519"])
def test_openssl_1_1_1_is_enough_for_ecdsa_and_too_old_for_ed25519(key: object, code: int, tmp_path: Path) -> None:
    signer = EC if key is EC else ED
    kit = write_folder(Kit(key=signer).files(), tmp_path / "kit")

    done = run(
        write_keys(tmp_path / "k.pub", signer),
        kit,
        environment=stubbed(tmp_path, "openssl", openssl_stub("OpenSSL 1.1.1w", "rawin")),
    )

    assert done.returncode == code, done
    assert ("OpenSSL 1.1.1w is too old for an Ed25519 key" in done.stderr) == (signer is ED)


@pytest.mark.parametrize(
    "version", ["OpenSSL 0.9.8zh 3 Dec 2015", "OpenSSL 1.0.2k-fips  26 Jan 2017", "OpenSSL 1.1.0l  10 Sep 2019"]
)
def test_ancient_openssl_is_named(version: str, place: Path, tmp_path: Path) -> None:
    done = run(
        place / "the key.pub",
        place / "the kit",
        environment=stubbed(tmp_path, "openssl", openssl_stub(version, "nothing at all")),
    )
    assert (done.returncode, f"{version} is too old" in done.stderr) == (1, True)


def test_openssl_that_says_yes_with_another_word_is_not_believed(place: Path, tmp_path: Path) -> None:
    text = f'case "$*" in *-verify*) echo fine; exit 0 ;; esac\nexec {shutil.which("openssl")} "$@"'
    assert run(place / "the key.pub", place / "the kit", environment=stubbed(tmp_path, "openssl", text)).returncode == 5


def test_private_folder_is_private(place: Path, tmp_path: Path, tmpdir: Path) -> None:
    text = f'ls -ld "$TMPDIR"/* >"{tmp_path}/seen"\nexec {shutil.which("gzip")} "$@"'
    environment = {**stubbed(tmp_path, "gzip", text), "TMPDIR": str(tmpdir)}

    done = subprocess.run(
        ["sh", "-c", 'umask 000; exec sh "$@"', "x", VERIFY_SH, place / "the key.pub", place / "the kit.tar.gz"],
        env=environment,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0
    assert (tmp_path / "seen").read_text().startswith("drwx------")


def test_no_folder_for_temporary_files_is_exit_1(place: Path, tmp_path: Path) -> None:
    done = run(place / "the key.pub", place / "the kit", environment={"TMPDIR": str(tmp_path / "none")})

    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1] == "refused: kit: no private folder can be made with mktemp -d, nothing is known of this kit"
    )


@pytest.mark.parametrize("blocks", [8, 64, 100, 150, 200])
def test_full_disk_is_never_a_yes(blocks: int, place: Path, tmpdir: Path) -> None:
    """A bound on file size stands in for a full disk; dash counts blocks of 512 bytes."""
    done = subprocess.run(
        ["dash", "-c", f'ulimit -f {blocks}; exec sh "$@"', "x", VERIFY_SH, place / "the key.pub", place / "the kit.tar.gz"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmpdir)},
        capture_output=True,
        text=True,
        check=False,
    )

    archive = len(tar_of(Kit().files()))
    assert (done.returncode == 0) == (blocks * 512 > archive), done
    assert done.returncode in (0, 1, 6)


@pytest.mark.parametrize("part", range(1, 20))
def test_cut_copy_of_the_verifier_never_ends_with_0(part: int, place: Path, tmp_path: Path) -> None:
    """A copy that was broken off must not be taken for a yes, wherever it was broken off."""
    text = VERIFY_SH.read_text()
    cut = text.index("trap 'exit 1' EXIT") + 20
    copy = tmp_path / "verify.sh"
    copy.write_text(text[: cut + (len(text) - 8 - cut) * part // 19])

    done = subprocess.run(["sh", copy, place / "the key.pub", place / "the kit"], capture_output=True, text=True, check=False)

    assert (done.returncode != 0, "verified" in done.stdout) == (True, False)


def test_nothing_of_the_kit_is_run_or_found_first(tmp_path: Path, place: Path) -> None:
    """Started inside a kit that brings its own awk and openssl, even with the current folder on the PATH at its end."""
    kit = Kit()
    for tool in ("awk", "openssl", "sha256sum", "verify.sh"):
        kit.content[tool] = b"#!/bin/sh\ntouch ran\n"
    root = write_folder(kit.files(), tmp_path / ROOT)
    for tool in ("awk", "openssl", "sha256sum", "verify.sh"):
        (root / tool).chmod(0o755)

    done = run(place / "the key.pub", ".", cwd=root, environment={"PATH": os.environ["PATH"] + ":."})

    assert done.returncode == 0, done
    assert not (root / "ran").exists()


def test_folder_is_not_written_to(tmp_path: Path) -> None:
    root = write_folder(Kit().files(), tmp_path / "kit")
    before = {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}

    assert run(write_keys(tmp_path / "k.pub", EC), root).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]} == before


def test_setgid_on_the_folder_for_temporary_files_does_not_matter(place: Path, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t").chmod(0o2777)
    assert run(place / "the key.pub", place / "the kit.tar.gz", environment={"TMPDIR": str(tmp_path / "t")}).returncode == 0
