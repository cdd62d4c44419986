"""scripts/errors.py: every error says what is wrong, what to do next, and its exit code."""

from __future__ import annotations

import ast

import pytest

from scripts import errors, files
from scripts.errors import ChecksumError, InputError, KitError, LockedError, MissingError, SignatureError, ToolError
from tests.conftest import ROOT

CODES = {
    InputError: 2,
    MissingError: 4,
    SignatureError: 5,
    ChecksumError: 6,
    LockedError: 9,
    ToolError: 10,
    files.WriteError: 1,
}  # decisions §9


@pytest.mark.parametrize(("kind", "code"), CODES.items(), ids=[kind.__name__ for kind in CODES])
def test_an_error_ends_with_its_exit_code(kind: type[KitError], code: int) -> None:
    assert str(kind("a.txt: found x, wanted y", hint="doit bundle")) == (
        f"a.txt: found x, wanted y\n  next: doit bundle [exit {code}]"
    )
    assert str(kind("words")) == f"words [exit {code}]"


def test_every_kind_of_error_has_a_code_here() -> None:
    kinds = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, KitError)}
    assert kinds - {KitError} == set(CODES) - {files.WriteError}


def test_every_error_of_the_build_is_raised_with_what_to_do_next() -> None:
    without = []
    for path in sorted((ROOT / "scripts").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                kind = ast.unparse(node.exc.func).rpartition(".")[2]
                if kind in {one.__name__ for one in CODES} and "hint" not in {word.arg for word in node.exc.keywords}:
                    without.append(f"{path.name}:{node.lineno}")
    assert without == []
