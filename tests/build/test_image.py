"""The image on a base that another layout gives: what is taken over, what is laid on top, and what it runs as."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import foreign_base, image, image_base, layer, migrations_layer, oci, wheels_layer
from scripts.errors import ChecksumError, InputError, MissingError
from tests.build.bases import EPOCH, STATUS, base

GONE = b"\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n"
TZDATA = b"Package: tzdata\nVersion: 1:2025b+x\nArchitecture: all\nDepends: libc6 (>= 2), debconf | cdebconf\n"
METADATA = b"Metadata-Version: 2.4\nName: My_Tool\nVersion: 1.0\nLicense-Expression: MIT\n\nWords.\n"
LOWER = {
    "usr/bin/python3.11": layer.file(b"", 0o755),
    "usr/bin/sh": layer.file(b"", 0o755),
    "var/lib/dpkg/status": layer.file(STATUS + GONE),
    "usr/lib/python3/dist-packages/my_tool-1.0.dist-info/METADATA": layer.file(METADATA),
    "opt/old/x": layer.file(b""),
}
UPPER = {
    "var/lib/dpkg/status.d/tzdata": layer.file(TZDATA),
    "var/lib/dpkg/status.d/tzdata.md5sums": layer.file(b"0  x\n"),
    "usr/bin/.wh.sh": layer.file(b""),
    "opt/old/.wh..wh..opq": layer.file(b""),
}


def taken(layout: Path, out: Path, platform: str = "linux-amd64") -> dict[str, Any]:
    """Takes a base over; what is known of it."""
    digest = foreign_base.manifests(layout)[platform]["digest"]
    foreign_base.write(out, digest=digest, platform=platform, layout=layout)
    facts = io.BytesIO()
    foreign_base.write_facts(facts, base=out / "index.json", platform=platform)
    found: dict[str, Any] = json.loads(facts.getvalue())
    out.with_suffix(".json").write_bytes(facts.getvalue())
    return found


def files_of(layout: Path) -> dict[str, bytes]:
    return {path.relative_to(layout).as_posix(): path.read_bytes() for path in layout.rglob("*") if path.is_file()}


# ---- the base


@pytest.mark.parametrize("nested", [False, True])
def test_a_base_is_taken_over_as_it_is_and_looked_through(tmp_path: Path, nested: bool) -> None:
    found = taken(base(tmp_path / "given", LOWER, UPPER, nested=nested), tmp_path / "base")

    assert len(files_of(tmp_path / "base")) == len(("index", "oci-layout", "manifest", "config", "lower", "upper"))
    assert [(one["name"], one["version"], one["purl"]) for one in found["packages"]] == [
        ("libc6", "2.36-9", "pkg:deb/debian/libc6@2.36-9?arch=amd64"),
        ("tzdata", "1:2025b+x", "pkg:deb/debian/tzdata@1:2025b%2Bx?arch=all"),
        ("My_Tool", "1.0", "pkg:pypi/my-tool@1.0"),
    ]
    assert (found["packages"][0]["supplier"], found["packages"][1]["depends"]) == ("A", ["libc6"])
    assert (found["python"], found["interpreter"]) == ("3.11", "/usr/bin/python3.11")
    assert found["site"] == "/usr/local/lib/python3.11/dist-packages"


def test_what_an_upper_layer_takes_away_is_not_there(tmp_path: Path) -> None:
    found = foreign_base.tree(base(tmp_path, LOWER, UPPER))

    assert "usr/bin/python3.11" in found
    assert not {"usr/bin/sh", "opt/old/x"} & set(found)


@pytest.mark.parametrize(("layers", "words"), [
    ({name: entry for name, entry in LOWER.items() if "python3.11" not in name}, "no python3.11, 3.12 or 3.13"),
    ({name: entry for name, entry in LOWER.items() if "dpkg" not in name}, "no status of dpkg"),
])  # fmt: skip
def test_a_base_of_which_nobody_can_say_what_is_in_it_is_refused(tmp_path: Path, layers: layer.Entries, words: str) -> None:
    with pytest.raises(InputError, match=words):
        taken(base(tmp_path / "given", layers), tmp_path / "base")


def test_a_base_that_is_broken_or_of_a_kind_that_is_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="LNM_BASE_LAYOUT: no OCI layout there"):
        foreign_base.manifests(tmp_path)
    given = base(tmp_path / "given", LOWER)
    (item,) = oci.read_index(given)
    manifest = oci.read_document(given, item)
    torn = oci.blob(given, manifest["layers"][0]["digest"])
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.raises((ChecksumError, InputError)):
        taken(given, tmp_path / "base")
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
    changed = oci.render(manifest)
    config = oci.read_blob(given, manifest["config"])
    blobs: dict[str, bytes | Path] = {oci.digest_of(data): data for data in (changed, config)}
    oci.write_layout(given, blobs, oci.index([oci.descriptor(oci.MANIFEST, changed)]))
    with pytest.raises(InputError, match=r"layers of the kind application/vnd\.oci\.image\.layer\.v1\.tar\+zstd; wanted"):
        taken(given, tmp_path / "base")


def test_whiteouts_in_the_root_and_a_folder_that_became_a_file_take_away_what_was_there(tmp_path: Path) -> None:
    inside = "usr/lib/x/a.dist-info/METADATA"
    below = {**LOWER, inside: layer.file(METADATA)}
    for number, (upper, gone) in enumerate([
        ({".wh.usr": layer.file(b"")}, {name for name in below if name.startswith("usr/")}),
        ({".wh..wh..opq": layer.file(b""), "new": layer.file(b"")}, set(below)),
        ({"usr/lib/x": layer.file(b"")}, {inside}),
    ]):  # fmt: skip
        found = foreign_base.tree(base(tmp_path / str(number), below, upper))
        assert set(below) - set(found) == gone
        assert set(found) - set(below) <= set(upper)


def odd_layout(folder: Path, change: Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]) -> Path:
    """A base whose index entry, manifest and config somebody changed, with digests that are right."""
    given = base(folder, LOWER)
    (item,) = oci.read_index(given)
    manifest = oci.read_document(given, item)
    config = oci.read_document(given, manifest["config"])
    change(item, manifest, config)
    packed = {one["digest"]: oci.read_blob(given, one) for one in manifest.get("layers") or []}
    if "config" in manifest:
        manifest["config"] = oci.descriptor(oci.CONFIG, oci.render(config))
    text = oci.render(manifest)
    blobs: dict[str, bytes | Path] = {**packed, oci.digest_of(text): text, oci.digest_of(oci.render(config)): oci.render(config)}
    oci.write_layout(given, blobs, oci.index([{**item, **oci.descriptor(oci.MANIFEST, text)}]))
    return given


ODD: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object], str]] = {
    "no config": (lambda _item, manifest, _config: manifest.pop("config"), "its index cannot be read: KeyError"),
    "layers that are none": (
        lambda _item, manifest, _config: manifest.update(layers=None),
        "its image cannot be read: TypeError",
    ),
    "no rootfs": (lambda _item, _manifest, config: config.pop("rootfs"), "its image cannot be read: KeyError"),
    "other diff_ids": (lambda _item, _manifest, config: config["rootfs"].update(diff_ids=[]), "other diff_ids than its layers"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_layout_of_another_form_is_told_in_words(tmp_path: Path, name: str) -> None:
    change, words = ODD[name]
    with pytest.raises(InputError, match=f"LNM_BASE_LAYOUT: .*{words}"):
        taken(odd_layout(tmp_path / "given", change), tmp_path / "base")


def test_what_may_be_left_out_or_null_is_no_defect(tmp_path: Path) -> None:
    def change(item: dict[str, Any], _manifest: dict[str, Any], config: dict[str, Any]) -> None:
        item["platform"] = None
        config |= {"config": None, "history": None}

    given = odd_layout(tmp_path / "given", change)
    layout = build(tmp_path, given)
    (item,) = oci.read_index(layout)
    assert "PATH=/usr/bin" not in oci.read_document(layout, oci.read_document(layout, item)["config"])["config"]["Env"]


@pytest.mark.parametrize(
    ("name", "kind"), [("../../etc/x", tarfile.REGTYPE), ("dev/mem", tarfile.CHRTYPE), ("x", tarfile.FIFOTYPE)]
)
def test_a_base_with_a_device_or_a_name_that_leads_out_is_refused(name: str, kind: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        (member := tarfile.TarInfo(name)).type = kind
        archive.addfile(member)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive, pytest.raises(InputError, match="a device, a pipe, or a name that leads out"):
        foreign_base.over({}, archive)


def test_a_bomb_in_a_base_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_base, "LARGEST_TEXT", 1000)
    monkeypatch.setattr(foreign_base, "LARGEST_LAYER", 1 << 20)
    large = {"a.dist-info/METADATA": layer.file(bytes(2000))}
    with pytest.raises(InputError, match="has 2,000 bytes, wanted at most 1,000"):
        foreign_base.tree(base(tmp_path / "a", LOWER, large))
    with pytest.raises(InputError, match="is larger than 0 GiB"):
        taken(base(tmp_path / "b", LOWER, {"x": layer.file(bytes(2 << 20))}), tmp_path / "base")


def test_a_package_that_is_told_of_twice_is_one(tmp_path: Path) -> None:
    twice = {
        "var/lib/dpkg/status.d/libc6": layer.file(STATUS),
        "x/a-1.dist-info/METADATA": layer.file(METADATA.replace(b"MIT", b"X/Y")),
    }
    found = taken(base(tmp_path / "given", LOWER, twice), tmp_path / "base")
    assert [(one["name"], one["licence"]) for one in found["packages"]] == [("libc6", "NOASSERTION"), ("My_Tool", "NOASSERTION")]


def test_which_bases_there_are(tmp_path: Path) -> None:
    platforms = image.PLATFORMS
    named = {"LNM_BASE_LAYOUT": str(base(tmp_path, LOWER, architectures=("arm64",)))}
    amd64, arm64 = image_base.choose(named, platforms, "edge")

    assert amd64.absent == "the layout that LNM_BASE_LAYOUT names has no image for it"
    assert (arm64.absent, arm64.digest) == ("", oci.read_index(tmp_path)[0]["digest"])
    with pytest.raises(InputError, match="LNM_CHANNEL=stable needs an image for every platform; linux-amd64: the layout"):
        image_base.choose(named, platforms, "stable")
    assert [one.absent for one in image_base.choose({"LNM_IMAGE": "none"}, platforms, "edge")] == [
        "it was built with LNM_IMAGE=none"
    ] * 2
    without_apt = image_base.choose({"PATH": str(tmp_path)}, platforms, "edge")
    assert all("apt-get" in one.absent and "LNM_BASE_LAYOUT" in one.absent for one in without_apt)
    with pytest.raises(InputError, match="LNM_IMAGE: found 'no', wanted build or none"):
        image_base.choose({"LNM_IMAGE": "no"}, platforms, "edge")


def test_a_release_takes_only_what_is_locked() -> None:
    assert not image_base.is_locked({}, "edge")
    assert image_base.is_locked({"LNM_LOCKED": "1"}, "edge")
    assert image_base.is_locked({"LNM_LOCKED": "0"}, "stable")
    with pytest.raises(InputError, match="LNM_LOCKED: found 'yes', wanted 1 or 0"):
        image_base.is_locked({"LNM_LOCKED": "yes"}, "edge")


# ---- what is laid on top


@pytest.fixture(scope="module")
def wheels(dist: Path, version: str) -> tuple[Path, ...]:
    return tuple(sorted((dist / f"concelier-lnm-{version}/runner/wheelhouse").glob("*.whl")))


def facts(folder: Path, **changes: str) -> Path:
    """What is known of a base, as far as wheels need it."""
    known = {"architecture": "amd64", "python": "3.11", "interpreter": "/usr/bin/python3.11", "site": "/usr/lib/x", **changes}
    path = folder / "base.json"
    path.write_text(json.dumps(known))
    return path


def test_the_wheels_that_fit_are_laid_out_as_pip_would(
    tmp_path: Path, wheels: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wheels_layer.write(tmp_path / "out", base=facts(tmp_path), wheels=wheels, epoch=EPOCH)

    with tarfile.open(tmp_path / "out/layer.tar.gz") as found:
        script = found.getmember("usr/local/bin/lnm")
        text = (found.extractfile(script) or io.BytesIO()).read()
        names = set(found.getnames())
    assert text.startswith(b"#!/usr/bin/python3.11\n")
    assert script.mode == 0o755
    assert {"usr/lib/x/lnm_runner/cli.py", "usr/lib/x/pymongo/__init__.py"} <= names
    assert len([name for name in names if name.endswith("dist-info/RECORD")]) == len(wheels_layer.chosen(wheels, INTERPRETER))
    assert any(name.endswith("x86_64-linux-gnu.so") for name in names)
    assert not any("aarch64" in name or name.endswith(".pyc") for name in names)


INTERPRETER = wheels_layer.Interpreter("amd64", "3.11", "/usr/bin/python3.11", "/usr/lib/x")


def test_umask_and_folder_make_no_difference(tmp_path: Path, wheels: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for name, umask in (("a", 0o022), ("b", 0o077)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        before = os.umask(umask)
        wheels_layer.write(Path("out"), base=facts(tmp_path), wheels=wheels, epoch=EPOCH)
        os.umask(before)
        made.append(Path("out/layer.json").read_bytes())

    assert made[0] == made[1]


def test_a_python_for_which_there_are_no_wheels_is_told(tmp_path: Path, wheels: tuple[Path, ...]) -> None:
    with pytest.raises(InputError, match=r"for Python 3\.10 on amd64, found of pymongo: 0"):
        wheels_layer.write(tmp_path, base=facts(tmp_path, python="3.10"), wheels=wheels, epoch=EPOCH)
    (tmp_path / "base.json").write_text("{}")
    with pytest.raises(InputError, match="says nothing of the Python in the base"):
        wheels_layer.write(tmp_path, base=tmp_path / "base.json", wheels=wheels, epoch=EPOCH)


def build(folder: Path, given: Path) -> Path:
    """An image with small layers; the folder of its layout."""
    taken(given, folder / "base")
    migration = folder / "kit/migrations/21-101/migration.py"
    migration.parent.mkdir(parents=True)
    migration.write_text("ID = 1\n")
    (folder / "LICENSE").write_text("text\n")
    layer.write_folder(folder / "wheels", {"usr/local/bin/lnm": layer.file(b"", 0o755)}, EPOCH)
    migrations_layer.write(folder / "migrations", tree=(migration,), licence=folder / "LICENSE", base=folder / "kit", epoch=EPOCH)
    image.write(
        folder / "image",
        base=folder / "base/index.json",
        wheels=folder / "wheels/layer.json",
        migrations=folder / "migrations/layer.json",
        platform="linux-amd64",
        version="2026.11.0",
        epoch=EPOCH,
    )
    return folder / "image"


def test_an_image_runs_the_runner_as_nobody_special_with_our_layers_on_top(tmp_path: Path) -> None:
    layout = build(tmp_path, base(tmp_path / "given", LOWER, UPPER))

    (item,) = oci.read_index(layout)
    manifest = oci.read_document(layout, item)
    config = oci.read_document(layout, manifest["config"])
    runs = config["config"]
    assert (runs["User"], runs["Entrypoint"], runs["Cmd"]) == ("65532:65532", ["/usr/local/bin/lnm"], ["--help"])
    assert {"PATH=/usr/bin", "HOME=/home/nonroot", "LNM_BAKED_MIGRATIONS=/opt/lnm/migrations"} <= set(runs["Env"])
    assert not [line for line in runs["Env"] if line.startswith("LD_PRELOAD")]
    assert "theirs" not in runs["Labels"]
    assert len(config["history"]) == len(manifest["layers"])
    assert config["created"] == "2025-12-01T00:00:00Z"
    tars = [gzip.decompress(oci.read_blob(layout, one)) for one in manifest["layers"]]
    assert [oci.digest_of(tar) for tar in tars] == config["rootfs"]["diff_ids"]
    with tarfile.open(fileobj=io.BytesIO(tars[-1])) as top:
        assert {"opt/lnm/migrations/21-101/migration.py", "opt/lnm/LICENSE"} <= set(top.getnames())
        assert (top.getmember("var/lib/lnm").uid, top.getmember("var/lib/lnm").mode) == (65532, 0o700)
    assert item["platform"] == {"architecture": "amd64", "os": "linux"}
    assert len(files_of(layout)) == len(manifest["layers"]) + len(("index", "oci-layout", "manifest", "config"))


def test_the_same_parts_make_the_same_image_and_a_changed_migration_changes_one_layer(tmp_path: Path) -> None:
    given = base(tmp_path / "given", LOWER, UPPER)
    for name in "ab":
        (tmp_path / name).mkdir()
    one, two = (build(tmp_path / name, given) for name in "ab")
    assert files_of(one) == files_of(two)

    migration = tmp_path / "b/kit/migrations/21-101/migration.py"
    migration.write_text("ID = 2\n")
    parts = tmp_path / "b"
    migrations_layer.write(parts / "migrations", tree=(migration,), licence=parts / "LICENSE", base=parts / "kit", epoch=EPOCH)
    image.write(
        two, base=parts / "base/index.json", wheels=parts / "wheels/layer.json", migrations=parts / "migrations/layer.json",
        platform="linux-amd64", version="2026.11.0", epoch=EPOCH,
    )  # fmt: skip

    new = set(files_of(two)) - set(files_of(one))
    assert len(new) == len(("manifest", "config", "layer of migrations"))
