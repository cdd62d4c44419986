"""Real cosign, built from the locked Go module of ci/tools: it signs against the instance, and it verifies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance

TIMEOUT_S = 60
ACCEPTED = "Verified OK"


@dataclass(frozen=True)
class Cosign:
    """cosign, with a folder of its own as its home: no trust that it has cached anywhere else."""

    place: Path
    inst: Instance

    @classmethod
    def found(cls, place: Path, inst: Instance) -> Cosign:
        """cosign on the PATH, else a skip."""
        if shutil.which("cosign") is None:
            pytest.skip("cosign is not on the PATH (CI builds it: ci/tools/build.sh)")
        (place / "trusted_root.json").write_text(json.dumps(inst.trusted_root()), encoding="ascii")
        return cls(place, inst)

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """One run of it."""
        return subprocess.run(
            [*prefix, "cosign", *arguments],
            cwd=self.place,
            env={"PATH": os.environ["PATH"], "HOME": str(self.place)},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    def write(self, name: str, data: bytes) -> str:
        """A file for it; returns its name."""
        (self.place / name).write_bytes(data)
        return name

    def sign(self, *what: str, bundle: str) -> bytes:
        """Signs by identity; the bundle that came out."""
        with instance.serving(self.inst) as base:
            config = self.write("signing_config.json", json.dumps(self.inst.signing_config(base)).encode("ascii"))
            token = self.write("token", self.inst.token().encode("ascii"))
            trust = ["--signing-config", config, "--trusted-root", "trusted_root.json", "--identity-token", token]
            done = self.run(what[0], "--yes", *trust, "--bundle", bundle, *what[1:])
        assert done.returncode == 0, done.stderr
        return (self.place / bundle).read_bytes()

    def refusal(self, blob: bytes, bundle: bytes, predicate_type: str = "", prefix: tuple[str, ...] = ()) -> str:
        """Its words on a bundle over a blob, or over a statement about one where its type is given; empty where it accepts."""
        what = ["verify-blob-attestation", "--type", predicate_type] if predicate_type else ["verify-blob"]
        trust = ["--trusted-root", "trusted_root.json", "--bundle", self.write("bundle.json", bundle)]
        signer = ["--certificate-identity", instance.IDENTITY, "--certificate-oidc-issuer", instance.ISSUER]
        done = self.run(*what, *trust, *signer, self.write("blob", blob), prefix=prefix)
        assert (done.returncode == 0) == (ACCEPTED in done.stderr), done
        return "" if done.returncode == 0 else done.stderr
