"""Makes `SHA256SUMS`, its part that no signature changes, and the `.sha256` beside a tarball.

Format: docs/kit-format.md («The files of E»), which is the text form of coreutils' sha256sum without its escapes.
`rootHash` is the SHA-256 of the lines of the payload.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from scripts import files, oci
from scripts.errors import ChecksumError

LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._+=@/-]+)")
AGAIN = "doit forget checksums && doit bundle"


def render(sums: Mapping[str, str]) -> bytes:
    """`{name: sha256}` as lines in the byte order of the names."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode("ascii")


def parse(data: bytes, source: str) -> dict[str, str]:
    """The lines of a list that we wrote, as `{name: sha256}` in their order.

    Raises: ChecksumError naming the line that is none.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), 1):
        match = LINE.fullmatch(line)
        if not match or match[2] in sums:
            message = f"{source}: line {number}: found {line[:80]!r}, wanted «sha256  name», each name once"
            raise ChecksumError(message, hint=AGAIN)
        sums[match[2]] = match[1]
    if render(sums) != data:
        raise ChecksumError(f"{source}: not in the order of the names, or no newline at the end", hint=AGAIN)
    return sums


def root_hash(payload_sums: bytes) -> str:
    """The kit's identity: SHA-256, hex, of the lines that name no attestation."""
    return hashlib.sha256(payload_sums).hexdigest()


def write_tree(out: BinaryIO, *, tree: tuple[Path, ...], base: Path) -> None:
    """Lists files of a kit by their names below its root folder `base`."""
    out.write(render({path.relative_to(base).as_posix(): files.sha256_of(path) for path in tree}))


def write_joined(out: BinaryIO, *, payload: Path, attestations: tuple[Path, ...], base: Path) -> None:
    """SHA256SUMS: the payload's lines and those of the attestations, sorted together; a layout's index stands for its layout."""
    sums = parse(files.read_bytes(payload), payload.name)
    sums |= {path.relative_to(base).as_posix(): files.sha256_of(path) for path in oci.whole(attestations)}
    out.write(render(sums))


def write_single(out: BinaryIO, *, file: Path) -> None:
    """The `.sha256` beside a file, for `sha256sum --check`."""
    out.write(render({file.name: files.sha256_of(file)}))
