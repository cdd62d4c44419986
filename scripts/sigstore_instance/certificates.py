"""The certificate authority: short-lived certificates that bind a key to an identity, as Fulcio issues them.

Profile: sigstore/fulcio docs/certificate-specification.md (usage, critical SAN, extensions .1.1 and .1.8 with the issuer);
RFC 5280 for the rest. Each certificate carries one timestamp of the instance's own certificate log (`ct`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from scripts.sigstore_instance import ct
from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.refusal import RefusedError

LIFETIME = dt.timedelta(minutes=10)
LIFETIME_OF_AUTHORITY = dt.timedelta(days=3650)
ISSUER_RAW = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")  # the bare text, deprecated; clients still read it
ISSUER_DER = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")  # a DER UTF8String
NAME = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "LNM development, not for production"),
        x509.NameAttribute(NameOID.COMMON_NAME, "LNM development Sigstore instance"),
    ]
)


@dataclass(frozen=True)
class Authority:
    """What issues certificates: its key and certificate, and the log that has seen what it issued."""

    key: KeyPair
    certificate: x509.Certificate
    log: KeyPair
    """The key of the certificate log."""

    def issue(
        self, public: EllipticCurvePublicKey, identity: str, issuer: str, at: dt.datetime, *, with_sct: bool = True
    ) -> x509.Certificate:
        """A certificate for a key, valid from `at` for ten minutes; without a timestamp of the log only on request."""
        builder = profile(self.certificate, public, identity, issuer, at)
        precertificate = builder.sign(self.key.private, SHA256())
        if not with_sct:
            return precertificate
        return self.logged(builder, precertificate, at)

    def logged(self, builder: x509.CertificateBuilder, precertificate: x509.Certificate, at: dt.datetime) -> x509.Certificate:
        """The certificate with the log's timestamp over what it is without it (RFC 6962 §3.3); the extension is the last one."""
        stamp = ct.timestamp(self.log, self.key.spki, precertificate.tbs_certificate_bytes, at)
        return builder.add_extension(ct.extension([stamp]), critical=False).sign(self.key.private, SHA256())

    def chain_pem(self, leaf: x509.Certificate) -> list[str]:
        """A certificate and the authority's own, as Fulcio returns them."""
        return [item.public_bytes(Encoding.PEM).decode("ascii") for item in (leaf, self.certificate)]


def profile(
    authority: x509.Certificate, public: EllipticCurvePublicKey, identity: str, issuer: str, at: dt.datetime
) -> x509.CertificateBuilder:
    """A leaf of Fulcio's profile, not signed yet and without a timestamp; one serial number for all that is built from it."""
    above = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    return (
        x509.CertificateBuilder(serial_number=x509.random_serial_number(), public_key=public)
        .subject_name(x509.Name([]))
        .issuer_name(authority.subject)
        .not_valid_before(at)
        .not_valid_after(at + LIFETIME)
        .add_extension(usage(certifies=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(above, critical=False)
        .add_extension(x509.SubjectAlternativeName([general_name(identity)]), critical=True)
        .add_extension(x509.UnrecognizedExtension(ISSUER_RAW, issuer.encode("ascii")), critical=False)
        .add_extension(x509.UnrecognizedExtension(ISSUER_DER, asn1.encode_der(issuer)), critical=False)
    )


def general_name(identity: str) -> x509.GeneralName:
    """An address is an RFC 822 name; everything else is a URI.

    Raises: RefusedError for what a certificate cannot hold.
    """
    try:
        if "://" in identity or "@" not in identity:
            return x509.UniformResourceIdentifier(identity)
        return x509.RFC822Name(identity)
    except ValueError:
        raise RefusedError("sub: no identity that a certificate can hold") from None


def self_signed(key: KeyPair, at: dt.datetime) -> x509.Certificate:
    """The authority's own certificate, valid from `at`."""
    public = key.private.public_key()
    return (
        x509.CertificateBuilder(serial_number=x509.random_serial_number(), public_key=public)
        .subject_name(NAME)
        .issuer_name(NAME)
        .not_valid_before(at)
        .not_valid_after(at + LIFETIME_OF_AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(certifies=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key.private, SHA256())
    )


def usage(*, certifies: bool) -> x509.KeyUsage:
    """What a key is for: to sign certificates, or to sign artefacts."""
    return x509.KeyUsage(
        digital_signature=not certifies,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )
