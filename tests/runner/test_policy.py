"""trust-policy.toml: every defect of one is told, and none is followed in part."""

from __future__ import annotations

import inspect
import json
import os
import re
from pathlib import Path

import pytest
from lnm_runner.errors import InputError, NotFoundError
from lnm_runner.kit import policy

from tests.conftest import ROOT
from tests.faults.keys import EDDY, EDDY_SECOND, MAIN, SECOND, rsa_public
from tests.runner.policies import BUILDER, REHEARSAL, SECURITY, STORAGE, identified, made, signer, text, written

ROOT_TABLE = "[trusted-root]\nfile = 'trusted_root.json'\nsha256 = '" + "0" * 64 + "'\n"
WORKFLOW = identified("https://github.com/org/repo/.github/workflows/release.yml@refs/heads/main", "https://issuer.example")


def root_key(name: str, fingerprint: str, pem: bytes) -> str:
    return f'[[root.key]]\nname = "{name}"\nfingerprint = "sha256:{fingerprint}"\npublic-key = """{pem.decode()}"""\n'


ROOTS = "[root]\nthreshold = 2\n" + root_key("A", MAIN.fingerprint, MAIN.pem) + root_key("B", EDDY.fingerprint, EDDY.pem)


def test_a_policy_says_what_stands_in_it() -> None:
    threshold = {"signatures": 2, "builder": 1, "security": 1}
    found = made(BUILDER, SECURITY, WORKFLOW, REHEARSAL, ROOT_TABLE, ROOTS, threshold=threshold, version=7, development=True)

    assert (found.version, found.is_development, found.minimum_version) == (7, True, "2026.9.0")
    assert (found.threshold.signatures, found.threshold.roles) == (2, {"builder": 1, "security": 1})
    assert [(one.name, one.role, one.fingerprint) for one in found.signers[:2]] == [
        ("Build service", "builder", MAIN.fingerprint),
        ("Security team", "security", SECOND.fingerprint),
    ]
    assert (found.signers[2].fingerprint, found.signers[2].issuer) == (None, "https://issuer.example")
    assert found.root is not None
    assert [key.fingerprint for key in found.root.keys] == [MAIN.fingerprint, EDDY.fingerprint]
    assert found.trusted_root is not None
    assert (found.kit_max_age_days, found.evidence_max_age_days) == (400, 14)


SECRET = json.dumps(MAIN.private_pem.decode())
DEFECTS = {
    "not_utf8": (b"\xff", "no TOML"),
    "no_toml": (b"version 1", "no TOML"),
    "a_key_twice": (b"version = 1\n" + text(BUILDER), "no TOML"),
    "a_table_twice": (text(BUILDER, "[threshold]\n"), "no TOML"),
    "nested_deep": (b"a = " + b"[" * 5000, "no TOML"),
    "huge": (text(BUILDER) + b"#" * (300 << 10), "more than"),
    "empty": (b"", "schema: is missing"),
    "other_schema": (text(BUILDER, schema="stellaops.lnm.trust-policy/2"), "schema: is"),
    "unknown_member": (text(BUILDER, kit_max_age=3), "kit-max-age: is not known here"),
    "unknown_member_of_a_signer": (text(BUILDER + "roles = 'builder'\n"), "signer[1].roles: is not known here"),
    "unknown_role_of_the_threshold": (text(BUILDER, threshold={"signatures": 1, "rehearsal": 1}), "threshold.rehearsal: is not"),
    "version_true": (text(BUILDER, version=True), "version: is True, wanted a whole number"),
    "version_0": (text(BUILDER, version=0), "version: is 0"),
    "version_of_5000_hex_digits": (text(BUILDER).replace(b"version = 1", b"version = 0x" + b"f" * 5000), "version: is too much"),
    "tables_in_tables": (b"channels." + b".".join([b"a"] * 2000) + b" = 1\n" + text(BUILDER, channels=None), "is too much to be"),
    "version_text": (text(BUILDER, version="1"), 'version: is "1", wanted a whole number'),
    "development_text": (text(BUILDER, development="false"), 'development: is "false", wanted true or false'),
    "expires_as_text": (text(BUILDER, expires="2027-11-30"), 'expires: is "2027-11-30", wanted a day'),
    "expires_with_a_time": (b"expires = 2027-11-30T00:00:00Z\n" + text(BUILDER), "expires: is datetime.datetime(2027"),
    "valid_until_before_from": (text(BUILDER + "valid-from = 2027-01-02\nvalid-until = 2027-01-01\n"), "which is after 2027-01-01"),
    "no_channel": (text(BUILDER, channels=[]), "channels: is []"),
    "unknown_channel": (text(BUILDER, channels=["nightly"]), "channels: is"),
    "channel_twice": (text(BUILDER, channels=["edge", "edge"]), "channels: is"),
    "channels_text": (text(BUILDER, channels="stable"), 'channels: is "stable"'),
    "no_minimum": (text(BUILDER, minimum_version=None), "minimum-version: is missing"),
    "minimum_with_leading_zero": (text(BUILDER, minimum_version="2026.09.0"), "minimum-version: is"),
    "unknown_algorithm": (text(BUILDER, algorithms=["rsa"]), "algorithms: is"),
    "negative_age": (text(BUILDER, kit_max_age_days=-1), "kit-max-age-days: is -1"),
    "no_age": (text(BUILDER, evidence_max_age_days=None), "evidence-max-age-days: is missing"),
    "threshold_0": (text(BUILDER, threshold={"signatures": 0}), "threshold.signatures: is 0"),
    "threshold_is_no_table": (text(BUILDER).replace(b"[threshold]\nsignatures = 1", b"threshold = 1"), "threshold: is 1, wanted a"),
    "signer_is_no_table": (b"signer = [1]\n" + text(), "signer[1]: is 1, wanted a table"),
    "threshold_beyond_the_signers": (text(BUILDER, REHEARSAL, threshold={"signatures": 2}), "the policy has 1 such signers"),
    "role_that_nobody_has": (text(BUILDER, threshold={"signatures": 1, "security": 1}), "threshold.security: is 1"),
    "no_signer": (text(), "signer: is missing"),
    "signer_is_no_list": (text("[signer]\nname = 'x'"), "wanted one or more [[signer]]"),
    "no_builder": (text(SECURITY), "none is a builder"),
    "builder_only_by_identity": (text(identified("a", "b", "builder"), ROOT_TABLE), "none is a builder with a fingerprint"),
    "unknown_role": (text(signer(MAIN, "admin")), 'signer[1].role: is "admin"'),
    "name_twice": (text(BUILDER, signer(SECOND, "security", name="Build service")), "stands there twice"),
    "key_twice": (text(BUILDER, signer(MAIN, "security", name="Other")), f'the fingerprint "{MAIN.fingerprint}" stands'),
    "identity_twice": (text(BUILDER, WORKFLOW, WORKFLOW.replace("Release", "Other"), ROOT_TABLE), "the identity"),
    "key_of_another_fingerprint": (text(BUILDER.replace(MAIN.fingerprint, "0" * 64)), f"its key is sha256:{MAIN.fingerprint}"),
    "two_keys": (text(BUILDER.replace("-----BEGIN", EDDY.pem.decode() + "-----BEGIN", 1)), "it holds 2 keys"),
    "rsa_key": (text(BUILDER.replace(MAIN.pem.decode(), rsa_public(2048).decode())), "RSA of 2048 bits"),
    "private_key": (text(BUILDER.replace(MAIN.pem.decode(), MAIN.private_pem.decode())), "a private key"),
    "private_key_as_fingerprint": (text(BUILDER.replace(f'"sha256:{MAIN.fingerprint}"', SECRET)), "fingerprint: is a private key"),
    "private_key_in_a_list": (text(BUILDER, channels=[MAIN.private_pem.decode()]), "channels: is a private key"),
    "private_key_as_a_name": (f"{SECRET} = 1\n".encode() + text(BUILDER), "a private key"),
    "fingerprint_without_prefix": (text(BUILDER.replace("sha256:", "")), "signer[1].fingerprint: is"),
    "key_and_identity": (text(BUILDER + "identity = 'me'\nissuer = 'https://x'\n"), "signer[1].fingerprint: is not known here"),
    "identity_without_issuer": (text(BUILDER, "[[signer]]\nname='x'\nrole='security'\nidentity='me'\n"), "signer[2].issuer: is"),
    "no_trusted_root": (text(BUILDER, WORKFLOW), "trusted-root: is missing, and a signer has an identity"),
    "trusted_root_elsewhere": (text(BUILDER, ROOT_TABLE.replace("trusted_root", "../trusted_root")), "trusted-root.file: is"),
    "root_threshold": (text(BUILDER, ROOTS.replace("threshold = 2", "threshold = 3")), "root.threshold: is 3"),
    "root_key_twice": (text(BUILDER, ROOTS + root_key("C", MAIN.fingerprint, MAIN.pem)), "root.key: the fingerprint"),
    "root_without_keys": (text(BUILDER, "[root]\nthreshold = 1\n"), "root.key: is missing"),
    "root_key_without_pem": (text(BUILDER, ROOTS, f"[[root.key]]\nname='C'\nfingerprint='sha256:{'1' * 64}'"), "public-key: is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_policy_with_a_defect_is_refused(name: str) -> None:
    data, said = DEFECTS[name]

    with pytest.raises(InputError) as caught:
        policy.parse(data, "trust-policy.toml")

    assert said in caught.value.message
    assert "PRIVATE" not in caught.value.message
    assert MAIN.private_pem.splitlines()[1].decode()[:20] not in caught.value.message


def test_all_defects_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        made(BUILDER.replace("builder", "boss"), version=0, channels=[], threshold={"signatures": 0}, surprise=1)

    paths = [defect.partition(":")[0] for defect in caught.value.facts["defects"]]
    assert sorted(paths) == ["channels", "signer[1].role", "surprise", "threshold.signatures", "version"]


def test_a_policy_that_is_not_there_or_anybodys_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, BUILDER, STORAGE)
    assert policy.read(path).path == path

    path.chmod(0o646)
    with pytest.raises(InputError, match="anybody may write it"):
        policy.read(path)
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="is no file"):
            policy.read(other)
    with pytest.raises(NotFoundError):
        policy.read(tmp_path / "none.toml")


EXAMPLE = ROOT / "bundle-layout/runbook/trust-policy.example.toml"
FILLED = {
    "fingerprint of the build service's key": MAIN.fingerprint,
    "public key of the build service, PEM": MAIN.pem.decode(),
    "fingerprint of the security team's key": SECOND.fingerprint,
    "owner": "org",
    "repository": "repo",
    "sha256 of trusted_root.json": "0" * 64,
    "fingerprint of root key A": EDDY.fingerprint,
    "public key A, PEM": EDDY.pem.decode(),
    "fingerprint of root key B": EDDY_SECOND.fingerprint,
    "public key B, PEM": EDDY_SECOND.pem.decode(),
}


def test_the_example_in_the_kit_is_a_policy_once_its_blanks_are_filled() -> None:
    words = EXAMPLE.read_text()
    blanks = "\n".join(line for line in words.splitlines() if not line.startswith("#"))
    found = policy.parse(re.sub(r"<([^<>\n]+)>", lambda blank: FILLED[blank[1]], blanks).encode(), EXAMPLE.name)

    assert set(re.findall(r"<([^<>\n]+)>", blanks)) == set(FILLED)
    assert (found.threshold.signatures, found.names_identities, found.root is None) == (2, True, False)
    with pytest.raises(InputError):
        policy.parse(words.encode(), EXAMPLE.name)


def test_the_example_and_the_page_name_every_member() -> None:
    for page in (EXAMPLE, ROOT / "bundle-layout/runbook/trust.md"):
        words = page.read_text()
        members = re.findall(r'table\.[a-z]+\(\s*"([a-z-]+)"', "".join(inspect.getsource(read) for read in READERS))
        assert len(members) > 20
        for member in members:
            assert re.search(rf"\b{member}\b", words), f"{page.name}: {member}"


READERS = (policy.policy_of, policy.threshold_of, policy.signer_of, policy.key_of, policy.trusted_root_of, policy.root_of)
