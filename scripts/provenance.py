"""Makes SLSA provenance (slsa.dev/provenance/v1) from the records that the steps left when doit ran them.

Every task behind the subject is in it with the files it read and wrote, their hashes, its settings and its tools.
Times are not recorded. No SLSA level above 1 is claimed: whoever holds the machine could write anything here, so it
says what happened and does not prove it.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from scripts import canonical, checksums, debian, files, oci, statement
from scripts.errors import InputError
from scripts.wheelhouse import Wheel

BUILD_TYPE = "https://stella-ops.org/lnm/doit-build/v1"
BUILDER = "https://stella-ops.org/lnm/builder/doit"
SHARED = ("code", "tools")  # of a record: the same for every task of a step
BASE_STEP = "scripts.foreign_base.write"  # not imported: what it is made of is no part of this step
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", re.MULTILINE)


def read_records(records: tuple[Path, ...]) -> list[dict[str, Any]]:
    """The records, in the order of the tasks' names; what is the same in many of them is kept once."""
    same: dict[bytes, Any] = {}
    read = []
    for path in records:
        record = canonical.read(files.read_bytes(path), path.name)
        record |= {name: same.setdefault(canonical.render(record[name]), record[name]) for name in SHARED}
        read.append(record)
    return sorted(read, key=lambda record: str(record["task"]))


def tool_versions(lock: Path) -> dict[str, str]:
    """The version of each package of the build's lock that is installed, and the Python it runs in."""
    versions = {"python": platform.python_version()}
    for name in LOCKED.findall(files.read_bytes(lock).decode("ascii", "replace")):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a package for another platform
    return versions


def dependencies(records: list[dict[str, Any]], release: dict[str, Any]) -> list[dict[str, Any]]:
    """What came from outside the build: every file that a task read and none wrote, wheels fetched, compressors, the commit."""
    made = {name for record in records for name in record["outputs"]}
    found: dict[str, str] = {}
    for shared in {id(record[name]): record[name] for record in records for name in SHARED}.values():
        found |= {name if name.startswith("pkg:") else f"file:{name}": sha for name, sha in shared.items() if "/" in name}
    for record in records:
        found |= {f"file:{name}": sha256 for name, sha256 in record["inputs"].items() if name not in made}
        found |= dict(fetched(record))
    listed: list[dict[str, Any]] = [{"digest": {"sha256": found[uri]}, "uri": uri} for uri in sorted(found)]
    commit = release["source"]["commit"]
    return [{"digest": {"gitCommit": commit}, "uri": "git+file:."}, *listed] if commit else listed


def fetched(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a task fetched, `(purl, sha256)`: a wheel, Debian packages, or an image that another one is built on."""
    settings = record["settings"]
    one_or_many = settings.get("fetched", {})
    wheels = one_or_many if isinstance(one_or_many, dict) else {settings["filename"]: one_or_many}
    for filename, sha256 in wheels.items():
        yield Wheel(filename, sha256).purl, sha256
    for name, sha256 in record["outputs"].items():
        if name.endswith(debian.SUFFIX):
            yield debian.named(Path(name).name, sha256).purl, sha256
    if record["step"] == BASE_STEP:
        yield oci.purl("base", settings["digest"]), settings["digest"].removeprefix("sha256:")


def steps(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks by the step that each ran, so that its code and tools, the same for thousands of files, are told once."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in records:
        key = (record["step"], *(id(record[name]) for name in SHARED))  # read_records keeps one of what is equal
        step = found.setdefault(key, {"step": record["step"], **{name: record[name] for name in SHARED}, "tasks": []})
        step["tasks"].append({name: record[name] for name in ("task", "inputs", "outputs", "settings")})
    return sorted(found.values(), key=lambda step: (str(step["step"]), str(step["tasks"][0]["task"])))


def predicate(records: list[dict[str, Any]], release: dict[str, Any], lock: Path) -> dict[str, Any]:
    """The provenance itself."""
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"channel": release["channel"], "version": release["version"]},
            "internalParameters": {
                "source": release["source"],
                "sourceDateEpoch": release["epoch"],
                "steps": steps(records),
            },
            "resolvedDependencies": dependencies(records, release),
        },
        "runDetails": {"builder": {"id": BUILDER, "version": tool_versions(lock)}},
    }


def write_kit(
    out: BinaryIO,
    *,
    payload: Path,
    records: tuple[Path, ...],
    lock: Path,
    kit_name: str,
    release: dict[str, Any],
) -> None:
    """Provenance of the kit's payload: subject = the kit's name and rootHash.

    Raises: InputError where a file of the payload has no record, or another hash than its record.
    """
    read = read_records(records)
    made = {(name.partition(f"/{kit_name}/")[2], sha256) for name, sha256 in outputs(read)}
    listed = checksums.parse(files.read_bytes(payload), payload.name)
    refuse_unrecorded([name for name, sha256 in listed.items() if (name, sha256) not in made])
    subject = [statement.kit_subject(kit_name, payload)]
    out.write(statement.render(subject, statement.SLSA, predicate(read, release, lock)))


def refuse_unrecorded(names: list[str]) -> None:
    """Stops where there is something of which no task says that it made it so.

    Raises: InputError naming all of it.
    """
    if names:
        raise InputError(f"no task recorded these files as they are: {', '.join(names)}", hint="doit forget && doit bundle")


def outputs(records: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Everything that a task recorded as written: `(path, sha256)`."""
    for record in records:
        yield from record["outputs"].items()


def write_file(out: BinaryIO, *, file: Path, records: tuple[Path, ...], lock: Path, release: dict[str, Any]) -> None:
    """Provenance of one file beside the kit: subject = its name and SHA-256.

    Raises: InputError where the file has no record, or another hash than its record.
    """
    read, sha256 = read_records(records), files.sha256_of(file)
    made = {(Path(name).name, value) for name, value in outputs(read)}
    refuse_unrecorded([] if (file.name, sha256) in made else [file.name])
    out.write(statement.render([(file.name, sha256)], statement.SLSA, predicate(read, release, lock)))


def write_image(out: BinaryIO, *, image: Path, records: tuple[Path, ...], lock: Path, release: dict[str, Any]) -> None:
    """Provenance of an image, by the index of its layout: subject = the image's name and the SHA-256 of its manifest.

    Raises: InputError where the layout has no record, or its index another hash than the record; as `statement.image_descriptor`.
    """
    read, itself = read_records(records), (f"{image.parent.name}/{image.name}", files.sha256_of(image))
    made = {("/".join(Path(name).parts[-2:]), sha256) for name, sha256 in outputs(read)}
    refuse_unrecorded([] if itself in made else [itself[0]])
    out.write(statement.render([statement.image_subject(image)], statement.SLSA, predicate(read, release, lock)))
