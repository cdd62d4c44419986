"""One instance for the tests of a worker, and what it has signed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance
from tests.keyless.bundle_lies import good_pair


@dataclass(frozen=True)
class Good:
    """What sigstore-python signed."""

    sums: bytes
    sums_bundle: bytes
    manifest: bytes
    manifest_bundle: bytes

    def bundle(self, of: str) -> bytes:
        return self.sums_bundle if of == "sums" else self.manifest_bundle


@pytest.fixture(scope="session")
def inst(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return instance.load(tmp_path_factory.mktemp("sigstore") / "instance")


@pytest.fixture(scope="session")
def good(inst: Instance) -> Good:
    return Good(*good_pair(inst))
