"""What verify_kit.py tells, whole and word for word: both forms of a verdict, by its main() in this process."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.verify.tiny_kit import ECDSA, EDDSA, PROVENANCE, ROOT, SPDX, Kit, kit, load

vk = load()
SOURCE = {"commit": "0123456789abcdef0123456789abcdef01234567", "note": "a note", "state": "dirty"}
NEXT = "next: give the publisher's public key, which reached you by another way than the kit: --key KEY.pub; see --help"


@pytest.fixture(autouse=True)
def no_trusted_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set in the developer's environment must not decide a test."""
    monkeypatch.delenv("LNM_TRUSTED_KEY", raising=False)


def told(place: Path, made: Kit, *options: str) -> tuple[int, str, str]:
    """The exit code and both streams for a kit that two keys are given for."""
    (place / "one.pub").write_bytes(ECDSA.pem)
    (place / "two.pub").write_bytes(EDDSA.pem)
    (place / "kit").mkdir(mode=0o755)
    keys = ("--key", str(place / "one.pub"), "--key", str(place / "two.pub"))
    return called(*options, *keys, str(made.write_folder(place / "kit")))


def called(*arguments: str) -> tuple[int, str, str]:
    """main() in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = vk.main(arguments)
    return code, out.getvalue(), err.getvalue()


def part(identity: str, status: str, **more: str) -> Mapping[str, Any]:
    """A delivery or part as it is told."""
    return {"id": identity, "status": status, "digest": None, "migration": None, "reason": None, **more}


def test_the_json_of_a_good_kit_has_all_of_this_and_no_more(tmp_path: Path) -> None:
    made = kit(ECDSA, EDDSA, source=SOURCE, trust="dev")

    code, out, err = told(tmp_path, made, "--json")

    assert (code, err, out.count("\n")) == (0, "", 1)
    assert json.loads(out) == {
        "verdict": "verified",
        "exit": 0,
        "version": "2026.9.1",
        "rootHash": made.root_hash,
        "channel": "edge",
        "trust": "dev",
        "signers": [
            {"algorithm": "ECDSA P-256", "fingerprint": ECDSA.fingerprint},
            {"algorithm": "Ed25519", "fingerprint": EDDSA.fingerprint},
        ],
        "created_at": "2026-09-01T00:00:00Z",
        "source": SOURCE,
        "deliveries": [
            part("21-101", "ready", digest="ab" * 32, migration="20251202_lnm_21_101"),
            part("21-102", "absent", reason="not in this version"),
        ],
        "parts": [part("image", "absent", reason="not in this version")],
        "files": 7,
        "statements": [PROVENANCE, SPDX],
        "images": [],
        "identity": None,
    }


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (SOURCE, "0123456789abcdef0123456789abcdef01234567 (dirty, a note)"),
        ({"commit": None, "state": "unknown"}, "unknown (unknown)"),
    ],
)
def test_the_words_about_a_good_kit_are_these(tmp_path: Path, source: dict[str, Any], words: str) -> None:
    bare = {"digest": "sha256:" + "cd" * 32, "id": "runbook", "status": "ready"}
    made = kit(ECDSA, EDDSA, source=source, trust="dev", parts=[bare])
    signer = f"ECDSA P-256 {ECDSA.fingerprint}"

    code, out, err = told(tmp_path, made)

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"checked: SHA256SUMS is signed by {signer}",
        "checked: 7 files have the sha256 that is listed; none is missing, none was added",
        f"checked: manifest.json is signed by {signer}, Ed25519 {EDDSA.fingerprint}",
        f"checked: 2 statements are about this kit: {PROVENANCE}, {SPDX}",
        f"checked: source commit {words}",
        "checked: channel edge, made 2026-09-01T00:00:00Z",
        "checked: delivery 21-101 ready (20251202_lnm_21_101)",
        "checked: delivery 21-102 absent (not in this version)",
        "checked: part runbook ready",
        "trust: dev: warning: a development key or log signed this kit; do not take it into production",
        f"verified: {ROOT} rootHash {made.root_hash}",
    ]


def test_a_kit_that_no_development_key_signed_has_no_warning(tmp_path: Path) -> None:
    _, out, _ = told(tmp_path, kit(ECDSA))

    assert "trust" not in out


def test_the_json_of_a_refusal_has_all_of_this_and_no_more(tmp_path: Path) -> None:
    made = kit()
    made.files |= {"blob": b"changed", "caf\u00e9"[:3] + "!": b""}

    code, out, err = told(tmp_path, made, "--json")

    wanted = {"kind": "container", "exit": 6, "file": "caf!", "found": 'its name has the part "caf!"', "wanted": vk.NAME_RULE}
    assert json.loads(out) == {"verdict": "refused", "exit": 6, "failure": wanted, "failures": [wanted]}
    assert code == 6
    assert err.splitlines() == [
        f'refused: caf!: its name has the part "caf!", {vk.NAME_RULE}',
        "next: do not use this kit; copy it again from where it came, and if it is refused again, tell the publisher",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: KIT"),
        (("--kee", "x", "kit"), "unrecognized arguments: --kee kit"),
        (("--ke", "x", "kit"), "unrecognized arguments: --ke kit"),
        (("kit", "--key"), "argument --key: expected one argument"),
        (("kit", "b\n\u00e4d"), "unrecognized arguments: b\\n\\xe4d"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    code, out, err = called(*arguments)

    assert (code, out) == (2, "")
    assert err.splitlines() == [f"refused: arguments: {said}, wanted --key KEY.pub KIT", NEXT]


def test_no_key_and_no_kit_are_told(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(ECDSA.pem)
    (tmp_path / "long").write_bytes(b"x" * (64 << 10) + b"x")
    (tmp_path / "full").write_bytes(ECDSA.pem.ljust(64 << 10, b"\n"))
    no_key = "refused: kit: no key was given, without the publisher's public key nothing can be verified"
    key, kit_path = str(tmp_path / "key.pub"), str(tmp_path / "kit")

    assert called(kit_path)[2].splitlines() == [no_key, NEXT]
    assert called("--key", key, kit_path) == (
        4,
        "",
        f"refused: {kit_path}: no such kit, wanted KIT.tar.gz or a folder\nnext: check the path\n",
    )
    assert called("--key", kit_path, kit_path)[2].startswith(
        f"refused: {kit_path}: no such key file, wanted the publisher's public key\n"
    )
    assert called("--key", f"{key}/x", kit_path)[0] == 4
    assert called("--key", f"{key}", f"{key}/x")[0] == 4
    assert (
        f"{tmp_path}/long: more than 65536 bytes, wanted the publisher's public key"
        in called("--key", f"{tmp_path}/long", kit_path)[2]
    )
    assert (
        f"{tmp_path}: cannot be read (Is a directory), wanted the publisher's public key"
        in called("--key", str(tmp_path), kit_path)[2]
    )
    assert called("--key", f"{tmp_path}/full", kit_path)[0] == 4


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"x -----BEGIN PRIVATE KEY-----", "this is a private key, only the public one belongs near a kit"),
        (b"", "not a public key in PEM form, wanted -----BEGIN PUBLIC KEY----- and its end"),
        (ECDSA.pem + b"-----BEGIN", "not a public key in PEM form, wanted -----BEGIN PUBLIC KEY----- and its end"),
        (
            b"-----BEGIN PUBLIC KEY-----\nMDA=\n-----END PUBLIC KEY-----",
            "another kind of key, wanted ECDSA P-256 with an uncompressed point, or Ed25519",
        ),
        (
            ECDSA.pem.replace(b"=", b""),
            "broken base64 (Incorrect padding), wanted base64",
        ),
        (
            b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" + b"A" * 86 + b"==\n-----END PUBLIC KEY-----",
            "its ECDSA P-256 point is not to be trusted, wanted a point of the curve, not of small order",
        ),
    ],
)
def test_what_is_wrong_with_a_key_is_told(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(data)

    code, out, err = called("--key", str(path), str(tmp_path))

    assert (code, out) == (2, "")
    assert err.splitlines() == [f"refused: {path}: {said}", NEXT]


def test_the_help_is_this(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    assert vk.main(["--help"]) == 0

    told = capsys.readouterr().out
    assert " ".join(told.split()) == (
        "usage: verify_kit.py [-h] [--key KEY.pub] [--json] KIT "
        "Verifies an offline kit with Python's standard library alone: no network, nothing unpacked or written. "
        "positional arguments: KIT the kit: KIT.tar.gz, or the folder that was unpacked from it "
        "options: -h, --help show this help message and exit "
        "--key KEY.pub public key to trust, PEM, ECDSA P-256 or Ed25519; may be repeated "
        "(default: the file that LNM_TRUSTED_KEY names) "
        "--json print the verdict as one JSON object "
        "exit codes: 0 verified; 1 unforeseen; 2 arguments or key; 4 no such file; 5 signature or statement; "
        "6 archive, checksum or inventory; 130 interrupted"
    )


def test_text_that_nobody_checked_is_cut_and_told_in_ascii() -> None:
    assert vk.shown("a" * 200) == "a" * 200
    assert vk.shown("a" * 201) == "a" * 200 + "..."
    assert vk.shown("\u00e9\n\\", 3) == "\\xe..."
    assert vk.shown_bytes(b"a" * 80) == "a" * 80
    assert vk.shown_bytes(b"a" * 81) == "a" * 80 + "..."
    assert vk.shown_bytes(b"\xff") == "\\\\xff"
    assert vk.shown_json("a" * 118) == '"' + "a" * 118 + '"'
    assert vk.shown_json("a" * 119) == '"' + "a" * 119 + "..."
    assert vk.shown_json({"a": [1, None]}) == '{"a":[1,null]}'
    assert vk.reason(OSError(2, "No such file")) == "No such file"
    assert vk.reason(ValueError("why")) == "why"
    assert vk.reason(ValueError()) == "ValueError"


def test_a_form_is_its_text_with_fields_in_it() -> None:
    pattern = vk.pattern_of(b"(%s.%s)", b"[0-9]", b"[a-z]+")

    match = pattern.fullmatch(b"(1.ab)")

    assert match is not None
    assert match.groups() == (b"1", b"ab")
    assert [pattern.fullmatch(text) for text in (b"(1xab)", b"1.ab", b"(a.ab)", b"(1.ab))")] == [None] * 4
