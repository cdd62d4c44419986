"""The hash tree of RFC 6962 §2.1: it grows, has a root for every size that it ever had, and proves what is in it.

Leaves and nodes are SHA-256 digests, 32 bytes. Only complete subtrees are kept, so a root or a proof takes log₂(n) steps.
"""

from __future__ import annotations

import hashlib

LEAF, NODE = b"\0", b"\1"


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry, told apart from a node's by its prefix."""
    return hashlib.sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(NODE + left + right).digest()


class Tree:
    """An append-only tree in memory."""

    def __init__(self) -> None:
        """An empty one."""
        self.levels: list[list[bytes]] = [[]]
        """`levels[k][i]` is the root of the i-th complete subtree of 2^k leaves."""

    def __len__(self) -> int:
        """The number of leaves."""
        return len(self.levels[0])

    def append(self, leaf: bytes) -> None:
        """Adds a leaf, given as its hash, and every subtree that it completes."""
        level = 0
        while True:
            if level == len(self.levels):
                self.levels.append([])
            row = self.levels[level]
            row.append(leaf)
            if len(row) % 2:
                return
            leaf = node_hash(row[-2], leaf)
            level += 1

    def root(self, size: int) -> bytes:
        """The root that the tree had when it had `size` leaves; SHA-256 of nothing when it had none."""
        return self.subtree(0, size) if size else hashlib.sha256().digest()

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path of RFC 6962 §2.1.1 from a leaf to the root of the tree of `size` leaves, lowest first."""
        return self.path(index, 0, size)

    def subtree(self, start: int, end: int) -> bytes:
        """MTH(D[start:end])."""
        size = end - start
        if size & (size - 1) == 0 and start % size == 0:
            return self.levels[size.bit_length() - 1][start // size]
        middle = start + split(size)
        return node_hash(self.subtree(start, middle), self.subtree(middle, end))

    def path(self, index: int, start: int, end: int) -> list[bytes]:
        """PATH(index, D[start:end])."""
        if end - start == 1:
            return []
        middle = start + split(end - start)
        if index < middle:
            return [*self.path(index, start, middle), self.subtree(middle, end)]
        return [*self.path(index, middle, end), self.subtree(start, middle)]


def split(size: int) -> int:
    """The largest power of two that is smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
