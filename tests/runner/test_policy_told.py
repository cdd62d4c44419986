"""What is told of a trust policy with defects, word for word: it is all that whoever writes one has to mend it by."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from lnm_runner.errors import InputError
from lnm_runner.kit import policy
from lnm_runner.kit.policy import Provenance, Root, RootKey, Signer, TrustedRoot
from lnm_runner.kit.toml_table import shown

from tests.faults.keys import EDDY, MAIN, Key, rsa_public
from tests.runner.policies import BUILDER, SECURITY, STORAGE, identified, made, signer, text

HINT = "mend the policy; runbook/trust-policy.example.toml in the kit explains each member"
MISSING = """\
schema: is missing, wanted stellaops.lnm.trust-policy/1
version: is missing, wanted a whole number from 1 to 2147483647
channels: is missing, wanted a list of airgap, edge, stable, each once, one at least
minimum-version: is missing, wanted YYYY.M.patch
algorithms: is missing, wanted a list of ecdsa-p256-sha256, ed25519, each once, one at least
kit-max-age-days: is missing, wanted a whole number from 0 to 36500
evidence-max-age-days: is missing, wanted a whole number from 0 to 36500
threshold: is missing, wanted a table
threshold.signatures: is missing, wanted a whole number from 1 to 100
signer: is missing, wanted one or more [[signer]]
trusted-root.file: is missing, wanted the name of a file beside the policy
trusted-root.sha256: is missing, wanted 64 hex digits
root.threshold: is missing, wanted a whole number from 1 to 100
root.key: is missing, wanted one or more [[root.key]]
provenance.builders: is missing, wanted a list of builder ids"""
WRONG = b"""\
schema = 1
version = "x"
development = 1
channels = 3
minimum-version = 4
algorithms = ["md5"]
kit-max-age-days = 1.5
evidence-max-age-days = 36501
expires = "soon"
signer = [
    {},
    {name = "", role = "x", fingerprint = 7, public-key = 8, valid-from = 1, valid-until = 2, more = 1},
    {identity = 1, issuer = ""},
    {issuer = "x"},
]
[threshold]
signatures = 101
builder = -1
security = "x"
storage = true
extra = 1
[trusted-root]
file = "/x"
sha256 = "A"
extra = 1
[provenance]
builders = [1]
clean-source = "yes"
extra = 2
[root]
threshold = 0
extra = 1
[[root.key]]
extra = 1
"""
IS_WRONG = """\
schema: is 1, wanted stellaops.lnm.trust-policy/1
version: is "x", wanted a whole number from 1 to 2147483647
development: is 1, wanted true or false
channels: is 3, wanted a list of airgap, edge, stable, each once, one at least
minimum-version: is 4, wanted YYYY.M.patch
algorithms: is ['md5'], wanted a list of ecdsa-p256-sha256, ed25519, each once, one at least
kit-max-age-days: is 1.5, wanted a whole number from 0 to 36500
evidence-max-age-days: is 36501, wanted a whole number from 0 to 36500
threshold.signatures: is 101, wanted a whole number from 1 to 100
threshold.builder: is -1, wanted a whole number from 0 to 100
threshold.security: is "x", wanted a whole number from 0 to 100
threshold.storage: is True, wanted a whole number from 0 to 100
threshold.extra: is not known here
signer[1].name: is missing, wanted printable text of at most 100 characters
signer[1].role: is missing, wanted one of builder, security, storage, rehearsal
signer[1].fingerprint: is missing, wanted sha256: and 64 hex digits, as verify_kit.py prints them
signer[2].name: is "", wanted printable text of at most 100 characters
signer[2].role: is "x", wanted one of builder, security, storage, rehearsal
signer[2].valid-from: is 1, wanted a day, as 2027-11-30 without quotes
signer[2].valid-until: is 2, wanted a day, as 2027-11-30 without quotes
signer[2].fingerprint: is 7, wanted sha256: and 64 hex digits, as verify_kit.py prints them
signer[2].public-key: is 8, wanted a public key in PEM form
signer[2].more: is not known here
signer[3].name: is missing, wanted printable text of at most 100 characters
signer[3].role: is missing, wanted one of builder, security, storage, rehearsal
signer[3].identity: is 1, wanted the text in the certificate, whole
signer[3].issuer: is "", wanted the URL of who vouches for the identity
signer[4].name: is missing, wanted printable text of at most 100 characters
signer[4].role: is missing, wanted one of builder, security, storage, rehearsal
signer[4].identity: is missing, wanted the text in the certificate, whole
trusted-root.file: is "/x", wanted the name of a file beside the policy
trusted-root.sha256: is "A", wanted 64 hex digits
trusted-root.extra: is not known here
root.threshold: is 0, wanted a whole number from 1 to 100
root.key[1].name: is missing, wanted printable text of at most 100 characters
root.key[1].fingerprint: is missing, wanted sha256: and 64 hex digits, as verify_kit.py prints them
root.key[1].public-key: is missing, wanted a public key in PEM form
root.key[1].extra: is not known here
root.extra: is not known here
expires: is "soon", wanted a day, as 2027-11-30 without quotes
provenance.builders: is [1], wanted a list of builder ids
provenance.clean-source: is "yes", wanted true or false
provenance.extra: is not known here"""


def refusal(data: bytes) -> InputError | None:
    """Of a policy; None where it is one."""
    try:
        policy.parse(data, "a policy")
    except InputError as err:
        return err
    return None


def defects(data: bytes) -> list[str]:
    """What is told of a policy, each defect for itself; none where it has none."""
    err = refusal(data)
    if err is None:
        return []
    assert err.message == f"a policy: {'; '.join(err.facts['defects'])}"
    assert err.hint == HINT
    return list(err.facts["defects"])


def test_every_member_that_is_missing_is_told() -> None:
    assert defects(b"[trusted-root]\n[root]\n[provenance]\n") == MISSING.splitlines()


def test_every_member_of_another_form_is_told() -> None:
    assert defects(WRONG) == IS_WRONG.splitlines()


@pytest.mark.parametrize(
    ("member", "defect"),
    [
        ("Extra_1-b = 1", "Extra_1-b: is not known here"),
        ('"a b" = 1', '"a b": is not known here'),
        ("root = {threshold = 1, key = []}", "root.key: is [], wanted one or more [[root.key]]"),
        ("root = {threshold = 1, key = {a = 1}}", "root.key: is {'a': 1}, wanted one or more [[root.key]]"),
    ],
)
def test_a_member_that_is_wrong_is_told_with_its_path(member: str, defect: str) -> None:
    assert defects(member.encode() + b"\n" + text(BUILDER)) == [defect]


def test_the_dots_of_the_schema_are_dots() -> None:
    schema = "stellaops-lnm-trust-policy/1"

    assert defects(text(BUILDER, schema=schema)) == [f'schema: is "{schema}", wanted stellaops.lnm.trust-policy/1']


WORKFLOW = identified("me", "https://a.example")
BACKWARDS = STORAGE + "valid-from = 2027-01-02\nvalid-until = 2027-01-01\n"


def root_key(name: str, key: Key) -> str:
    return f'[[root.key]]\nname = "{name}"\nfingerprint = "sha256:{key.fingerprint}"\npublic-key = """{key.pem.decode()}"""\n'


CONTRADICTIONS = {
    "signers": (
        text(
            BUILDER,
            WORKFLOW,
            WORKFLOW,
            BACKWARDS,
            signer(MAIN, "security", name="Other"),
            threshold={"signatures": 6, "builder": 1, "security": 4, "storage": 0},
        ),
        [
            'signer: the name "Release workflow" stands there twice',
            f'signer: the fingerprint "{MAIN.fingerprint}" stands there twice',
            'signer: the identity "me https://a.example" stands there twice',
            'signer: "Storage team" is valid from 2027-01-02, which is after 2027-01-01',
            "threshold.signatures: is 6, and the policy has 5 such signers",
            "threshold.security: is 4, and the policy has 3 such signers",
            "trusted-root: is missing, and a signer has an identity",
        ],
    ),
    "both": (
        text(BUILDER, BACKWARDS, "[root]\nthreshold = 1\n", root_key("A", MAIN), root_key("A", EDDY)),
        [
            'signer: "Storage team" is valid from 2027-01-02, which is after 2027-01-01',
            'root.key: the name "A" stands there twice',
        ],
    ),
    "no_builder": (text(SECURITY), ["signer: none is a builder with a fingerprint, and such a one signs every kit"]),
    "root": (
        text(BUILDER, "[root]\nthreshold = 4\n", root_key("A", MAIN), root_key("A", EDDY), root_key("B", EDDY)),
        [
            'root.key: the name "A" stands there twice',
            f'root.key: the fingerprint "{EDDY.fingerprint}" stands there twice',
            "root.threshold: is 4, and there are 3 root keys",
        ],
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_cannot_be_meant_is_told(name: str) -> None:
    data, told = CONTRADICTIONS[name]

    assert defects(data) == told


WANTED_KEY = "wanted one ECDSA P-256 or Ed25519 key with the fingerprint beside it"
KEYS = {
    "it holds 2 keys": BUILDER.replace("-----BEGIN", EDDY.pem.decode() + "-----BEGIN", 1),
    f"its key is sha256:{MAIN.fingerprint}": BUILDER.replace(MAIN.fingerprint, "0" * 64),
    "not a public key in PEM form": BUILDER.replace(MAIN.pem.decode(), "no key"),
    "RSA of 2048 bits (RSA below 3072 bits is refused anywhere, larger ones are not used here)": BUILDER.replace(
        MAIN.pem.decode(), rsa_public(2048).decode()
    ),
}


@pytest.mark.parametrize("found", KEYS)
def test_another_key_than_that_of_the_fingerprint_is_told(found: str) -> None:
    assert defects(text(KEYS[found])) == [f"signer[1].public-key: {found}; {WANTED_KEY}"]


NO_TOML = {
    b"\xff": "no TOML: UnicodeDecodeError",
    b"version 1": "no TOML: Expected '=' after a key in a key/value pair (at line 1, column 9)",
    b"a = " + b"[" * 5000: "no TOML: RecursionError",
    b"\n" * (policy.LARGEST + 1): "more than 262144 bytes, wanted a trust policy",
}


@pytest.mark.parametrize("data", NO_TOML, ids=range(len(NO_TOML)))
def test_what_is_no_toml_is_told(data: bytes) -> None:
    err = refusal(data)

    assert err is not None
    assert (err.message, err.hint, dict(err.facts)) == (f"a policy: {NO_TOML[data]}", HINT, {})


BOUNDS = {
    "version": (1, 2**31 - 1),
    "kit-max-age-days": (0, 36_500),
    "evidence-max-age-days": (0, 36_500),
    "threshold.signatures": (1, 100),
    "threshold.builder": (0, 100),
    "root.threshold": (1, 100),
}


def with_number(path: str, number: int) -> bytes:
    """A policy with a number in one place, which may contradict the rest of it."""
    table, _, member = path.rpartition(".")
    if not table:
        members: dict[str, Any] = {member: number}
        return text(BUILDER, **members)
    if table == "threshold":
        return text(BUILDER, threshold={"signatures": 1, member: number})
    return text(BUILDER, f"[root]\nthreshold = {number}\n", root_key("A", MAIN))


@pytest.mark.parametrize("path", BOUNDS)
def test_a_number_may_be_its_bounds_and_no_more(path: str) -> None:
    least, most = BOUNDS[path]
    wanted = f"wanted a whole number from {least} to {most}"

    assert defects(with_number(path, least - 1)) == [f"{path}: is {least - 1}, {wanted}"]
    assert defects(with_number(path, most + 1)) == [f"{path}: is {most + 1}, {wanted}"]
    for number in (least, most):
        assert not [defect for defect in defects(with_number(path, number)) if wanted in defect]


def test_days_and_a_role_that_are_right_are_those_of_the_policy() -> None:
    day = dt.date(2027, 1, 2)
    since = f"valid-from = {day}\nvalid-until = {day}\n"
    root = f"[trusted-root]\nfile = 'roots-2.json'\nsha256 = '{'1' * 64}'\n"
    provenance = "[provenance]\nbuilders = ['urn:a', 'urn:b']\nclean-source = true\n"

    data = text(
        BUILDER,
        STORAGE + since,
        WORKFLOW + since,
        root,
        provenance,
        "[root]\nthreshold = 1\n",
        root_key("A", EDDY),
        expires=day,
    )

    found = policy.parse(data, "a policy")

    assert found.sha256 == hashlib.sha256(data).hexdigest()
    keyed = Signer("Storage team", "storage", EDDY.fingerprint, EDDY.pem, None, None, day, day)
    assert found.signers[1:] == (keyed, Signer("Release workflow", "security", None, None, "me", "https://a.example", day, day))
    assert found.trusted_root == TrustedRoot("roots-2.json", "1" * 64)
    assert found.provenance == Provenance(frozenset({"urn:a", "urn:b"}), is_source_clean=True)
    assert found.root == Root(1, (RootKey("A", EDDY.fingerprint, EDDY.pem),))
    assert (found.expires, found.path) == (day, None)
    assert (found.channels, found.algorithms) == (frozenset({"edge", "stable"}), frozenset({"ecdsa-p256-sha256", "ed25519"}))
    assert made(BUILDER, "[provenance]\nbuilders = ['x']\n").provenance == Provenance(frozenset({"x"}), is_source_clean=False)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (5, "5"),
        ('a\nb"é', '"a\\nb"\\xe9"'),
        ("x" * 198, f'"{"x" * 198}"'),
        ("x" * 199, f'"{"x" * 199}...'),
        (["PRIVATE KEY"], "a private key, which belongs elsewhere"),
        (10**5000, "too much to be shown"),
    ],
    ids=["number", "escaped", "whole", "cut", "private", "too_much"],
)  # fmt: skip
def test_a_value_is_told_on_one_line_and_cut(value: object, seen: str) -> None:
    assert shown(value) == seen


def test_of_a_policy_without_end_only_the_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trust-policy.toml"
    path.touch()
    os.truncate(path, 1 << 40)  # a terabyte of nothing

    with pytest.raises(InputError, match="more than 262144 bytes"):
        policy.read(path)
