"""The predicate of manifest.json: what is read of a right one, and each sentence about a wrong one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.verify.tiny_kit import load

vk = load()
ROOT_HASH, DIGEST, COMMIT = "a" * 64, "b" * 64, "c" * 40
DELIVERY = {"digest": DIGEST, "id": "21-101", "migration": "21_101_lnm", "status": "ready"}
ABSENT = {"id": "21-103", "reason": "not yet", "status": "absent"}
IMAGE = {"digest": f"sha256:{DIGEST}", "id": "lnm-runner-linux-amd64", "status": "ready"}
RIGHT: dict[str, Any] = {
    "channel": "stable",
    "created_at": "2026-09-01T00:00:00Z",
    "deliveries": [DELIVERY, ABSENT],
    "parts": [IMAGE, {**IMAGE, "id": "seeds", "migration": None}, {**IMAGE, "id": "more", "migration": "m"}],
    "rootHash": ROOT_HASH,
    "source": {"commit": COMMIT, "note": "a note", "state": "dirty"},
    "trust": "key",
    "version": "2026.9.1",
}


def test_a_predicate_says_what_stands_in_it() -> None:
    assert vk.read_predicate(RIGHT) == vk.Manifest(
        channel="stable",
        created_at="2026-09-01T00:00:00Z",
        deliveries=(vk.Part("21-101", "ready", DIGEST, "21_101_lnm"), vk.Part("21-103", "absent", reason="not yet")),
        parts=(
            vk.Part(IMAGE["id"], "ready", IMAGE["digest"]),
            vk.Part("seeds", "ready", IMAGE["digest"]),
            vk.Part("more", "ready", IMAGE["digest"], "m"),
        ),
        root_hash=ROOT_HASH,
        commit=COMMIT,
        state="dirty",
        note="a note",
        trust="key",
        version="2026.9.1",
    )


@pytest.mark.parametrize(("member", "words"), [("channel", "edge stable airgap"), ("trust", "dev key keyless")])
def test_each_of_its_words_may_stand_there(member: str, words: str) -> None:
    for word in words.split():
        assert getattr(vk.read_predicate({**RIGHT, member: word}), member) == word


@pytest.mark.parametrize("state", ["clean", "dirty", "unknown"])
def test_a_source_may_have_no_commit_and_no_note(state: str) -> None:
    found = vk.read_predicate({**RIGHT, "source": {"commit": None, "state": state}})

    assert (found.commit, found.note, found.state) == (None, None, state)


def source(**members: object) -> dict[str, object]:
    """Another source than the right one."""
    return {"source": {**RIGHT["source"], **members}}


NO_MEMBERS = "wanted channel, created_at, deliveries, parts, rootHash, source, trust, version"
ALL = '["channel","created_at","deliveries","parts","rootHash","source","trust","version"]'
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"channel": "nightly"}, 'channel is "nightly", wanted edge or stable or airgap'),
    ({"created_at": "2026-09-01"}, 'created_at is "2026-09-01", wanted a time like 2026-01-31T12:00:00Z'),
    ({"created_at": "2026-02-30T00:00:00Z"}, "created_at is 2026-02-30T00:00:00Z, wanted a time like 2026-01-31T12:00:00Z"),
    ({"deliveries": {}}, "deliveries is {}, wanted a list"),
    ({"deliveries": [DELIVERY, DELIVERY]}, "deliveries has one id twice, wanted each once"),
    (
        {"deliveries": [ABSENT, IMAGE]},
        'deliveries 2 has the members ["digest","id","status"], wanted digest, id, migration, status',
    ),
    ({"deliveries": [7]}, "deliveries 1 is 7, wanted an object"),
    ({"parts": None}, "parts is null, wanted a list"),
    ({"parts": [IMAGE, IMAGE]}, "parts has one id twice, wanted each once"),
    ({"parts": [{**IMAGE, "migration": 1}]}, "parts 1: migration is 1, wanted a migration's id"),
    ({"parts": [{**IMAGE, "more": 1}]}, 'parts 1 has the members ["digest","id","status","more"], wanted digest, id, status'),
    ({"parts": [{**IMAGE, "status": "ABSENT"}]}, 'parts 1: status is "ABSENT", wanted ready or absent'),
    ({"parts": [{**IMAGE, "digest": 1}]}, "parts 1: digest is 1, wanted a sha256"),
    ({"rootHash": "A" * 64}, f'rootHash is "{"A" * 64}", wanted 64 lower-case hex'),
    ({"source": []}, "source is [], wanted an object"),
    ({"source": {"state": "clean"}}, 'source has the members ["state"], wanted commit, state'),
    (source(commit="C" * 40), f'source.commit is "{"C" * 40}", wanted 40 lower-case hex or null'),
    (source(state="new"), 'source.state is "new", wanted clean or dirty or unknown'),
    (source(note="\u00e9"), r'source.note is "\\u00e9", wanted printable text'),
    ({"trust": "none"}, 'trust is "none", wanted dev or key or keyless'),
    ({"version": "2026.09.1"}, 'version is "2026.09.1", wanted YYYY.M.patch'),
    ({"more": 1}, f"""the predicate has the members {ALL.replace("]", ',"more"]')}, {NO_MEMBERS}"""),
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_with_a_predicate_is_told(change: dict[str, Any], said: str) -> None:
    with pytest.raises(vk.Wrong, match=f"^{re.escape(said)}$"):
        vk.read_predicate({**RIGHT, **change})


def test_what_a_manifest_says_of_images_must_be_so() -> None:
    manifest, amd64, arm64 = vk.read_predicate(RIGHT), "lnm-runner-linux-amd64", "lnm-runner-linux-arm64"
    right, other = vk.Image(amd64, f"sha256:{DIGEST}", 1), vk.Image(amd64, f"sha256:{COMMIT}", 1)
    bare = vk.read_predicate({**RIGHT, "parts": [{**IMAGE, "digest": DIGEST}]})
    absent = vk.read_predicate({**RIGHT, "parts": [{**ABSENT, "id": amd64}]})

    def refusal(manifest: Any, *images: Any) -> Any:
        """The one failure."""
        with pytest.raises(vk.Refused) as caught:
            vk.check_image_parts(manifest, images)
        return caught.value.failures

    for one in (manifest, bare):
        vk.check_image_parts(one, [vk.Image(arm64, "sha256:x", 1), right])
        said = f"its part {amd64} is sha256:{DIGEST}"
        wanted = (vk.Failure(vk.Kind.STATEMENT, "manifest.json", said, f"the kit has {other.digest}"),)
        assert refusal(one, other) == wanted
        assert refusal(one) == (vk.Failure(vk.Kind.STATEMENT, "manifest.json", said, "the kit has no such image"),)
    vk.check_image_parts(absent, [])
    said = f"its part {amd64} is absent"
    assert refusal(absent, right) == (vk.Failure(vk.Kind.STATEMENT, "manifest.json", said, f"the kit has {right.digest}"),)
