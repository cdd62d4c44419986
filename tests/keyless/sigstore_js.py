"""sigstore-js, the JavaScript client of Sigstore, from npm by the lock of ci/sigstore-js."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import canonical
from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance
from tests import npm

TIMEOUT_S = 60
PROGRAM = Path(__file__).with_name("sigstore_client.cjs")


def asked(request: dict[str, Any]) -> Any:
    """One run of it."""
    environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(npm.installed("sigstore-js"))}
    done = subprocess.run(
        ["node", str(PROGRAM)],
        input=json.dumps(request),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def verdicts(inst: Instance, rows: Mapping[str, tuple[bytes, bytes | None]]) -> dict[str, str]:
    """Its words on each `(bundle, blob or None)`: empty where it accepts."""
    told = {
        name: {"bundle": canonical.b64(bundle), "artifact": None if blob is None else canonical.b64(blob)}
        for name, (bundle, blob) in rows.items()
    }
    wanted = {"trustedRoot": inst.trusted_root(), "identity": instance.IDENTITY, "issuer": instance.ISSUER, "rows": told}
    answer: dict[str, str] = asked({"verify": wanted})
    return answer


def signed(inst: Instance, blob: bytes, statement: bytes) -> tuple[bytes, bytes]:
    """The bundles that it makes of a blob and of a statement."""
    with instance.serving(inst) as base:
        request = {"base": base, "token": inst.token(), "blob": canonical.b64(blob), "statement": canonical.b64(statement)}
        answer = asked({"sign": request})
    return canonical.render(answer["blob"]), canonical.render(answer["statement"])
