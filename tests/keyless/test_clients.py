"""Three clients of Sigstore against one instance: what one signs the others verify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.sigstore_instance.instance import Instance
from tests.faults.test_no_network import available
from tests.keyless import sigstore_js
from tests.keyless.bundle_lies import MANIFEST, SUMS
from tests.keyless.conftest import Good
from tests.keyless.cosign import Cosign
from tests.keyless.signing import verify_blob, verify_statement

OURS = "https://stella-ops.org/attestations/offline-update/1"
SPDX = "https://spdx.dev/Document"
PREDICATE = b'{"spdxVersion":"SPDX-2.3"}'


def test_sigstore_js_verifies_what_sigstore_python_signs(inst: Instance, good: Good) -> None:
    told = sigstore_js.verdicts(inst, {"sums": (good.sums_bundle, good.sums), "manifest": (good.manifest_bundle, None)})

    assert told == {"sums": "", "manifest": ""}


@pytest.mark.usefixtures("good")
def test_sigstore_python_verifies_what_sigstore_js_signs(inst: Instance) -> None:
    """Not as the first entry of a log: sigstore-js leaves out a number that is 0, and sigstore-python wants it."""
    blob, statement = sigstore_js.signed(inst, SUMS, MANIFEST)

    verify_blob(inst, SUMS, blob)
    assert verify_statement(inst, statement) == ("application/vnd.in-toto+json", MANIFEST)


@pytest.mark.usefixtures("good")
def test_the_others_verify_what_cosign_signs(inst: Instance, tmp_path: Path) -> None:
    cosign = Cosign.found(tmp_path, inst)
    blob, predicate = cosign.write("SHA256SUMS", SUMS), cosign.write("predicate.json", PREDICATE)

    signed = cosign.sign("sign-blob", blob, bundle="blob.json")
    attested = cosign.sign("attest-blob", "--type", SPDX, "--predicate", predicate, blob, bundle="attestation.json")

    verify_blob(inst, SUMS, signed)
    assert json.loads(verify_statement(inst, attested)[1])["predicate"] == json.loads(PREDICATE)
    assert sigstore_js.verdicts(inst, {"blob": (signed, SUMS), "statement": (attested, None)}) == {"blob": "", "statement": ""}


def test_cosign_verifies_what_sigstore_python_signs_without_a_network(inst: Instance, good: Good, tmp_path: Path) -> None:
    cosign = Cosign.found(tmp_path, inst)
    prefix = ("unshare", "-rn")
    if not available(*prefix):
        pytest.skip("unshare -rn is not permitted here")

    assert cosign.refusal(good.sums, good.sums_bundle, prefix=prefix) == ""
    assert cosign.refusal(good.sums, good.manifest_bundle, OURS, prefix=prefix) == ""
    assert "invalid signature" in cosign.refusal(good.sums + b"\n", good.sums_bundle, prefix=prefix)
