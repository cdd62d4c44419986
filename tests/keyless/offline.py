"""`python -m tests.keyless.offline FOLDER`: signs and verifies where there is no network but the loopback of an empty namespace.

Run it behind `unshare -rn`; it raises the loopback itself, and refuses to run where there is any other interface.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from pathlib import Path

from scripts.sigstore_instance import instance
from tests.keyless.bundle_lies import good_pair
from tests.keyless.signing import verify_blob, verify_statement

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # netdevice(7)
IFREQ = struct.Struct("16sh14x")


def raise_loopback() -> None:
    """What `ip link set lo up` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        told = fcntl.ioctl(any_socket, SIOCGIFFLAGS, IFREQ.pack(b"lo", 0))
        name, flags = IFREQ.unpack(told)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, IFREQ.pack(name, flags | IFF_UP))


def main(folder: Path) -> None:
    """Signs, then writes what it signed for those who verify without any interface."""
    found = [name for _, name in socket.if_nameindex()]
    if found != ["lo"]:
        raise SystemExit(f"there is a network here: {found}")
    raise_loopback()
    inst = instance.load(folder / "instance")
    sums, sums_bundle, manifest, manifest_bundle = good_pair(inst)
    verify_blob(inst, sums, sums_bundle)
    if verify_statement(inst, manifest_bundle)[1] != manifest:
        raise SystemExit("another payload")
    (folder / "SHA256SUMS").write_bytes(sums)
    (folder / "bundle.json").write_bytes(sums_bundle)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
