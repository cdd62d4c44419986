"""sigstore-python, unmodified, signs and verifies with the instance where there is no network (T11)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.sigstore_instance import instance
from tests.conftest import ROOT
from tests.faults.test_no_network import available
from tests.keyless.signing import NOWHERE

NO_NETWORK = ("unshare", "-rn")
TIMEOUT_S = 60


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NO_NETWORK, sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )


def test_it_signs_and_verifies_in_an_empty_namespace(tmp_path: Path) -> None:
    if not available(*NO_NETWORK):
        pytest.skip("unshare -rn is not permitted here")
    done = run("-m", "tests.keyless.offline", str(tmp_path))
    assert done.returncode == 0, done.stderr
    config = tmp_path / "trust-config.json"
    config.write_text(json.dumps(instance.load(tmp_path / "instance").trust_config(NOWHERE)), encoding="ascii")
    who = ["--cert-identity", instance.IDENTITY, "--cert-oidc-issuer", instance.ISSUER]
    command = ["-m", "sigstore", "--trust-config", str(config), "verify", "identity", "--offline", *who]

    verified = run(*command, "--bundle", str(tmp_path / "bundle.json"), str(tmp_path / "SHA256SUMS"))

    assert verified.returncode == 0, verified.stderr  # its own command, with not even a loopback
    assert "OK" in verified.stdout + verified.stderr
