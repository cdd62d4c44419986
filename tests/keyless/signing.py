"""The unmodified sigstore-python against the development instance: it signs a blob and a statement, and it verifies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from sigstore.dsse import Statement
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import Signer, SigningContext
from sigstore.verify import Verifier, policy

from scripts import canonical
from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance

NOWHERE = "http://127.0.0.1:9"  # of a trust config that only verifies


@contextmanager
def signer(inst: Instance, subject: str = instance.IDENTITY) -> Iterator[Signer]:
    """Yields a signer with a certificate of the instance."""
    with instance.serving(inst) as base:
        config = ClientTrustConfig.from_json(json.dumps(inst.trust_config(base)))
        with SigningContext.from_trust_config(config).signer(IdentityToken(inst.token(subject))) as ready:
            yield ready


def file_of(bundle: Bundle) -> bytes:
    """A bundle as it lies in a kit: canonical, one LF."""
    return canonical.render(json.loads(bundle.to_json()))


def blob_bundle(ready: Signer, blob: bytes) -> bytes:
    """A bundle over a blob."""
    return file_of(ready.sign_artifact(blob))


def statement_bundle(ready: Signer, statement: bytes) -> bytes:
    """A bundle with a statement in it, byte by byte."""
    return file_of(ready.sign_dsse(Statement(statement)))


def verifier(inst: Instance) -> Verifier:
    """What trusts the instance alone."""
    config = ClientTrustConfig.from_json(json.dumps(inst.trust_config(NOWHERE)))
    return Verifier(trusted_root=config.trusted_root)


def expected(identity: str = instance.IDENTITY, issuer: str = instance.ISSUER) -> policy.Identity:
    """Who must have signed."""
    return policy.Identity(identity=identity, issuer=issuer)


def verify_blob(inst: Instance, blob: bytes, bundle: bytes) -> None:
    """sigstore-python's word on a blob.

    Raises: sigstore.errors.Error where it refuses.
    """
    verifier(inst).verify_artifact(blob, Bundle.from_json(bundle), expected())


def verify_statement(inst: Instance, bundle: bytes) -> tuple[str, bytes]:
    """sigstore-python's word on a statement: its type and its payload.

    Raises: sigstore.errors.Error where it refuses.
    """
    return verifier(inst).verify_dsse(Bundle.from_json(bundle), expected())
