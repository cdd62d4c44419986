"""scripts/oci.py: layouts hold what their index leads to and nothing else, and are the old one or the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import oci
from scripts.errors import ChecksumError, InputError, MissingError


def layout(folder: Path, *texts: bytes) -> list[dict[str, object]]:
    """Lays out an index that leads to these bytes; their descriptors."""
    listed = [oci.descriptor(oci.MANIFEST, text) for text in texts]
    oci.write_layout(folder, {oci.digest_of(text): text for text in texts}, oci.index(listed))
    return listed


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_layout_is_read_back(tmp_path: Path) -> None:
    item, _ = layout(tmp_path / "x", b'{"a":1}', b"two")

    assert oci.read_index(tmp_path / "x")[0] == item
    assert oci.read_document(tmp_path / "x", item) == {"a": 1}
    assert (tmp_path / "x/oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'


def test_blobs_of_an_earlier_layout_go_and_those_that_stay_are_not_written_again(tmp_path: Path) -> None:
    layout(tmp_path / "x", b"one", b"two")
    kept = oci.blob(tmp_path / "x", oci.digest_of(b"two"))
    before = kept.stat()
    layout(tmp_path / "x", b"two", b"three")

    assert names(tmp_path / "x") == sorted(
        ["index.json", "oci-layout", *(f"blobs/sha256/{oci.digest_of(text)[7:]}" for text in (b"two", b"three"))]
    )
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    kept.write_bytes(b"tampered")
    layout(tmp_path / "x", b"two", b"three")
    assert kept.read_bytes() == b"two"


def test_whatever_else_lies_in_a_layout_goes(tmp_path: Path) -> None:
    layout(tmp_path / "x", b"one")
    (tmp_path / "x/.left.part").write_bytes(b"")
    (tmp_path / "x/blobs/other/deep").mkdir(parents=True)
    (tmp_path / "x/blobs/other/deep/file").write_bytes(b"")
    (tmp_path / "x/blobs/link").symlink_to("/")
    layout(tmp_path / "x", b"one")

    assert sorted(path.name for path in (tmp_path / "x").rglob("*")) == sorted(
        ["blobs", "index.json", "oci-layout", "sha256", oci.digest_of(b"one")[7:]]
    )


def test_a_blob_that_is_copied_from_a_file_is_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"evil")
    with pytest.raises(ChecksumError, match="has other bytes"):
        oci.write_layout(tmp_path / "x", {oci.digest_of(b"good"): tmp_path / "file"}, oci.index([]))
    assert not oci.blob(tmp_path / "x", oci.digest_of(b"good")).exists()


def test_an_index_of_something_else_stands_for_itself(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{}")
    assert oci.whole((tmp_path / "index.json",)) == (tmp_path / "index.json",)


def test_in_a_table_the_index_stands_for_its_layout(tmp_path: Path) -> None:
    layout(tmp_path / "x", b"one")
    other = tmp_path / "file"

    found = oci.whole((other, tmp_path / "x/index.json"))

    assert found[0] == other
    assert [path.relative_to(tmp_path / "x").as_posix() for path in found[1:]] == names(tmp_path / "x")


def test_what_is_not_what_its_descriptor_tells_is_refused(tmp_path: Path) -> None:
    (item,) = layout(tmp_path, b"{}")
    for wrong, error in (
        ({**item, "size": 3}, ChecksumError),
        ({**item, "digest": "sha256:../../../x"}, InputError),
        ({**item, "digest": oci.digest_of(b"other")}, MissingError),
        ({}, InputError),
    ):
        with pytest.raises(error):
            oci.read_blob(tmp_path, wrong)
    oci.blob(tmp_path, str(item["digest"])).write_bytes(b"[]")
    with pytest.raises(ChecksumError):
        oci.read_document(tmp_path, item)
    (other,) = layout(tmp_path, b"[]")
    with pytest.raises(InputError, match="found list, wanted an object"):
        oci.read_document(tmp_path, other)


@pytest.mark.parametrize("text", [b"[]", b'{"manifests":{}}', b'{"manifests":[1]}'])
def test_an_index_of_another_form_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "index.json").write_bytes(text)

    with pytest.raises(InputError, match=r"index\.json: wanted an object with a list «manifests»"):
        oci.read_index(tmp_path)
