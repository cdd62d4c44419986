"""One bit flipped anywhere in a kit is refused: every byte of every file for verify_kit.py, a sample for verify.sh."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.forge import PROVENANCE, README, SBOM, SPDX, Kit, canonical, is_envelope
from tests.faults.keys import Key
from tests.faults.rawtar import BLOCK, FIELDS, archive, gzipped
from tests.faults.verdicts import said_verified
from tests.faults.verifiers import ALL, SH, module, prepare, verify, verify_here, written

SEED = 20260901
PARTS = 4  # of a file, so that two workers share the longest


@pytest.fixture(autouse=True)
def known_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flip leaves most signatures, keys and digests as they were: the same multiples of the same points are not computed again.

    Whatever a flip does reach has other arguments. With LNM_FAULTS=all nothing is remembered.
    """
    if not ALL:
        monkeypatch.setattr(module(), "two_products", functools.lru_cache(maxsize=64)(module().two_products))


def tiny() -> Kit:
    """A kit of as few bytes as the format allows."""
    kit = Kit(files={README: b"Read me.\n", SBOM: b"{}\n"}, modes={})
    kit.attest()
    kit.attest_with(PROVENANCE, kit.statement(PROVENANCE, canonical({})))
    return kit.state_with(
        lambda statement: statement["predicate"].update(deliveries=[], parts=[], source={"commit": None, "state": "clean"})
    )


FILES = sorted(tiny().files)


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """The data with one bit turned."""
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def bits(name: str, data: bytes) -> Iterator[tuple[int, int]]:
    """Each byte of a file with one of its bits."""
    chance = random.Random(f"{SEED} {name}")  # noqa: S311 # a sample, no secret
    for at in range(len(data)):
        yield at, chance.randrange(8)


def wanted(name: str) -> int:
    """The exit code for a file that is not what was signed."""
    return 5 if is_envelope(name) else 6


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_passes_verify_kit_py(name: str, part: int, place: Path) -> None:
    truth = tiny()
    path = truth.write_folder(place) / name
    arguments = prepare(place, "verify_kit.py", truth.keys, place / truth.folder_name)[2:]
    data = truth.files[name]

    passed = []
    for at, bit in list(bits(name, data))[part::PARTS]:
        path.write_bytes(flipped(data, at, bit))
        if module().main(arguments) != wanted(name):
            passed.append((at, bit))

    assert passed == []


def sample(name: str, data: bytes) -> list[tuple[int, int]]:
    """The first byte, the last byte, and some between."""
    all_bits = list(bits(name, data))
    chance = random.Random(f"{SEED} sample {name}")  # noqa: S311 # a sample, no secret
    return [all_bits[0], *chance.sample(all_bits[1:-1], min(6, len(all_bits) - 2)), all_bits[-1]]


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_of_a_sample_passes_verify_sh(name: str, place: Path) -> None:
    truth = tiny()
    root = truth.write_folder(place)

    passed = []
    for at, bit in sample(name, truth.files[name]):
        (root / name).write_bytes(flipped(truth.files[name], at, bit))
        outcome = verify(SH, place, truth.keys, root)
        if outcome.exit != wanted(name) or said_verified(outcome):
            passed.append((at, bit, outcome))

    assert passed == []


def test_the_tiny_kit_itself_is_verified(place: Path) -> None:
    truth = tiny()
    root = truth.write_folder(place)
    assert verify_here(place, truth.keys, root).exit == 0
    assert verify(SH, place, truth.keys, root).exit == 0


FREE = ("uid", "gid", "mtime", "uname", "gname", "devmajor", "devminor")


def free_bytes(tar: bytes) -> set[int]:
    """Where a header says what nobody looks at: owners, device numbers, times, and how its checksum is filled up."""
    free: set[int] = set()
    headers = [at for at in range(0, len(tar), BLOCK) if tar[at + 257 : at + 262] == b"ustar"]
    for at in headers:
        for field in FREE:
            offset, length = FIELDS[field]
            free |= set(range(at + offset, at + offset + length))
        free |= {at + 148 + 6, at + 148 + 7}
    return free


def judge(truth: Kit, keys: tuple[Key, ...], tarball: bytes, place: Path) -> int:
    """The exit code of verify_kit.py for a tarball."""
    path = written(place / "kit.tar.gz", tarball)
    return int(module().main(prepare(place, "verify_kit.py", keys or truth.keys, path)[2:]))


def test_no_flipped_bit_of_a_sample_of_the_tar_archive_passes(place: Path) -> None:
    truth = tiny()
    tar = archive(truth.members())
    chance = random.Random(SEED)  # noqa: S311 # a sample, no secret

    passed = []
    for at in sorted(chance.sample(sorted(set(range(len(tar))) - free_bytes(tar)), 600)):
        bit = chance.randrange(8)
        if judge(truth, truth.keys, gzipped(flipped(tar, at, bit)), place) not in (5, 6):
            passed.append((at, bit))

    assert passed == []


def test_a_flipped_bit_of_what_nobody_looks_at_still_breaks_the_header(place: Path) -> None:
    """The header's checksum covers the owner and the time as well."""
    truth = tiny()
    tar = archive(truth.members())
    chance = random.Random(SEED + 1)  # noqa: S311 # a sample, no secret
    positions = [at for at in sorted(free_bytes(tar)) if at % BLOCK < 148 or at % BLOCK > 155]

    exits = {
        judge(truth, truth.keys, gzipped(flipped(tar, at, chance.randrange(8))), place) for at in chance.sample(positions, 60)
    }

    assert exits == {6}


def test_no_flipped_bit_of_the_gzip_data_passes(place: Path) -> None:
    """The header's time, level and system are free; from its tenth byte on nothing is."""
    truth = tiny()
    tarball = gzipped(archive(truth.members()))
    chance = random.Random(SEED + 2)  # noqa: S311 # a sample, no secret
    positions = [0, 1, 2, 3, *range(10, len(tarball))]

    exits = {judge(truth, truth.keys, flipped(tarball, at, chance.randrange(8)), place) for at in chance.sample(positions, 300)}

    assert exits <= {5, 6}


def test_the_tiny_kit_has_every_kind_of_file() -> None:
    assert {PROVENANCE, SPDX, README, SBOM} < set(FILES)
    assert len(FILES) == 10
