"""scripts/debian_base.py: packages taken apart into a layer, and what an image without dpkg or a shell still has to have."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import debian_base, layer, oci
from scripts.errors import ChecksumError, InputError
from tests.build.small_debs import file, lock, make, other
from tests.conftest import ROOT

EPOCH = 1_500_000_000
BUILT = "artifacts/.build/image"
REAL = sorted(ROOT.glob(f"{BUILT}/linux-*/debs/debian.lock")) or [ROOT / BUILT / "linux-amd64/debs/debian.lock"]
WITHOUT = "no packages were fetched: make bundle, on a Debian 12"


def entries_of(folder: Path, *members: tuple[tarfile.TarInfo, bytes], package: str = "some") -> dict[str, layer.Entry]:
    """The layer of one small package with these members."""
    return debian_base.entries([folder / make(folder, package, members).filename])


# ---- where things stand


def test_usr_is_merged_for_files_links_and_the_targets_of_hard_links(tmp_path: Path) -> None:
    found = entries_of(
        tmp_path,
        other("lib", tarfile.DIRTYPE),
        file("lib/x/libx.so.1.0"),
        other("lib/x/libx.so.1", tarfile.SYMTYPE, "libx.so.1.0"),
        other("usr/bin/twin", tarfile.LNKTYPE, "./lib/x/libx.so.1.0"),
        other("lib64/ld.so", tarfile.SYMTYPE, "/lib/x/ld.so"),
    )
    assert found["usr/lib/x/libx.so.1.0"].data == b"x\n"
    assert found["usr/lib/x/libx.so.1"].link == "libx.so.1.0"
    assert found["usr/bin/twin"].same_as == "usr/lib/x/libx.so.1.0"
    assert found["usr/lib64/ld.so"].link == "/lib/x/ld.so"
    assert {name: entry.link for name, entry in found.items() if "/" not in name and entry.link} == {
        name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")
    }


def test_what_nobody_reads_is_dropped_and_licences_stay(tmp_path: Path) -> None:
    found = entries_of(
        tmp_path,
        other("usr/share/man", tarfile.DIRTYPE),
        file("usr/share/man/man1/some.1.gz"),
        file("usr/share/doc/some/changelog.gz"),
        file("usr/share/doc/some/examples/copyright"),
        other("usr/share/doc/twin", tarfile.SYMTYPE, "some"),
        file("usr/lib/x86_64-linux-gnu/gconv/A.so"),
        file("usr/lib/python3.11/lib-dynload/readline.cpython-311-x86_64-linux-gnu.so"),
        file("usr/lib/python3.11/test_of_ours.py"),
        file("usr/share/zoneinfo/Europe/Berlin"),
        file("usr/share/zoneinfo/right/Europe/Berlin"),
    )
    assert {name for name, entry in found.items() if name.startswith(("usr/share", "usr/lib/py", "usr/lib/x"))} == {
        "usr/lib/python3.11/test_of_ours.py",
        "usr/share/doc/some/copyright",
        "usr/share/doc/twin",
        "usr/share/zoneinfo/Europe/Berlin",
    }


def test_a_hard_link_to_a_dropped_file_is_that_file(tmp_path: Path) -> None:
    found = entries_of(
        tmp_path, file("usr/share/man/text", b"the text"), other("usr/share/kept", tarfile.LNKTYPE, "./usr/share/man/text")
    )
    assert found["usr/share/kept"] == layer.Entry(0o755, b"the text", mtime=1_000_000_000)


def test_nothing_is_set_id_or_for_all_to_write_but_tmp(tmp_path: Path) -> None:
    found = entries_of(
        tmp_path,
        file("usr/bin/su", mode=0o4755),
        file("usr/bin/wall", mode=0o2777),
        other("var/cache", tarfile.DIRTYPE, mode=0o2775),
        other("tmp", tarfile.DIRTYPE, mode=0o1777),
    )
    assert {found[name].mode for name in ("usr/bin/su", "usr/bin/wall", "var/cache")} == {0o755}
    assert {name for name, entry in found.items() if entry.mode & 0o7022 and not entry.link} == {"tmp", "var/tmp"}
    assert (found["home/nonroot"].mode, found["home/nonroot"].owner) == (0o700, debian_base.NONROOT)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_or_a_pipe_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InputError, match=r"some: \./dev/thing"):
        entries_of(tmp_path, other("dev/thing", kind))


def test_a_name_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.\./etc/passwd"):
        entries_of(tmp_path, file("usr/../../etc/passwd"))


def test_two_packages_may_share_a_folder_and_no_file(tmp_path: Path) -> None:
    debs = [
        make(tmp_path, "one", [other("lib", tarfile.DIRTYPE), file("lib/same")]),
        make(tmp_path, "two", [other("usr/lib", tarfile.DIRTYPE), file("usr/lib/same")]),
    ]
    with pytest.raises(InputError, match="two: another package has these too: usr/lib/same"):
        debian_base.entries([tmp_path / deb.filename for deb in debs])


# ---- what no package ships


def test_scanners_find_each_package_and_its_sums_are_those_of_the_files_that_are_there(tmp_path: Path) -> None:
    found = entries_of(tmp_path, file("lib/x/libx.so", b"a library"), file("usr/share/man/man1/x.1.gz"))
    assert (found[f"{debian_base.STATUS}/some"].data or b"").startswith(
        b"Package: some\nStatus: install ok installed\nVersion: 1.0-1\n"
    )
    lines = (found[f"{debian_base.STATUS}/some.md5sums"].data or b"").decode().splitlines()
    sums = {name: md5 for md5, name in (line.split("  ") for line in lines)}
    assert sums.keys() == {"lib/x/libx.so", "usr/share/doc/some/copyright"}
    assert sums["lib/x/libx.so"] == hashlib.md5(b"a library", usedforsecurity=False).hexdigest()


def test_the_bundle_has_each_certificate_once_by_the_order_of_their_names(tmp_path: Path) -> None:
    found = entries_of(
        tmp_path,
        file("usr/share/ca-certificates/mozilla/B.crt", b"b"),
        file("usr/share/ca-certificates/mozilla/A.crt", b"a\n\n"),
    )
    assert found["etc/ssl/certs/ca-certificates.crt"].data == b"a\nb\n"
    assert found["usr/lib/ssl/cert.pem"].link == "/etc/ssl/certs/ca-certificates.crt"
    assert not [name for name in found if name.endswith("A.crt")]


# ---- the step


def test_a_package_that_is_not_the_locked_one_stops_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    debs = lock(tmp_path, [make(tmp_path, "some")])
    make(tmp_path, "some", [file("usr/bin/planted")])
    with pytest.raises(ChecksumError, match=r"some_1\.0-1_amd64\.deb"):
        debian_base.write(tmp_path / "base", debs=debs, architecture="amd64", epoch=EPOCH)
    assert not (tmp_path / "base").exists()


def test_the_layout_says_for_what_it_is_and_how_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    debs = lock(tmp_path, [make(tmp_path, "some", architecture="arm64")])
    debian_base.write(tmp_path / "base", debs=debs, architecture="arm64", epoch=EPOCH)
    (item,) = oci.read_index(tmp_path / "base")
    manifest = oci.read_document(tmp_path / "base", item)
    config = oci.read_document(tmp_path / "base", manifest["config"])
    (packed,) = manifest["layers"]
    assert item["platform"] == {"architecture": "arm64", "os": "linux"}
    assert (config["architecture"], config["os"], config["created"]) == ("arm64", "linux", "2017-07-14T02:40:00Z")
    assert config["config"]["User"] == "65532:65532"
    assert "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" in config["config"]["Env"]
    assert len(config["rootfs"]["diff_ids"]) == 1
    with tarfile.open(oci.blob(tmp_path / "base", packed["digest"])) as tar:
        names = tar.getnames()
    assert names == sorted(names, key=os.fsencode)
    assert len(list(oci.of_layout(tmp_path / "base"))) == len(["oci-layout", "index.json", "layer", "config", "manifest"])


def test_other_mtimes_umask_zone_and_hash_seed_make_the_same_bytes(tmp_path: Path) -> None:
    members = [file("lib/x/b"), file("usr/bin/a"), other("usr/bin/c", tarfile.LNKTYPE, "./usr/bin/a"), file("etc/ü", b"1")]
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from scripts import debian_base
os.umask(int(sys.argv[1], 8))
debian_base.write(Path("base"), debs=Path("debian.lock"), architecture="amd64", epoch={EPOCH})
"""
    found = []
    for number, (umask, zone) in enumerate((("022", "UTC"), ("077", "Asia/Kathmandu"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        debs = [make(folder, name, members if name == "one" else ()) for name in ("two", "one")]
        for deb in debs:
            os.utime(folder / deb.filename, (number, number))
        lock(folder, debs)
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": str(number), "LC_ALL": ("C", "C.UTF-8")[number]}
        subprocess.run([sys.executable, "-c", program, umask], cwd=folder, env=environment, check=True)
        found.append({path.name: path.read_bytes() for path in oci.of_layout(folder / "base")})
    assert found[0] == found[1]


# ---- the real one


@pytest.fixture(scope="module", params=REAL, ids=lambda debs: debs.parent.parent.name)
def real(request: pytest.FixtureRequest) -> dict[str, layer.Entry]:
    """All entries of the base that the build under test has made, or would make."""
    if not request.param.is_file():
        pytest.skip(WITHOUT)
    return layer.with_folders(debian_base.entries(debian_base.checked(request.param)))


def test_no_shell_no_script_and_one_program_is_in_the_base(real: dict[str, layer.Entry]) -> None:
    programs = {name for name in real if name.startswith(("usr/bin/", "usr/sbin/", "usr/local/bin/"))}
    assert programs == {"usr/bin/python3", "usr/bin/python3.11"}
    starts = {
        name: (entry.data or b"").partition(b"\n")[0] for name, entry in real.items() if (entry.data or b"").startswith(b"#!")
    }
    assert {name: start for name, start in starts.items() if b"python" not in start} == {}


def test_every_link_leads_to_something(real: dict[str, layer.Entry]) -> None:
    assert [name for name, entry in real.items() if entry.link and name != "var/run" and resolved(real, name) not in real] == []


def test_every_library_that_something_needs_is_there(real: dict[str, layer.Entry]) -> None:
    """The packages that are left out are those that nothing in the image is linked to."""
    there = {name.rpartition("/")[2] for name in real if name.startswith("usr/lib") and ".so" in name}
    lacking = {name: left for name, entry in real.items() if (left := sorted(set(needed(entry.data or b"")) - there))}
    assert lacking == {}
    assert "libssl.so.3" in {library for entry in real.values() for library in needed(entry.data or b"")}


def resolved(entries: dict[str, layer.Entry], name: str) -> str:
    """Where a name leads, all links followed."""
    for _ in range(20):
        parts = name.split("/")
        links = [number for number in range(1, len(parts) + 1) if (entry := entries.get("/".join(parts[:number]))) and entry.link]
        if not links:
            return name
        above, rest = "/".join(parts[: links[0] - 1]), parts[links[0] :]
        target = entries["/".join(parts[: links[0]])].link
        name = "/".join([os.path.normpath(f"/{target}" if target.startswith("/") else f"/{above}/{target}").strip("/"), *rest])
    return "(a circle)"


def needed(data: bytes) -> Iterator[str]:
    """The libraries that a 64-bit ELF file asks for (DT_NEEDED, elf(5))."""
    if not data.startswith(b"\x7fELF\x02\x01"):
        return
    start, size, count = struct.unpack_from("<Q", data, 0x20)[0], *struct.unpack_from("<HH", data, 0x36)
    headers = [struct.unpack_from("<IIQQQQQQ", data, start + number * size) for number in range(count)]
    loaded = [(address, offset, length) for kind, _, offset, address, _, length, _, _ in headers if kind == 1]
    for kind, _, offset, _, _, length, _, _ in headers:
        if kind == 2:  # PT_DYNAMIC
            tags = [struct.unpack_from("<QQ", data, place) for place in range(offset, offset + length, 16)]
            texts = next(value for tag, value in tags if tag == 5)
            base = next(texts - address + where for address, where, held in loaded if address <= texts < address + held)
            for value in (value for tag, value in tags if tag == 1):
                yield data[base + value : data.index(b"\0", base + value)].decode("ascii")
