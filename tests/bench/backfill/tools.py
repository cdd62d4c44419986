"""Other migration tools, each with the plain way as its one migration: how they are called, and what has to be here.

pymongo-migrate and mongodb-migrations come from the lock `bench` alone; migrate-mongo from npm, by the lock of ci/migrate-mongo.
None of them has batches, checkpoints or proofs of its own for data: a migration is a function, and takes as long as that does.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.backfill.site import Site
from tests.bench.measure import Command
from tests.conftest import ROOT

HERE = Path(__file__).parent
PLAIN = HERE / "plain.py"
NPM = ROOT / "ci/npm.sh"


def version(distribution: str) -> str:
    """Of a Python tool; empty where it is not here."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def lacking(distribution: str) -> str:
    """Why a Python tool cannot be measured; empty where it can."""
    return "" if version(distribution) else f"{distribution} is not in this environment: nox -s bench_backfill has it"


def lacking_npm() -> str:
    """The same of migrate-mongo."""
    names = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"no {' and no '.join(names)} on the PATH" if names else ""


def environment(site: Site, name: str) -> dict[str, str]:
    """Of a Python tool: the runner's pure functions are those that were installed, compiled once."""
    (packages,) = (site.program.parent.parent / "lib").glob("python3*/site-packages")
    return {**site.environment(name), "PYTHONPATH": f"{HERE}{os.pathsep}{packages}", "PYTHONDONTWRITEBYTECODE": "1"}


def folder(site: Site, migration: str, called: str) -> Path:
    """A folder that holds one migration."""
    made = site.folder / called / "migrations"
    made.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / migration, made / called)
    return made


def plain(site: Site, name: str) -> Command:
    """The plain way by itself."""
    argv = (str(site.python), str(PLAIN), site.uri(), name)
    return Command(argv, site.folder, site.environment(name), lambda: site.start(name))


def pymongo_migrate(site: Site, name: str) -> Command:
    """The plain way inside pymongo-migrate."""
    place = folder(site, "pymongo_migrate_21_102.py", "backfill_21_102.py")
    argv = (sys.executable, "-m", "pymongo_migrate.cli", "migrate", "-u", site.uri(name), "-m", str(place))
    return Command(argv, site.folder, environment(site, name), lambda: site.start(name))


def mongodb_migrations(site: Site, name: str) -> Command:
    """The plain way inside mongodb-migrations."""
    place = folder(site, "mongodb_migrations_21_102.py", "20251202000000_backfill.py")
    program = "import mongodb_migrations.cli as cli; cli.main()"
    argv = (sys.executable, "-c", program, "--url", site.uri(name), "--migrations", str(place))
    return Command(argv, site.folder, environment(site, name), lambda: site.start(name))


def migrate_mongo(site: Site, name: str) -> Command:
    """A part of the plain way inside migrate-mongo."""
    done = subprocess.run(["sh", str(NPM), "migrate-mongo"], capture_output=True, text=True, check=True)
    modules = Path(done.stdout.strip()) / "node_modules"
    place = folder(site, "migrate_mongo.js", "20251202000000-backfill.js").parent
    if not (place / "node_modules").exists():
        (place / "node_modules").symlink_to(modules)
    (place / "package.json").write_text('{"type": "module"}\n', encoding="utf-8")
    settings = {
        "mongodb": {"url": site.uri(), "databaseName": name, "options": {}},
        "migrationsDir": "migrations",
        "changelogCollectionName": "changelog",
        "migrationFileExtension": ".js",
        "moduleSystem": "esm",
    }
    (place / "migrate-mongo-config.js").write_text(f"export default {json.dumps(settings)};\n", encoding="utf-8")
    argv = ("node", str(modules / "migrate-mongo/bin/migrate-mongo.js"), "up")
    return Command(argv, place, {"PATH": os.environ["PATH"]}, lambda: site.start(name))
