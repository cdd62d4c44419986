"""Merkle trees (RFC 6962, section 2.1, SHA-256): the root of leaves that stream by, proofs, and roots of blocks. Pure.

A leaf is the canonical JSON of an array (decisions §3). Besides the root a tree gives the roots of its blocks of `BLOCK` leaves,
which are nodes of the same tree: where two trees differ, they say in which block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

BLOCK = 4096  # a power of two, so that a full block is a node
LEAF, NODE = b"\x00", b"\x01"


def leaf_hash(leaf: bytes) -> bytes:
    """MTH of one leaf."""
    return hashlib.sha256(LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """MTH of two parts."""
    return hashlib.sha256(NODE + left + right).digest()


@dataclass
class Tree:
    """A tree that leaves are added to; what it keeps grows with the logarithm of their number, and with the blocks."""

    size: int = 0
    blocks: list[bytes] = field(default_factory=list)
    """The roots of the full blocks."""
    _peaks: list[tuple[int, bytes]] = field(default_factory=list)
    """`(leaves, hash)` of the complete subtrees, each smaller than the one before."""

    def add(self, leaf: bytes) -> None:
        """Adds a leaf."""
        self.add_hash(leaf_hash(leaf))

    def add_hash(self, made: bytes) -> None:
        """Adds a leaf by its hash."""
        self.size += 1
        leaves = 1
        while self._peaks and self._peaks[-1][0] == leaves:
            made = node_hash(self._peaks.pop()[1], made)
            leaves *= 2
            if leaves == BLOCK:
                self.blocks.append(made)
        self._peaks.append((leaves, made))

    def root(self) -> bytes:
        """The hash of the whole tree; of an empty one that of nothing."""
        return folded([made for _, made in self._peaks])

    def last_block(self) -> bytes | None:
        """The root of the leaves behind the last full block."""
        rest = [made for leaves, made in self._peaks if leaves < BLOCK]
        return folded(rest) if rest else None


def folded(peaks: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, from the right."""
    if not peaks:
        return hashlib.sha256(b"").digest()
    *rest, root = peaks
    for peak in reversed(rest):
        root = node_hash(peak, root)
    return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of leaves."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of a leaf (section 2.1.1), of the hashes of all leaves."""
    if len(hashes) <= 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return [*path(hashes[:split], index), subtree(hashes[split:])]
    return [*path(hashes[split:], index - split), subtree(hashes[:split])]


def subtree(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves."""
    tree = Tree()
    for made in hashes:
        tree.add_hash(made)
    return tree.root()


def proves(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """True where a path leads from a leaf to the root (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        return False
    at, last, made = index, size - 1, leaf_hash(leaf)
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            made = node_hash(step, made)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            made = node_hash(made, step)
        at, last = at >> 1, last >> 1
    return last == 0 and made == root
