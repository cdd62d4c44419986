"""What a client of the certificate authority sends: who it is, which key it has, and the proof that it has it.

Two shapes (sigstore/fulcio fulcio.proto): a certificate signing request, as sigstore-python sends it, or a public key with the
signature over the identity, as sigstore-js and cosign do. The token is a bearer of the header or a member of the request.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from scripts.sigstore_instance.entries import decoded, text
from scripts.sigstore_instance.refusal import RefusedError

BEARER = "Bearer "
CURVE = "secp256r1"


def token_of(authorization: str, request: object) -> str:
    """The token of a request, wherever it is.

    Raises: RefusedError where there is none.
    """
    if authorization.startswith(BEARER):
        return authorization.removeprefix(BEARER)
    return text(request, "credentials", "oidcIdentityToken")


def proven_key(request: object, identity: str) -> EllipticCurvePublicKey:
    """The public key that a certificate is asked for, after the proof that the client has the private one.

    Raises: RefusedError.
    """
    if isinstance(request, dict) and "certificateSigningRequest" in request:
        return key_of_csr(decoded(request, "certificateSigningRequest"))
    key = checked(load(text(request, "publicKeyRequest", "publicKey", "content").encode("utf-8")))
    try:
        key.verify(decoded(request, "publicKeyRequest", "proofOfPossession"), identity.encode("utf-8"), ECDSA(SHA256()))
    except InvalidSignature:
        raise RefusedError("publicKeyRequest.proofOfPossession: no signature over the identity under that key") from None
    return key


def key_of_csr(pem: bytes) -> EllipticCurvePublicKey:
    """The key of a certificate signing request (PKCS#10, RFC 2986) that is signed with it; its subject is not read.

    Raises: RefusedError.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
        is_valid, public = request.is_signature_valid, request.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError("certificateSigningRequest: no PKCS#10 request in PEM") from None
    if not is_valid:
        raise RefusedError("certificateSigningRequest: not signed with its own key")
    return checked(public)


def load(pem: bytes) -> object:
    """Reads a public key in PEM.

    Raises: RefusedError.
    """
    try:
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError("publicKeyRequest.publicKey.content: no public key in PEM") from None


def checked(key: object) -> EllipticCurvePublicKey:
    """Refuses every kind of key but ECDSA on P-256, the one that Sigstore's clients make.

    Raises: RefusedError.
    """
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name != CURVE:
        raise RefusedError("wanted a key of ECDSA on P-256")
    return key
