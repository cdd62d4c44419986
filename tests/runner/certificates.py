"""Certificates for the servers of the tests: an authority of their own, and a certificate of 127.0.0.1 by it (RFC 5280)."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

VALID = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Files as mongod and the driver want them."""

    authority: Path
    """The certificate to trust."""
    server: Path
    """The server's certificate and its key."""


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tests"), x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def make(folder: Path, authority: str = "authority of the tests") -> Certificates:
    """Makes an authority and a server's certificate by it."""
    key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    own = builder(authority, authority, key, is_authority=True).add_extension(usage, critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    of_server = builder("localhost", authority, server_key, is_authority=False)
    of_server = of_server.add_extension(names, critical=False).add_extension(issuer, critical=False)
    made = Certificates(folder / "authority.pem", folder / "server.pem")
    made.authority.write_bytes(own.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    private = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made.server.write_bytes(of_server.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM) + private)
    made.server.chmod(0o600)
    return made
