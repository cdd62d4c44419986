"""What a client is told to trust and where to sign: TrustedRoot, SigningConfig and ClientTrustConfig of sigstore/protobuf-specs.

Shapes: sigstore_trustroot.proto, in protobuf's JSON. Rekor's API v1 alone, no timestamp authority: the log's promise is the time.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scripts import canonical
from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.log import HOST

OPERATOR = "lnm-dev.invalid"
TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
CLIENT_TRUST_CONFIG = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"


def trusted_root(authority: x509.Certificate, log: KeyPair, certificate_log: KeyPair, start: str) -> dict[str, Any]:
    """The keys to verify with, good from `start` (RFC 3339) on; no address in it is ever resolved.

    The host of a log's address is the name that signs its checkpoints, which sigstore-js compares.
    """
    return {
        "mediaType": TRUSTED_ROOT,
        "tlogs": [log_instance(log, f"https://{HOST}", start)],
        "certificateAuthorities": [
            {
                "subject": {"organization": OPERATOR, "commonName": OPERATOR},
                "uri": f"https://fulcio.{OPERATOR}",
                "certChain": {"certificates": [{"rawBytes": canonical.b64(authority.public_bytes(Encoding.DER))}]},
                "validFor": {"start": start},
                "operator": OPERATOR,
            }
        ],
        "ctlogs": [log_instance(certificate_log, f"https://ct.{OPERATOR}", start)],
        "timestampAuthorities": [],
    }


def log_instance(key: KeyPair, address: str, start: str) -> dict[str, Any]:
    """One log, by its key."""
    public = {"rawBytes": canonical.b64(key.spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": {"start": start}}
    return {
        "baseUrl": address,
        "hashAlgorithm": "SHA2_256",
        "publicKey": public,
        "logId": {"keyId": canonical.b64(key.log_id)},
        "operator": OPERATOR,
    }


def signing_config(base: str, start: str) -> dict[str, Any]:
    """Where to sign: everything at one address."""
    service = [{"url": base, "majorApiVersion": 1, "validFor": {"start": start}, "operator": OPERATOR}]
    return {
        "mediaType": SIGNING_CONFIG,
        "caUrls": service,
        "oidcUrls": service,
        "rekorTlogUrls": service,
        "rekorTlogConfig": {"selector": "ANY"},
    }


def trust_config(root: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Both in one, as sigstore-python reads it."""
    return {"mediaType": CLIENT_TRUST_CONFIG, "trustedRoot": root, "signingConfig": config}
