"""Reads a file of evidence: its DSSE, by a key of the policy, and in it a statement of the one form about this kit.

What the statement says is compared with its journal by `comparison`, and judged by `rules`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, cast

from lnm_runner.errors import EvidenceError, InputError, NotFoundError
from lnm_runner.evidence import rules, statement
from lnm_runner.evidence.keys import DEVELOPMENT, OWN
from lnm_runner.kit import Trust, VerifiedKit, core
from lnm_runner.kit.core import PublicKey
from lnm_runner.kit.toml_table import shown
from lnm_runner.kit.verification import trusted_keys

LARGEST: Final = 4 << 20
"""Bytes; a rehearsal of 45 lines has 26 kB."""
GET: Final = "rehearse this kit in staging, then lnm runbook evidence --execute there; name what it writes: --evidence FILE"
ASK: Final = "ask who rehearsed for evidence that is signed as the policy demands"
NAME: Final = (
    "whoever signs evidence is named in the policy with the role rehearsal, and the policy brings the key (public-key), or "
    f"--key KEY.pub lends it; else {ASK}"
)
RATES: Final = ("backupBytesPerSecond", "documentsPerSecond", "oplogBytesPerDocument", "storedBytesPerDocument")
FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "server": {"version": r"[0-9]+(?:\.[0-9]+){1,3}[ -~]{0,40}", "topology": "[a-z ]{1,40}", "members": int},
    "kit": {"version": "[ -~]{1,40}", "rootHash": rules.HASH, "trust": "dev|key|keyless", "signer": rules.HASH},
    "forecast": dict.fromkeys(RATES, object),
}
"""`{member: {member of it: its form}}`; `object`: a whole number, or null where it is unknown."""


def read(path: Path) -> bytes:
    """The bytes of the file.

    Raises: NotFoundError; InputError where it cannot be read; EvidenceError where it is too large to be any.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise NotFoundError(f"{path}: no such evidence", hint=GET) from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="evidence is a file that you may read") from err
    if len(data) > LARGEST:
        raise EvidenceError(f"{path.name}: more than {LARGEST} bytes, wanted the evidence of a rehearsal", hint=GET)
    return data


def opened(name: str, data: bytes, trust: Trust) -> tuple[bytes, PublicKey]:
    """The payload of the DSSE, and the key of the policy that has signed it.

    Raises: EvidenceError; InputError where no key was given that the policy names.
    """
    verifier = core.verifier()
    try:
        keys, _ = trusted_keys(trust)
    except verifier.Refused as refused:
        raise core.refused(refused) from refused
    try:
        return verifier.check_dsse(name, data, keys)
    except verifier.Refused as refused:
        failure = cast("Any", refused).failures[0]
        facts = {"rule": "signature", "failure": failure.as_json()}
        raise EvidenceError(f"{name}: {failure.found}, {failure.wanted}", hint=NAME, facts=facts) from refused


def unsigned(data: bytes) -> bytes | None:
    """The payload of what has the form of a DSSE, whoever has signed it; None where there is none."""
    try:
        return base64.b64decode(json.loads(data)["payload"], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def stated(name: str, payload: bytes, kit: VerifiedKit) -> Mapping[str, Any]:
    """The predicate of a statement of the one form about this kit.

    Raises: EvidenceError, which names both kits where it is about another.
    """
    try:
        predicate = predicate_of(core.verifier().parse_canonical(payload), kit)
        said(predicate["schema"], statement.SCHEMA, "schema")
        for member, forms in FORMS.items():
            fits(predicate[member], forms, member)
        said(predicate["kit"]["version"], kit.manifest.version, "kit.version")
        said(predicate["kit"]["rootHash"], f"sha256:{kit.manifest.root_hash}", "kit.rootHash")
        said(predicate["trust"], OWN if predicate["trust"] == OWN else DEVELOPMENT, "trust")
    except (ValueError, RecursionError) as err:
        raise EvidenceError(f"{name}: {err}", hint=GET, facts={"rule": "statement"}) from err
    return predicate


def predicate_of(value: Any, kit: VerifiedKit) -> Mapping[str, Any]:
    """The predicate, with all of its members and no others, of a statement about this kit.

    Raises: ValueError.
    """
    members = exactly(value, frozenset({"_type", "predicate", "predicateType", "subject"}), "the statement")
    said(members["_type"], statement.STATEMENT_TYPE, "_type")
    said(members["predicateType"], statement.PREDICATE_TYPE, "predicateType")
    about = [statement.subject(kit.manifest.version, kit.manifest.root_hash)]
    if members["subject"] != about:
        raise ValueError(f"it is about {of_kit(members['subject'])}, and this kit is {of_kit(about)}")
    return exactly(members["predicate"], statement.PREDICATE, "the predicate")


def exactly(value: Any, members: Collection[str], what: str) -> Mapping[str, Any]:
    """An object with these members.

    Raises: ValueError.
    """
    if not isinstance(value, dict) or set(value) != set(members):
        there = sorted(value) if isinstance(value, dict) else value
        raise ValueError(f"{what} has {shown(there)}, wanted {', '.join(sorted(members))}")
    return value


def said(found: Any, wanted: str, what: str) -> None:
    """Refuses another text.

    Raises: ValueError.
    """
    if found != wanted:
        raise ValueError(f"{what} is {shown(found)}, wanted {wanted}")


def fits(found: Any, forms: Mapping[str, Any], what: str) -> None:
    """Refuses an object whose members are not of these forms.

    Raises: ValueError.
    """
    members = exactly(found, forms, what)
    for name, form in forms.items():
        value = members[name]
        is_right = (value is None or rules.is_so(value, int)) if form is object else rules.is_so(value, form)
        if not is_right:
            raise ValueError(f"{what}.{name} is {shown(value)}")


def of_kit(subject: Any) -> str:
    """Which kit a subject names."""
    try:
        (one,) = subject
        return f"{shown(one['name'])[1:-1]} with the rootHash {shown(one['digest']['sha256'])[1:-1]}"
    except (ValueError, TypeError, KeyError):
        return f"no one kit ({shown(subject)})"
