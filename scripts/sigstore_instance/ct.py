"""Timestamps of the certificate log (RFC 6962 §3.2, §3.3): the promise that a certificate was logged, embedded in it.

There is the key of a log here and no log: nobody audits the certificates of a development instance.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import struct

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import ExtensionOID

from scripts.sigstore_instance.keypair import KeyPair

VERSION_1, CERTIFICATE_TIMESTAMP, PRECERT_ENTRY = 0, 0, 1
SHA256_ECDSA = bytes([4, 3])  # RFC 5246 §7.4.1.4.1: hash, signature
NO_EXTENSIONS = struct.pack("!H", 0)


def timestamp(log: KeyPair, authority_spki: bytes, tbs: bytes, at: dt.datetime) -> bytes:
    """A SignedCertificateTimestamp over the to-be-signed part of a certificate that has no timestamp yet."""
    moment = struct.pack("!Q", int(at.timestamp() * 1000))
    entry = hashlib.sha256(authority_spki).digest() + len(tbs).to_bytes(3, "big") + tbs
    kind = struct.pack("!BB", VERSION_1, CERTIFICATE_TIMESTAMP)
    signature = log.sign(kind + moment + struct.pack("!H", PRECERT_ENTRY) + entry + NO_EXTENSIONS)
    return bytes([VERSION_1]) + log.log_id + moment + NO_EXTENSIONS + SHA256_ECDSA + counted(signature)


def extension(stamps: list[bytes]) -> x509.UnrecognizedExtension:
    """The extension that carries timestamps: an octet string of a list of them."""
    data = counted(b"".join(map(counted, stamps)))
    return x509.UnrecognizedExtension(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, asn1.encode_der(data))


def counted(data: bytes) -> bytes:
    """TLS's opaque<0..2^16-1>: the length in two bytes, then the bytes."""
    return struct.pack("!H", len(data)) + data
