"""The key that signs evidence: LNM_EVIDENCE_KEY, by the rules of the build's LNM_SIGNING_KEY, or a development key made here.

`lnm_runner.private_key` reads it, which is the build's own (scripts/private_key/) and is put beside this package when the wheel
is made, hence the protocols. It needs cryptography, the extra `[evidence]`.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, cast

from lnm_runner.errors import InputError, NotFoundError, RetryableError, RunnerError
from lnm_runner.options import Options

VARIABLE: Final = "LNM_EVIDENCE_KEY"
DEVELOPMENT_KEY: Final = "dev-evidence-key.pem"
"""Its name below LNM_STATE_DIR."""
DEVELOPMENT, OWN = "dev", "key"
INSTALL: Final = (
    "pip install --no-index --find-links wheelhouse --find-links wheelhouse-extras --require-hashes -r requirements.txt "
    "-r requirements-extras.txt, in the kit's folder runner/"
)
ERRORS: Final[Mapping[int, type[RunnerError]]] = {error.exit_code: error for error in (InputError, NotFoundError, RetryableError)}


class Source(Protocol):
    """private_key.source.KeySource."""

    is_development: bool

    def load(self) -> Any:
        """The private key."""

    def development_path(self) -> Path:
        """Where the development key is."""


class Public(Protocol):
    """The module private_key.public."""

    def public_pem(self, key: Any) -> bytes:
        """The public half, as PEM."""

    def fingerprint(self, public: bytes) -> str:
        """SHA-256 of the SPKI in a PEM block, 64 hex digits."""

    def keyid(self, public: bytes) -> str:
        """How a DSSE names a key."""

    def signature(self, key: Any, message: bytes) -> bytes:
        """The signature over a message."""


@dataclass(frozen=True)
class Signer:
    """A key that is ready to sign."""

    trust: str
    """`dev`: the development key; `key`: one's own."""
    public_pem: bytes
    fingerprint: str
    """SHA-256 of the SPKI: 64 hex digits."""
    keyid: str
    lines: tuple[str, ...]
    """What is to be said of it."""
    key: Any = field(repr=False)

    def signature(self, message: bytes) -> str:
        """The signature over a message, in base64."""
        return base64.b64encode(module().signature(self.key, message)).decode("ascii")


def module() -> Public:
    """What knows of public halves and signatures."""
    return cast("Public", importlib.import_module("lnm_runner.private_key.public"))


def is_there() -> bool:
    """Whether anything can be signed here."""
    return importlib.util.find_spec("cryptography") is not None


def signer(environment: Mapping[str, str]) -> Signer:
    """The key that the environment names, or the development key, which is made where it is not there yet.

    Raises: InputError where it cannot be read, or cryptography is not installed; NotFoundError; RetryableError.
    """
    if not is_there():
        raise missing("cryptography")
    failed = importlib.import_module("lnm_runner.private_key.errors").KeyFileError
    try:
        source, is_new = source_in(environment)
        key, public = source.load(), module()
    except failed as err:
        raise ERRORS[err.exit_code](err.message, hint=err.hint) from err
    except ImportError as err:  # only keys that cosign has sealed want PyNaCl
        raise missing("PyNaCl" if (err.name or "").startswith("nacl") else "cryptography") from err
    pem = public.public_pem(key)
    trust, fingerprint = DEVELOPMENT if source.is_development else OWN, public.fingerprint(pem)
    told = [f"a development key was made ({DEVELOPMENT_KEY} in the state folder): not for production"] if is_new else []
    told.append(f"signing with trust {trust}, fingerprint sha256:{fingerprint}")
    return Signer(trust, pem, fingerprint, public.keyid(pem), tuple(told), key)


def source_in(environment: Mapping[str, str]) -> tuple[Source, bool]:
    """Where the key comes from, and whether a development key will have to be made."""
    sources: Any = importlib.import_module("lnm_runner.private_key.source")
    named = sources.named(environment, VARIABLE)
    folder = Options(environment=environment).state_folder
    found = sources.KeySource(state_folder=folder, variable=VARIABLE, development_file=DEVELOPMENT_KEY, **named)
    return cast("Source", found), named["path"] is None and not (folder / DEVELOPMENT_KEY).exists()


def missing(library: str) -> InputError:
    """The error where a library of the extra is not installed; the image has none."""
    return InputError(f"{library} is not installed here, which signs evidence", hint=f"install the runner's extras: {INSTALL}")
