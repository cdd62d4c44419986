"""Checks the signatures over the kit's tarball, the delivery bundles and SHA256SUMS, with three implementations.

(1) our own verifier, openssl and cosign all accept the `.sig`; (2) cosign accepts the bundle, and the bundle holds the
blob's digest, that `.sig` and the key's hint; (3) on a copy with one bit flipped all of them refuse: a tool that says yes
to everything is a broken check. Where two disagree, that is the failure.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.verify import tools
from scripts.verify.outcome import WRONG_CHECKSUM, WRONG_SIGNATURE, Built, Outcome, failed, ok, skipped


def signatures(built: Built) -> Iterator[Outcome]:
    """Every signed blob, as it is and falsified."""
    if not tools.present("cosign"):
        yield skipped("cosign", "not on the PATH, so its opinion is missing (CI builds it: ci/tools/build.sh)")
    blobs = (*built.bundles, built.tarball, built.kit / "SHA256SUMS")
    gone = [blob for blob in blobs if not all(map(Path.is_file, (blob, *beside(blob))))]
    for blob in gone:
        yield failed(blob.relative_to(built.dist).as_posix(), "it, its .sig or its .sigstore.json is not there", WRONG_CHECKSUM)
    for blob in (blob for blob in blobs if blob not in gone):
        yield judge(built, blob, blob, expected=True)
        yield bundled(built, blob)
    with tempfile.TemporaryDirectory() as folder:
        for blob in (blob for blob in built.bundles if blob not in gone):
            yield judge(built, blob, falsified(blob, Path(folder)), expected=False)


def beside(blob: Path) -> tuple[Path, Path]:
    """A blob's signature and its bundle."""
    return Path(f"{blob}.sig"), Path(f"{blob}.sigstore.json")


def bundled(built: Built, blob: Path) -> Outcome:
    """The bundle is about this blob and this key, and holds the very signature of the `.sig`."""
    sig, bundle = beside(blob)
    name = bundle.relative_to(built.dist).as_posix()
    body = b"".join(line for line in built.key.read_bytes().splitlines() if not line.startswith(b"-----"))
    try:
        found = json.loads(bundle.read_bytes())
        message, hint = found["messageSignature"], found["verificationMaterial"]["publicKey"]["hint"]
        digest, signature = message["messageDigest"]["digest"], message["signature"]
    except (ValueError, LookupError, TypeError) as err:
        return failed(name, f"is no bundle over a blob: {type(err).__name__}: {err}", WRONG_SIGNATURE)
    wanted = {
        f"digest of {blob.name}": (digest, base64.b64encode(hashlib.sha256(blob.read_bytes()).digest()).decode("ascii")),
        f"signature of {sig.name}": (f"{signature}\n".encode(), sig.read_bytes()),
        "hint of the key": (hint, base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode("ascii")),
    }
    wrong = [what for what, (there, here) in wanted.items() if there != here]
    if wrong:
        return failed(name, f"holds another {', '.join(wrong)}", WRONG_SIGNATURE)
    return ok(name, "holds digest, signature and key hint as they are")


def falsified(blob: Path, folder: Path) -> Path:
    """A copy with the lowest bit of the middle byte flipped."""
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    copy = folder / blob.name
    copy.write_bytes(data)
    return copy


def judge(built: Built, blob: Path, bytes_from: Path, *, expected: bool) -> Outcome:
    """Asks everybody about one blob; `bytes_from` holds the bytes that they are shown."""
    subject = blob.relative_to(built.dist).as_posix()
    opinions = opinions_on(built, blob, bytes_from)
    what = "as it is" if expected else "with one bit flipped"
    strange = [name for name, accepted in opinions.items() if accepted is not expected]
    if strange:
        verb = "refuse" if expected else "accept"
        others = [name for name in opinions if name not in strange]
        agree = f"; {', '.join(others)} do not" if others else ""
        return failed(subject, f"{what}: {', '.join(strange)} {verb} its signature{agree}", WRONG_SIGNATURE)
    return ok(subject, f"{what}: {'accepted' if expected else 'refused'} by {', '.join(opinions)}")


def opinions_on(built: Built, blob: Path, bytes_from: Path) -> dict[str, bool]:
    """`{tool: accepted}` for a blob's signature and bundle."""
    sig, bundle = beside(blob)
    opinions = {
        "verify_kit.py": tools.ours_verifies(built.verifiers, built.key, bytes_from, sig),
        "openssl": tools.openssl_verifies(built.key, bytes_from, sig).accepted,
    }
    if tools.present("cosign"):
        opinions["cosign (.sig)"] = tools.cosign_verifies_sig(built.key, bytes_from, sig).accepted
        opinions["cosign (bundle)"] = tools.cosign_verifies_bundle(built.key, bytes_from, bundle).accepted
    return opinions
