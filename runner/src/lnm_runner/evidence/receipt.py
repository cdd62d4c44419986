"""The return receipt: what a run has come to, in at most 2,000 bytes of plain text that can be carried, or typed, out of a gap.

One `name value…` a line, in one order: kit, rootHash, environment, plan, the journal's length and head, its times, a line for
each stage, counters, the hash of the backfill's report, equations, lag; then the key, and a signature (base64) over all of that.
No data, no name of a tenant, a host or a person. `verify` reads it at home; that what is signed begins with `FIRST`, and evidence
with DSSE's own word, keeps either signature from being the other's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lnm_runner.errors import EvidenceError, InputError
from lnm_runner.evidence import derivation
from lnm_runner.evidence.derivation import BACKFILL, VALIDATE
from lnm_runner.evidence.keys import Signer
from lnm_runner.kit import core

FIRST: Final = "stellaops.lnm.receipt/1"
FILE: Final = "receipt.txt"
LARGEST: Final = 2000  # bytes
COUNTERS: Final = ("documents", "observations", "linksets", "events", "tombstones", "errors")
UNKNOWN: Final = "unknown"
LINE: Final = re.compile(r"([a-zA-Z]+) ([!-~][ -~]*)")
HINT: Final = "have it sent again; a letter that was typed wrong is enough"


@dataclass(frozen=True)
class Receipt:
    """A receipt whose signature was verified."""

    members: Mapping[str, str]
    """`{name: the rest of its line}`, but for the stages."""
    stages: Mapping[str, tuple[str, int]]
    """`{stage: (state, milliseconds)}`."""
    fingerprint: str
    """Of the key that signed it: 64 hex digits."""

    def lines(self) -> list[str]:
        """In words."""
        stages = [f"  {name}: {state}, {took} ms" for name, (state, took) in self.stages.items()]
        told = [f"{name}: {value}" for name, value in self.members.items()]
        return [*told, *stages, f"signed by sha256:{self.fingerprint}"]

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        stages = [{"name": name, "state": state, "durationMs": took} for name, (state, took) in self.stages.items()]
        return {**self.members, "stages": stages, "signer": f"sha256:{self.fingerprint}"}


def render(predicate: Mapping[str, Any], signer: Signer) -> bytes:
    """The receipt of a predicate (`statement.predicate`).

    Raises: InputError where it would be longer than it may be.
    """
    above = "".join(f"{line}\n" for line in [FIRST, *said(predicate), f"key sha256:{signer.fingerprint}"])
    data = f"{above}signature {signer.signature(above.encode())}\n".encode()
    if len(data) > LARGEST:
        raise InputError(
            f"{FILE}: would have {len(data)} bytes, at most {LARGEST} are allowed", hint="tell the publisher of this kit"
        )
    return data


def said(predicate: Mapping[str, Any]) -> Iterator[str]:
    """The lines between the first and the key."""
    left, journal = derivation.left_by(predicate["stages"]), predicate["journal"]
    filled, checked = left.get(BACKFILL, {}), left.get(VALIDATE, {})
    yield f"kit concelier-lnm-{predicate['kit']['version']}"
    yield f"rootHash {predicate['kit']['rootHash']}"
    yield f"environment {predicate['environment']}"
    yield f"plan {predicate['plan']}"
    yield f"journal {len(journal)} {predicate['head']}"
    yield f"time {predicate['begunAt']} {predicate['endedAt']}"
    yield from (f"stage {row['name']} {row['state']} {row['durationMs']}" for row in predicate["stages"])
    yield from (f"{name} {known(filled.get(name))}" for name in COUNTERS)
    yield f"report {known(filled.get('reportHash'))}"
    yield f"equations {known(checked.get('equations'))} failed {known(checked.get('failed'))}"
    yield f"maxLagMs {known(predicate['lag']['maxMs'])}"


def known(value: Any) -> str:
    """A value, or that there is none."""
    return UNKNOWN if value is None else str(value)


def verify(data: bytes, keys: Sequence[Path]) -> Receipt:
    """A receipt that was signed by one of these keys (PEM files).

    Raises: EvidenceError where it was not, or has another form; InputError, NotFoundError of the keys.
    """
    verifier = core.verifier()
    try:
        given = verifier.load_keys(keys)
    except verifier.Refused as refused:
        raise core.refused(refused) from refused
    if not given:
        raise InputError("no key was named that a receipt may be signed by", hint="add --key KEY.pub, which came another way")
    above, fingerprint, signature = parts(data)
    key = next((key for key in given if key.fingerprint == fingerprint), None)
    if key is None:
        there = ", ".join(f"sha256:{key.fingerprint}" for key in given)
        raise wrong(f"it is signed by sha256:{fingerprint}, and the given keys are {there}")
    if not key.verifies(above, signature):
        raise wrong("its signature does not verify: a line was changed since it was signed")
    return read(above, fingerprint)


def parts(data: bytes) -> tuple[bytes, str, bytes]:
    """What is signed, by which key, and the signature.

    Raises: EvidenceError.
    """
    form = rb"(%s\n(?:[!-~][ -~]*\n)+key sha256:([0-9a-f]{64})\n)signature ([A-Za-z0-9+/]+={0,2})\n" % re.escape(FIRST.encode())
    found = re.fullmatch(form, data) if len(data) <= LARGEST else None
    if found is None:
        raise wrong(f"it is no receipt, wanted one that begins with {FIRST} and ends with a key and a signature")
    try:
        signature = base64.b64decode(found[3], validate=True)
    except binascii.Error:
        raise wrong("its signature is no base64") from None
    if base64.b64encode(signature) != found[3]:
        raise wrong("its signature is not in the one form of base64")
    return found[1], found[2].decode("ascii"), signature


def read(above: bytes, fingerprint: str) -> Receipt:
    """What the signed lines say.

    Raises: EvidenceError where a line is not one of a receipt.
    """
    members: dict[str, str] = {}
    stages: dict[str, tuple[str, int]] = {}
    for text in above.decode("ascii").splitlines()[1:-1]:
        line = LINE.fullmatch(text)
        stage = re.fullmatch(r"stage ([a-z0-9-]+) ([a-z]+) ([0-9]{1,15})", text)
        if stage is not None:
            stages[stage[1]] = (stage[2], int(stage[3]))
        elif line is None or line[1] in members or line[1] == "stage":
            raise wrong("a line of it is none of a receipt's")
        else:
            members[line[1]] = line[2]
    return Receipt(members, stages, fingerprint)


def wrong(what: str) -> EvidenceError:
    """A receipt that is refused."""
    return EvidenceError(f"the receipt: {what}", hint=HINT, facts={"rule": "receipt"})
