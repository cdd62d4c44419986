"""What a stage has left, in words, of its evidence in the journal. Pure; a member that is not there is told as unknown.

The forms: a line for each stage below, and for each state that is no good end. What else a stage may say is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lnm_runner.report import reading
from lnm_runner.report.reading import Json
from lnm_runner.report.words import amount, duration, number, plain

FORMS: Mapping[str, str] = {
    "preflight": "checks: {checks:n}; warnings: {warnings:n}",
    "freeze": "mode {mode:t}; a probe write: {probe:t}; marker: {marker:t}",
    "backup": "{collections:n} collections, {documents:n} documents, {bytes:b} "
    "({storedBytes:b} stored, {compress:t}, by {tool:t})",
    "prove-backup": "equal: {equal:t}; {documents:n} documents, {bytes:b}, restored in {restoreMs:d}",
    "apply-21-101": "{actions:n} actions, wrote: {writes:t}",
    "backfill-21-102": "{observations:n} observations, {linksets:n} linksets, {events:n} events, {tombstones:n} tombstones of "
    "{documents:n} documents; errors: {errors:n}; highest lag {maxLagMs:d}; pauses: {pauses:n}",
    "validate": "{equations:n} equations over {documents:n} documents, {failed:n} failed; every document hashed: {full:t}",
    "enable-outbox": "switch on: {switch:t}; hook: {hook:t}",
    "unfreeze": "writes: {mode:t}",
    "watch": "calm for {calmMs:d}; {published:n} events published, {backlog:n} wait; "
    "errors: {errors:n}; highest lag {maxLagMs:d}",
    "rollback-21-102": "{removed:n} removed, {restored:n} set back, {touched:n} touched by others and left",
    "restore": "{collections:n} collections, {documents:n} documents, {bytes:b}; equal to the backup: {equalsBackup:t}",
}
ENDS: Mapping[str, str] = {
    "failed": "{type:t}, exit {exit:n}",
    "refused": "{type:t}, exit {exit:n}; why: {why:t}",
    "skipped": "reason: {reason:t}",
}
PLACE = re.compile(r"\{(\w+):([ntbd])\}")
BESIDE = frozenset({"durationMs"})
"""Told elsewhere."""


def words(stage: str, state: str, evidence: Json) -> str:
    """What is left."""
    form = ENDS.get(state) or (FORMS.get(stage) if state == "done" else None)
    if form is not None:
        return PLACE.sub(lambda place: one(evidence, place[1], place[2]), form)
    rest = {name: value for name, value in evidence.items() if name not in BESIDE}
    return plain(rest) if rest else ""


def one(evidence: Json, name: str, kind: str) -> str:
    """A member: a number, a text, bytes, or a duration."""
    if kind == "t":
        return plain(evidence.get(name))
    return {"n": number, "b": amount, "d": duration}[kind](reading.whole(evidence, name))
