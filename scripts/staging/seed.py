"""What a rehearsal works on: advisories, merged documents and payloads in GridFS, as the product would have stored them.

Of the files that LNM_CORPUS names (none where it is empty), or, where it is unset, of those of the folder beside the checkout;
where there are none, invented ones. `lnm seed-demo` writes them, cut to a number of raw documents, so that a rehearsal stays
below ten minutes on two cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts.errors import MissingError, ToolError
from scripts.staging.program import Answer

BESIDE = Path("../shared/advisories")
PATTERN = "*.ndjson.gz"
TENANTS = 2


def corpus(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files; none where the documents are to be invented.

    Raises: MissingError for a named one that is not there.
    """
    if (named := environment.get("LNM_CORPUS")) is None:
        return tuple(sorted(BESIDE.glob(PATTERN)))
    files = tuple(Path(part) for part in named.split(os.pathsep) if part)
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise MissingError(f"LNM_CORPUS: {missing[0]}: no such file", hint=f"name OSV advisories, {PATTERN}, or unset it")
    return files


def fill(lnm: Callable[..., Answer], files: Sequence[Path], documents: int, **user: str) -> list[str]:
    """Fills the empty database; returns what `lnm` says of it.

    Raises: ToolError.
    """
    words = ("seed-demo", *map(str, files), "--documents", str(documents), "--tenants", str(TENANTS), "--execute")
    answer = lnm(*words, **user)
    if answer.exit_code:
        raise ToolError(f"lnm seed-demo: exit {answer.exit_code}:\n{answer.stderr}")
    return answer.stdout.splitlines()
