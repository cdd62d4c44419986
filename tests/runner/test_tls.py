"""TLS: the tests' own connections have it, and what is wrong with it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner import certificates, mongod
from tests.runner.fixtures import Site
from tests.runner.installed import Lnm
from tests.runner.mongod import Mongod

pytestmark = pytest.mark.mongod


def handshakes(site: Site) -> int:
    """How many TLS connections the server has taken."""
    counted = site.server.client.admin.command("serverStatus")["transportSecurity"]
    return sum(int(count) for version, count in counted.items() if version != "unknown")


def test_what_the_tests_run_comes_over_tls(lnm: Lnm, site: Site) -> None:
    before = handshakes(site)

    lnm.plan()

    assert handshakes(site) > before


def test_a_server_that_another_authority_vouches_for_is_not_trusted(lnm: Lnm, site: Site, server: Mongod, tmp_path: Path) -> None:
    other = certificates.make(tmp_path, "another authority")
    uri = site.uri("operator").replace(str(server.certificates and server.certificates.authority), str(other.authority))

    error = lnm.plan("--json", wanted=10, CONCELIER_MONGO_URI=f"{uri}&serverSelectionTimeoutMS=1000").json["error"]

    assert "the server's TLS certificate is not trusted" in error["message"]


def test_a_server_that_wants_tls_is_told_apart_from_one_that_is_not_there(lnm: Lnm) -> None:
    server = mongod.standalone_with_tls()
    try:
        plain = f"mongodb://{server.address}/?serverSelectionTimeoutMS=1000"
        error = lnm("status", "--json", wanted=10, CONCELIER_MONGO_URI=plain).json["error"]
        lnm("status", CONCELIER_MONGO_URI=f"mongodb://{server.address}/?{server.tls}")
    finally:
        server.stop()

    assert "does it want TLS" in error["message"]
