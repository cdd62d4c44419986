"""What is broken, in which parts, and the tests that must notice: those that call the module inside their own process."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Subject:
    """One module under mutation."""

    source: Path
    module: str
    """The name under which the tests import it; mutmut takes it for the file's."""
    place: str
    """Where the tests look for the file."""
    parts: Mapping[str, tuple[str, ...]]
    """Titles of the sections of the file, by their beginnings."""
    tests: tuple[str, ...]
    without: str

    def sections(self) -> Iterator[tuple[str, str]]:
        """`(section, function)` for each function and method, as mutmut writes it: `x_function`, `xǁClassǁmethod`."""
        text = self.source.read_text(encoding="utf-8")
        titles = {number: match[1] for number, line in enumerate(text.splitlines(), 1) if (match := SECTION.match(line))}
        for node in ast.parse(text).body:
            section = titles[max(number for number in titles if number <= node.lineno)] if node.lineno >= min(titles) else ""
            if isinstance(node, ast.FunctionDef):
                yield section, f"x_{node.name}"
            elif isinstance(node, ast.ClassDef):
                yield from ((section, f"xǁ{node.name}ǁ{inner.name}") for inner in node.body if isinstance(inner, ast.FunctionDef))

    def part_of(self) -> dict[str, str]:
        """`{function: part}`.

        Raises: ValueError where a section is in no part, or in two.
        """
        found: dict[str, str] = {}
        for section, function in self.sections():
            (part,) = [name for name, titles in self.parts.items() if section.startswith(titles)]
            found[function] = part
        return found


VERIFY_KIT = Subject(
    source=ROOT / "bundle-layout/verify_kit.py",
    module="verify_kit_under_test",
    place="bundle-layout/verify_kit.py",
    parts={
        "curves": ("ECDSA", "Ed25519", "keys"),
        "archive": ("names", "the tarball", "the folder"),
        "forms": ("bytes", "the forms", "stage 2", "stages 3"),
        "statements": ("statements", "the manifest", "images", "stage 5", "identity"),
        "command": ("failures", "the whole", "the command"),
    },
    tests=(
        *(
            f"{UNIT}_{name}.py"
            for name in ("archive", "command", "crypto", "edges", "folder", "forms", "keys", "names", "told", "whole")
        ),
        "tests/faults/test_sentences.py",
    ),
    without=BY_PROCESS,
)
SUBJECTS = {"verify_kit": VERIFY_KIT}
