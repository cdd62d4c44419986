"""The command verify_kit.py inside this process: where its key comes from, what it says when anything goes wrong, and to whom."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from tests.faults import forge
from tests.faults.keys import MAIN, STRANGER
from tests.verify.tiny_kit import load

vk = load()
UNKNOWN = "nothing is known of this kit"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good kit with its key, and the key of somebody else."""
    place = tmp_path_factory.mktemp("place")
    forge.kit(MAIN).write_folder(place)
    for name, key in (("main", MAIN), ("stranger", STRANGER)):
        (place / f"{name}.pub").write_bytes(key.pem)
    return place


@pytest.fixture(autouse=True)
def without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key in the environment."""
    monkeypatch.delenv("LNM_TRUSTED_KEY", raising=False)


def test_a_key_comes_from_the_arguments_before_the_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit, main, stranger = (str(place / name) for name in ("kit", "main.pub", "stranger.pub"))
    assert vk.main([kit, "--key", main]) == 0
    assert vk.main([kit]) == 2
    for named, with_main in ((main, 0), (stranger, 5)):
        monkeypatch.setenv("LNM_TRUSTED_KEY", named)
        assert vk.main([kit]) == with_main
        assert vk.main([kit, "--key", main]) == 0
        assert vk.main([kit, "--key", stranger]) == 5
    monkeypatch.setenv("LNM_TRUSTED_KEY", "")
    assert vk.main([kit]) == 2
    assert vk.main([kit, "--ke", main]) == 2


def test_whatever_goes_wrong_is_a_verdict(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [str(place / "kit"), "--key", str(place / "main.pub")]

    def fail_by(error: BaseException) -> object:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(vk, "verify", fail)
        return vk.judge(arguments)

    found = vk.Failure(vk.Kind.UNFORESEEN, "kit", "unforeseen ValueError (what?)", UNKNOWN)
    assert fail_by(ValueError("what?")) == (found,)
    assert fail_by(KeyboardInterrupt()) == (vk.Failure(vk.Kind.INTERRUPTED, "kit", "interrupted", UNKNOWN),)
    refusal = vk.refusal(vk.Kind.SIGNATURE, "a", "b", "c")
    assert fail_by(refusal) == refusal.failures == (vk.Failure(vk.Kind.SIGNATURE, "a", "b", "c"),)
    assert str(refusal) == "refused: a: b, c"
    assert str(vk.Wrong("b", "c")) == "b, c"


def test_only_a_command_of_its_own_gives_up_the_network(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[object] = []
    monkeypatch.setattr(sys, "addaudithook", hooks.append)
    arguments = [str(place / "kit"), "--key", str(place / "main.pub")]

    assert vk.main(arguments) == 0
    assert hooks == []
    monkeypatch.setattr(sys, "argv", ["verify_kit.py", *arguments])
    assert vk.main() == 0
    assert hooks == [vk.refuse_sockets]


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_verdict_that_does_not_get_out_is_told_on_the_other_stream(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit, err = str(place / "kit"), io.StringIO()
    monkeypatch.setattr(sys, "stdout", Broken())
    monkeypatch.setattr(sys, "stderr", err)

    assert vk.main([kit, "--key", str(place / "main.pub")]) == 1
    line = "refused: standard output: it cannot be written, the verdict did not get through\n"
    assert err.getvalue() == line
    assert vk.main([kit, "--json", "--key", str(place / "stranger.pub")]) == 5
    assert err.getvalue().splitlines(keepends=True)[-1] == line
    assert err.getvalue().splitlines()[-2].startswith("next: do not use this kit; compare ")


@pytest.mark.parametrize(("key", "verdict"), [("main", "verified"), ("stranger", "refused")])
def test_the_verdict_is_one_json_object_where_that_is_wanted(
    place: Path, capsys: pytest.CaptureFixture[str], key: str, verdict: str
) -> None:
    code = vk.main([str(place / "kit"), "--key", str(place / f"{key}.pub"), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["exit"]) == (verdict, code)
    if verdict == "refused":
        assert told["failure"] == told["failures"][0]


def test_of_a_key_file_without_end_only_the_beginning_is_read(tmp_path: Path) -> None:
    (tmp_path / "key.pub").touch()
    os.truncate(tmp_path / "key.pub", 1 << 40)  # a terabyte of nothing

    with pytest.raises(vk.Refused, match=r"key\.pub: more than 65536 bytes, wanted the publisher's public key$"):
        vk.load_keys([tmp_path / "key.pub"])
