"""What the operator asked for: the parsed command line, and the one reading of the environment.

Variables: CONCELIER_MONGO_URI, CONCELIER_MONGO_PASSWORD_FILE and CONCELIER_DB (facts 1.1, decisions §9), LNM_TRUSTED_KEY,
LNM_EVENTS_TTL_DAYS, LNM_LEASE_SECONDS, LNM_STATE_DIR. Nothing is connected or judged here but the form of the values, and
nothing opened but the trust policy.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lnm_runner.errors import InputError
from lnm_runner.kit import Trust, active, in_place
from lnm_runner.kit import policy as trust_policy
from lnm_runner.progress import Progress
from lnm_runner.schema import SECONDS_PER_DAY

DEFAULT_DATABASE = "concelier"
BACKFILL = "21-102"
"""The delivery that is worked by `lnm backfill`."""
DEFAULT_EVENTS_TTL_DAYS = 90  # decisions §2
KITLESS = (("outbox", "status"), ("outbox", "publish"))
"""The commands that are told no kit and no key."""
LONGEST_TTL_S = 2**31 - 1  # what the server stores for a longer one, about 68 years
DEFAULT_LEASE_S = 30
LONGEST_LEASE_S = 3600
LONGEST_TTL_DAYS = LONGEST_TTL_S // SECONDS_PER_DAY


@dataclass(frozen=True)
class Settings:
    """What a migration may depend on beside its own text."""

    events_ttl_days: int
    """How long a published row of an outbox is kept; 0 keeps it for ever."""

    @property
    def events_ttl_s(self) -> int | None:
        """The same in seconds, or None for ever."""
        return self.events_ttl_days * SECONDS_PER_DAY or None


@dataclass(frozen=True)
class Runbook:
    """What is asked of the runbook and of the outbox alone."""

    environment: str = "staging"
    """`staging` or `production`."""
    skip: bool = False
    reason: str = ""
    """Why a stage is skipped, or a journal begun anew."""
    evidence: Path | None = None
    """The evidence of a rehearsal: rehearsal-evidence.dsse.json."""
    evidence_max_age_days: int | None = None
    """Shortens what the policy says."""
    operator: str = ""
    """Who is in charge, as the evidence names them."""
    compress: str = "gzip"
    """Of a backup: `gzip`, `zstd` or `none`."""
    backup: Path | None = None
    """Where the backup is, where it is not in the runbook's folder."""
    calm_s: float = 600
    """So long nothing may be wrong before the watch ends."""
    timeout_s: float = 0
    """So long the watch waits for that; 0: without end."""
    publisher: str = ""
    """`stdout` or `ndjson`."""
    out: Path | None = None
    """Where a publisher, a report or a receipt is written."""
    follows: bool = False
    """The publisher goes on until it is stopped."""


@dataclass(frozen=True)
class Options:
    """One call of `lnm`."""

    mongo_uri: str | None = field(default=None, repr=False)
    """The value of --mongo-uri."""
    database: str | None = None
    kit: Path | None = None
    keys: tuple[Path, ...] = ()
    policy: Path | None = None
    """The trust policy, where it is not the one of the state folder."""
    json: bool = False
    execute: bool = False
    resume: bool = False
    accept_ttl_deletes: int = 0
    delivery: str | None = None
    subcommand: str = ""
    """The word after `lnm kit` or `lnm trust`."""
    signatures: tuple[Path, ...] = ()
    """Of a new trust policy."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    progress: Progress = field(default_factory=Progress, repr=False)
    """Where is told what is being done."""
    wait_s: float = 0
    """How long to wait for another runner to end."""
    batch_size: int = 500
    """Inputs of a batch of the backfill."""
    stop_on_error: bool = False
    max_errors: int | None = None
    """So many inputs may fail; None: any number."""
    max_lag_s: float = 30
    """A backfill pauses while a member is further behind."""
    workers: int = 1
    force_reason: str = ""
    """Why a rollback goes on although its events were published."""
    identity: str = ""
    """What `lnm prove` is asked about."""
    is_full: bool = False
    """Validation looks at every document instead of a sample."""
    report: Path | None = None
    """A report that is to be proved, where it is not the one of the state folder."""
    files: tuple[Path, ...] = ()
    """The corpus of a demo."""
    tenants: int = 1
    documents: int | None = None
    """How many documents a demo has; None: as many as its corpus makes."""
    runbook: Runbook = field(default_factory=Runbook)

    @property
    def database_name(self) -> str:
        """The database, by option, by variable, or by default."""
        return self.database if self.database is not None else self.environment.get("CONCELIER_DB") or DEFAULT_DATABASE

    @property
    def trust(self) -> Trust:
        """Whom a kit is believed: a policy, or without any the given keys alone. With a policy, keys only lend it their bytes.

        Raises: InputError where neither was named: a kit is never its own authority; or of a policy that cannot be used;
            StateError where the policy of the state folder is not the one that was installed, or is gone.
        """
        path = self.policy_path
        if self.policy is None:
            in_place.check(self.state_folder)
        policy = None if path is None else trust_policy.read(path)
        named = self.environment.get("LNM_TRUSTED_KEY")
        keys = self.keys or ((Path(named),) if named else ())
        if policy is None and not keys:
            raise InputError(
                "no key was named that a kit may be signed by",
                hint="add --key KEY.pub or set LNM_TRUSTED_KEY, or add --policy FILE; it must come another way than the kit",
            )
        return Trust(policy, keys)

    @property
    def policy_path(self) -> Path | None:
        """The trust policy: --policy, or the one of the state folder if it is there.

        Raises: InputError where it cannot be seen whether it is: that must not lead to the weaker mode.
        """
        if self.policy is not None:
            return self.policy
        path = self.state_folder / trust_policy.FILE
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as err:
            raise InputError(
                f"{path}: cannot be looked at: {err.strerror}", hint="let LNM_STATE_DIR name your own folder"
            ) from err
        return path

    @property
    def kit_path(self) -> Path:
        """The kit: --kit, or the one that `lnm kit import` has made the active one here.

        Raises: InputError where there is neither; StateError where the state folder cannot be believed about it.
        """
        if self.kit is not None:
            return self.kit
        found = active.folder(self.state_folder)
        if found is None:
            raise InputError("no kit was named", hint="add --kit FOLDER, the unpacked kit; or import one: lnm kit import")
        return found

    @property
    def is_one_active(self) -> bool:
        """Whether a command that is given no kit would look for the active one."""
        return os.path.lexists(self.state_folder / "kits/active")

    @property
    def baked_in(self) -> Path | None:
        """Where an image has its migrations; None outside of one.

        Raises: InputError where that was emptied, which would leave out the comparison with the kit.
        """
        named = self.environment.get("LNM_BAKED_MIGRATIONS")
        if named == "":
            raise InputError("LNM_BAKED_MIGRATIONS is empty", hint="leave it as the image has it")
        return None if named is None else Path(named)

    @property
    def lease_s(self) -> int:
        """How long a lease lasts that is not renewed, in seconds.

        Raises: InputError.
        """
        text = self.environment.get("LNM_LEASE_SECONDS") or str(DEFAULT_LEASE_S)
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= LONGEST_LEASE_S:
            raise InputError(
                f"LNM_LEASE_SECONDS: wanted whole seconds between 1 and {LONGEST_LEASE_S}",
                hint=f"unset LNM_LEASE_SECONDS for {DEFAULT_LEASE_S} seconds",
            )
        return int(text)

    @property
    def state_folder(self) -> Path:
        """Where this machine keeps work files, reports and journals: $LNM_STATE_DIR, or below XDG state (decisions §12)."""
        named = self.environment.get("LNM_STATE_DIR")
        if named:
            return Path(named)
        base = self.environment.get("XDG_STATE_HOME") or str(
            Path(self.environment.get("HOME") or "~").expanduser() / ".local/state"
        )
        return Path(base) / "lnm"

    @property
    def trusted(self) -> list[tuple[str, Path]]:
        """The options that say whom a kit is believed, as they were given."""
        return [*(("--key", key) for key in self.keys), *([("--policy", self.policy)] if self.policy else [])]

    def command(self, *words: str) -> str:
        """A command of `lnm` about the same kit, key and database, to be typed as it is."""
        of_a_kit = [("--kit", self.kit or (None if self.is_one_active else "KIT")), *self.trusted]
        given = [
            *(() if words[:2] in KITLESS else of_a_kit),
            ("--db", self.database),
            ("--mongo-uri", self.mongo_uri),
        ]
        options = [part for name, value in given if value is not None for part in (name, str(value))]
        return shlex.join(["lnm", *words, *options])

    def again(self, delivery: str) -> str:
        """The command that goes on with a delivery."""
        return self.going("apply", delivery, "--resume")

    def going(self, verb: str, delivery: str, *flags: str) -> str:
        """The command that applies a delivery, or rolls it back."""
        words = ("backfill",) if (verb, delivery) == ("apply", BACKFILL) else (verb, delivery)
        return self.command(*words, "--execute", *flags)

    @property
    def names_events_ttl(self) -> bool:
        """True where the operator says how long published events are kept."""
        return bool(self.environment.get("LNM_EVENTS_TTL_DAYS"))

    @property
    def settings(self) -> Settings:
        """The settings of the migrations.

        Raises: InputError.
        """
        text = self.environment.get("LNM_EVENTS_TTL_DAYS") or str(DEFAULT_EVENTS_TTL_DAYS)
        if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > LONGEST_TTL_DAYS:
            raise InputError(
                f"LNM_EVENTS_TTL_DAYS: wanted whole days between 0 (keep for ever) and {LONGEST_TTL_DAYS}",
                hint=f"unset LNM_EVENTS_TTL_DAYS for {DEFAULT_EVENTS_TTL_DAYS} days",
            )
        return Settings(int(text))
