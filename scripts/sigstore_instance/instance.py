"""A development Sigstore instance: its folder, and what it answers to a client.

    inst = instance.load(folder)
    with instance.serving(inst) as base:
        config = inst.trust_config(base)

It is **no transparency log** and no certificate authority that anyone should trust: see the package's own words.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from scripts.sigstore_instance import entries, folder, oidc, server, signing_request, trust
from scripts.sigstore_instance.certificates import Authority
from scripts.sigstore_instance.folder import Keys
from scripts.sigstore_instance.log import Log
from scripts.sigstore_instance.server import Reply

ISSUER = oidc.ISSUER
IDENTITY = "builder@lnm-dev.invalid"
ENTRIES = "/api/v1/log/entries"


@dataclass(frozen=True)
class Instance:
    """The certificate authority, the log and the maker of tokens."""

    keys: Keys
    authority: Authority
    log: Log

    def token(self, subject: str = IDENTITY) -> str:
        """An identity token for whomever one names."""
        return oidc.token(self.keys.tokens, subject, now())

    def trusted_root(self) -> dict[str, Any]:
        """What verifies signatures made here."""
        return trust.trusted_root(self.keys.certificate, self.keys.log, self.keys.certificate_log, self.keys.start)

    def signing_config(self, base: str) -> dict[str, Any]:
        """Where to sign, for cosign."""
        return trust.signing_config(base, self.keys.start)

    def trust_config(self, base: str) -> dict[str, Any]:
        """Both in one, for sigstore-python."""
        return trust.trust_config(self.trusted_root(), self.signing_config(base))

    def certify(self, request: object, authorization: str) -> dict[str, Any]:
        """Fulcio's `POST /api/v2/signingCert`.

        Raises: RefusedError.
        """
        identity = oidc.subject(self.keys.tokens, signing_request.token_of(authorization, request))
        public = signing_request.proven_key(request, identity)
        leaf = self.authority.issue(public, identity, ISSUER, now().replace(microsecond=0))
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": self.authority.chain_pem(leaf)}}}

    def enter(self, proposed: object) -> dict[str, Any]:
        """Rekor's `POST /api/v1/log/entries`.

        Raises: RefusedError, and then nothing was logged.
        """
        body = entries.body(proposed)
        return self.log.entry(body, self.log.append(body), int(now().timestamp()))

    def trust_bundle(self) -> dict[str, Any]:
        """Fulcio's `GET /api/v2/trustBundle`."""
        return {"chains": [{"certificates": [self.keys.certificate.public_bytes(Encoding.PEM).decode("ascii")]}]}

    def configuration(self) -> dict[str, Any]:
        """Fulcio's `GET /api/v2/configuration`: the one issuer, and what is signed to prove that one has a key."""
        issuer = {"issuerUrl": ISSUER, "audience": oidc.AUDIENCE, "challengeClaim": "sub", "spiffeTrustDomain": ""}
        return {"issuers": [issuer]}


def load(path: Path) -> Instance:
    """The instance that lives in a folder, made where there is none.

    Raises: InputError, ChecksumError.
    """
    keys = folder.read_keys(path)
    authority = Authority(keys.authority, keys.certificate, keys.certificate_log)
    return Instance(keys, authority, Log(path / folder.LOG, keys.log))


@contextlib.contextmanager
def serving(inst: Instance, port: int = 0) -> Iterator[str]:
    """Yields the address that the instance answers at meanwhile, `http://127.0.0.1:PORT`; a free port where none is named.

    Raises: InputError where the port cannot be had.
    """
    routes: server.Routes = {
        ("POST", "/api/v2/signingCert"): lambda request, header: Reply(inst.certify(request, header)),
        ("POST", ENTRIES): lambda request, _: entered(inst.enter(request)),
        ("GET", "/api/v1/log"): lambda *_: Reply(inst.log.head()),
        ("GET", "/api/v1/log/publicKey"): lambda *_: Reply(inst.keys.log.public_pem()),
        ("GET", "/api/v2/trustBundle"): lambda *_: Reply(inst.trust_bundle()),
        ("GET", "/api/v2/configuration"): lambda *_: Reply(inst.configuration()),
    }
    with server.answering(routes, port) as base:
        yield base


def entered(entry: dict[str, Any]) -> Reply:
    """Rekor's answer to a new entry; sigstore-go finds it by the ETag."""
    (uuid,) = entry
    return Reply(entry, HTTPStatus.CREATED, {"ETag": uuid, "Location": f"{ENTRIES}/{uuid}"})


def now() -> dt.datetime:
    """The clock of this host."""
    return dt.datetime.now(dt.UTC)
