"""Makes the image's layer of migrations: the kit's `migrations/` as it is, the licence, and the folder for the runner's state.

The runner finds them by LNM_BAKED_MIGRATIONS (scripts/image.py) and compares them with the kit that is mounted (decisions §8).
"""

from __future__ import annotations

from pathlib import Path

from scripts import files, layer

HOME = "opt/lnm"
STATE = "var/lib/lnm"
USER = 65532


def write(out: Path, *, tree: tuple[Path, ...], licence: Path, base: Path, epoch: int) -> None:
    """Writes the layer into the folder `out`; `tree` are files of the kit, named by their path below `base`."""
    entries = {f"{HOME}/{path.relative_to(base).as_posix()}": layer.file(files.read_bytes(path)) for path in tree}
    entries |= {f"{HOME}/LICENSE": layer.file(files.read_bytes(licence)), STATE: layer.Entry(0o700, owner=USER)}
    layer.write_folder(out, entries, epoch)
