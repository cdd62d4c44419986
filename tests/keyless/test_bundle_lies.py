"""tests/keyless/bundle_lies.py: what sigstore-python refuses and what it does not see, and where sigstore-js and cosign differ."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sigstore.errors import Error

from scripts import canonical
from scripts.sigstore_instance.instance import Instance
from tests.keyless import sigstore_js
from tests.keyless.bundle_lies import BEYOND, CONFORMANCE, COSIGN, FORM, JS, LIES, Lie
from tests.keyless.conftest import Good
from tests.keyless.cosign import Cosign
from tests.keyless.forge import again
from tests.keyless.signing import verify_blob, verify_statement

ALL = (*LIES, *BEYOND, *FORM)


def judge(lie_of: str, bundle: bytes, inst: Instance, good: Good) -> None:
    """sigstore-python's word."""
    if lie_of == "sums":
        verify_blob(inst, good.sums, bundle)
    else:
        verify_statement(inst, bundle)


def by_hand(inst: Instance, good: Good) -> tuple[bytes, bytes]:
    """Both bundles, made by the forge with nothing changed."""
    one, two = (again(json.loads(good.bundle(of)), inst) for of in ("sums", "manifest"))
    return canonical.render(one), canonical.render(two)


def test_no_name_stands_for_two_lies() -> None:
    assert len({lie.name for lie in ALL}) == len(ALL)


def test_every_case_of_the_public_suite_has_its_row() -> None:
    told = {lie.name.removeprefix(f"{lie.of}_") for lie in LIES}

    assert {case: row for case, row in CONFORMANCE.items() if row not in told} == {}


def test_what_is_not_broken_passes(inst: Instance, good: Good) -> None:
    for sums, manifest in ((good.sums_bundle, good.manifest_bundle), by_hand(inst, good)):
        verify_blob(inst, good.sums, sums)
        assert verify_statement(inst, manifest) == ("application/vnd.in-toto+json", good.manifest)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_sigstore_python_refuses_the_lie_for_its_reason(lie: Lie, inst: Instance, good: Good) -> None:
    with pytest.raises((Error, ValueError)) as refusal:
        judge(lie.of, lie.make(good.bundle(lie.of), inst), inst, good)

    assert re.search(lie.reason, str(refusal.value), re.IGNORECASE), str(refusal.value)


@pytest.mark.parametrize("lie", [*BEYOND, *FORM], ids=lambda lie: lie.name)
def test_sigstore_python_does_not_see_what_is_beyond_it(lie: Lie, inst: Instance, good: Good) -> None:
    """If a new version sees it, its row becomes one of LIES, and the check of ours that stands in for it may go."""
    judge(lie.of, lie.make(good.bundle(lie.of), inst), inst, good)


def test_sigstore_js_refuses_the_same_but_for_what_is_known(inst: Instance, good: Good) -> None:
    rows = {lie.name: (lie.make(good.bundle(lie.of), inst), good.sums if lie.of == "sums" else None) for lie in ALL}
    sums, manifest = by_hand(inst, good)
    controls = {"sums": (sums, good.sums), "manifest": (manifest, None)}

    told = sigstore_js.verdicts(inst, {**rows, **controls})

    accepted = {name for name, words in told.items() if not words}
    assert accepted == {lie.name for lie in ALL if JS in lie.blind} | set(controls)


def test_cosign_differs_where_it_is_known_to(inst: Instance, good: Good, tmp_path: Path) -> None:
    """It is asked where the clients differ alone, about the sums: a question takes a fifth of a second."""
    asked = [lie for lie in ALL if lie.of == "sums" and (lie.blind or not lie.reason)]
    cosign = Cosign.found(tmp_path, inst)

    told = {lie.name: cosign.refusal(good.sums, lie.make(good.sums_bundle, inst)) for lie in asked}

    assert {name for name, words in told.items() if not words} == {lie.name for lie in asked if COSIGN in lie.blind}
