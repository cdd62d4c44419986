"""Identity tokens: JWTs (RFC 7519) that the instance makes and takes, signed ES256 by its own key.

There is no login: who can read the instance's folder is whoever he says he is. Claims as OpenID Connect Core §2 and Fulcio's
docs/oidc.md want them; `sub` is the identity, repeated as a verified `email` where it is an address.
"""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus

import jwt

from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.refusal import RefusedError

ISSUER = "https://oidc.lnm-dev.invalid"  # only a claim: RFC 6761 §6.4, never resolved
AUDIENCE = "sigstore"
LIFETIME = dt.timedelta(minutes=10)
ALGORITHM = "ES256"
REQUIRED = ("aud", "exp", "iat", "iss", "sub")


def token(key: KeyPair, subject: str, at: dt.datetime) -> str:
    """A token for a subject, good for ten minutes from `at`."""
    now = int(at.timestamp())
    claims = {"aud": AUDIENCE, "exp": now + int(LIFETIME.total_seconds()), "iat": now, "iss": ISSUER, "nbf": now, "sub": subject}
    if "@" in subject and "://" not in subject:
        claims |= {"email": subject, "email_verified": True}
    return jwt.encode(claims, key.private, ALGORITHM)


def subject(key: KeyPair, presented: str) -> str:
    """The identity that a token speaks for.

    Raises: RefusedError (401), never with a piece of the token in it.
    """
    try:
        claims = jwt.decode(
            presented,
            key.private.public_key(),
            [ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": list(REQUIRED)},
        )
    except jwt.PyJWTError as err:
        raise RefusedError(f"the identity token is refused: {type(err).__name__}", status=HTTPStatus.UNAUTHORIZED) from None
    return str(claims["sub"])
