"""No password, no private key and no place of the builder's machine gets into anything that a build leaves or says."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec

from tests.build.trees import Said, Tree

PASSWORD = "planted-Passw0rd-in-a-haystack"
FILE_PASSWORD = "another-planted-one-in-a-file"


def make_key(folder: Path, name: str, password: str) -> tuple[Path, list[bytes]]:
    """An encrypted key file, and every form of what must never be found."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = folder / f"{name}.pem"
    pem = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.BestAvailableEncryption(password.encode()))
    path.write_bytes(pem)
    path.chmod(0o600)
    plain = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    number = key.private_numbers().private_value
    return path, [
        *pem.splitlines()[1:-1],
        plain.splitlines()[1],  # the second line holds the public half too
        number.to_bytes(32, "big"),
        base64.b64encode(number.to_bytes(32, "big")).rstrip(b"="),
        str(number).encode(),
        f"{number:064x}".encode(),
        password.encode(),
        base64.b64encode(password.encode()).rstrip(b"="),
    ]


def depths(data: bytes, name: str) -> Iterator[bytes]:
    """The bytes of a file and, where it packs others, theirs: gzip, wheels, base64 in JSON."""
    yield data
    if name.endswith(".gz"):
        yield gzip.decompress(data)
    if name.endswith(".json"):
        for text in re.findall(rb'"([A-Za-z0-9+/=]{40,})"', data):
            yield base64.b64decode(text + b"==", validate=False)


def hits(root: Path, needles: list[bytes]) -> list[str]:
    """Where a needle lies in the files below a folder, in their names or inside of what they pack."""
    found = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if any(needle in name.encode() for needle in needles):
            found.append(f"the name {name}")
        if path.is_file():
            found += [name for data in depths(path.read_bytes(), name) for needle in needles if needle in data]
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                found += [f"{name}:{item}" for item in wheel.namelist() for needle in needles if needle in wheel.read(item)]
    return found


@pytest.fixture
def signed(tree: Tree, tmp_path: Path) -> tuple[Tree, list[bytes], list[Said]]:
    """A tree that two encrypted keys signed, one after the other; what must not be found; everything that was said."""
    one, first = make_key(tmp_path, "one", PASSWORD)
    two, second = make_key(tmp_path, "two", FILE_PASSWORD)
    (tmp_path / "password").write_text(FILE_PASSWORD + "\n")
    by_variable = tree.variant(LNM_SIGNING_KEY=str(one), LNM_SIGNING_KEY_PASSWORD=PASSWORD)
    by_file = tree.variant(LNM_SIGNING_KEY=str(two), LNM_SIGNING_KEY_PASSWORD_FILE=str(tmp_path / "password"))
    wrong = tree.variant(LNM_SIGNING_KEY=str(two), LNM_SIGNING_KEY_PASSWORD=PASSWORD)
    said = [by_variable.bundle(), wrong.doit("bundle"), by_file.bundle()]
    assert said[1].code
    asked = (("info", "key:signing-key.pub"), ("dumpdb",), ("list", "--all", "--deps"), ("help", "key:signing-key.pub"))
    said += [by_file.doit(*arguments) for arguments in asked]
    said.append(by_file.run(sys.executable, "-m", "scripts.verify"))
    assert said[-1].code == 0, said[-1].text
    return by_file, first + second, said


def test_no_secret_is_left_or_said(signed: tuple[Tree, list[bytes], list[Said]]) -> None:
    tree, needles, said = signed
    assert "trust        key" in said[2].out
    assert hits(tree.root, needles) == []
    for answer in said:
        assert not [needle for needle in needles if needle in answer.text.encode("utf-8", "surrogateescape")]


def test_the_search_finds_what_is_there(tree: Tree, tmp_path: Path) -> None:
    """A search that finds nothing anywhere would pass the other tests."""
    _, needles = make_key(tmp_path, "one", PASSWORD)
    (tree.root / "x.json").write_text(json.dumps({"payload": base64.b64encode(b"-" * 40 + PASSWORD.encode()).decode()}))
    (tree.root / "x.tar.gz").write_bytes(gzip.compress(needles[0]))
    with zipfile.ZipFile(tree.root / "x.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("a", needles[1])
    assert hits(tree.root, needles) == ["x.json", "x.tar.gz", "x.whl:a"]


def test_no_development_key_is_left_in_the_tree(built: Tree) -> None:
    pem = next(Path(built.environment["XDG_STATE_HOME"]).rglob("*.pem")).read_bytes()
    assert hits(built.root, [pem.splitlines()[1]]) == []


def test_no_place_of_the_builders_machine_is_in_what_ships(built: Tree) -> None:
    places = [str(built.root).encode(), built.environment["HOME"].encode(), sys.prefix.encode()]
    assert hits(built.dist, places) == []
