"""trust-policy.toml: whom a site trusts with a kit, and what it demands of one. Reading it; judgement.py judges by it.

The form is told in runbook/trust.md. A policy is the site's own and comes another way than the kit; nothing in a kit changes what
is demanded. Every defect of a file is told at once, with its TOML path, and nothing of it is used where it has one (exit 2). Text
that TOML refuses, keys that stand twice in it among that, is told with TOML's line.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from lnm_runner.errors import InputError, NotFoundError
from lnm_runner.kit import core
from lnm_runner.kit.toml_table import Table, shown

SCHEMA: Final = "stellaops.lnm.trust-policy/1"
FILE: Final = "trust-policy.toml"
"""Its name below LNM_STATE_DIR."""
LARGEST: Final = 256 << 10  # bytes; a policy of a hundred signers has a tenth of it
CHANNELS: Final = ("airgap", "edge", "stable")
ALGORITHMS: Final[Mapping[str, str]] = {"ECDSA P-256": "ecdsa-p256-sha256", "Ed25519": "ed25519"}
"""What verify_kit.py calls an algorithm, and what a policy calls it."""
BUILDER: Final = "builder"
COUNTED: Final = (BUILDER, "security", "storage")
ROLES: Final = (*COUNTED, "rehearsal")
"""Whoever rehearses speaks for a rehearsal and never for a kit."""
MOST_DAYS: Final = 36_500
MOST_SIGNATURES: Final = 100
MOST_VERSIONS: Final = 2**31 - 1
NAME: Final = r"[ -~]{1,100}"
FINGERPRINT: Final = r"sha256:[0-9a-f]{64}"
VERSION: Final = r"[1-9][0-9]{3}\.(?:[1-9]|1[0-2])\.(?:0|[1-9][0-9]{0,8})"  # as in verify_kit.py
FILE_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,199}"
URL: Final = r"[!-~]{1,500}"
HINT: Final = "mend the policy; runbook/trust-policy.example.toml in the kit explains each member"


@dataclass(frozen=True)
class Signer:
    """Somebody who is trusted: by a key (`fingerprint`) or by an identity that an `issuer` vouches for, never by both."""

    name: str
    role: str
    fingerprint: str | None = None
    """SHA-256 of the SPKI: 64 hex digits."""
    public_key: bytes | None = None
    """PEM, where the policy has it; else whoever verifies brings it by --key."""
    identity: str | None = None
    issuer: str | None = None
    valid_from: dt.date | None = None
    valid_until: dt.date | None = None
    """The first and the last day, in UTC, on which the signer is trusted; None: no bound."""


@dataclass(frozen=True)
class Threshold:
    """How many distinct signers a kit needs, and how many of them must hold a role: `{role: number}`."""

    signatures: int
    roles: Mapping[str, int]


@dataclass(frozen=True)
class TrustedRoot:
    """The file with the roots of a Sigstore instance: its name beside the policy, and its SHA-256 in hex."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """What the kit's SLSA provenance must say: one of these builder ids; and whether its source must be a clean commit."""

    builders: frozenset[str]
    is_source_clean: bool


@dataclass(frozen=True)
class RootKey:
    """A key that may change this policy."""

    name: str
    fingerprint: str
    public_key: bytes


@dataclass(frozen=True)
class Root:
    """Who may change this policy, and how many of them must agree."""

    threshold: int
    keys: tuple[RootKey, ...]


@dataclass(frozen=True)
class Policy:
    """A policy without defects."""

    version: int
    is_development: bool
    channels: frozenset[str]
    minimum_version: str
    algorithms: frozenset[str]
    kit_max_age_days: int
    """0: no limit."""
    evidence_max_age_days: int
    threshold: Threshold
    signers: tuple[Signer, ...]
    trusted_root: TrustedRoot | None
    root: Root | None
    sha256: str
    """Of the file's bytes, in hex."""
    path: Path | None = None
    expires: dt.date | None = None
    """The last day, in UTC, on which the policy is to be followed; None: for ever."""
    provenance: Provenance | None = None

    @property
    def names_identities(self) -> bool:
        """Whether anybody is trusted by an identity."""
        return any(signer.identity for signer in self.signers)


def read(path: Path) -> Policy:
    """The policy in a file.

    Raises: NotFoundError where there is none; InputError where it cannot be read, is anybody's to write, or has defects.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would make us wait
            raise InputError(f"{path}: is no file, wanted a trust policy", hint="check --policy")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such trust policy", hint="check --policy; without a policy, name a --key") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="a policy is a file that you may read") from err
    if mode & stat.S_IWOTH:
        raise InputError(
            f"{path}: anybody may write it (mode {stat.S_IMODE(mode):04o})", hint=f"chmod o-w {path}, and look at it"
        )
    return replace(parse(data, str(path)), path=path)


def parse(data: bytes, where: str) -> Policy:
    """The policy in the bytes of a file that is called `where` in what is told.

    Raises: InputError with every defect.
    """
    if len(data) > LARGEST:
        raise InputError(f"{where}: more than {LARGEST} bytes, wanted a trust policy", hint=HINT)
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        why = shown(str(err).splitlines()[0])[1:-1] if isinstance(err, tomllib.TOMLDecodeError) else type(err).__name__
        raise InputError(f"{where}: no TOML: {why}", hint=HINT) from err
    defects: list[str] = []
    policy = policy_of(Table(value, "", defects), hashlib.sha256(data).hexdigest())
    defects += contradictions(policy) if not defects else []
    if defects:
        raise InputError(f"{where}: {'; '.join(defects)}", hint=HINT, facts={"defects": defects})
    return policy


def policy_of(table: Table, sha256: str) -> Policy:
    """The members of the file."""
    table.text("schema", SCHEMA.replace(".", r"\."), SCHEMA)
    policy = Policy(
        version=table.number("version", 1, MOST_VERSIONS),
        is_development=table.flag("development"),
        channels=table.words("channels", CHANNELS),
        minimum_version=table.text("minimum-version", VERSION, "YYYY.M.patch"),
        algorithms=table.words("algorithms", ALGORITHMS.values()),
        kit_max_age_days=table.number("kit-max-age-days", 0, MOST_DAYS),
        evidence_max_age_days=table.number("evidence-max-age-days", 0, MOST_DAYS),
        threshold=threshold_of(table.table("threshold")),
        signers=tuple(signer_of(item) for item in table.tables("signer")),
        trusted_root=trusted_root_of(table.table("trusted-root")) if table.has("trusted-root") else None,
        root=root_of(table.table("root")) if table.has("root") else None,
        sha256=sha256,
        expires=table.date("expires"),
        provenance=provenance_of(table.table("provenance")) if table.has("provenance") else None,
    )
    table.close()
    return policy


def threshold_of(table: Table) -> Threshold:
    """[threshold]; a role that is left out needs nobody."""
    signatures = table.number("signatures", 1, MOST_SIGNATURES)
    roles = {role: table.number(role, 0, MOST_SIGNATURES) for role in COUNTED if table.has(role)}
    table.close()
    return Threshold(signatures, roles)


def signer_of(table: Table) -> Signer:
    """One [[signer]]."""
    name = table.text("name", NAME, "printable text of at most 100 characters")
    role = table.text("role", "|".join(ROLES), f"one of {', '.join(ROLES)}")
    since, until = table.date("valid-from"), table.date("valid-until")
    if table.has("identity") or table.has("issuer"):
        identity = table.text("identity", URL, "the text in the certificate, whole")
        issuer = table.text("issuer", URL, "the URL of who vouches for the identity")
        signer = Signer(name, role, identity=identity, issuer=issuer, valid_from=since, valid_until=until)
    else:
        fingerprint, public_key = key_of(table, is_needed=False)
        signer = Signer(name, role, fingerprint, public_key, valid_from=since, valid_until=until)
    table.close()
    return signer


def key_of(table: Table, *, is_needed: bool) -> tuple[str, bytes | None]:
    """The members `fingerprint` (64 hex) and `public-key` (PEM), which must belong together."""
    fingerprint = table.text("fingerprint", FINGERPRINT, "sha256: and 64 hex digits, as verify_kit.py prints them").partition(
        ":"
    )[2]
    if not is_needed and not table.has("public-key"):
        return fingerprint, None
    pem = table.text("public-key", r"[\t\r\n -~]{1,10000}", "a public key in PEM form").encode("ascii")
    right = f"its key is sha256:{fingerprint}"
    found = held(pem) if pem else right
    if found != right:
        table.wrong("public-key", f"{found}; wanted one ECDSA P-256 or Ed25519 key with the fingerprint beside it")
    return fingerprint, pem


def held(pem: bytes) -> str:
    """In words: the fingerprint of the one key in a PEM text, or what is there instead; never the text."""
    verifier = core.verifier()
    try:
        keys = verifier.read_keys(pem, "public-key")
    except verifier.Refused as refused:
        return str(cast("Any", refused).failures[0].found)
    return f"its key is sha256:{keys[0].fingerprint}" if len(keys) == 1 else f"it holds {len(keys)} keys"


def trusted_root_of(table: Table) -> TrustedRoot:
    """[trusted-root]."""
    file = table.text("file", FILE_NAME, "the name of a file beside the policy")
    sha256 = table.text("sha256", "[0-9a-f]{64}", "64 hex digits")
    table.close()
    return TrustedRoot(file, sha256)


def provenance_of(table: Table) -> Provenance:
    """[provenance]."""
    provenance = Provenance(table.texts("builders", URL, "a list of builder ids"), table.flag("clean-source"))
    table.close()
    return provenance


def root_of(table: Table) -> Root:
    """[root]."""
    threshold = table.number("threshold", 1, MOST_SIGNATURES)
    keys = tuple(root_key_of(item) for item in table.tables("key"))
    table.close()
    return Root(threshold, keys)


def root_key_of(table: Table) -> RootKey:
    """One [[root.key]]."""
    name = table.text("name", NAME, "printable text of at most 100 characters")
    fingerprint, public_key = key_of(table, is_needed=True)
    table.close()
    return RootKey(name, fingerprint, public_key or b"")


def contradictions(policy: Policy) -> list[str]:
    """What cannot be meant although each member has its form: somebody twice, or a threshold that nobody can meet."""
    signers = policy.signers
    found = [
        *twice("signer", "name", [signer.name for signer in signers]),
        *twice("signer", "fingerprint", [signer.fingerprint for signer in signers if signer.fingerprint]),
        *twice("signer", "identity", [f"{signer.identity} {signer.issuer}" for signer in signers if signer.identity]),
    ]
    found += [
        f"signer: {shown(signer.name)} is valid from {signer.valid_from}, which is after {signer.valid_until}"
        for signer in signers
        if signer.valid_from and signer.valid_until and signer.valid_from > signer.valid_until
    ]
    counted = [signer for signer in signers if signer.role in COUNTED]
    for role, wanted in [("signatures", policy.threshold.signatures), *policy.threshold.roles.items()]:
        there = len(counted if role == "signatures" else [signer for signer in counted if signer.role == role])
        if wanted > there:
            found.append(f"threshold.{role}: is {wanted}, and the policy has {there} such signers")
    if not any(signer.fingerprint and signer.role == BUILDER for signer in signers):
        found.append("signer: none is a builder with a fingerprint, and such a one signs every kit")
    if policy.names_identities and policy.trusted_root is None:
        found.append("trusted-root: is missing, and a signer has an identity")
    if policy.root is not None:
        keys = policy.root.keys
        found += twice("root.key", "name", [key.name for key in keys])
        found += twice("root.key", "fingerprint", [key.fingerprint for key in keys])
        if policy.root.threshold > len(keys):
            found.append(f"root.threshold: is {policy.root.threshold}, and there are {len(keys)} root keys")
    return found


def twice(table: str, member: str, values: Sequence[str]) -> list[str]:
    """A phrase for each value that stands there more than once."""
    return [f"{table}: the {member} {shown(value)} stands there twice" for value in sorted({*values}) if values.count(value) > 1]
