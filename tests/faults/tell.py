"""Writes a lie, or a control, to look at: python -m tests.faults.tell gzip_crc_wrong /tmp/lie"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults import archive_lies, checksum_lies, controls, identity_lies, image_lies, signature_lies, statement_lies
from tests.faults.registry import LIES, Lie
from tests.faults.verifiers import written

SOURCES = (archive_lies, checksum_lies, controls, identity_lies, image_lies, signature_lies, statement_lies)


def main(name: str, folder: str) -> None:
    """Writes everything of that name, each container into a folder of its own, with its keys."""
    cases: list[Lie | controls.Control] = [*LIES, *controls.CONTROLS]
    for case in cases:
        if case.name == name:
            place = Path(folder) / case.container
            place.mkdir(parents=True)
            kit, keys = case.write(place)
            written(place / "keys.pub", b"".join(key.pem for key in keys))
            print(f"{case}\n  {kit}")


if __name__ == "__main__":
    main(*sys.argv[1:])
