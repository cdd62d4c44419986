"""Checks the kit as the operator would: both single-file verifiers on tarball and folder, and sha256sum; all must agree."""

from __future__ import annotations

import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from scripts.verify import tools
from scripts.verify.outcome import WRONG_CHECKSUM, WRONG_SIGNATURE, Built, Outcome, failed, ok

UNREADABLE = (OSError, EOFError, tarfile.TarError, zlib.error)  # what tarfile and gzip raise over a damaged archive


def verifiers(built: Built) -> Iterator[Outcome]:
    """verify_kit.py and verify.sh on both forms of the kit."""
    for form in (built.tarball, built.kit):
        for name, command in (
            ("verify_kit.py", (sys.executable, str(built.verifiers / "verify_kit.py"), "--key", str(built.key))),
            ("verify.sh", ("sh", str(built.verifiers / "verify.sh"), str(built.key))),
        ):
            answer = tools.run(*command, str(form))
            if answer.accepted and answer.last_line.startswith("verified: "):
                yield ok(form.name, f"{name}: {answer.last_line}")
            else:
                yield failed(form.name, f"{name} refuses it: {answer.complaint}", answer.exit_code or WRONG_SIGNATURE)


def checksums(built: Built) -> Iterator[Outcome]:
    """`sha256sum --check --strict` over the kit, and over the tarball by the file beside it."""
    for folder, sums in ((built.kit, "SHA256SUMS"), (built.dist, f"{built.tarball.name}.sha256")):
        answer = tools.sha256sum_checks(folder, sums)
        subject = (folder / sums).relative_to(built.dist).as_posix()
        if answer.accepted:
            yield ok(subject, "sha256sum --check --strict: every file is as listed")
        else:
            yield failed(subject, f"sha256sum: {answer.complaint}", WRONG_CHECKSUM)


def forms_are_equal(built: Built) -> Iterator[Outcome]:
    """The tarball holds the unpacked kit, file for file and byte for byte, and the verifiers beside it are the kit's."""
    wrong: list[str] = []
    seen: set[str] = set()
    try:
        for name, content in members(built.tarball):
            seen.add(name)
            if content != bytes_of(built.dist / name):
                wrong.append(name)
    except UNREADABLE as err:
        yield failed(built.tarball.name, f"cannot be read: {err}", WRONG_CHECKSUM)
        return
    wrong += sorted(names_below(built.kit, built.dist) - seen)
    wrong += [name for name in ("verify_kit.py", "verify.sh") if bytes_of(built.dist / name) != bytes_of(built.kit / name)]
    if wrong:
        yield failed(built.tarball.name, f"differs from what lies beside it: {', '.join(wrong)}", WRONG_CHECKSUM)
    else:
        yield ok(built.tarball.name, f"holds the {len(seen)} files of {built.kit_name}/, byte for byte")


def deliveries(built: Built) -> Iterator[Outcome]:
    """Each delivery bundle holds its part of this kit: all of its migration's folder, and every file byte for byte."""
    for bundle in filter(Path.is_file, built.bundles):
        root = bundle.name.removesuffix(".tar.gz")
        delivery = root.removeprefix("lnm-").removesuffix(f"-{built.version}")
        try:
            found = {name.removeprefix(f"{root}/"): content for name, content in members(bundle)}
        except UNREADABLE as err:
            yield failed(bundle.name, f"cannot be read: {err}", WRONG_CHECKSUM)
            continue
        wrong = {name for name, content in found.items() if content != bytes_of(built.kit / name)}
        wrong |= names_below(built.kit / "migrations" / delivery, built.kit) - set(found)
        if wrong:
            yield failed(bundle.name, f"differs from the kit: {', '.join(sorted(wrong))}", WRONG_CHECKSUM)
        else:
            yield ok(bundle.name, f"holds {len(found)} files of the kit, all of migrations/{delivery}/ among them")


def members(tarball: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a tarball, one after the other."""
    with tarfile.open(tarball, "r|gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, content.read()


def bytes_of(path: Path) -> bytes | None:
    """The bytes of a regular file; None where there is none."""
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def names_below(folder: Path, base: Path) -> set[str]:
    """Whatever lies below a folder and is no folder (links and special files too), named from another one."""
    return {path.relative_to(base).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
