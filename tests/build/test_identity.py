"""lnm_runner/backfill/identity.py: laws of ids and hashes (decisions §3); the runner's own tests have the examples."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from typing import Any

import pytest
import rfc8785
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from lnm_runner.backfill import identity

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAF = st.none() | st.booleans() | TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=30)


@given(VALUE)
def test_the_fast_encoder_writes_what_rfc_8785_says(value: Any) -> None:
    assert identity.canonical(value) == rfc8785.dumps(value)


@given(st.floats(0, 10) | st.integers(0, 1000).map(lambda tenths: tenths / 10))
def test_scores_are_written_as_rfc_8785_says(score: float) -> None:
    assert identity.canonical(score) == rfc8785.dumps(score)


@pytest.mark.parametrize("value", [-0.0, 0.0, 1.0, 1e-4, 9.99e-5, 1e15, 1e16, 1e21, 123456789012345.6, 5e-324, 2**53 - 1])
def test_numbers_at_the_edges_are_written_as_rfc_8785_says(value: float) -> None:
    assert identity.canonical([value]) == rfc8785.dumps([value])


def test_names_are_sorted_by_utf_16() -> None:
    value = {"\U0001f600": 1, "\uffee": 2}
    assert identity.canonical(value) == rfc8785.dumps(value)
    assert list(value) != sorted(value)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), {"a": object()}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        identity.canonical(value)


@given(
    TEXT,
    TEXT,
    TEXT,
    st.dictionaries(st.sampled_from(["confidence", "conflicts", "normalized", "observations", "provenance"]), VALUE, min_size=1),
)
def test_a_linksets_hash_is_that_of_one_canonical_object(tenant: str, source: str, advisory: str, shared: dict[str, Any]) -> None:
    whole = rfc8785.dumps({**shared, "tenantId": tenant, "source": source, "advisoryId": advisory})
    assert (
        identity.linkset_hash((tenant, source, advisory), identity.canonical(shared))
        == f"sha256:{hashlib.sha256(whole).hexdigest()}"
    )


@given(st.sampled_from(["advisory_observations", "advisory_linksets"]), st.binary(min_size=12, max_size=12), TEXT)
def test_an_event_is_called_by_a_uuid_of_version_5(collection: str, identifier: bytes, digest: str) -> None:
    wanted = uuid.uuid5(identity.EVENTS, f"{collection}|{identifier.hex()}|{digest}")
    assert identity.event_id(collection, ObjectId(identifier), digest) == str(wanted)


@given(TEXT, TEXT, TEXT, TEXT, st.datetimes())
def test_an_observations_hash_is_that_of_a_canonical_object(
    tenant: str, source: str, advisory: str, sha: str, at: dt.datetime
) -> None:
    names = {"tenantId": tenant, "source": source, "advisoryId": advisory, "documentSha": sha, "fetchedAt": identity.text_of(at)}
    wanted = hashlib.sha256(rfc8785.dumps(names)).hexdigest()
    assert identity.observation_hash(tenant, source, advisory, sha, at) == f"sha256:{wanted}"


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
def test_cursors_and_dates_grow_together(one: dt.datetime, other: dt.datetime) -> None:
    first, second = sorted([one.astimezone(dt.UTC), other.astimezone(dt.UTC)])
    assert identity.replay_cursor(first) <= identity.replay_cursor(second)
    assert identity.text_of(first)[:19] <= identity.text_of(second)[:19]
