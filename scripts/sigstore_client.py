"""Signs by identity through the unmodified sigstore client; every other module of the build is free of it.

Forms: Sigstore bundle v0.3 with one entry of a Rekor v1 log (docs/kit-format.md, «Signatures by identity»). What was signed is
verified at once, by the trusted root of the same service, before anybody sees it. The library takes seconds to import, so it
is imported at use.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import canonical
from scripts.errors import InputError, KitError, ToolError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.verify.policy import Identity

ISSUER = "1.3.6.1.4.1.57264.1.1"  # of a certificate: its issuer of identities, as plain text (Fulcio, docs/oid-info.md)
LOG_VERSION = 1  # Rekor: what every client of today can verify
IN_TOTO = "application/vnd.in-toto+json"
LONGEST_WORDS = 300  # characters of what a service or the library says of a failure
NO_CREDENTIAL = (
    "run this in a CI job that may ask for an identity token (GitHub: permissions: id-token: write; GitLab: id_tokens: "
    "SIGSTORE_ID_TOKEN with aud: sigstore), or set LNM_SIGSTORE=development, or unset LNM_SIGN"
)
TRY_AGAIN = "look at the connection and at https://status.sigstore.dev, then: doit bundle; without an identity: unset LNM_SIGN"


@contextlib.contextmanager
def explained(what: str, *secrets: str) -> Iterator[None]:
    """Turns whatever a client of three services and its libraries can raise into one error, without the secrets.

    Raises: ToolError.
    """
    try:
        yield
    except KitError:
        raise
    except Exception as err:  # noqa: BLE001 - sigstore, tuf, requests, urllib3 and pydantic share no family, and some raise ValueError
        words = " ".join(f"{type(err).__name__}: {str(err) or err.__cause__ or 'no reason given'}".split())
        for secret in filter(None, secrets):
            words = words.replace(secret, "…")
        raise ToolError(f"{what}: {words[:LONGEST_WORDS]}", hint=TRY_AGAIN) from None  # a cause could tell the token


def ambient_token() -> str:
    """The identity token that this CI job can have.

    Raises: InputError where there is none, ToolError where it cannot be had.
    """
    from sigstore.oidc import detect_credential

    with explained("the identity of this CI job"):
        token = detect_credential()
    if token is None:
        raise InputError("LNM_SIGN=keyless: nothing here gives this build an identity to sign with", hint=NO_CREDENTIAL)
    return token


@contextlib.contextmanager
def service(development: Path | None) -> Iterator[tuple[ClientTrustConfig, str]]:
    """Where to sign and whom to trust, with a token: the public services, or the development instance that lives in a folder.

    Raises: InputError, ToolError.
    """
    from sigstore.models import ClientTrustConfig

    if development is None:
        token = ambient_token()
        with explained("Sigstore's trusted root", token):
            config = ClientTrustConfig.production()
        yield config, token
        return
    from scripts.sigstore_instance import instance

    inst = instance.load(development)
    with instance.serving(inst) as base, without_proxy():
        yield ClientTrustConfig.from_json(json.dumps(inst.trust_config(base))), inst.token(instance.IDENTITY)


@contextlib.contextmanager
def without_proxy() -> Iterator[None]:
    """Lets the library speak to this very process: it asks the environment for a proxy, and no proxy leads back here."""
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    os.environ |= dict.fromkeys(before, "127.0.0.1")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def sign_blob(sha256: str, development: Path | None) -> tuple[bytes, str]:
    """A verified keyless bundle over a blob, by its SHA-256 in hex, and who signed it.

    Raises: InputError, ToolError.
    """
    from sigstore.hashes import Hashed
    from sigstore.sign import SigningContext
    from sigstore.verify import Verifier
    from sigstore_models.common.v1 import HashAlgorithm

    blob = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(sha256))
    with service(development) as (config, token), explained("signing SHA256SUMS by identity", token):
        config.force_tlog_version = LOG_VERSION
        with SigningContext.from_trust_config(config).signer(identity(token)) as signer:
            bundle = signer.sign_artifact(blob)
        Verifier(trusted_root=config.trusted_root).verify_artifact(blob, bundle, itself(bundle))
    return render(bundle), " of ".join(signer_of(bundle.signing_certificate))


def sign_statement(payload: bytes, development: Path | None) -> tuple[bytes, str]:
    """A verified keyless bundle with the DSSE of an in-toto statement, its bytes as they are the payload, and who signed it.

    Raises: InputError, ToolError.
    """
    from sigstore.dsse import Statement
    from sigstore.sign import SigningContext
    from sigstore.verify import Verifier

    with service(development) as (config, token), explained("signing the manifest by identity", token):
        config.force_tlog_version = LOG_VERSION
        with SigningContext.from_trust_config(config).signer(identity(token)) as signer:
            bundle = signer.sign_dsse(Statement(payload))
        found = Verifier(trusted_root=config.trusted_root).verify_dsse(bundle, itself(bundle))
        if found != (IN_TOTO, payload):
            raise ToolError("signing the manifest by identity: another payload was signed", hint=TRY_AGAIN)
    return render(bundle), " of ".join(signer_of(bundle.signing_certificate))


def identity(token: str) -> IdentityToken:
    """A token as the library takes it."""
    from sigstore.oidc import IdentityToken

    return IdentityToken(token)


def itself(bundle: Bundle) -> Identity:
    """The policy that a bundle's own certificate meets: who signed is for others to judge, that it verifies is for us."""
    from sigstore.verify.policy import Identity

    name, issuer = signer_of(bundle.signing_certificate)
    return Identity(identity=name, issuer=issuer)


def signer_of(certificate: Certificate) -> tuple[str, str]:
    """The identity in a certificate, and who vouches for it."""
    from cryptography.x509 import ObjectIdentifier, SubjectAlternativeName, UnrecognizedExtension

    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    issuer = certificate.extensions.get_extension_for_oid(ObjectIdentifier(ISSUER)).value
    if not isinstance(issuer, UnrecognizedExtension):
        raise ToolError("the certificate names its issuer in another form than Fulcio's", hint=TRY_AGAIN)
    return str(next(iter(names)).value), issuer.value.decode("utf-8")


def render(bundle: Bundle) -> bytes:
    """The one byte form of a bundle.

    Raises: ToolError for a bundle that the kit's format has no room for.
    """
    document: dict[str, Any] = json.loads(bundle.to_json())
    entries = document["verificationMaterial"]["tlogEntries"]
    kinds = [f"{entry['kindVersion']['kind']} {entry['kindVersion']['version']}" for entry in entries]
    if kinds not in (["hashedrekord 0.0.1"], ["dsse 0.0.1"]) or "inclusionPromise" not in entries[0]:
        raise ToolError(f"the log gave {', '.join(kinds)}, wanted one promised entry of Rekor v1", hint=TRY_AGAIN)
    return canonical.render(document)
