"""`python -m tests.bench.backup [--documents N] [--repeats N]`: backups beside mongodump and mongorestore, on one server in one run.

A real mongod of its own with N raw documents of the demo. Each way is a process of its own; they are run in turns, each dump into
an empty folder, each restore of the same dump into an empty database. Ours hashes what it writes, counts, and reads back and compares
what it has restored; theirs do none of that. The tools are those in LNM_MONGO_TOOLS, or on the PATH. Exit 1 where a command
fails, 4 where a program is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lnm_runner import mongo
from lnm_runner.backup import dump, layout, loading
from lnm_runner.backup.layout import Place
from lnm_runner.demo import seed
from lnm_runner.options import Options

from tests.bench.measure import Command, FailedError, in_turns, median
from tests.conftest import ROOT, WHEEL
from tests.runner import mongod
from tests.runner.mongod import Mongod

DOCUMENTS, REPEATS = 40_000, 3
NAME, COPY = "bench", "bench_copy"
MB = 1_000_000


def dumped(uri: str, folder: Path, compress: str) -> None:
    """Makes a dump, and beside it what `loaded` needs of a manifest."""
    with mongo.connect(Options(database=NAME, environment={"CONCELIER_MONGO_URI": uri})) as server:
        part = layout.new_part(folder, NAME)
        rows = [one.as_json() for one in dump.make(server.database, Place(part, compress), lambda _: None)]
    layout.settle(part, folder)
    folder.with_suffix(".json").write_text(json.dumps(rows))


def loaded(uri: str, folder: Path, compress: str) -> None:
    """Restores a dump: documents, the comparison, indexes."""
    rows: list[dict[str, Any]] = json.loads(folder.with_suffix(".json").read_text())
    with mongo.connect(Options(database=COPY, environment={"CONCELIER_MONGO_URI": uri})) as server:
        for row in rows:
            loading.load(server.database, row["name"], Place(folder, compress), row)


def started(uri: str, _folder: Path, _compress: str) -> None:
    """Connects, and does nothing: what each way of ours costs before it begins."""
    with mongo.connect(Options(database=NAME, environment={"CONCELIER_MONGO_URI": uri})):
        pass


WORK = {"dump": dumped, "load": loaded, "start": started}


def tool(name: str) -> str | None:
    """Where one of the vendor's tools is."""
    return shutil.which(name, path=os.environ.get("LNM_MONGO_TOOLS") or os.environ["PATH"])


def ways(server: Mongod, yard: Path) -> dict[str, Command]:
    """What is measured, by its name in the table."""
    uri = f"mongodb://{server.address}/?replicaSet=rs0"
    environment = {**os.environ, "PYTHONPATH": f"{WHEEL}:{ROOT}"}
    found = {}

    def add(name: str, *argv: str, before: Any) -> None:
        found[name] = Command(argv, ROOT, environment, before)

    def ours(do: str, compress: str, folder: Path) -> tuple[str, ...]:
        return (sys.executable, "-W", "ignore", "-m", "tests.bench.backup", do, uri, str(folder), compress)

    add("start of lnm alone", *ours("start", "none", yard), before=tuple)
    for compress in ("none", "gzip", "zstd"):
        folder, gz = yard / f"ours-{compress}", ["--gzip"] if compress == "gzip" else []
        add(f"dump, lnm, {compress}", *ours("dump", compress, folder), before=partial(shutil.rmtree, folder, ignore_errors=True))
        if compress != "zstd":
            theirs = yard / f"theirs-{compress}"
            argv = [str(tool("mongodump")), "--quiet", "--uri", uri, "--db", NAME, "--out", str(theirs), *gz]
            add(f"dump, mongodump, {compress}", *argv, before=partial(shutil.rmtree, theirs, ignore_errors=True))
    for compress in ("none", "gzip", "zstd"):
        folder, gz = yard / f"ours-{compress}", ["--gzip"] if compress == "gzip" else []
        drop = partial(server.client.drop_database, COPY)
        add(f"restore, lnm, {compress}", *ours("load", compress, folder), before=drop)
        if compress != "zstd":
            argv = [str(tool("mongorestore")), "--quiet", "--uri", uri, *gz, "--nsFrom", f"{NAME}.*", "--nsTo", f"{COPY}.*"]
            add(f"restore, mongorestore, {compress}", *argv, str(folder / layout.DUMP), before=drop)
    return found


def table(server: Mongod, yard: Path, repeats: int) -> list[str]:
    """The lines of the table.

    Raises: FailedError.
    """
    size = server.client[NAME].command("dbStats")["dataSize"]
    commands = ways(server, yard)
    lines = [
        f"{size / MB:,.0f} MB of documents",
        "",
        "| way | wall, s | MB/s | least … most | CPU, s | memory, MB | on the disk, MB |",
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (name, command), samples in zip(commands.items(), in_turns(list(commands.values()), repeats), strict=True):
        rates = sorted(size / MB / sample.wall_s for sample in samples)
        middle = median(samples)
        place = next((Path(part) for part in command.argv if part.startswith(str(yard))), yard)
        stored = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / MB if name.startswith("dump") else 0
        lines.append(
            f"| {name} | {middle.wall_s:.1f} | {size / MB / middle.wall_s:.0f} | {rates[0]:.0f} … {rates[-1]:.0f} | {middle.cpu_s:.1f} | "
            f"{middle.peak_mb:.0f} | {f'{stored:.0f}' if stored else ''} |"
        )
    return lines


def main(arguments: Sequence[str]) -> int:
    """Measures, and prints; its exit code."""
    if arguments and arguments[0] in WORK:
        WORK[arguments[0]](arguments[1], Path(arguments[2]), arguments[3])
        return 0
    made = argparse.ArgumentParser(prog="python -m tests.bench.backup", description="Measures backups beside the vendor's tools.")
    made.add_argument("--documents", type=int, default=DOCUMENTS)
    made.add_argument("--repeats", type=int, default=REPEATS)
    given = made.parse_args(arguments)
    if missing := [name for name in ("mongodump", "mongorestore") if tool(name) is None]:
        sys.stderr.write(f"not here: {', '.join(missing)}; LNM_MONGO_TOOLS=$(sh ci/tools/build.sh mongo)\n")
        return 4
    server = mongod.bare_replica_set()
    try:
        seed(server.client[NAME], documents=given.documents)
        with tempfile.TemporaryDirectory() as yard:
            sys.stdout.write("\n".join(table(server, Path(yard), given.repeats)) + "\n")
    except FailedError as err:
        sys.stderr.write(f"{err}\n")
        return 1
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
