"""The image as doit makes it, on a small base: what is made again when something changes, and what is mended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts import reporter
from scripts.verify import image_statements, sboms
from scripts.verify.outcome import FAILED, Built
from tests.build.bases import base
from tests.build.trees import Tree, contents

BOTH = ("amd64", "arm64")
NAMES = [f"lnm-runner-linux-{architecture}" for architecture in BOTH]


@pytest.fixture
def imaged(tree: Tree, tmp_path: Path) -> Tree:
    """The tree, built again with images for both platforms."""
    given = base(tmp_path / "base", architectures=BOTH)
    made = tree.variant(LNM_IMAGE=None, LNM_BASE_LAYOUT=str(given))
    made.bundle()
    return made


def parts(tree: Tree) -> dict[str, dict[str, str]]:
    """What the manifest says of the parts, by id."""
    found: list[dict[str, Any]] = json.loads(tree.manifest)["predicate"]["parts"]
    return {part["id"]: part for part in found}


def digests(tree: Tree) -> dict[str, str]:
    """What image-digest.txt says, `{image: digest}`."""
    lines = (tree.dist / "image-digest.txt").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_the_kit_holds_images_and_everything_says_the_same_digest(imaged: Tree) -> None:
    for name in NAMES:
        index = json.loads((imaged.kit / f"images/{name}/index.json").read_bytes())
        assert parts(imaged)[name] == {"digest": index["manifests"][0]["digest"], "id": name, "status": "ready"}
        assert digests(imaged)[name] == index["manifests"][0]["digest"]
    assert imaged.verify().code == 0
    built = Built(imaged.dist, imaged.version, imaged.dist / "signing-key.pub", imaged.root / "bundle-layout")
    found = [*image_statements.images(built), *sboms.sboms(built)]
    assert [(one.subject, one.words) for one in found if one.state == FAILED] == []
    assert len(found) > 2 * len(NAMES)
    assert imaged.bundle().made == []


def test_a_changed_migration_makes_one_small_layer_anew(imaged: Tree) -> None:
    before = contents(imaged.kit / "images")
    imaged.append("bundle-layout/migrations/21-101/migration.py", "# changed\n")

    made = imaged.bundle().made

    assert [name for name in made if name.startswith("image:")] == [
        "image:image-digest.txt",
        *(f"image:{n}" for n in NAMES),
        "image:migrations",
    ]
    new = {name for name in contents(imaged.kit / "images") if name not in before and "/blobs/" in name}
    assert len(new) == len(NAMES) * len(("layer", "config", "manifest"))
    assert imaged.verify().code == 0


def test_what_was_tampered_with_added_or_lost_in_a_layout_is_mended(imaged: Tree) -> None:
    before = contents(imaged.dist)
    layout = imaged.kit / "images" / NAMES[0]
    first, second, *_ = sorted((layout / "blobs/sha256").iterdir())
    first.write_bytes(b"other")
    second.unlink()
    (layout / "blobs/sha256" / ("0" * 64)).write_bytes(b"added")
    (imaged.kit / "attestations" / NAMES[0] / "blobs/sha256/added").write_bytes(b"")
    (layout / ".killed.part").write_bytes(b"")

    said = imaged.bundle()

    assert {f"image:{NAMES[0]}", f"attestations:{NAMES[0]}"} <= set(said.made)
    assert contents(imaged.dist) == before


def test_another_base_makes_another_image_and_none_takes_it_out_of_the_kit(imaged: Tree, tmp_path: Path) -> None:
    before = digests(imaged)
    other = base(tmp_path / "other", architectures=("arm64",))
    imaged.variant(LNM_BASE_LAYOUT=str(other)).bundle()
    assert list(digests(imaged)) == [NAMES[1]]
    assert digests(imaged)[NAMES[1]] == before[NAMES[1]]
    assert "has no image for it; install the runner from runner/wheelhouse" in parts(imaged)[NAMES[0]]["reason"]
    assert imaged.verify().code == 0

    said = imaged.variant(LNM_BASE_LAYOUT=None, LNM_IMAGE="none").bundle()

    assert "removed artifacts/lnm/image-digest.txt" in said.out
    assert not (imaged.kit / "images").exists()
    assert {name for name, part in parts(imaged).items() if part["status"] != "absent"} == {"runbook"}
    assert imaged.verify().code == 0


def test_a_base_that_is_not_what_was_locked_is_told_at_each_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "IMAGE_WORK", tmp_path)
    assert reporter.relocked() == ""
    for name, items in (("a", []), ("b", [{"package": "tzdata", "locked": "1", "taken": "2"}])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "base.json").write_text(json.dumps({"relocked": items}))
    assert "the image is not made of what is locked: tzdata (nox -s lock" in reporter.relocked()


def test_where_apt_is_missing_a_kit_is_built_without_an_image_and_says_why(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "/usr/bin/git")
    without = tree.variant(LNM_IMAGE=None, PATH=str(tmp_path / "bin"))

    without.bundle()

    for name in NAMES:
        assert parts(without)[name]["status"] == "absent"
        assert parts(without)[name]["reason"].startswith("there is no apt-get on the PATH; ")
        assert "LNM_BASE_LAYOUT=FOLDER" in parts(without)[name]["reason"]
    assert without.verify().code == 0
    said = without.variant(LNM_CHANNEL="stable").doit("bundle")
    assert said.code != 0
