"""What a rehearsal says of production: time for each stage, oplog, disk; and afterwards how far off that was. Pure.

A stage takes as long for each document, or for each byte of the database, as it did in the rehearsal; one that reads nothing
takes what it took. So production is as fast as the rehearsal's server was, no faster and no slower: `score` tells. What each
small rehearsal pays once is paid here for each document, so a forecast from few documents is too high rather than too low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lnm_runner.durations import in_words
from lnm_runner.evidence import derivation
from lnm_runner.evidence.derivation import APPLY, BACKFILL, BACKUP, VALIDATE
from lnm_runner.evidence.judging import Rehearsal
from lnm_runner.runbook.journal import DONE

MIB: Final = 1 << 20
DOCUMENTS, BYTES = "documents", "bytes"
GROWS_WITH: Final[Mapping[str, str]] = {
    BACKUP: BYTES,
    "prove-backup": BYTES,
    APPLY: BYTES,  # the fingerprint behind it reads all that is stored
    BACKFILL: DOCUMENTS,
    VALIDATE: DOCUMENTS,
}
"""`{stage: what its time grows with}`; the others do not grow."""
ONCE: Final[Mapping[str, str]] = {APPLY: "ledgerMs"}
"""`{stage: the member of its evidence that tells the part of its time which does not grow}`: the collections are made empty."""
SMALL: Final = 10
"""A rehearsal of a tenth of the documents, or fewer, is told to be small."""
WINDOW: Final = ("freeze", BACKUP, "prove-backup", APPLY, BACKFILL, VALIDATE, "enable-outbox", "unfreeze")
"""While these run, nobody may write."""


@dataclass(frozen=True)
class Forecast:
    """What to expect; None where the rehearsal did not tell."""

    documents: int
    stages: Mapping[str, int]
    """`{stage: milliseconds}` of the first window's stages that were done in the rehearsal."""
    oplog_bytes: int | None
    stored_bytes: int | None
    """By how much the database grows on the disk."""
    backup_bytes: int | None
    """Of the backup as it is stored."""
    rehearsed: int | None
    """Documents of the rehearsal."""

    @property
    def window_ms(self) -> int:
        """How long nobody may write."""
        return sum(self.stages.get(stage, 0) for stage in WINDOW)

    def lines(self) -> list[str]:
        """In words."""
        stages = ", ".join(f"{stage} {in_words(took)}" for stage, took in self.stages.items())
        grows = f"the database grows by {in_mib(self.stored_bytes)}, the backup takes {in_mib(self.backup_bytes)}"
        rehearsed = self.rehearsed or 0
        is_small = rehearsed * SMALL < self.documents
        return [
            f"forecast for {self.documents:,} documents, by the rates of a rehearsal of {rehearsed:,}:",
            f"  about {in_words(self.window_ms)} without writes; {stages}",
            f"  oplog {in_mib(self.oplog_bytes)}, {grows}",
            *(["  so small a rehearsal makes it too long; rehearse with more documents to know better"] if is_small else []),
        ]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "documents": self.documents,
            "rehearsedDocuments": self.rehearsed,
            "stages": [{"stage": stage, "ms": took} for stage, took in self.stages.items()],
            "windowMs": self.window_ms,
            "oplogBytes": self.oplog_bytes,
            "storedBytes": self.stored_bytes,
            "backupBytes": self.backup_bytes,
        }


def of(predicate: Mapping[str, Any], counts: Mapping[str, int]) -> Forecast:
    """The forecast by what evidence states; `counts` is what there is: `documents` of advisory_raw, `bytes` of all, as BSON."""
    left, rates = derivation.left_by(predicate["stages"]), predicate["forecast"]
    rehearsed = derivation.whole(left, BACKFILL, "documents")
    scales = {
        DOCUMENTS: (counts[DOCUMENTS], rehearsed),
        BYTES: (counts[BYTES], derivation.whole(left, BACKUP, "bytes")),
    }
    going = [row for row in predicate["stages"] if row["name"] in left and row["name"] not in derivation.WAYS_BACK]
    stored = derivation.whole(left, BACKUP, "storedBytes")
    return Forecast(
        counts[DOCUMENTS],
        {row["name"]: lasting(row, scales) for row in going},
        times(rates["oplogBytesPerDocument"], counts[DOCUMENTS]),
        times(rates["storedBytesPerDocument"], counts[DOCUMENTS]),
        None if stored is None else grown(stored, scales[BYTES]),
        rehearsed,
    )


def lasting(row: Mapping[str, Any], scales: Mapping[str, tuple[int, int | None]]) -> int:
    """How long a stage will take, in milliseconds; `scales` is `{unit: (there, in the rehearsal)}`."""
    took: int = row["durationMs"]
    unit = GROWS_WITH.get(row["name"])
    if unit is None:
        return took
    said = row["evidence"].get(ONCE.get(row["name"], ""))
    once = min(took, said) if type(said) is int else 0
    return once + grown(took - once, scales[unit])


def grown(amount: int, scale: tuple[int, int | None]) -> int:
    """So much more as there is more, rounded up; the same where the rehearsal had nothing."""
    there, rehearsed = scale
    return -(-amount * there // rehearsed) if rehearsed else amount


def times(each: int | None, documents: int) -> int | None:
    """So much for each of the documents."""
    return None if each is None else each * documents


def lines(rehearsal: Rehearsal, counts: Mapping[str, int]) -> list[str]:
    """The forecast in words."""
    return of(rehearsal.predicate, counts).lines()


def score(said: Forecast, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The forecast beside what production took: `rows` are its stages (`derivation.derived`); percent of what was said."""
    took = {row["name"]: row["durationMs"] for row in rows if row["state"] == DONE}
    left = derivation.left_by(rows)
    known = {stage: ms for stage, ms in said.stages.items() if stage in took}
    return {
        "documents": beside(said.documents, derivation.whole(left, BACKFILL, "documents") or 0),
        "stages": [{"stage": stage, **beside(ms, took[stage])} for stage, ms in known.items()],
        "windowMs": beside(
            sum(ms for stage, ms in known.items() if stage in WINDOW), sum(took[stage] for stage in known if stage in WINDOW)
        ),
    }


def beside(predicted: int, real: int) -> dict[str, int]:
    """Both, and the one in percent of the other."""
    return {"predicted": predicted, "real": real, "percent": 100 * real // max(predicted, 1)}


def in_mib(amount: int | None) -> str:
    """Bytes for people."""
    return "unknown" if amount is None else f"{amount / MIB:,.0f} MiB"
