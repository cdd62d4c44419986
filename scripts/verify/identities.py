"""Checks the identity signatures of a kit through sigstore-python, offline, with a trusted root that came from outside.

(1) A kit without keyless files passes; it says so. (2) Whom to trust comes from the options alone: a trusted root, an identity
and its issuer, all three. Without them a kit of trust `dev` is held against the development instance of this user, which proves
that a build agrees with itself and nothing else; any other is not judged, and fails. (3) Certificate, log entry and signature of
both files verify; (4) the one is over SHA256SUMS, the payload of the other is manifest.json; (5) cosign, where it is on the
PATH, accepts them by the same root. Their form is for the single-file verifiers (kits.py).

sigstore is imported where there is something to verify, as that takes seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.verify import tools
from scripts.verify.outcome import WRONG_SIGNATURE, WRONG_TRUST, Built, Outcome, Trusted, failed, ok, skipped
from scripts.verify.statements import MANIFEST as MANIFEST_TYPE

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity

SUMS, MANIFEST = "SHA256SUMS", "manifest.json"
FILES = {f"{name.removesuffix('.json')}.keyless.sigstore.json": name for name in (SUMS, MANIFEST)}
IN_TOTO = "application/vnd.in-toto+json"
WANTED = "name whom to trust: LNM_TRUSTED_ROOT=FILE LNM_IDENTITY=WHO LNM_ISSUER=URL (--trusted-root, --identity, --issuer)"
DEVELOPMENT_ONLY = "by the development instance of this user: this is for development only, and proves nothing to others"


@dataclass(frozen=True)
class Judge:
    """What verifies, by which root, whom the certificate has to name, and what to say of that."""

    verifier: Verifier
    root: bytes
    identity: str
    issuer: str
    words: str

    @property
    def policy(self) -> Identity:
        """Identity and issuer, as sigstore wants them."""
        from sigstore.verify.policy import Identity

        return Identity(identity=self.identity, issuer=self.issuer)


def identities(built: Built) -> Iterator[Outcome]:
    """Both keyless files, or that there is none."""
    there = [name for name in FILES if (built.kit / name).is_file()]
    trust = trust_of(built.kit / MANIFEST)
    if not there and trust != "keyless":
        yield ok(built.kit_name, f"no identity has signed it (trust {trust})")
        return
    for name in FILES:
        if name not in there:
            yield failed(f"{built.kit_name}/{name}", "is not there", WRONG_SIGNATURE)
    found = judge(built.trusted, trust)
    for name in there:
        subject = f"{built.kit_name}/{name}"
        if isinstance(found, str):
            yield failed(subject, found, WRONG_TRUST)
        else:
            yield verified(built.kit, name, subject, found)
            yield foreign(built.kit, name, subject, found)


def trust_of(manifest: Path) -> str:
    """What the manifest says of its own signatures; the verifiers judge whether it is one."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return str(json.loads(manifest.read_bytes())["predicate"]["trust"])
    return "unknown"


def judge(trusted: Trusted, trust: str) -> Judge | str:
    """(2) Who judges; or why nobody can."""
    from sigstore.errors import Error

    if trusted.root is None or trusted.identity is None or trusted.issuer is None:
        if trusted != Trusted() or trust != "dev":
            return f"is not judged: {WANTED}"
        return development()
    try:
        root = trusted.root.read_bytes()
        verifier = verifier_of(root)
    except (OSError, ValueError, Error) as err:
        return f"is not judged: {trusted.root.name} is no trusted root: {' '.join(str(err).split())[:200]}"
    return Judge(verifier, root, trusted.identity, trusted.issuer, f"by {trusted.identity} of {trusted.issuer}")


def verifier_of(root: bytes) -> Verifier:
    """sigstore's verifier by the bytes of a trusted root; it asks nobody.

    Raises: ValueError or sigstore's Error for what is none.
    """
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier
    from sigstore_models.trustroot.v1 import TrustedRoot as Document

    return Verifier(trusted_root=TrustedRoot(Document.from_json(root)))


def development() -> Judge | str:
    """(2) The development instance of whoever runs this, where there is one."""
    from scripts.sigstore_instance import instance

    folder = instance_folder()
    if not folder.is_dir():
        return f"is not judged: there is no development instance here; {WANTED}"
    root = json.dumps(instance.load(folder).trusted_root()).encode("ascii")
    return Judge(verifier_of(root), root, instance.IDENTITY, instance.ISSUER, DEVELOPMENT_ONLY)


def instance_folder() -> Path:
    """Where a build keeps the development instance (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if Path(state).is_absolute() else Path.home() / ".local/state") / "lnm-build/sigstore"


def verified(kit: Path, name: str, subject: str, found: Judge) -> Outcome:
    """(3), (4) One of the files."""
    from sigstore.errors import Error
    from sigstore.models import Bundle

    signed = FILES[name]
    look: Callable[[Judge, Bundle, bytes], None] = over_blob if signed == SUMS else over_statement
    try:
        bundle = Bundle.from_json((kit / name).read_bytes())
        look(found, bundle, (kit / signed).read_bytes())
    except OtherPayloadError:
        return failed(subject, f"its payload is not {signed}", WRONG_SIGNATURE)
    except (OSError, ValueError, Error) as err:
        return failed(subject, f"sigstore refuses it: {' '.join(str(err).split())[:300]}", WRONG_TRUST)
    return ok(subject, f"{signed} is signed (sigstore-python) {found.words}")


def foreign(kit: Path, name: str, subject: str, found: Judge) -> Outcome:
    """(5) The same file by cosign; a statement is held against SHA256SUMS, its first subject."""
    if not tools.present("cosign"):
        return skipped(subject, "cosign is not on the PATH")
    kind = "" if FILES[name] == SUMS else MANIFEST_TYPE
    with tempfile.NamedTemporaryFile(suffix=".json") as root:
        root.write(found.root)
        root.flush()
        whom = (Path(root.name), found.identity, found.issuer)
        answer = tools.cosign_verifies_identity(whom, kit / SUMS, kit / name, kind)
    if not answer.accepted:
        return failed(subject, f"cosign refuses it for {SUMS}: {answer.complaint}", WRONG_TRUST)
    return ok(subject, f"accepted by cosign for {SUMS}")


class OtherPayloadError(Exception):
    """A statement is signed, and it is another one."""


def over_blob(found: Judge, bundle: Bundle, data: bytes) -> None:
    """Raises what sigstore raises unless the bundle is over these bytes."""
    found.verifier.verify_artifact(data, bundle, found.policy)


def over_statement(found: Judge, bundle: Bundle, data: bytes) -> None:
    """Raises what sigstore raises, or OtherPayloadError, unless the bundle holds these bytes."""
    if found.verifier.verify_dsse(bundle, found.policy) != (IN_TOTO, data):
        raise OtherPayloadError
