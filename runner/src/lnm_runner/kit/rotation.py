"""The first policy of a machine, and how one policy takes the place of another: signed by the root keys of both, offline.

The rules are those of a TUF root (TUF 1.0.33, 5.3.4 and 5.3.5), over detached signatures of the new file's bytes:

 (1) Each signature is one of a root key of the old policy or of the new one.
 (2) As many distinct root keys of the old policy have signed as its threshold says.
 (3) The same for the new policy, by its own threshold: nobody is made a root without having shown his key.
 (4) The new version is the old one plus one.
 (5) The trusted root that the new policy names lies beside it and has the SHA-256 that it says.

Both files are written into trust/pending/ first; the line `policy-rotated` is the point of no return, after which every command
that changes the state folder finishes what a killed one has begun (mending.py).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

from lnm_runner.errors import InputError, NotFoundError, RunnerError, SignatureError, TrustRootError, VersionError, gathered
from lnm_runner.kit import core, journal, state
from lnm_runner.kit import policy as trust_policy
from lnm_runner.kit.mending import finish_rotation
from lnm_runner.kit.policy import Policy, Root, Signer
from lnm_runner.kit.standing import identity_name, key_name
from lnm_runner.kit.store import Store

LARGEST_SIGNATURE: Final = 4096  # bytes; one of ECDSA P-256 has about 100 in base64
SIGN: Final = (
    "each root key signs the bytes of the new policy: openssl dgst -sha256 -sign KEY.pem NEW.toml | openssl base64 -out SIG; "
    "if it is Ed25519: openssl pkeyutl -sign -rawin -inkey KEY.pem -in NEW.toml | openssl base64 -out SIG"
)


class RootPublicKey(Protocol):
    """verify_kit.PublicKey."""

    fingerprint: str

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether it made this signature."""


@dataclass(frozen=True)
class Offer:
    """A policy that is to be put in its place."""

    policy: Policy
    data: bytes
    """Its bytes, which are what is signed."""
    root: bytes
    """The trusted root that it names; empty where it names none."""


def offer(path: Path) -> Offer:
    """Reads a policy and what lies beside it.

    Raises: RunnerError; TrustRootError for (5).
    """
    policy = trust_policy.read(path)
    data = bytes_of(path, trust_policy.LARGEST)
    if state.digest(data) != policy.sha256:
        raise InputError(f"{path}: was changed while it was read", hint="run the same command again")
    return Offer(policy, data, root_beside(path, policy))


def root_beside(path: Path, policy: Policy) -> bytes:
    """(5) The bytes of the trusted root.

    Raises: TrustRootError.
    """
    named = policy.trusted_root
    if named is None:
        return b""
    if named.file == trust_policy.FILE or not named.file.endswith(".json"):
        raise InputError(f"{path}: trusted-root.file: wanted a name that ends with .json", hint=trust_policy.HINT)
    beside = path.parent / named.file
    try:
        data = bytes_of(beside, state.LARGEST_ROOT)
    except NotFoundError as err:
        raise TrustRootError(f"{beside}: is not there, and the policy names it", hint="put it beside the policy") from err
    found = state.digest(data)
    if found != named.sha256:
        what = f"{beside}: has sha256 {found[:12]}…, the policy says {named.sha256[:12]}…"
        raise TrustRootError(what, hint="take the trusted root that the policy was written for")
    return data


def bytes_of(path: Path, most: int) -> bytes:
    """The bytes of a file of the operator.

    Raises: NotFoundError; InputError where it cannot be read or is too long.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: is not there", hint="check the path") from err
    except OSError as err:
        raise InputError(f"{path}: cannot be read: {err.strerror}", hint="check the path and its permissions") from err
    if len(data) > most:
        raise InputError(f"{path}: has more than {most} bytes", hint="check the path")
    return data


def check_install(new: Offer, in_place: str, journalled: str) -> bool:
    """Whether the first policy may be put in its place; false where it is there and known already.

    Raises: InputError where another one is there.
    """
    if journalled == new.policy.sha256:
        return False
    if journalled or in_place not in ("", new.policy.sha256):
        raise InputError(
            f"another policy is here already (sha256 {(journalled or in_place)[:12]}…)",
            hint="lnm trust rotate NEW.toml --signature SIG …; " + SIGN,
        )
    return True


def install(store: Store, new: Offer) -> None:
    """Puts the first policy in its place.

    Raises: RunnerError.
    """
    if new.policy.trusted_root is not None:
        store.root.replace(new.policy.trusted_root.file, new.root)
    store.root.replace(trust_policy.FILE, new.data)
    store.append(journal.POLICY_INSTALLED, {"policy": new.policy.sha256, "version": new.policy.version})


def check_rotation(old: Policy, new: Offer, signatures: Sequence[Path]) -> list[str]:
    """(1) to (4); returns the fingerprints of the root keys that signed.

    Raises: SignatureError with everything that is wrong with the signatures; VersionError.
    """
    if old.root is None or new.policy.root is None:
        which = "the policy that is here" if old.root is None else "the new policy"
        raise SignatureError(f"{which} has no [root], and nobody can say who may change it", hint=trust_policy.HINT)
    keys = {**public_keys(old.root), **public_keys(new.policy.root)}
    found = [signer_of(path, new.data, keys) for path in signatures]
    signed = {name for name in found if name in keys}
    wrong: list[RunnerError] = [
        SignatureError(f"{path}: is the signature of none of the root keys over this policy", hint=SIGN)
        for path, name in zip(signatures, found, strict=True)
        if not name  # (1)
    ]
    wrong += missed("the policy that is here", old.root, signed) + missed("the new policy", new.policy.root, signed)  # (2), (3)
    if wrong:
        raise gathered(wrong)
    if new.policy.version != old.version + 1:  # (4)
        raise VersionError(
            f"the new policy has version {new.policy.version}, the one that is here has {old.version}: wanted {old.version + 1}",
            hint="no version is left out and none comes twice: rotate to each policy in its turn",
            facts={"version": new.policy.version, "wanted": old.version + 1},
        )
    return sorted(signed)


def missed(which: str, root: Root, signed: set[str]) -> list[RunnerError]:
    """What a policy's root keys have not agreed to."""
    there = [key for key in root.keys if key.fingerprint in signed]
    if len(there) >= root.threshold:
        return []
    names = ", ".join(key.name for key in root.keys if key not in there)
    what = f"{len(there)} root keys of {which} have signed, wanted {root.threshold}; not among them: {names}"
    return [SignatureError(what, hint=SIGN, facts={"found": len(there), "wanted": root.threshold})]


def public_keys(root: Root) -> Mapping[str, RootPublicKey]:
    """`{fingerprint: key}`."""
    verifier = core.verifier()
    return {key.fingerprint: cast("Any", verifier.read_keys(key.public_key, key.name))[0] for key in root.keys}


def signer_of(path: Path, message: bytes, keys: Mapping[str, RootPublicKey]) -> str:
    """The fingerprint of the key that made a detached signature; empty where none of them did.

    The file holds base64, as `cosign sign-blob` and `openssl base64` write it: line breaks are no part of it.
    """
    text = b"".join(bytes_of(path, LARGEST_SIGNATURE).split())
    try:
        signature = base64.b64decode(text, validate=True)
    except binascii.Error:
        return ""
    return next((name for name, key in keys.items() if key.verifies(message, signature)), "")


def removed(old: Policy, new: Policy) -> list[str]:
    """The signers whom the new policy no longer has, as the journal names them; a role that was lost does not count."""
    there = {journal_name(signer) for signer in new.signers}
    return sorted(name for name in map(journal_name, old.signers) if name not in there)


def journal_name(signer: Signer) -> str:
    """How the journal names a signer."""
    return key_name(signer.fingerprint) if signer.fingerprint else identity_name(signer.identity or "", signer.issuer or "")


def rotate(store: Store, old: Policy, new: Offer, signed: Sequence[str]) -> None:
    """Puts a policy that was checked in the place of the old one.

    Raises: RunnerError.
    """
    store.trust.remove(state.PENDING)
    with store.trust.made(state.PENDING) as pending:
        if new.policy.trusted_root is not None:
            pending.replace(new.policy.trusted_root.file, new.root)
        pending.replace(trust_policy.FILE, new.data)
    facts = {"from": old.sha256, "policy": new.policy.sha256, "version": new.policy.version, "signedBy": list(signed)}
    store.append(journal.POLICY_ROTATED, {**facts, "removed": removed(old, new.policy)})
    finish_rotation(store)
