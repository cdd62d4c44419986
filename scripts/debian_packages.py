"""Fetches the Debian packages that the base of the image is made of, by their locked SHA-256, with apt and without root.

A mirror drops a package when a newer one supersedes it. Then either the lock is refused (`is_locked`), or what the mirror has now
is taken, said loudly, and stands in the lock of the folder; what differs is told in base.json and so in the SBOM.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts import apt, files, store
from scripts.debian import ARCHITECTURES, EFFECTIVE, LOCK, REFRESH, Deb, changes, of, order, read_lock, render
from scripts.errors import ChecksumError, InputError, ToolError


def is_there(deb: Deb, folder: Path) -> bool:
    """True where a folder has a package's file with the right bytes."""
    path = folder / deb.filename
    return path.is_file() and not path.is_symlink() and files.sha256_of(path) == deb.sha256


def refuse(gone: Iterable[Deb], found: Mapping[str, list[str]], lock: Path) -> None:
    """Refuses a lock whose packages the mirror has no more.

    Raises: InputError naming each.
    """
    told = [f"{deb.package}: locked {deb.version}, offered {', '.join(found.get(deb.package, ['nothing']))}" for deb in gone]
    message = f"{lock}: the mirror no longer has {len(told)} of the packages: {'; '.join(told)}"
    raise InputError(message, hint=f"lock what it has now, and look at the difference: {REFRESH}")


def warn(changed: Iterable[Mapping[str, str]], lock: Path) -> None:
    """Says loudly that what was locked was not to be had."""
    print(f"WARNING: {lock} is not what the image is made of: the mirror no longer has all of it.", flush=True)
    for item in changed:
        print(f"  {item['package']} ({item['architecture']}): found {item['taken'] or 'none'}, wanted {item['locked'] or 'none'}")
    print(f"  Others who build this get another image. To lock what was found: {REFRESH}", flush=True)


def write(out: Path, *, lock: Path, architecture: str, is_locked: bool, stores: tuple[Path, ...] = ()) -> None:
    """Fills the folder `out` with the packages of one architecture, and last their lock.

    With `is_locked`, nothing but what is locked is taken. What a folder of `stores` has is not fetched (scripts/store.py).
    """
    wanted = of(architecture, read_lock(lock), lock)
    taken = wanted
    take_from(stores, wanted, out)
    missing = [deb for deb in wanted if not is_there(deb, out)]
    if missing:
        with files.scratch() as folder:
            taken = bring(out, wanted, missing, lock=lock, architecture=architecture, is_locked=is_locked, folder=folder)
    changed = changes(architecture, wanted, taken)
    if changed:
        warn(changed, lock)
    keep = {EFFECTIVE, *(deb.filename for deb in taken)}
    with files.looking():
        for path in out.iterdir():
            if path.name not in keep:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with files.replacing(out / EFFECTIVE) as file:
        file.write(render(taken))


def take_from(stores: tuple[Path, ...], wanted: Iterable[Deb], out: Path) -> None:
    """Copies what other folders have of some packages into `out`."""
    for deb in wanted:
        found = None if is_there(deb, out) else store.find(stores, deb.filename, deb.sha256)
        if found:
            with files.replacing(out / deb.filename) as file, found.open("rb") as source:
                files.copy(source, file)


def bring(
    out: Path, wanted: tuple[Deb, ...], missing: list[Deb], *, lock: Path, architecture: str, is_locked: bool, folder: Path
) -> tuple[Deb, ...]:
    """Fetches what is missing into `out`, and says what the image is to be made of; `folder` is for apt.

    Raises: InputError where something is not to be had and `is_locked`; ChecksumError, ToolError.
    """
    chosen = apt.options(architecture, folder)
    unread = apt.update(chosen)
    found = apt.versions(chosen, missing)
    gone = [deb for deb in missing if deb.version not in found.get(deb.package, [])]
    if gone and unread:
        raise ToolError(f"apt-get update: {unread}", hint=apt.UNREACHED)
    if gone and is_locked:
        refuse(gone, found, lock)
    taken = apt.closure(chosen) if gone else wanted
    new = [deb for deb in taken if not is_there(deb, out)]
    fetched = folder / "fetched"
    files.make_folder(fetched)
    if new:
        apt.fetch(new, chosen, fetched)
    for deb in new:
        with files.replacing(out / deb.filename) as file, (fetched / deb.filename).open("rb") as source:
            files.copy(source, file)
    return taken


def lock_all(lock: Path = LOCK) -> None:
    """Locks what the mirror has now, for every architecture.

    Raises: ToolError.
    """
    debs: dict[tuple[str, str], Deb] = {}
    for architecture in ARCHITECTURES:
        with files.scratch() as folder:
            for deb in apt.resolve(architecture, folder):
                if debs.setdefault(order(deb), deb) != deb:
                    raise ChecksumError(f"{deb.filename}: the mirror has another one for {architecture}", hint="try again later")
    with files.replacing(lock) as out:
        out.write(render(debs.values()))
