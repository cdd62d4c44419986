"""The report of `nox -s tamper`: lies by row of the attack list and verifier, what was accepted, what was refused for a wrong reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.tamper.judging import CONTROLS, Judged

HEAD = ("row", "verifier", "judged", "accepted", "otherwise wrong")


@dataclass(frozen=True)
class Report:
    """All that was judged, and what had to be: each `(row, kin, verifier)` at least once."""

    judged: Sequence[Judged]
    due: Collection[tuple[str, str, str]]

    @property
    def idle(self) -> list[tuple[str, str, str]]:
        """What judged nothing: a check that looks at nothing passes nothing (row P9)."""
        return sorted(set(self.due) - {(one.row, one.kin, one.verifier) for one in self.judged})

    @property
    def wrong(self) -> list[Judged]:
        """Lies that were accepted or refused otherwise than they must be, and controls that were not accepted."""
        return [one for one in self.judged if one.wrong or one.accepted != (one.row == CONTROLS)]

    @property
    def exit_code(self) -> int:
        """0 where nothing is wrong, and something was judged."""
        return 0 if self.judged and self.due and not self.wrong and not self.idle else 1

    def rows(self) -> list[tuple[str, str, int, int, int]]:
        """The table: row, verifier, how many, how many accepted, how many wrong in another way."""
        keys = sorted({(one.row, one.verifier) for one in self.judged}, key=lambda key: (key[0][0], int(key[0][1:]), key[1]))
        count = Counter((one.row, one.verifier) for one in self.judged)
        yes = Counter((one.row, one.verifier) for one in self.judged if one.accepted)
        bad = Counter((one.row, one.verifier) for one in self.wrong if not one.accepted)
        return [(*key, count[key], yes[key], bad[key]) for key in keys]

    def lines(self) -> Iterable[str]:
        """The report in words."""
        yield "{:5} {:16} {:>7} {:>9} {:>16}".format(*HEAD)
        for counted in self.rows():
            yield "{:5} {:16} {:>7} {:>9} {:>16}".format(*counted)
        lies = [one for one in self.judged if one.row != CONTROLS]
        yield (
            f"{len(lies)} verdicts on lies, {sum(one.accepted for one in lies)} accepted; "
            f"{len(self.judged) - len(lies)} on good kits, {sum(one.accepted for one in self.judged if one.row == CONTROLS)} accepted"
        )
        for one in self.wrong:
            yield f"WRONG {one.verifier}: {one.row} {one.name}: {'; '.join(one.wrong) or 'accepted'}"
        for row, kin, verifier in self.idle:
            yield f"JUDGED NOTHING {verifier}: {row} {kin}"

    def as_json(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "schema": "stellaops.lnm.tamper-report/1",
            "ok": self.exit_code == 0,
            "rows": [dict(zip(HEAD, row, strict=True)) for row in self.rows()],
            "wrong": [asdict(one) for one in self.wrong],
            "idle": [list(one) for one in self.idle],
        }
