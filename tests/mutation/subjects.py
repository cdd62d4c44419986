"""What is broken, in which parts, and the tests that must notice: those that call the code inside their own process."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT

SECTION = re.compile(r"^# --- (.*?) -*$")
UNIT = "tests/verify/test_verify_kit"
BY_PROCESS = (
    "verdict_is or arguments_may or json_has or refusal_ends or can_forge or locale_has or trusted_key or wrong_arguments_have "
    "or empty_variable or private_key_is_refused_and or help_tells or stops_the_hashing or get_through or nobody_reads "
    "or cannot_be_told or broken_standard or every_python or opens_sockets or beside_the_script or nothing_is_written "
    "or future_import or says_the_same or tell_the_same or tiny_members"
)
"""Tests that start the script, or the runner: a process sees the file as it is, and no mutant. The last one takes half a minute."""
SLOW = (
    "any_bit_flipped or any_byte or json_of_another or than_its_budget or part_is_a_device or tarfile_wrote "
    "or list_is_read_as or of_the_same_value or gzip_bomb"
)
"""Tests that take a second and more, each bit or many random values: what they notice, a sharper one must as well."""


@dataclass(frozen=True)
class Subject:
    """Files that are broken, and what judges them."""

    sources: Mapping[str, Path]
    """By their place in mutmut's folder; below src/ it is that of the module's name."""
    tests: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Sections of the one file, by the beginnings of their titles; where there are none, each file is a part."""
    beside: Mapping[str, Path] = field(default_factory=dict)
    """What the files need that is not broken, by its place."""
    looked_for: Mapping[str, str] = field(default_factory=dict)
    """Where the tests look for a file, and its place."""
    without: str = "nothing_is_left_out"
    """Of the tests, by pytest's -k."""

    def part_of(self) -> dict[str, str]:
        """`{module.function: part}`, functions and methods as mutmut writes them: `x_function`, `xǁClassǁmethod`.

        Raises: ValueError where a section is in no part, or in two.
        """
        found: dict[str, str] = {}
        for place, source in self.sources.items():
            module = module_name(place)
            for section, function in functions(source):
                fitting = [name for name, titles in self.parts.items() if section.startswith(titles)]
                (found[f"{module}.{function}"],) = fitting if self.parts else [source.stem]
        return found


def module_name(place: str) -> str:
    """The module that mutmut takes a file for; a package is its __init__."""
    return place.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def functions(source: Path) -> Iterator[tuple[str, str]]:
    """`(section, function)` of a file; the section is empty before the first."""
    text = source.read_text(encoding="utf-8")
    titles = {0: ""} | {number: match[1] for number, line in enumerate(text.splitlines(), 1) if (match := SECTION.match(line))}
    for node in ast.parse(text).body:
        section = titles[max(number for number in titles if number <= node.lineno)]
        if isinstance(node, ast.FunctionDef):
            yield section, f"x_{node.name}"
        elif isinstance(node, ast.ClassDef):
            yield from ((section, f"xǁ{node.name}ǁ{inner.name}") for inner in node.body if isinstance(inner, ast.FunctionDef))


VERIFY_KIT = Subject(
    sources={"verify_kit_under_test.py": ROOT / "bundle-layout/verify_kit.py"},
    tests=(
        *(
            f"{UNIT}_{name}.py"
            for name in (
                "archive",
                "command",
                "containers",
                "crypto",
                "curves",
                "edges",
                "folder",
                "forms",
                "keys",
                "names",
                "predicate",
                "told",
                "verdict",
                "whole",
                "words",
            )
        ),
        "tests/faults/test_sentences.py",
    ),
    parts={
        "curves": ("ECDSA", "Ed25519", "keys"),
        "archive": ("names", "the tarball", "the folder"),
        "forms": ("bytes", "the forms", "stage 2", "stages 3"),
        "statements": ("statements", "the manifest", "images", "stage 5", "identity"),
        "command": ("failures", "the whole", "the command"),
    },
    looked_for={"bundle-layout/verify_kit.py": "verify_kit_under_test.py"},
    without=f"{BY_PROCESS} or {SLOW}",
)
RUNNER = ROOT / "runner/src"
JUDGES = ("__init__", "baked", "contents", "core", "identity", "judgement", "policy", "toml_table", "verification")
"""What decides whether a kit is believed. offline.py is not among them: an audit hook can never be taken off again, so a mutant of
it would sit in mutmut's own process."""
RUNNER_KIT = Subject(
    sources={f"src/lnm_runner/kit/{name}.py": RUNNER / f"lnm_runner/kit/{name}.py" for name in JUDGES},
    tests=(
        *(
            f"tests/runner/test_{name}.py"
            for name in ("judgement", "judgement_told", "policy", "policy_told", "offline", "opened", "trust_told")
        ),
        "tests/keyless/test_kit_identity.py",
        "tests/keyless/test_kit_identity_told.py",
    ),
    beside={
        "src/lnm_runner": RUNNER / "lnm_runner",
        "src/lnm_runner/kit/verify_kit.py": ROOT / "bundle-layout/verify_kit.py",
    },
)
SUBJECTS = {"verify_kit": VERIFY_KIT, "runner_kit": RUNNER_KIT}
