"""Identity signatures: the two keyless bundles of a kit, verified by sigstore-python, offline, under the policy's trusted root.

Authorities: the Sigstore client specification, Sigstore bundle v0.3, RFC 6962 (inclusion proof), Rekor v1 (SET, hashedrekord and
dsse 0.0.1). sigstore-python (the extra `keyless` of this wheel) does all of that; here is what it leaves to its caller:

- the trusted root is the file whose SHA-256 the policy names, and no other; of what is in it only that counts which was valid
  when the log says that it was signed (sigstore-python also takes a log or an authority whose time was over by then);
- identity and issuer are those of one signer of the policy, both exactly, and the two bundles are of one identity;
- the certificate has one name, and both of its issuer extensions (1.3.6.1.4.1.57264.1.1 and .1.8) tell the same issuer;
- the bundle of manifest.json has as its payload the bytes of manifest.json, and the type of an in-toto statement;
- the digest of SHA256SUMS is by SHA-256, and the log's checkpoint is of the tree of the inclusion proof, size and all;
- nothing is from the future;
- whatever goes wrong in there is a refusal: only a whole run to the end makes an `Identity`.

Nothing of it is imported before it is needed: a site that trusts keys alone needs none of these libraries.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import importlib.util
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lnm_runner.errors import RunnerError, SignatureError, TrustRootError
from lnm_runner.kit.judgement import FUTURE, Identity
from lnm_runner.kit.policy import Policy, Signer
from lnm_runner.kit.toml_table import shown

SUMS, MANIFEST = "SHA256SUMS", "manifest.json"
BUNDLES: Final[Mapping[str, str]] = {SUMS: "SHA256SUMS.keyless.sigstore.json", MANIFEST: "manifest.keyless.sigstore.json"}
IN_TOTO: Final = "application/vnd.in-toto+json"
AUTHORITIES: Final = ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")
"""The lists of a trusted root; the first three must have somebody."""
SUSPECT: Final = "do not use this kit; tell the publisher"


class UnavailableError(TrustRootError):
    """sigstore is not installed here, so no identity can be verified."""


@dataclass(frozen=True)
class Bounds:
    """What holds for both bundles: who may have signed, the trusted root's JSON, and the time of this host, in UTC."""

    signers: tuple[Signer, ...]
    root: bytes
    now: dt.datetime


@dataclass
class Matching:
    """A verification policy of sigstore: it finds the signer to whom a certificate belongs, and refuses where there is none."""

    signers: tuple[Signer, ...]
    found: list[Signer] = field(default_factory=list)
    name: str = ""
    """What the certificate says, once its chain was verified."""
    algorithm: str = ""

    def verify(self, certificate: Any) -> None:
        """What sigstore calls once it has verified the certificate's chain.

        Raises: sigstore's VerificationError.
        """
        theirs = importlib.import_module("sigstore.verify.policy")
        failed = importlib.import_module("sigstore.errors").VerificationError
        self.name = name_of(certificate)
        self.algorithm = algorithm_of(certificate.public_key())
        for signer in self.signers:
            try:
                theirs.Identity(identity=signer.identity, issuer=signer.issuer).verify(certificate)
                theirs.OIDCIssuerV2(signer.issuer).verify(certificate)
            except failed:
                continue
            self.found.append(signer)
        if not self.found:
            raise failed("the policy names another identity")


def verify(signed: Mapping[str, bytes], bundles: Mapping[str, bytes], policy: Policy, root: bytes, now: dt.datetime) -> Identity:
    """The identity that signed both files.

    `signed` is `{SHA256SUMS: bytes, manifest.json: bytes}`, `bundles` has the two of `BUNDLES`, `root` is a trusted root's JSON.

    Raises: UnavailableError; SignatureError where somebody else signed; TrustRootError for everything that does not verify.
    """
    if importlib.util.find_spec("sigstore") is None:
        raise UnavailableError(
            "identity signature: not checked: sigstore is not installed beside lnm",
            hint="install lnm-runner[keyless] from the wheelhouse of a kit, runner/README.md says how; the image has no sigstore",
        )
    logging.getLogger("sigstore").addHandler(logging.NullHandler())  # what it logs of unverified things is not printed
    bounds = Bounds(tuple(signer for signer in policy.signers if signer.identity), root, now)
    found = [verify_one(name, signed[name], bundles[bundle], bounds) for name, bundle in BUNDLES.items()]
    if found[0] != found[1]:
        said = f"{BUNDLES[SUMS]} is signed by {found[0].identity}, {BUNDLES[MANIFEST]} by {found[1].identity}"
        raise SignatureError(f"{said}; wanted one identity", hint=SUSPECT)
    return found[0]


def verify_one(name: str, data: bytes, bundle: bytes, bounds: Bounds) -> Identity:
    """The identity that signed one file.

    Raises: as `verify`.
    """
    matching = Matching(bounds.signers)
    try:
        at = integrated_at(bundle)
        check_past(name, at, bounds.now)
        run(name, data, bundle, matching, root_at(name, bounds.root, at))
    except (RunnerError, KeyboardInterrupt):
        raise
    except BaseException as err:  # an exit, or a panic of a library in Rust, is no verdict either
        raise refused(name, matching, err) from err
    signer = matching.found[0]
    return Identity(str(signer.identity), str(signer.issuer), matching.algorithm)


def check_past(name: str, at: dt.datetime, now: dt.datetime) -> None:
    """Refuses a log entry from the future.

    Raises: TrustRootError.
    """
    if at > now + FUTURE:
        raise TrustRootError(
            f"{BUNDLES[name]}: signed {at:%Y-%m-%dT%H:%M:%SZ}, and this host's clock says {now:%Y-%m-%dT%H:%M:%SZ}",
            hint="set the clock of this host; if it is right, do not use this kit",
        )


def run(name: str, data: bytes, bundle: bytes, matching: Matching, root: bytes) -> None:
    """Lets sigstore verify a bundle, and compares what its signature turns out to be over.

    Raises: anything, where it does not verify.
    """
    models = importlib.import_module("sigstore.models")
    inner = importlib.import_module("sigstore_models.trustroot.v1").TrustedRoot.from_json(root)
    # not TrustedRoot.from_file, which would read the file another time than its hash was compared
    verifier = importlib.import_module("sigstore.verify").Verifier(trusted_root=models.TrustedRoot(inner))
    parsed = models.Bundle.from_json(bundle)
    if name == SUMS:
        verifier.verify_artifact(data, parsed, matching)
    elif verifier.verify_dsse(parsed, matching) != (IN_TOTO, data):
        raise ValueError("its payload is not manifest.json")
    if len(matching.found) != 1:
        raise ValueError("nobody asked whose certificate it is")
    check_unseen(json.loads(bundle))


def check_unseen(bundle: Any) -> None:
    """What sigstore does not look at in a bundle that it has verified.

    Raises: anything, where that is not as it must be.
    """
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    proof = entry["inclusionProof"]
    _, size, root = proof["checkpoint"]["envelope"].split("\n")[:3]
    if (size, root) != (proof["treeSize"], proof["rootHash"]):
        raise ValueError("the checkpoint is of another tree than the inclusion proof")
    message = bundle.get("messageSignature")
    if message is not None and message["messageDigest"]["algorithm"] != "SHA2_256":
        raise ValueError("its digest is not by SHA-256")


def refused(name: str, matching: Matching, err: BaseException) -> RunnerError:
    """Why a bundle was refused; a library's words about what is wrong are told on one line, cut."""
    file = BUNDLES[name]
    if matching.algorithm and not matching.found:
        wanted = ", ".join(f"{signer.identity} of {signer.issuer}" for signer in matching.signers)
        return SignatureError(f"{file}: signed by {matching.name}; the policy names {wanted}", hint=SUSPECT)
    why = f"{type(err).__name__}: {err}".encode("unicode_escape").decode("ascii")[:200]
    return TrustRootError(f"{file}: its identity signature does not verify: {why}", hint=SUSPECT)


def integrated_at(bundle: bytes) -> dt.datetime:
    """When the log says that a bundle was entered: the earliest that may be believed, as only the log's signature binds it.

    Raises: anything, where the bundle does not say.
    """
    (entry,) = json.loads(bundle)["verificationMaterial"]["tlogEntries"]
    return dt.datetime.fromtimestamp(int(entry["integratedTime"]), dt.UTC)


def root_at(name: str, root: bytes, at: dt.datetime) -> bytes:
    """A trusted root less what was not valid at the time when a file was signed.

    Raises: TrustRootError where nobody is left of a kind that is needed; anything, where it is no trusted root.
    """
    whole = json.loads(root)
    kept = {kind: [item for item in whole.get(kind, []) if is_valid(item, at)] for kind in AUTHORITIES}
    for kind in AUTHORITIES[:3]:
        if not kept[kind]:
            raise TrustRootError(
                f"{BUNDLES[name]}: signed {at:%Y-%m-%dT%H:%M:%SZ}, when none of the trusted root's {kind} was valid",
                hint="fetch the present trusted root from the publisher, and let the policy name it",
            )
    return json.dumps({**whole, **kept}).encode()


def is_valid(item: Mapping[str, Any], at: dt.datetime) -> bool:
    """Whether a log or an authority of a trusted root was valid at a time; one that does not say from when on never is."""
    period = item.get("validFor") or item.get("publicKey", {}).get("validFor") or {}
    start, end = (dt.datetime.fromisoformat(period[name]) if name in period else None for name in ("start", "end"))
    return start is not None and start <= at and (end is None or at <= end)


def name_of(certificate: Any) -> str:
    """The one name in a certificate.

    Raises: ValueError where it has several.
    """
    x509 = importlib.import_module("cryptography.x509")
    (name,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return shown(str(name.value))


def algorithm_of(key: Any) -> str:
    """What a policy calls the algorithm of a certificate's key; a name that no policy has where it is another one."""
    ec = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ec")
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ecdsa-p256-sha256"
    return type(key).__name__


def read_root(policy: Policy) -> bytes:
    """The trusted root that a policy names.

    Raises: TrustRootError where it is absent, or another file.
    """
    named, path = policy.trusted_root, policy.path
    if named is None or path is None:
        raise TrustRootError("the policy names no trusted root", hint="add [trusted-root] to it")
    file = Path(path).parent / named.file
    try:
        with file.open("rb") as opened:
            data = opened.read(1 << 20)
    except OSError as err:
        raise TrustRootError(f"{file}: the policy's trusted root cannot be read: {err.strerror}", hint="copy it there") from err
    found = hashlib.sha256(data).hexdigest()
    if found != named.sha256:
        raise TrustRootError(
            f"{file}: sha256 is {found[:12]}…, the policy says {named.sha256[:12]}…",
            hint="fetch the trusted root again; a new one needs a new policy",
        )
    return data
