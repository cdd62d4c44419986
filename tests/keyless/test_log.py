"""scripts/sigstore_instance/merkle.py and log.py: the tree of RFC 6962, and the file that outlives its process."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.errors import ChecksumError, InputError
from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.log import Log, Place
from scripts.sigstore_instance.merkle import Tree, leaf_hash, node_hash
from tests.conftest import ROOT

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
RFC_6962_OF_8 = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
"""The root over the eight entries of certificate-transparency-go's reference tests."""
REFERENCE = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]


def grown(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:middle]) + naive_root(leaves[middle:])).digest()


def naive_check(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that a path leads to, by RFC 9162 §2.1.3.2, which is another algorithm than the one that made it."""
    here, last, found = index, size - 1, leaf_hash(leaf)
    for step in path:
        assert last > 0
        if here % 2 or here == last:
            found = node_hash(step, found)
            while not here % 2 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, step)
        here, last = here >> 1, last >> 1
    assert last == 0
    return found


def test_roots_are_those_of_the_reference() -> None:
    tree = grown(REFERENCE)

    assert (tree.root(0).hex(), tree.root(8).hex()) == (EMPTY, RFC_6962_OF_8)


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=70), st.data())
def test_every_root_is_the_naive_one_and_every_leaf_is_proven_in_every_tree(leaves: list[bytes], data: st.DataObject) -> None:
    tree = grown(leaves)
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))

    root = tree.root(size)

    assert root == naive_root(leaves[:size])
    assert naive_check(leaves[index], index, size, tree.inclusion(index, size)) == root


def test_after_a_restart_the_log_is_the_same_and_goes_on(tmp_path: Path) -> None:
    key = KeyPair.make()
    first = Log(tmp_path / "log", key)
    places = [first.append(b"entry %d" % number) for number in range(5)]

    second = Log(tmp_path / "log", key)

    assert places == [Place(number, number + 1) for number in range(5)]
    assert second.tree.root(5) == first.tree.root(5) == naive_root([b"entry %d" % number for number in range(5)])
    assert second.append(b"one more") == Place(5, 6)
    assert first.append(b"and the first sees it") == Place(6, 7)


@pytest.mark.parametrize("torn", [1, 60, -1], ids=["one byte", "in the hash", "all but the end"])
def test_a_line_that_its_writer_died_in_is_cut_off(torn: int, tmp_path: Path) -> None:
    key, path = KeyPair.make(), tmp_path / "log"
    log = Log(path, key)
    log.append(b"whole")
    before = path.read_bytes()
    log.append(b"torn")
    path.write_bytes(before + path.read_bytes()[len(before) :][:torn])

    again = Log(path, key)

    assert path.read_bytes() == before
    assert again.append(b"next") == Place(1, 2)
    assert again.tree.root(2) == naive_root([b"whole", b"next"])


@pytest.mark.parametrize("place", [0, 70], ids=["hash", "entry"])
def test_a_damaged_line_is_told_and_not_cut_off(place: int, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path, KeyPair.make())
    log.append(b"first entry")
    log.append(b"second entry")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)

    with pytest.raises(ChecksumError, match="log: line 1: the entry is damaged"):
        Log(path, log.key)

    assert path.read_bytes() == bytes(data)


def test_a_log_that_was_cut_under_its_reader_is_told(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", KeyPair.make())
    log.append(b"one")
    log.path.write_bytes(b"")

    with pytest.raises(ChecksumError, match="log: entries were cut off"):
        log.append(b"two")

    assert log.path.read_bytes() == b""


def test_a_disk_that_refuses_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()

    with pytest.raises(InputError, match="log: Is a directory"):
        Log(tmp_path / "log", KeyPair.make())


def test_what_was_answered_for_is_there_after_a_kill(tmp_path: Path) -> None:
    key, path = KeyPair.make(), tmp_path / "log"
    code = (
        "import sys; from pathlib import Path; from scripts.sigstore_instance.keypair import KeyPair\n"
        "from scripts.sigstore_instance.log import Log; log = Log(Path(sys.argv[1]), KeyPair.from_pem(sys.stdin.read()))\n"
        "while True: print(log.append(bytes(1 << 16)).index, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(key.pem())
    process.stdin.close()
    answered = [int(process.stdout.readline()) for _ in range(20)]
    process.kill()
    answered += map(int, process.stdout.read().split())
    process.wait()
    process.stdout.close()

    log = Log(path, key)

    assert answered == list(range(len(answered)))
    assert len(log.tree) in {len(answered), len(answered) + 1}
    assert log.append(b"next").index == len(log.tree) - 1


def append_often(path: Path, pem: str, who: int) -> None:
    log = Log(path, KeyPair.from_pem(pem))
    for number in range(20):
        place = log.append(b"%d %d" % (who, number))
        assert log.tree.inclusion(place.index, place.size) is not None


def test_processes_that_append_at_once_share_one_log(tmp_path: Path) -> None:
    key, path = KeyPair.make(), tmp_path / "log"
    spawn = multiprocessing.get_context("fork" if os.name == "posix" else None)
    crew = [spawn.Process(target=append_often, args=(path, key.pem(), who)) for who in range(3)]
    for process in crew:
        process.start()
    for process in crew:
        process.join(60)

    log = Log(path, key)

    assert [process.exitcode for process in crew] == [0, 0, 0]
    assert len(log.tree) == 60
    assert len(set(log.tree.levels[0])) == 60
