"""What a killed command has left half-way is finished or taken back before the state folder is changed again, and told.

A crash leaves one of few things:

    a torn last line                    cut off
    head.json one line behind           written
    the last import without receipt     written
    an active kit that no line tells    told: its import is the last line, so it was verified and meant
    a rotated policy not in its place   put there (rotation.py writes trust/pending/ before the line)
    kits/.incoming, folders of kits     removed: no line let them in
      that no line tells of
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from lnm_runner import chain
from lnm_runner.errors import StateError
from lnm_runner.kit import defects, journal, state
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit.held import Held, told
from lnm_runner.kit.state import Seen
from lnm_runner.kit.store import Store, held


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Store]:
    """The store, found to be as it was left, and mended.

    Raises: StateError where it was tampered with; LockedError; RunnerError where it cannot be had.
    """
    with held(path) as (root, trust, kits):
        seen = state.look_into(root)
        defects.check(seen)
        store = Store(root, trust, kits, seen.journal)
        mend(store, seen)
        yield store


def mend(store: Store, seen: Seen) -> None:
    """Finishes or takes back what a killed command has left, in the order in which it would have gone on."""
    if seen.is_torn:
        with told(f"{state.TRUST}/{state.JOURNAL}"), store.opened() as file:
            file.truncate(seen.journal.whole)
            os.fsync(file.fileno())
        store.mended.append(f"line {len(seen.journal.entries) + 1} of the journal was not written to its end, and was cut off")
    if not seen.journal.entries:
        store.append(journal.BEGUN, {"nonce": secrets.token_hex(16), "schema": journal.SCHEMA})
    elif seen.head is None or chain.read_form(seen.head, chain.HEAD_FORM)["count"] != len(seen.journal.entries):
        store.write_head()
        store.mended.append(f"{state.HEAD} was one line behind the journal, and was written anew")
    mend_import(store, seen)
    mend_rotation(store, seen)
    remove_leftovers(store, seen)


def mend_import(store: Store, seen: Seen) -> None:
    """The last import: its receipt, and the line that it is active."""
    last, active = seen.last_import, seen.active_kit
    if last is not None and last.name in seen.folders and last.name not in seen.receipts:
        store.write_receipt(last)
        store.mended.append(f"the receipt of {last.name} was missing, and was written")
    if active is not None and active.root_hash != seen.standing.active:
        store.tell_active(active)
        store.mended.append(f"{active.name} had become active, and the journal says so now")


def mend_rotation(store: Store, seen: Seen) -> None:
    """A policy that is not in its place, or of which the journal does not say that it is."""
    if seen.standing.replaced:
        finish_rotation(store)
        store.mended.append(f"the policy of version {seen.standing.policy_version} was put in its place")
    else:
        store.trust.remove(state.PENDING)


def finish_rotation(store: Store) -> None:
    """Puts what lies in trust/pending/ in its place, the policy last, and says so.

    Raises: StateError where that is not what the journal has rotated to.
    """
    pending = store.trust.folder(state.PENDING)
    if pending is not None:
        with pending:
            put_pending(store, pending)
    policy = trust_policy.parse(store.root.read(trust_policy.FILE, trust_policy.LARGEST) or b"", trust_policy.FILE)
    if policy.sha256 != store.standing.policy:
        raise StateError(f"{trust_policy.FILE}: is not the one that the journal has rotated to", hint=defects.SAFE_MODE)
    store.append(journal.POLICY_INSTALLED, {"policy": policy.sha256, "version": policy.version})
    store.trust.remove(state.PENDING)


def put_pending(store: Store, pending: Held) -> None:
    """The two files, where both are the right ones."""
    data = pending.read(trust_policy.FILE, trust_policy.LARGEST) or b""
    if state.digest(data) != store.standing.policy:
        return
    root = trust_policy.parse(data, trust_policy.FILE).trusted_root
    if root is not None:
        found = pending.read(root.file, trust_policy.LARGEST_ROOT) or b""
        if state.digest(found) == root.sha256:
            store.root.replace(root.file, found)
    store.root.replace(trust_policy.FILE, data)


def remove_leftovers(store: Store, seen: Seen) -> None:
    """What an import that was killed has left in kits/."""
    for name in (state.INCOMING, *seen.leftovers()):
        if name in store.kits.names():
            store.kits.remove(name)
            store.mended.append(f"{state.KITS}/{name}: what a killed import had left was removed")
