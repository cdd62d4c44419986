"""scripts/repro: who is blamed for a difference, and how it is explained."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.repro import compare, explain
from scripts.repro.compare import Seen
from tests.build.trees import Tree
from tests.conftest import ROOT

KIT = "concelier-lnm-1"


# ---- who is blamed


def record(task: str, outputs: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"task": task, "inputs": {}, "code": {}, "settings": {}, "tools": {"python": "3.11"}, **more, "outputs": outputs}


def records(*listed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["task"]: one for one in listed}


def chain(**wheel: Any) -> dict[str, dict[str, Any]]:
    """z makes a file, m reads it, a reads what m made: names in the order opposite to the flow."""
    made = wheel.pop("sha", "1")
    return records(
        record("z", {"z.out": made}, inputs={"source": "s"}, **wheel),
        record("m", {"m.out": f"m{made}"}, inputs={"z.out": made}),
        record("a", {"a.out": f"a{made}"}, inputs={"m.out": f"m{made}"}),
    )


def test_the_first_task_with_equal_inputs_and_other_outputs_is_to_blame_and_none_after_it() -> None:
    assert [blame.task for blame in compare.culprits(chain(), chain(sha="2"))] == ["z"]
    assert compare.culprits(chain(), chain()) == []


def test_tasks_stand_in_the_order_of_flow() -> None:
    assert compare.in_order(chain()) == ["z", "m", "a"]


def test_two_tasks_that_do_not_feed_each_other_are_both_to_blame() -> None:
    one = records(record("b", {"b": "1"}), record("a", {"a": "1"}))
    other = records(record("b", {"b": "2"}), record("a", {"a": "2"}))
    assert [(blame.task, blame.file) for blame in compare.culprits(one, other)] == [("a", "a"), ("b", "b")]


def test_a_task_that_adds_a_difference_of_its_own_is_hidden_by_the_one_before_it_until_that_is_mended() -> None:
    other = chain(sha="2")
    other["a"] = record("a", {"a.out": "random"}, inputs=other["a"]["inputs"])
    assert [blame.task for blame in compare.culprits(chain(), other)] == ["z"]


@pytest.mark.parametrize(("part", "word"), [("settings", "settings"), ("code", "settings"), ("tools", "tools")])
def test_other_settings_or_tools_are_said(part: str, word: str) -> None:
    blames = compare.culprits(chain(), chain(**{part: {"x": "y"}}))
    assert [blame.task for blame in blames] == ["z"]
    assert word in blames[0].how


def test_another_python_is_no_blame_where_pythons_are_compared() -> None:
    assert compare.culprits(chain(), chain(tools={"python": "3.13"}), same_python=False) == []


def test_a_task_of_one_build_alone_is_said() -> None:
    more = {**chain(), **records(record("new", {"n": "1"}))}
    assert [(blame.task, blame.how.split(",")[0]) for blame in compare.culprits(chain(), more)] == [
        ("new", "was made in one build alone")
    ]


def seen(outputs: dict[str, str], made: dict[str, dict[str, Any]] | None = None, root_hash: str = "r") -> Seen:
    return Seen(Path(), outputs, made or {}, root_hash)


def test_a_mode_that_differs_is_blamed_on_the_task_that_made_the_file() -> None:
    made = records(record("layout:x", {f"artifacts/lnm/{KIT}/x": "1"}))
    found = compare.blamed(seen({f"{KIT}/x": "1 644"}, made), seen({f"{KIT}/x": "1 600"}, made), same_python=True)
    assert [(blame.task, blame.file) for blame in found] == [("layout:x", f"artifacts/lnm/{KIT}/x")]


def test_a_file_that_is_in_one_build_alone_is_a_difference() -> None:
    assert compare.blamed(seen({"x": "1 644"}), seen({}), same_python=True)


def test_another_root_hash_is_a_difference_whatever_else_is_equal() -> None:
    assert compare.blamed(seen({}, root_hash="r"), seen({}, root_hash="s"), same_python=True)
    assert not compare.blamed(seen({}), seen({}), same_python=True)


def test_under_another_python_payload_and_delivery_bundles_are_compared_and_statements_are_not(built: Tree) -> None:
    names = compare.look(built.root).outputs
    kept = {name for name in names if compare.is_of_any_python(name)}
    assert {name.removeprefix(f"{built.kit.name}/") for name in names if name not in kept and "/" in name} == {
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "SHA256SUMS.sigstore.json",
        "attestations/slsa-provenance.dsse.json",
        "attestations/spdx.dsse.json",
        "manifest.dsse.json",
        "manifest.json",
        "manifest.sigstore.json",
    }
    beside = {name for name in names if name not in kept and "/" not in name}
    assert beside == {name for name in names if name.endswith(".provenance.sigstore.json") or name.startswith("lnm-offline-kit-")}


def test_a_build_is_seen_as_it_is(built: Tree) -> None:
    found = compare.look(built.root)
    assert found.root_hash in built.manifest
    assert compare.culprits(found.records, found.records) == []
    assert {name for one in found.records.values() for name in one["outputs"]} >= {
        f"artifacts/lnm/{name}" for name in found.outputs
    }


# ---- the explanation


def test_the_first_byte_that_differs_is_shown() -> None:
    assert explain.first_difference(b"abcX", b"abcY").startswith("byte 3 of 4 and 4:\n  b'abcX'\n  b'abcY'")
    assert explain.first_difference(b"abc", b"abcd").startswith("byte 3 of 3 and 4:")
    assert explain.first_difference(b"abc", b"abc") == "the bytes are equal: the mode differs"


def test_diffoscope_is_asked_for_text_of_a_bounded_length(tmp_path: Path) -> None:
    if shutil.which("diffoscope") is None and not (Path(sys.executable).parent / "diffoscope").exists():
        assert "diffoscope is not installed here" in explain.explain(ROOT / "VERSION", ROOT / "LICENSE")
        return
    (tmp_path / "a").write_text("".join(f"{number}\n" for number in range(9999)))
    (tmp_path / "b").write_text("".join(f"{number} \n" for number in range(9999)))
    told = explain.explain(tmp_path / "a", tmp_path / "b")
    assert "+0 \n" in told
    assert len(told) < 3 * explain.LONGEST_REPORT
