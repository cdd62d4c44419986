"""What verify_kit.py says of a lie, word for word: one lie for each kind of sentence stands in tests/golden/refusals.txt.

An operator looks a sentence up, a program greps for it, `lnm kit verify` repeats it: none changes unseen. After a change that was
meant: `python -m tests.faults.sentences` judges all lies and writes the file anew.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults import archive_lies, checksum_lies, identity_lies, image_lies, signature_lies, statement_lies
from tests.faults.registry import LIES, Lie
from tests.faults.verifiers import Outcome, verify_here

GOLDEN = Path(__file__).resolve().parents[1] / "golden/refusals.txt"
SOURCES = (archive_lies, checksum_lies, identity_lies, image_lies, signature_lies, statement_lies)  # whose import fills LIES
MOST_LINES = 12  # of one lie; more of them are the same sentence about other files
VALUES = (
    (r"^refused: (attestations/lnm-runner|attestations|images|manifest|SHA256SUMS|kit|).*?: ", r"refused: \1: "),
    (r'"(?:[^"\\]|\\.)*"', '""'),
    (r"[\[{].*[\]}]", "[]"),
    (r"SHA256:[A-Za-z0-9+/]{43}|[0-9a-f]{12,}", "HEX"),
    (r"attestations/\S*|images/\S*|manifest\.[0-9a-f]{16}\S*", "NAME"),
    (r"lnm-runner-linux-\w+", "IMAGE"),
    (r"[0-9]+", "N"),
)
"""What differs between two sentences of one kind."""


def kind(line: str) -> str:
    """A sentence less what is told of the one kit."""
    for pattern, instead in VALUES:
        line = re.sub(pattern, instead, line)
    return line


def said(outcome: Outcome, kit: Path) -> list[str]:
    """The failures that were told, whoever told them; the kit's path is another one each time.

    What to do next follows from the exit code, and what a library says hangs on its version: both are left out.
    """
    lines = outcome.stderr.replace(str(kit), "KIT").splitlines()
    told = [line.removeprefix("error: ") for line in lines if not line.lstrip().startswith("next: ")]
    return [re.sub(r"(gzip data|no canonical JSON|cannot be read) \(.*\), ", r"\1 (...), ", line) for line in told]


def title(lie: Lie) -> str:
    """How a lie is headed in the file."""
    return f"{lie.name} {lie.container} {lie.exit}"


def wanted() -> dict[str, list[str]]:
    """`{title: sentences}` as the file has them."""
    blocks = GOLDEN.read_text(encoding="ascii").removesuffix("\n").split("\n\n")
    return {block.partition("\n")[0]: block.splitlines()[1:] for block in blocks}


def chosen() -> Iterator[tuple[str, list[str]]]:
    """Lies whose sentences are of a kind that no lie before them had."""
    known: set[str] = set()
    for lie in LIES:
        with tempfile.TemporaryDirectory(prefix="k") as folder:
            kit, keys = lie.write(Path(folder))
            lines = said(verify_here(Path(folder), keys, kit), kit)
        kinds = set(map(kind, lines))
        if not kinds <= known and len(lines) <= MOST_LINES:
            known |= kinds
            yield title(lie), lines


def main() -> None:
    """Writes the file."""
    blocks = ["\n".join([heading, *lines]) for heading, lines in chosen()]
    GOLDEN.write_text("\n\n".join(blocks) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
