"""The verifiers and stock tools as they are called: each function says whether the tool accepted.

openssl(1), cosign(1) and sha256sum(1) are found on the PATH; our own are run from the trusted copies of the source tree. None of
them is given a network by us, and cosign is told not to look for a transparency log, which a key-signed kit has no entry in.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ED25519_SPKI_BYTES = 44
NO_COMPLAINT = ("next:", "sha256sum: WARNING")  # advice and counts: what a tool says beside its reasons
MOST_COMPLAINTS = 3  # are repeated; the tool itself tells all


@dataclass(frozen=True)
class Answer:
    """What a tool said."""

    accepted: bool
    exit_code: int
    lines: tuple[str, ...]
    """All that it said, complaints before results."""

    @property
    def last_line(self) -> str:
        """Its result, where it accepted."""
        return self.lines[-1]

    @property
    def complaint(self) -> str:
        """Its reasons, where it did not accept."""
        reasons = [line.removeprefix("refused: ") for line in self.lines if line and not line.startswith(NO_COMPLAINT)]
        more = f"; and {len(reasons) - MOST_COMPLAINTS} more" if len(reasons) > MOST_COMPLAINTS else ""
        return "; ".join(reasons[:MOST_COMPLAINTS]) + more


def run(*command: str, cwd: Path | None = None) -> Answer:
    """Runs a tool and keeps what it said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    lines = [*done.stderr.strip().splitlines(), *done.stdout.strip().splitlines()] or ["nothing said"]
    return Answer(done.returncode == 0, done.returncode, tuple(lines))


def present(tool: str) -> bool:
    """True when the tool is on the PATH."""
    return shutil.which(tool) is not None


def load_verify_kit(folder: Path) -> ModuleType:
    """The single-file verifier as a module, from its path."""
    spec = importlib.util.spec_from_file_location("lnm_verify_kit", folder / "verify_kit.py")
    if spec is None or spec.loader is None:
        message = f"{folder}/verify_kit.py: cannot be loaded"
        raise FileNotFoundError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def ours_verifies(folder: Path, key: Path, blob: Path, sig: Path) -> bool:
    """Our own cryptography on a blob and its `.sig`."""
    module = load_verify_kit(folder)
    try:
        signature = base64.b64decode(sig.read_bytes().removesuffix(b"\n"), validate=True)
    except ValueError:
        return False
    return any(bool(public.verifies(blob.read_bytes(), signature)) for public in module.load_keys([str(key)]))


def is_ed25519(key: Path) -> bool:
    """True for an Ed25519 public key."""
    body = b"".join(line for line in key.read_bytes().splitlines() if not line.startswith(b"-----"))
    return len(base64.b64decode(body)) == ED25519_SPKI_BYTES


def openssl_verifies(key: Path, blob: Path, sig: Path) -> Answer:
    """Openssl on a blob and its `.sig`."""
    try:
        signature = base64.b64decode(sig.read_bytes())
    except ValueError as err:
        return Answer(accepted=False, exit_code=1, lines=(f"{sig.name}: not base64: {err}",))
    with tempfile.NamedTemporaryFile() as raw:
        raw.write(signature)
        raw.flush()
        if is_ed25519(key):
            options = ("-rawin", "-in", str(blob), "-sigfile", raw.name)
            return run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), *options)
        return run("openssl", "dgst", "-sha256", "-verify", str(key), "-signature", raw.name, str(blob))


def cosign_verifies_sig(key: Path, blob: Path, sig: Path) -> Answer:
    """`cosign verify-blob` with a detached signature."""
    return run("cosign", "verify-blob", "--key", str(key), "--signature", str(sig), "--insecure-ignore-tlog", str(blob))


@contextlib.contextmanager
def no_root() -> Iterator[tuple[str, str]]:
    """The option for a trusted root in which nobody is: beside a key none is needed, but cosign 2 would fetch the public one."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write('{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
        file.flush()
        yield "--trusted-root", file.name


def cosign_verifies_bundle(key: Path, blob: Path, bundle: Path) -> Answer:
    """`cosign verify-blob` with a bundle."""
    with no_root() as root:
        options = ("--bundle", str(bundle), "--insecure-ignore-tlog", *root, str(blob))
        return run("cosign", "verify-blob", "--key", str(key), *options)


def cosign_verifies_statement(key: Path, blob: Path, bundle: Path, predicate_type: str) -> Answer:
    """`cosign verify-blob-attestation`: the statement is signed, of that type, and about this blob."""
    with no_root() as root:
        options = ("--bundle", str(bundle), "--type", predicate_type, "--insecure-ignore-tlog", *root, str(blob))
        return run("cosign", "verify-blob-attestation", "--key", str(key), *options)


def cosign_verifies_identity(whom: tuple[Path, str, str], blob: Path, bundle: Path, predicate_type: str = "") -> Answer:
    """`cosign verify-blob`, for a statement `verify-blob-attestation`; `whom`: the trusted root, the identity, its issuer."""
    verb = ("verify-blob-attestation", "--type", predicate_type) if predicate_type else ("verify-blob",)
    root, identity, issuer = map(str, whom)
    options = ("--trusted-root", root, "--certificate-identity", identity, "--certificate-oidc-issuer", issuer)
    return run("cosign", *verb, *options, "--bundle", str(bundle), str(blob))


def cosign_verifies_image(key: Path, layout: Path) -> Answer:
    """`cosign verify` on an image's layout joined with its attestations."""
    return run("cosign", "verify", "--local-image", "--key", str(key), "--insecure-ignore-tlog", str(layout))


def cosign_verifies_image_statement(key: Path, layout: Path, predicate_type: str) -> Answer:
    """`cosign verify-attestation` on the same: one statement of that type is signed and about the image."""
    options = ("--type", predicate_type, "--insecure-ignore-tlog", str(layout))
    return run("cosign", "verify-attestation", "--local-image", "--key", str(key), *options)


def sha256sum_checks(folder: Path, sums: str) -> Answer:
    """`sha256sum --check --strict` in a folder."""
    return run("sha256sum", "--check", "--strict", "--quiet", sums, cwd=folder)
