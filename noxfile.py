"""Every check of the project, each in an environment of its own; `nox -l` lists them. Bodies only run `python -m …`.

doit makes, nox proves: the `verify` session reads what lies in artifacts/lnm/ and builds nothing.
"""

from __future__ import annotations

import os
import sys

import nox

nox.options.sessions = ["lint", "verify", "tests"]
nox.options.reuse_existing_virtualenvs = True
nox.options.stop_on_first_error = True
nox.options.error_on_missing_interpreters = True


def install(session: nox.Session, group: str) -> None:
    """Installs one hash-locked group into the session's environment."""
    session.install("--require-hashes", "--only-binary", ":all:", "-r", f"requirements/{group}.txt")


@nox.session
def verify(session: nox.Session) -> None:
    """The verify stage over artifacts/lnm: runner tests, signatures by three tools, checksums, statements, SBOMs, inventory.

    `-- --stage-only` collects the runner tests and does not run them: CI does, as `make test` follows.
    """
    install(session, "verify")
    options = [option for option in session.posargs if option != "--stage-only"]
    session.run("python", "-m", "scripts.verify", *options)
    only = ["--collect-only", "-qq"] if "--stage-only" in session.posargs else []
    session.run("python", "-m", "pytest", "tests/runner", "tests/migrations", *only, env={"LNM_DIST": "artifacts/lnm"})


@nox.session
def tests(session: nox.Session) -> None:
    """Every test, with the kit built first where it is not fresh."""
    install(session, "test")
    session.run("doit", "bundle")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Kills build and runner at every point where they write, and goes on (long); `make test` tries a few."""
    install(session, "test")
    session.run("doit", "bundle")
    tests = ("tests/build/test_kills.py", "tests/crash", "tests/runbook/test_rehearsal.py")
    session.run("python", "-m", "pytest", *tests, *session.posargs, env={"LNM_KILLS": "all"})


@nox.session(default=False)
def tamper(session: nox.Session) -> None:
    """Breaks kits in every known way and has three verifiers judge them (long): table, JSON; fails with any that is accepted."""
    install(session, "test")
    session.run("doit", "bundle")
    session.run("python", "-m", "tests.tamper", *session.posargs)


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Breaks the code of the verifier and asks whether its tests notice (long); docs/mutation.md. Parts: `-- curves archive`."""
    install(session, "mutation")
    session.run("python", "-m", "tests.mutation", *session.posargs)


@nox.session(default=False)
def sharded(session: nox.Session) -> None:
    """21-101 on the sharded cluster that LNM_MONGOS names (the URI of a mongos); without it, on a stand-in for a mongos."""
    install(session, "test")
    session.run("doit", "bundle")
    is_real = bool(os.environ.get("LNM_MONGOS"))
    if not is_real:
        session.warn("LNM_MONGOS is not set: this is a stand-in in front of real shards. Never run against a real mongos.")
    tests = "tests/sharding/test_on_a_router.py" if is_real else "tests/sharding"
    session.run("python", "-m", "pytest", tests, "--no-cov", *session.posargs)


@nox.session(default=False)
def foreign(session: nox.Session) -> None:
    """cosign 2 and 3 on what we sign and we on what they sign; builds both where they are not there (Go, some minutes)."""
    install(session, "test")
    build = ("sh", "ci/tools/build.sh")
    three, two = (str(session.run(*build, *which, external=True, silent=True)).splitlines()[-1] for which in ((), ("cosign2",)))
    path = os.pathsep.join([three, session.bin, os.environ["PATH"]])
    tests = ("tests/foreign", "tests/verify/test_cosign_layout.py")
    session.run("python", "-m", "pytest", *tests, "--no-cov", *session.posargs, env={"PATH": path, "LNM_COSIGN2": two})


@nox.session
def lint(session: nox.Session) -> None:
    """ruff and mypy over everything in Python."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", "scripts", "runner/src", "bundle-layout/verify_kit.py", "tests", "dodo.py", "noxfile.py")
    session.run("mypy", "bundle-layout/migrations/21-101/migration.py")  # its folder's name is no package's


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Resolves every lock anew (needs the registries); look at the diff before you commit it."""
    install(session, "lock")
    session.run("python", "-m", "scripts.lock")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The kit stage, both verifiers and rebuilds beside stock tools: medians, JSON, Markdown; docs/performance.md."""
    install(session, "test")
    session.run("doit", "bundle")
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session(default=False)
def bench_backfill(session: nox.Session) -> None:
    """21-102 beside plain code and other migration tools, on a real mongod: medians, JSON, Markdown; `-- --quick` for a look."""
    install(session, "bench")
    session.run("doit", "bundle")
    session.run("python", "-m", "tests.bench.backfill", *session.posargs)


@nox.session(default=False)
def repro(session: nox.Session) -> None:
    """Builds again with everything varied and compares; signs the verdict beside the kit. Fewer: `-- --only umask,TZ`."""
    locked = ("--require-hashes", "--only-binary", ":all:", "--no-binary", "diffoscope")  # which has no wheel
    session.install(*locked, "-r", "requirements/repro-build.txt")
    session.install(*locked, "--no-build-isolation", "-r", "requirements/repro.txt")
    session.run("python", "-m", "scripts.repro", *session.posargs)


@nox.session(default=False)
def staging(session: nox.Session) -> None:
    """Rehearses the whole runbook on a real replica set of its own, or with CONCELIER_MONGO_URI on yours: `-- --execute`."""
    install(session, "test")
    session.run("doit", "bundle")
    session.run("python", "-m", "scripts.staging", *session.posargs)


RUNBOOK = (  # in their order: `lnm runbook` says the same (tests/runbook/test_sessions.py)
    (
        "preflight",
        "Looks whether the server, its users and its disks are what every delivery of this kit needs; changes nothing.",
    ),
    (
        "freeze",
        (
            "Stops all writes of ordinary users in the whole cluster, tells the application by a marker, and tries a write that "
            "must fail."
        ),
    ),
    ("backup", "Copies the whole database into a folder, with a manifest of counts and hashes; the database is only read."),
    (
        "prove-backup",
        "Restores the backup into a scratch database, compares it with what is stored, and drops the scratch database.",
    ),
    ("apply-21-101", "Makes the collections, validators, indexes and expiries of link-not-merge; no document is changed."),
    (
        "backfill-21-102",
        "Makes observations, linksets, events and tombstones of all that is stored; nothing that was there is changed.",
    ),
    ("validate", "Proves by equations that what the backfill has left fits together; changes nothing."),
    (
        "enable-outbox",
        "Switches the publishers on: from here on others are told of what was made, and that cannot be untold.",
    ),
    ("unfreeze", "Lets ordinary users write again, and tries a write that must succeed."),
    ("watch", "Follows lag, errors and the outboxes until all has been calm for a while, and says so; changes nothing."),
    ("freeze-payloads", "Stops all writes to the stored payloads, so that they can be moved."),
    ("apply-21-103", "Copies the payloads into the object store and switches reading over; the stored payloads stay."),
    ("verify-cas", "Reads every object back and compares its hash; changes nothing."),
    ("unfreeze-payloads", "Lets payloads be written again."),
)
WAYS_BACK = (
    ("rollback-21-103", "Switches the reading of payloads back to the database; the objects stay."),
    (
        "rollback-21-102",
        "Removes what the backfill made and nobody has changed since; refuses once an event of it was published.",
    ),
    ("restore", "Puts the whole database back to what it was when the backup was made; what was written since is lost."),
)


def stage(name: str, does: str, *before: str) -> None:
    """A session for one stage of the runbook, by the runner of the built kit; those before it run first, or say they are done."""

    def run(session: nox.Session) -> None:
        lnm = session.run(sys.executable, "-m", "scripts.staging.environment", silent=True, external=True)
        session.run(str(lnm).splitlines()[-1], "runbook", name, *session.posargs, external=True)

    run.__doc__ = does
    nox.session(name=name, venv_backend="none", requires=before, default=False)(run)


for number, (name, does) in enumerate(RUNBOOK):
    stage(name, does, *(RUNBOOK[number - 1][:1] if number else ()))
for name, does in WAYS_BACK:
    stage(name, does)
