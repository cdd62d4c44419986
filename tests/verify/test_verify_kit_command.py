"""verify_kit.py as the operator runs it: exit codes, what it says and where, on every Python that is here."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.verify.tiny_kit import ECDSA, EDDSA, ROOT, SCRIPT, kit, load

vk = load()
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
PYTHONS = (Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions", Path(sys.base_prefix).parent)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a kit in both forms, a key and a private key."""
    made = kit(trust="dev")
    (tmp_path / "folder").mkdir(mode=0o755)
    made.write_folder(tmp_path / "folder")
    made.write_tarball(tmp_path / "kit.tar.gz")
    (tmp_path / "key.pub").write_bytes(ECDSA.pem)
    (tmp_path / "other.pub").write_bytes(EDDSA.pem)
    (tmp_path / "key.pem").write_bytes(ECDSA.private_pem)
    return tmp_path


@pytest.fixture(autouse=True)
def no_trusted_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set in the developer's environment must not decide a test."""
    monkeypatch.delenv("LNM_TRUSTED_KEY", raising=False)


def run(place: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The script as a process."""
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(
        command, cwd=place, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False, timeout=60
    )


def call(*arguments: str) -> tuple[int, str, str]:
    """main() in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = vk.main(arguments)
    return code, out.getvalue(), err.getvalue()


# -- what is said


@pytest.mark.parametrize("form", ["folder", "kit.tar.gz"])
def test_verdict_is_the_last_line_and_nothing_is_on_stderr(place: Path, form: str) -> None:
    done = run(place, "--key", "key.pub", form)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1].startswith(f"verified: {ROOT} rootHash ")
    assert all(line.startswith(("checked: ", "trust: dev")) for line in lines[:-1])


def test_arguments_may_come_in_any_order_and_keys_more_than_once(place: Path) -> None:
    assert run(place, "kit.tar.gz", "--key", "other.pub", "--key=key.pub").returncode == 0


def test_json_has_the_verdict(place: Path) -> None:
    done = run(place, "--json", "--key", "key.pub", "kit.tar.gz")
    verdict = json.loads(done.stdout)

    assert done.returncode == 0
    assert (verdict["verdict"], verdict["exit"], verdict["version"]) == ("verified", 0, "2026.9.1")
    assert (verdict["channel"], verdict["trust"]) == ("edge", "dev")
    assert verdict["signers"] == [{"algorithm": "ECDSA P-256", "fingerprint": ECDSA.fingerprint}]
    assert len(verdict["rootHash"]) == 64


def test_json_has_every_failure(place: Path) -> None:
    (place / "folder" / "blob").write_bytes(b"changed")
    (place / "folder" / "new").write_bytes(b"")

    done = run(place, "--json", "--key", "key.pub", "folder")
    verdict = json.loads(done.stdout)

    assert (done.returncode, verdict["verdict"], verdict["exit"]) == (6, "refused", 6)
    assert [failure["file"] for failure in verdict["failures"]] == ["blob", "new"]
    assert verdict["failure"] == verdict["failures"][0]
    assert done.stderr.splitlines()[0].startswith("refused: blob: its sha256 is ")


def test_refusal_ends_with_what_to_do_next(place: Path) -> None:
    (place / "folder" / "blob").write_bytes(b"changed")

    done = run(place, "--key", "key.pub", "folder")

    assert done.stdout == ""
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["refused", "next"]


def test_nothing_in_a_name_can_forge_a_line(place: Path) -> None:
    (place / "folder" / "x\nverified: concelier\x1b[2J").write_bytes(b"")

    done = run(place, "--key", "key.pub", "folder")

    assert done.returncode == 6
    assert all(line.startswith(("refused: ", "next: ")) for line in done.stderr.splitlines())
    assert "\x1b" not in done.stderr


def test_output_is_ascii_where_the_locale_has_nothing_else(place: Path) -> None:
    (place / "folder" / "caf\u00e9").write_bytes(b"")

    done = run(place, "--key", "key.pub", "folder", environment={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})

    assert done.returncode == 6
    assert "caf\\xe9" in done.stderr or "caf\\udcc3\\udca9" in done.stderr


def test_main_returns_what_the_process_would(place: Path) -> None:
    options = ("--json", "--key", str(place / "key.pub"))

    code, out, err = call(*options, str(place / "folder"))
    assert (code, json.loads(out)["verdict"], err) == (0, "verified", "")

    code, out, err = call(*options, str(place / "missing"))
    assert (code, json.loads(out)["failure"]["kind"]) == (4, "not-found")
    assert err.splitlines()[-1].startswith("next: ")

    assert call(*options)[0] == 2


# -- stage 0


def test_trusted_key_comes_from_the_environment_when_none_is_given(place: Path) -> None:
    assert run(place, "folder", environment={"LNM_TRUSTED_KEY": "key.pub"}).returncode == 0
    assert run(place, "--key", "other.pub", "folder", environment={"LNM_TRUSTED_KEY": "key.pub"}).returncode == 5


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["kit.tar.gz"], 2, "no key was given"),
        (["missing.tar.gz"], 2, "no key was given"),
        (["--key", "key.pub"], 2, "arguments"),
        ([], 2, "arguments"),
        (["--key", "key.pub", "kit.tar.gz", "folder"], 2, "arguments"),
        (["--key", "key.pub", "--trust-me", "kit.tar.gz"], 2, "arguments"),
        (["--ke", "key.pub", "kit.tar.gz"], 2, "arguments"),
        (["--key", "kit.tar.gz", "kit.tar.gz"], 2, "kit.tar.gz: not a public key"),
        (["--key", "folder", "kit.tar.gz"], 2, "folder: cannot be read"),
        (["--key", "missing.pub", "kit.tar.gz"], 4, "missing.pub: no such key file"),
        (["--key", "key.pub", "missing.tar.gz"], 4, "missing.tar.gz: no such kit"),
        (["--key", "key.pub", "key.pub"], 6, "gzip"),
    ],
)
def test_wrong_arguments_have_their_exit_codes(place: Path, arguments: Sequence[str], code: int, word: str) -> None:
    done = run(place, *arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[-1].startswith("next: ")


def test_empty_variable_is_no_key(place: Path) -> None:
    assert run(place, "folder", environment={"LNM_TRUSTED_KEY": ""}).returncode == 2


def test_private_key_is_refused_and_not_repeated(place: Path) -> None:
    done = run(place, "--json", "--key", "key.pem", "kit.tar.gz")

    assert done.returncode == 2
    assert "private key" in done.stderr
    assert not any(line in done.stderr + done.stdout for line in ECDSA.private_pem.decode().splitlines()[1:-1])


def test_help_tells_the_exit_codes(place: Path) -> None:
    done = run(place, "--help")

    assert done.returncode == 0
    assert "--key KEY.pub" in done.stdout
    assert "130 interrupted" in " ".join(done.stdout.split())
    assert call("--help")[0] == 0


# -- when something breaks


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), KeyError("x"), OSError(5, "broken")])
def test_unforeseen_error_is_exit_1_and_one_line(place: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(vk, "read_kit", fail)

    code, out, err = call("--key", str(place / "key.pub"), str(place / "folder"))

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert type(error).__name__ in err


def test_interrupt_is_exit_130(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(vk, "check_signature", interrupt)
    code, out, err = call("--key", str(place / "key.pub"), str(place / "folder"))
    assert (code, out, err) == (130, "", "refused: kit: interrupted, nothing is known of this kit\n")

    monkeypatch.setattr(vk, "tell", interrupt)
    assert vk.main(["--key", str(place / "key.pub"), str(place / "folder")]) == 130


def open_files(pid: int) -> list[str]:
    """The files that a process has open (proc(5))."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


def test_interrupt_stops_the_hashing_of_large_files(place: Path) -> None:
    made = kit()
    names = [f"large{number}" for number in range(3)]
    sums = b"".join(f"{'0' * 64}  {name}\n".encode() for name in names)
    made.listed(sums).write_folder(place / "folder")
    for name in names:
        with (place / "folder" / name).open("wb") as file:
            file.truncate(2**40)

    command = [sys.executable, str(SCRIPT), "--key", "key.pub", "folder"]
    with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE) as process:
        try:
            while process.poll() is None and not any(path.endswith("large0") for path in open_files(process.pid)):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=10)
        finally:
            process.kill()

    assert process.returncode == 130
    assert err == b"refused: kit: interrupted, nothing is known of this kit\n"


def shell(place: Path, command: str) -> subprocess.CompletedProcess[bytes]:
    """A command line with `$verify` in it."""
    verify = f"{sys.executable} {SCRIPT} --key key.pub"
    return subprocess.run(
        ["bash", "-c", command.replace("$verify", verify)], cwd=place, capture_output=True, check=False, timeout=60
    )


@pytest.mark.parametrize("options", ["", "--json"])
@pytest.mark.parametrize("sink", [">/dev/full", ">&-"])
def test_verdict_that_does_not_get_through_is_no_success(place: Path, sink: str, options: str) -> None:
    done = shell(place, f"$verify {options} kit.tar.gz {sink}")

    assert done.returncode == 1
    assert done.stderr == b"refused: standard output: it cannot be written, the verdict did not get through\n"


def test_verdict_into_a_pipe_that_nobody_reads_is_no_success(place: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run([sys.executable, str(SCRIPT), "--key", "key.pub", "folder"], cwd=place, stdout=writer, check=False)
    os.close(writer)

    assert done.returncode == 1


@pytest.mark.parametrize("sink", ["2>/dev/full", "2>&-", ">&- 2>&-"])
def test_refusal_that_cannot_be_told_keeps_its_exit_code(place: Path, sink: str) -> None:
    (place / "folder" / "blob").write_bytes(b"changed")

    assert shell(place, f"$verify --json folder {sink}").returncode == 6


def test_broken_standard_output_keeps_the_exit_code_of_a_refusal(place: Path) -> None:
    assert shell(place, "$verify --json missing >/dev/full").returncode == 4


class Unwritable(io.StringIO):
    """A stream that is no file and takes nothing."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_main_points_a_broken_stream_to_nowhere(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert vk.main(["--key", str(place / "key.pub"), str(place / "folder")]) == 1
        full.write("lost without a word")

    monkeypatch.setattr(sys, "stdout", None)
    assert vk.main(["--key", str(place / "key.pub"), str(place / "folder")]) == 1


def test_stream_that_is_no_file_may_break(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(sys, "stdout", Unwritable())

    assert vk.main(["--key", str(place / "key.pub"), str(place / "folder")]) == 1


# -- what it needs


def interpreter(version: str) -> str:
    """A Python of this version: pyenv's, beside the one that runs, on the PATH; the test is skipped by name where there is none."""
    found = [str(path) for folder in PYTHONS for path in sorted(folder.glob(f"{version}.*/bin/python3"))]
    found += [shutil.which(f"python{version}") or ""]
    if not found[0] or subprocess.run([found[0], "-c", ""], capture_output=True, check=False).returncode:  # a shim of nothing
        pytest.skip(f"no Python {version} here")
    return found[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_verifies_and_refuses(place: Path, version: str) -> None:
    made = kit(ECDSA, EDDSA)
    made.write_folder(place / "folder")
    made.write_tarball(place / "kit.tar.gz")
    command = [interpreter(version), "-W", "error", str(SCRIPT), "--key", "key.pub", "--key", "other.pub"]

    codes = [
        subprocess.run([*command, *arguments], cwd=place, capture_output=True, check=False).returncode
        for arguments in (["--help"], ["folder"], ["kit.tar.gz"], ["--json", "kit.tar.gz"])
    ]
    (place / "folder" / "blob").write_bytes(b"changed")
    done = subprocess.run([*command, "folder"], cwd=place, capture_output=True, check=False)

    assert codes == [0, 0, 0, 0]
    assert done.returncode == 6
    assert done.stderr.startswith(b"refused: blob: ")


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_that_opens_sockets_is_imported(version: str) -> None:
    program = (
        "import sys, runpy; before = set(sys.modules); sys.dont_write_bytecode = True; "
        f"runpy.run_path({str(SCRIPT)!r}, run_name='verify_kit'); "
        "print(sorted({'socket', '_socket', 'ssl', '_ssl', 'select', 'asyncio', 'http', 'http.client', 'urllib.request', "
        "'ftplib', 'subprocess', 'ctypes', 'multiprocessing'} & (set(sys.modules) - before)))"
    )

    done = subprocess.run([interpreter(version), "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_modules_beside_the_script_are_not_imported(place: Path) -> None:
    shutil.copy(SCRIPT, place / "verify_kit.py")
    for name in ("__future__", "argparse", "binascii", "datetime", "hashlib", "json", "re", "stat", "typing", "zlib"):
        (place / f"{name}.py").write_text("print('verified: trust me'); raise SystemExit(0)\n")

    for options in ([], ["-I"]):
        command = [sys.executable, *options, "verify_kit.py", "--key", "other.pub", "kit.tar.gz"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (5, "")


def test_nothing_is_written(place: Path) -> None:
    def listing() -> dict[str, Any]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in [place, *place.rglob("*")]}

    before, beside = listing(), sorted(SCRIPT.parent.iterdir())

    assert run(place, "--key", "key.pub", "folder").returncode == 0
    assert run(place, "--key", "key.pub", "kit.tar.gz").returncode == 0

    assert listing() == before
    assert sorted(SCRIPT.parent.iterdir()) == beside


def test_script_has_no_future_import_and_imports_the_standard_library_alone() -> None:
    lines = SCRIPT.read_text(encoding="ascii", errors="replace").splitlines()
    modules = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}

    assert modules <= set(sys.stdlib_module_names) - {"__future__"}
