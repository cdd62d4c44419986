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


def siblings(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose roots are the audit path of a leaf (section 2.1.1), from the leaf up."""
    low, high, found = 0, size, []
    while high - low > 1:
        split = low + (1 << (high - low - 1).bit_length() - 1)
        if index < split:
            found.append((split, high))
            high = split
        else:
            found.append((low, split))
            low = split
    return found[::-1]


def path(hashes: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """The audit path of a leaf, of the hashes of all leaves, which stream by once."""
    ranges = siblings(index, size)
    trees = {low: (high, Tree()) for low, high in ranges}
    ahead = sorted(trees)
    for place, made in enumerate(hashes):
        while ahead and place >= trees[ahead[0]][0]:
            ahead.pop(0)
        if ahead and place >= ahead[0]:
            trees[ahead[0]][1].add_hash(made)
    return [trees[low][1].root() for low, _ in ranges]


def proves(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """True where a path leads from a leaf to the root."""
    return proves_hash(leaf_hash(leaf), index, size, proof, root)


def proves_hash(made: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """The same for the hash of a leaf (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        return False
    at, last = index, size - 1
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
