"""`lnm trust status|install|rotate|recover`: the trust policy of this machine, and the journal of what was let in by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from lnm_runner.commands import Result
from lnm_runner.commands.kit_import import head
from lnm_runner.errors import InputError, NotFoundError, RunnerError, StateError
from lnm_runner.kit import defects, mending, recovery, rotation, state, store
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit.policy import Policy
from lnm_runner.kit.standing import by_number
from lnm_runner.options import Options

NO_POLICY: Final = "none, so that any key that is named may sign a kit; if there was one: lnm trust install"


def run(options: Options) -> Result:
    """Runs the command below `lnm trust` that was asked for; its word is told with --json as `subcommand`.

    Raises: RunnerError.
    """
    result = COMMANDS[options.subcommand](options)
    return dataclasses.replace(result, data={"subcommand": options.subcommand, **result.data})


def status(options: Options) -> Result:
    """How things stand; exit code 7 where the state folder is not as it was left."""
    seen = state.look(options.state_folder)
    now, wrong = seen.standing, list(defects.defects(seen))
    policy, trouble = in_place(options, seen.policy)
    marks = [*([now.highest] if now.highest else []), *([policy.minimum_version] if policy else [])]
    mark, clock = max(marks, key=by_number, default=""), store.backwards(now.newest)
    active, warnings = seen.active_kit, [one for one in (clock, trouble) if one]
    data = {
        "policy": policy_json(policy, seen.policy == now.policy) if policy else None,
        "active": {"version": active.version, "rootHash": active.root_hash, "folder": active.name} if active else None,
        "highest": now.highest,
        "mark": mark,
        "journal": {"count": len(seen.journal.entries), "head": seen.journal.head},
        "defects": wrong,
        "warnings": warnings,
    }
    lines = [
        *policy_lines(policy, is_installed=seen.policy == now.policy, trouble=trouble),
        f"active kit: {active.name}" if active else "active kit: none",
        f"highest version that was active: {now.highest or 'none'}; nothing older than {mark or 'that'} is let in",
        head(seen.journal),
        *(f"warning: {warning}" for warning in warnings),
        *(f"defect: {defect}" for defect in wrong),
        *([f"next: {defects.SAFE_MODE}"] if wrong else []),
    ]
    return Result(data, lines, StateError.exit_code if wrong else 0)


def in_place(options: Options, found: str) -> tuple[Policy | None, str]:
    """The policy of the state folder, None where there is none, and why it cannot be used."""
    if not found:
        return None, ""
    try:
        return trust_policy.read(options.state_folder / trust_policy.FILE), ""
    except RunnerError as err:
        return None, err.message


def policy_json(policy: Policy, is_installed: bool) -> Mapping[str, Any]:  # noqa: FBT001 - a fact, beside what it is about
    """A policy, for a program."""
    return {
        "version": policy.version,
        "sha256": policy.sha256,
        "installed": is_installed,
        "development": policy.is_development,
        "minimumVersion": policy.minimum_version,
        "signers": [{"name": signer.name, "role": signer.role, "is": rotation.journal_name(signer)} for signer in policy.signers],
        "rootKeys": [key.fingerprint for key in policy.root.keys] if policy.root else [],
        "rootThreshold": policy.root.threshold if policy.root else 0,
    }


def policy_lines(policy: Policy | None, *, is_installed: bool, trouble: str) -> list[str]:
    """A policy, in words."""
    if trouble:
        return [f"policy: cannot be used, and no kit is accepted: {trouble}"]
    if policy is None:
        return ["policy: none; any key that is named with --key or LNM_TRUSTED_KEY may sign a kit"]
    how = "" if is_installed else "; it was put there by hand, and the journal knows nothing of it"
    root = policy.root
    return [
        f"policy: version {policy.version}, sha256 {policy.sha256}{how}",
        *(f"signer: {signer.name}, {signer.role}: {rotation.journal_name(signer)}" for signer in policy.signers),
        f"root keys: {root.threshold} of {len(root.keys)} may change it" if root else "root keys: none; it cannot be rotated",
    ]


def install(options: Options) -> Result:
    """The first policy."""
    new = rotation.offer(named(options))
    seen = state.look(options.state_folder)
    defects.check(seen)
    is_new = rotation.check_install(new, seen.policy, seen.standing.policy)
    mended: list[str] = []
    if options.execute and is_new:
        with mending.locked(options.state_folder) as found:
            now = state.look(options.state_folder)
            if rotation.check_install(new, now.policy, found.standing.policy):
                rotation.install(found, new)
            mended = found.mended
    said = "would be installed; nothing was written: add --execute" if is_new and not options.execute else "is installed"
    return changed(options, new.policy, mended, f"the policy of version {new.policy.version} {said}")


def rotate(options: Options) -> Result:
    """The next policy."""
    new = rotation.offer(named(options))
    if not options.execute:
        defects.check(state.look(options.state_folder))
        rotation.check_rotation(old_policy(options), new, options.signatures)
        said = "would be put in its place; nothing was written: add --execute"
        return changed(options, new.policy, [], f"the policy of version {new.policy.version} {said}")
    with mending.locked(options.state_folder) as found:
        old = old_policy(options)
        signed = rotation.check_rotation(old, new, options.signatures)
        rotation.rotate(found, old, new, signed)
        said = f"has taken the place of version {old.version}, signed by {len(signed)} root keys"
        return changed(options, new.policy, found.mended, f"the policy of version {new.policy.version} {said}")


def old_policy(options: Options) -> Policy:
    """The policy that is to be replaced.

    Raises: NotFoundError where there is none.
    """
    path = options.state_folder / trust_policy.FILE
    try:
        return trust_policy.read(path)
    except NotFoundError as err:
        raise NotFoundError("no policy is here that could be rotated", hint="lnm trust install POLICY.toml --execute") from err


def named(options: Options) -> Path:
    """The policy that was named.

    Raises: InputError where none was.
    """
    if options.policy is None:
        raise InputError("no policy was named", hint="lnm trust install POLICY.toml")
    return options.policy


def changed(options: Options, policy: Policy, mended: list[str], said: str) -> Result:
    """What was done with a policy, and what to compare."""
    seen = state.look(options.state_folder)
    data = {
        "executed": options.execute,
        "version": policy.version,
        "sha256": policy.sha256,
        "journal": {"count": len(seen.journal.entries), "head": seen.journal.head},
        "mended": mended,
    }
    compare = f"compare its sha256 with what whoever wrote it told you another way: {policy.sha256}"
    return Result(data, [*(f"mended: {one}" for one in mended), said, compare, head(seen.journal)])


def recover(options: Options) -> Result:
    """A new journal in the place of a broken one."""
    found = recovery.recover(options.state_folder, options.force_reason) if options.execute else None
    saved = found or recovery.look(options.state_folder)[1]
    seen = state.look(options.state_folder)
    outcome = "nothing-to-recover" if not saved.defects else "recovered" if options.execute else "would-recover"
    data = {
        "executed": options.execute,
        "outcome": outcome,
        "defects": list(saved.defects),
        "highest": saved.highest,
        "active": saved.active,
        "policy": saved.policy,
        "journal": {"count": len(seen.journal.entries), "head": seen.journal.head},
    }
    said = {
        "nothing-to-recover": "the trust state is as it was left: nothing was done",
        "recovered": "a new journal was begun; the broken one lies beside it",
        "would-recover": "a new journal would be begun; nothing was written: add --force-reason WHY --execute",
    }
    lines = [
        *(f"defect: {defect}" for defect in saved.defects),
        f"highest version that is named anywhere: {saved.highest or 'none'}; nothing older is let in unless it is forced",
        f"active kit: {saved.active[:16] or 'none; import one: lnm kit import'}",
        f"policy: {f'sha256 {saved.policy}: compare it with what its author told you' if saved.policy else NO_POLICY}",
        said[outcome],
        head(seen.journal),
    ]
    return Result(data, lines)


COMMANDS: Final[Mapping[str, Callable[[Options], Result]]] = {
    "status": status,
    "install": install,
    "rotate": rotate,
    "recover": recover,
}
