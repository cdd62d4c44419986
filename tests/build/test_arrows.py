"""Imports point one way (docs/architecture.md, «Allowed imports»), and what must run by itself does."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

STANDARD = frozenset(sys.stdlib_module_names)
THIRD_PARTY_OF_THE_BUILD = frozenset(
    {"cryptography", "debian", "doit", "installer", "license_expression", "packaging", "rfc8785"}
    | {"securesystemslib", "sigstore", "sigstore_models", "spdx_tools", "zlib_ng"}
)
RUNNER = frozenset({"lnm_runner"})
DRIVER = frozenset({"pymongo", "bson", "gridfs"})  # all from the distribution pymongo
READERS = frozenset({"cvss", "packageurl", "rfc8785", "univers"})  # where in the runner: tests/runner/test_imports.py
ZSTD = frozenset({"backports", "compression"})  # only backup/compression.py; Python's own from 3.14 on
IDENTITY = frozenset({"sigstore", "sigstore_models", "cryptography"})  # only kit/identity.py: tests/runner/test_imports.py
LAYERS: dict[str, tuple[str, frozenset[str]]] = {
    # what                    files                             what they may import beside the standard library
    "dodo": ("dodo.py", frozenset({"doit", "scripts"})),
    "noxfile": ("noxfile.py", frozenset({"nox"})),
    "steps": ("scripts/*.py", frozenset({"scripts", *THIRD_PARTY_OF_THE_BUILD})),
    "instance": ("scripts/sigstore_instance/**/*.py", frozenset({"scripts", "cryptography", "jwt", "rfc8785"})),
    "private key": ("scripts/private_key/**/*.py", frozenset({"private_key", "cryptography", "nacl"})),  # by relative names
    "repro": ("scripts/repro/**/*.py", frozenset({"scripts"})),
    "staging": ("scripts/staging/**/*.py", frozenset({"scripts", "fiftyone", *DRIVER})),
    "verify": (
        "scripts/verify/**/*.py",
        frozenset({"scripts.verify", "scripts.spdx_rules", "scripts.sigstore_instance", *THIRD_PARTY_OF_THE_BUILD}),
    ),
    "migrations": ("bundle-layout/migrations/**/*.py", frozenset({"lnm_runner"})),
    "verifier": ("bundle-layout/*.py", frozenset()),
    "runner": ("runner/src/lnm_runner/**/*.py", RUNNER | DRIVER | READERS | IDENTITY | ZSTD),
}
BY_THE_SYSTEMS_PYTHON = ("bundle-layout/verify_kit.py", "scripts/environment.py")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever the statement stands; relative ones are made absolute."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parent.parts[-node.level :] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("__import__", "import_module")):
            yield ast.unparse(node.args[0]).lstrip("f").strip("'\"") if node.args else "?"


def allowed(name: str, layer: frozenset[str]) -> bool:
    return name.partition(".")[0] in STANDARD or any(name == root or name.startswith(f"{root}.") for root in layer)


def files_of(pattern: str) -> list[Path]:
    return [path for path in sorted(ROOT.glob(pattern)) if "__pycache__" not in path.parts]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_what_it_may_and_nothing_else(layer: str) -> None:
    pattern, roots = LAYERS[layer]
    files = files_of(pattern)
    assert files, f"no file is {pattern}"
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in files for name in imports(path) if not allowed(name, roots)]
    assert wrong == []


def test_every_python_file_that_is_built_or_shipped_belongs_to_a_layer() -> None:
    layered = {path for pattern, _ in LAYERS.values() for path in files_of(pattern)}
    tops = ("*.py", "scripts/**/*.py", "bundle-layout/**/*.py", "runner/**/*.py")
    assert {path for top in tops for path in files_of(top)} == layered


def test_no_builder_knows_the_verify_stage() -> None:
    wrong = [
        f"{path.name}: {name}"
        for path in [*files_of("scripts/*.py"), ROOT / "dodo.py"]
        for name in imports(path)
        if name.startswith("scripts.verify")
    ]
    assert wrong == []


def test_nothing_that_ships_knows_the_build() -> None:
    ours = re.compile(r"^(scripts|dodo|noxfile|tests)(\.|$)")
    shipped = [*files_of("bundle-layout/**/*.py"), *files_of("runner/src/**/*.py")]
    assert [f"{path}: {name}" for path in shipped for name in imports(path) if ours.match(name)] == []


@pytest.mark.parametrize("name", BY_THE_SYSTEMS_PYTHON)
def test_what_the_systems_python_runs_needs_the_standard_library_alone(name: str) -> None:
    assert [found for found in imports(ROOT / name) if not allowed(found, frozenset())] == []


def test_the_single_file_verifier_is_python_3_8() -> None:
    source = (ROOT / "bundle-layout/verify_kit.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))


def test_steps_import_ours_in_the_form_that_the_dependency_scan_reads() -> None:
    """scripts/artefact.py: imports_of reads `from scripts…` and `from .…`; `import scripts.x` would be a dependency that it does not see."""
    for path in files_of("scripts/**/*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "scripts" for alias in node.names), path
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0 or (node.level == 1 and path.parent.name == "private_key"), path


def test_the_runner_asks_pip_for_what_it_imports_and_nothing_else() -> None:
    declared = tomllib.loads((ROOT / "runner/pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {re.split(r"[^A-Za-z0-9_-]", line)[0] for line in declared} == {
        "cvss",
        "packageurl-python",
        "pymongo",
        "rfc8785",
        "univers",
    }


def test_nothing_imports_in_a_circle() -> None:
    """Among the modules of the build, at the top of the file."""
    edges: dict[str, set[str]] = {}
    for path in files_of("scripts/*.py"):
        body = ast.parse(path.read_bytes()).body
        named = [node for node in body if isinstance(node, ast.ImportFrom)]
        edges[path.stem] = {
            part
            for node in named
            for alias in node.names
            for part in ([alias.name] if node.module == "scripts" else [(node.module or "").removeprefix("scripts.")])
            if (node.module or "").split(".")[0] == "scripts"
        }
    done: set[str] = set()
    while ready := {name for name in edges if name not in done and not (edges[name] & set(edges)) - done}:
        done |= ready
    assert set(edges) - done == set()
