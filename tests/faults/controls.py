"""Kits that both verifiers must accept (row A16): whatever docs/kit-format.md leaves free is used here as oddly as it can be."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tests.faults import names
from tests.faults.forge import KEYLESS, PROVENANCE, README, SBOM, Json, Kit, canonical, dsse, is_envelope, kit, line, provenance
from tests.faults.identity_lies import STAMP, entry, proof, stamps, stuff
from tests.faults.images import AMD64, ARM64, Image, text
from tests.faults.keys import EDDY, EDDY_SECOND, MAIN, P256_ORDER, SECOND, STRANGER, Key, b64, der_integer, der_signature
from tests.faults.rawtar import END, GNU, Member, archive, gnu_long_name, gzipped, pax, pax_path, record
from tests.faults.registry import FOLDER, TARBALL, Told
from tests.faults.signature_lies import signed_with


@dataclass(frozen=True)
class Control:
    """A kit that is as it should be."""

    name: str
    container: str
    write: Callable[[Path], Told]


CONTROLS: list[Control] = []

KitChange = Callable[[Kit], Kit | None]
Members = Callable[[Kit], bytes | list[Member]]


def add(name: str, container: str, write: Callable[[Path], Told]) -> None:
    """Enters a control; a name stands once for each container."""
    if any((name, container) == (known.name, known.container) for known in CONTROLS):
        raise ValueError(f"{name}: two controls of this name")
    CONTROLS.append(Control(name, container, write))


def kit_control(name: str = "", only: str = "") -> Callable[[KitChange], KitChange]:
    """Enters a kit in both containers; the function changes a valid kit, or gives another."""

    def enter(change: KitChange) -> KitChange:
        def folder(place: Path) -> Told:
            told = change(truth := kit()) or truth
            return told.write_folder(place), told.keys

        def tarball(place: Path) -> Told:
            told = change(truth := kit()) or truth
            return told.write_tarball(place), told.keys

        for container, write in ((FOLDER, folder), (TARBALL, tarball)):
            if only in ("", container):
                add(name or change.__name__, container, write)
        return change

    return enter


def tarball_control(name: str = "") -> Callable[[Members], Members]:
    """Enters a tarball; the function makes its members, or its bytes, from a valid kit."""

    def enter(make: Members) -> Members:
        def write(place: Path) -> Told:
            made = make(truth := kit())
            path = place / "kit.tar.gz"
            path.write_bytes(made if isinstance(made, bytes) else gzipped(archive(made)))
            return path, truth.keys

        add(name or make.__name__, TARBALL, write)
        return make

    return enter


def place_control(container: str) -> Callable[[Callable[[Path, Kit], Path]], Callable[[Path, Kit], Path]]:
    """Enters a way in which a valid kit can lie on the disk; the function gives the path to name."""

    def enter(put: Callable[[Path, Kit], Path]) -> Callable[[Path, Kit], Path]:
        def write(place: Path) -> Told:
            truth = kit()
            return put(place, truth), truth.keys

        add(put.__name__, container, write)
        return put

    return enter


# -- who signs


@kit_control()
def plain(_: Kit) -> None:
    """The kit that every lie is made from."""


@kit_control()
def signed_by_ed25519(_: Kit) -> Kit:
    return kit(EDDY)


@kit_control()
def two_signers(_: Kit) -> Kit:
    return kit(MAIN, SECOND)


@kit_control(only=TARBALL)
def two_signers_given_the_other_way_round(_: Kit) -> Kit:
    truth = kit(MAIN, SECOND)
    truth.given = (SECOND, MAIN)
    return truth


@kit_control(only=FOLDER)
def four_signers_of_two_kinds(_: Kit) -> Kit:
    return kit(EDDY, MAIN, EDDY_SECOND, SECOND)


@kit_control(only=FOLDER)
def strangers_key_given_as_well(truth: Kit) -> None:
    truth.given = (STRANGER, MAIN, EDDY)


@kit_control(only=TARBALL)
def key_given_twice(truth: Kit) -> None:
    truth.given = (MAIN, MAIN)


@kit_control(only=FOLDER)
def attestation_by_the_second_given_key(truth: Kit) -> None:
    truth.given = (MAIN, SECOND)
    truth.files[PROVENANCE] = line(dsse(SECOND, truth.statement(PROVENANCE, canonical(provenance()))))
    truth.relist()


def _with_s(high: bool, key: Key, message: bytes) -> bytes:  # which half of the field
    r, s = key.sign_rs(message)
    return der_signature(der_integer(r), der_integer(max(s, P256_ORDER - s) if high else min(s, P256_ORDER - s)))


class HighS(Key):
    """A key whose signatures have the larger s."""

    def sign(self, message: bytes) -> bytes:
        """The same signature but for its s."""
        return _with_s(high=True, key=Key(self.private), message=message)


def _signed_with_s(high: bool, truth: Kit) -> None:  # the same
    raw = partial(_with_s, high)
    truth.files[PROVENANCE] = signed_with(raw, MAIN, truth.statement(PROVENANCE, canonical(provenance())))
    truth.relist()
    truth.list_signed_by(raw(MAIN, truth.sums))
    truth.enclose(signed_with(raw, MAIN, truth.files["manifest.json"]))


for _high, _name in ((True, "signatures_with_high_s"), (False, "signatures_with_low_s")):
    kit_control(_name)(partial(_signed_with_s, _high))


@kit_control()
def short_signature(truth: Kit) -> None:
    """The list's signature is shorter than usual: r or s begins with a zero byte that DER leaves out."""
    for number in range(10_000):
        truth.files[README] = b"%d\n" % number
        truth.attest()
        if min(truth.key.sign_rs(truth.sums)) < 2**247:
            return
    raise ValueError("no such signature")


# -- names, sizes, statements


@kit_control()
def awkward_names(truth: Kit) -> None:
    truth.files |= {name: f"{name[:20]}\n".encode() for name in names.GOOD}
    truth.attest()


@kit_control()
def empty_files(truth: Kit) -> None:
    truth.files |= {"empty": b"", "runbook/empty": b"", "a/b/c/empty": b""}
    truth.attest()


@kit_control()
def sizes_around_a_tar_block(truth: Kit) -> None:
    truth.files |= {f"size/{size}": b"x" * size for size in (1, 511, 512, 513, 1023, 1024, 1025, 65_536)}
    truth.attest()


@kit_control(only=TARBALL)
def binary_files(truth: Kit) -> None:
    truth.files |= {
        "binary/all": bytes(range(256)) * 9,
        "binary/zeros": bytes(5000),
        "binary/newlines": b"\n" * 700,
        "binary/cr": b"a\r\nb\r",
    }
    truth.attest()


@kit_control(only=TARBALL)
def sixty_mebibytes_of_zeros(truth: Kit) -> None:
    truth.files["zeros"] = bytes(60 * 2**20)
    truth.attest()


@kit_control(only=FOLDER)
def six_hundred_files(truth: Kit) -> None:
    truth.files |= {f"many/{number % 7}/{number}": b"%d\n" % number for number in range(600)}
    truth.attest()


@kit_control()
def only_the_sbom_as_payload(truth: Kit) -> None:
    truth.files = {SBOM: b"{}\n"}
    truth.modes = {}
    truth.attest()


@kit_control()
def another_version(truth: Kit) -> None:
    truth.version = "2031.12.1045"
    truth.root = "concelier-lnm-2031.12.1045"
    truth.attest()


def _stated(change: Callable[[Json], object], truth: Kit) -> None:
    truth.state_with(lambda statement: change(statement["predicate"]))


READY = {"digest": "sha256:" + "0" * 64, "id": "image", "migration": "none", "status": "ready"}

for _name, _change in {
    "channel_stable": lambda p: p.update(channel="stable"),
    "channel_airgap": lambda p: p.update(channel="airgap"),
    "trust_dev": lambda p: p.update(trust="dev"),
    "no_deliveries_and_no_parts": lambda p: p.update(deliveries=[], parts=[]),
    "a_part_that_is_ready": lambda p: p.update(parts=[READY]),
    "names_of_255_characters": lambda p: p.update(parts=[{**READY, "id": "i" * 255, "migration": "m" * 255}]),
    "a_long_note_that_looks_like_a_name": lambda p: p["source"].update(note='{"id":"' + "i" * 300),
    "a_clean_source": lambda p: p.update(source={"commit": "0123456789abcdef" * 2 + "01234567", "state": "clean"}),
    "a_dirty_source": lambda p: p.update(source={"commit": "f" * 40, "note": "3 files differ", "state": "dirty"}),
    "an_unknown_source": lambda p: p.update(source={"commit": None, "state": "unknown"}),
    "a_note_with_quotes": lambda p: p["source"].update(note='git said "fatal: \\ not found", {"a":[1]}'),
    "a_note_that_looks_like_a_member": lambda p: p["source"].update(note='x","version":"2027.1.1'),
    "a_leap_day": lambda p: p.update(created_at="2028-02-29T23:59:59Z"),
}.items():
    kit_control(f"manifest_with_{_name}", only=FOLDER)(partial(_stated, _change))


def _provenance(x: bytes, truth: Kit) -> None:
    truth.attest_with(PROVENANCE, truth.statement(PROVENANCE, x))


for _name, _x in {
    "an_empty_object": b"{}",
    "text_beyond_ascii": '{"a":"café 😀 \u2028 \x7f"}'.encode(),
    "escapes": rb'{"a":"\"\\\b\f\n\r\t\u0000\u001f/"}',
    "keys_in_utf16_order": '{"\\r":1,"1":2,"\x80":3,"\u00f6":4,"\u20ac":5,"\U0001f600":6,"\ufb33":7}'.encode(),
    "whole_numbers": b'{"a":[0,-1,12,9007199254740991,-9007199254740991]}',
    "constants": b'{"a":[true,false,null,"",{},[],[[]],{"b":{}}]}',
    "a_key_that_is_empty": b'{"":1,"a":2}',
    "nesting_100_deep": b'{"a":' + b"[" * 98 + b"]" * 98 + b"}",
    "brackets_in_texts": b'{"a":"' + b"[" * 500 + rb"\"{{" + b'","b":"}}"}',
    "texts_that_look_like_json": rb'{"a":"},\"predicateType\":\"x\",{","b":"[{","c":"\\"}',
}.items():
    kit_control(f"provenance_with_{_name}", only=FOLDER)(partial(_provenance, _x))


@kit_control()
def sbom_beyond_ascii(truth: Kit) -> None:
    truth.files[SBOM] = line({"name": "café 😀", "numbers": [1, -2], "spdxVersion": "SPDX-2.3"})
    truth.attest()


# -- images


# -- signatures by identity


def _identified(trust: str, change: Callable[[Json], object], truth: Kit) -> None:
    truth.state_with(lambda statement: statement["predicate"].update(trust=trust)).identify()
    for name in KEYLESS:
        document = json.loads(truth.files[name])
        change(document)
        truth.files[name] = line(document)


TWO_SIGNERS = "other.invalid\n0\n{root}\nTimestamp: 1\nmore\n\n\N{EM DASH} a QUJD\n\N{EM DASH} log+b/c.invalid QQ==\n"

for _name, _trust, _change in (
    ("trust_keyless", "keyless", lambda _: None),
    ("trust_key", "key", lambda _: None),
    ("trust_dev", "dev", lambda _: None),
    ("a_timestamp", "keyless", lambda d: stamps(d).update(rfc3161Timestamps=[STAMP])),
    ("a_log_of_one_entry", "keyless", lambda d: proof(d).update(hashes=[], logIndex="0", treeSize="1")),
    ("sixty_hashes", "keyless", lambda d: proof(d).update(hashes=[b64(bytes([number]) * 32) for number in range(60)])),
    ("large_numbers", "keyless", lambda d: entry(d).update(logIndex="9" * 19, integratedTime="0")),
    ("a_checkpoint_of_two", "keyless", lambda d: proof(d)["checkpoint"].update(envelope=TWO_SIGNERS.format(root=b64(bytes(32))))),
    ("a_large_certificate", "keyless", lambda d: stuff(d)["certificate"].update(rawBytes=b64(bytes(47_000)))),
):
    kit_control(f"identity_with_{_name}", only=FOLDER if _name.startswith("a_") else TARBALL)(
        partial(_identified, _trust, _change)
    )


@kit_control()
def identity_beside_two_signers(_: Kit) -> Kit:
    return kit(EDDY, MAIN).identify()


def with_images(truth: Kit, *images: Image) -> Kit:
    """The kit with images."""
    for image in images:
        truth.files |= image.files()
    return truth.attest()


@kit_control()
def image(truth: Kit) -> Kit:
    """What the lies about images are made from."""
    return with_images(truth, Image(MAIN))


@kit_control()
def two_images(truth: Kit) -> Kit:
    return with_images(truth, Image(MAIN), Image(MAIN, ARM64))


@kit_control(only=FOLDER)
def arm64_alone(truth: Kit) -> Kit:
    return with_images(truth, Image(MAIN, ARM64))


@kit_control()
def image_in_a_kit_signed_by_ed25519(_: Kit) -> Kit:
    return with_images(kit(EDDY), Image(EDDY))


@kit_control()
def images_by_other_given_keys(truth: Kit) -> Kit:
    truth.given = (SECOND, MAIN, EDDY)
    return with_images(truth, Image(SECOND), Image(EDDY, ARM64))


@kit_control(only=TARBALL)
def image_of_one_layer_and_of_many(truth: Kit) -> Kit:
    many = tuple(b"layer %d\n" % number for number in range(100))
    return with_images(truth, Image(MAIN, layers=(b"",)), Image(MAIN, ARM64, layers=many))


@kit_control(only=FOLDER)
def image_of_two_equal_layers(truth: Kit) -> Kit:
    return with_images(truth, Image(MAIN, layers=(b"a layer\n", b"a layer\n")))


@kit_control()
def image_with_odd_texts_in_its_statements(truth: Kit) -> Kit:
    spdx = text({"name": "caf\u00e9 \U0001f600", "zzz": '"},"predicateType":"x","subject":[{"digest":{"sha256":"0"}}]'})
    return with_images(truth, Image(MAIN, sbom=spdx, x=rb'{"a":"},\"digest\":\"sha256:0\",{","b":{}}'))


@kit_control(only=FOLDER)
def image_signed_with_high_s(truth: Kit) -> Kit:
    return with_images(truth, Image(MAIN, signers={"S": HighS(MAIN.private)}))


@kit_control(only=TARBALL)
def image_with_large_statements(truth: Kit) -> Kit:
    """Of some 400 kB each, as those of the runner are."""
    files = [{"SPDXID": f"SPDXRef-{number}", "fileName": f"./usr/lib/{number:060}"} for number in range(4000)]
    spdx = text({"files": files, "spdxVersion": "SPDX-2.3"})
    return with_images(truth, Image(MAIN, sbom=spdx, x=spdx), Image(MAIN, ARM64, sbom=spdx, x=spdx))


@kit_control()
def images_that_the_manifest_names(truth: Kit) -> None:
    """By their digests, in both forms; a delivery's name is no image's."""
    rows = []
    for image, prefix in ((Image(MAIN), "sha256:"), (Image(MAIN, ARM64), "")):
        with_images(truth, image)
        (item,) = json.loads(truth.files[f"images/{image.name}/index.json"])["manifests"]
        rows.append({"digest": prefix + item["digest"][-64:], "id": image.name, "status": "ready"})
    delivery = {"id": AMD64, "reason": 'an "id" of an image, "digest":"0"', "status": "absent"}
    truth.state_with(lambda statement: statement["predicate"].update(parts=rows, deliveries=[delivery]))


@kit_control(only=FOLDER)
def image_that_the_manifest_calls_absent(truth: Kit) -> None:
    with_images(truth, Image(MAIN))
    absent = {"id": ARM64, "reason": "not in this version", "status": "absent"}
    truth.state_with(lambda statement: statement["predicate"].update(parts=[absent]))


@kit_control(only=TARBALL)
def image_in_another_version(truth: Kit) -> Kit:
    truth.version = "2031.12.1045"
    truth.root = "concelier-lnm-2031.12.1045"
    return with_images(truth, Image(MAIN, version="2031.12.1045"))


# -- tarballs written by others


def _root(place: Path, truth: Kit) -> Path:
    truth.folder_name = truth.root
    return truth.write_folder(place)


def _by_tar(*options: str) -> None:
    """The kit as GNU tar packs it."""

    def write(place: Path) -> Told:
        truth = kit()
        truth.files["deep/" + "d/" * 20 + "n" * 150] = b"A long name.\n"
        truth.files["q" * 120] = b"A name beyond the field.\n"
        if "--format=ustar" in options:
            truth.files = {name: data for name, data in truth.files.items() if len(name) < 100}
            truth.files["p" * 60 + "/" + "q" * 70] = b"A name with a prefix.\n"
        truth.attest()
        root = _root(place / "source", truth)
        subprocess.run(["tar", *options, "-C", str(root.parent), "-czf", str(place / "kit.tar.gz"), root.name], check=True)
        shutil.rmtree(place / "source")
        return place / "kit.tar.gz", truth.keys

    def prepared(place: Path) -> Told:
        (place / "source").mkdir()
        return write(place)

    add(
        "repacked_by_tar" + "".join(options).replace("--", "_").replace("=", "_").replace("-", "_").replace(":", "_"),
        TARBALL,
        prepared,
    )


for _options in (
    ["--format=gnu"],
    ["--format=oldgnu"],
    ["--format=pax"],
    ["--format=posix", "--pax-option=delete=ctime"],
    ["--format=ustar"],
    ["--format=gnu", "--sort=name", "--owner=nobody", "--group=nogroup", "--mtime=@0"],
    ["--format=gnu", "--owner=2097152", "--numeric-owner"],
    ["--format=gnu", "--mtime=@99999999999"],
    ["--format=gnu", "--blocking-factor=1"],
    ["--format=gnu", "--blocking-factor=200"],
):
    _by_tar(*_options)


def _by_tarfile(kind: Literal[0, 1, 2], place: Path) -> Told:
    """The kit as Python packs it, with times that need a pax record."""
    truth = kit()
    truth.files["n" * 150] = b"A long name.\n"
    if kind == tarfile.USTAR_FORMAT:
        del truth.files["n" * 150]
    truth.attest()
    with tarfile.open(place / "kit.tar.gz", "w:gz", format=kind) as tar:
        for name, data in truth.files.items():
            info = tarfile.TarInfo(f"{truth.root}/{name}")
            info.size, info.mode, info.mtime = len(data), truth.mode(name), 1_750_000_000.25
            tar.addfile(info, io.BytesIO(data))
    return place / "kit.tar.gz", truth.keys


_FORMATS: dict[str, Literal[0, 1, 2]] = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
for _name, _kind in _FORMATS.items():
    add(f"repacked_by_tarfile_as_{_name}", TARBALL, partial(_by_tarfile, _kind))


def _by_busybox(place: Path) -> Told:
    truth = kit()
    (place / "source").mkdir()
    root = _root(place / "source", truth)
    subprocess.run(["busybox", "tar", "-C", str(root.parent), "-czf", str(place / "kit.tar.gz"), root.name], check=True)
    shutil.rmtree(place / "source")
    return place / "kit.tar.gz", truth.keys


if shutil.which("busybox"):
    add("repacked_by_busybox", TARBALL, _by_busybox)


# -- tar, field by field


@tarball_control()
def order_reversed(truth: Kit) -> list[Member]:
    return truth.members()[::-1]


@tarball_control()
def envelope_last(truth: Kit) -> list[Member]:
    return sorted(truth.members(), key=lambda member: is_envelope(member.name.removeprefix(f"{truth.root}/")))


@tarball_control()
def no_folder_members(truth: Kit) -> list[Member]:
    return [member for member in truth.members() if member.kind != b"5"]


@tarball_control()
def some_folder_members(truth: Kit) -> list[Member]:
    return [member for member in truth.members() if member.kind != b"5" or "runbook" in member.name]


@tarball_control()
def folders_last(truth: Kit) -> list[Member]:
    return sorted(truth.members(), key=lambda member: member.kind)


@tarball_control()
def folders_without_slash(truth: Kit) -> list[Member]:
    return [member.but(name=member.name.rstrip("/")) for member in truth.members()]


@tarball_control()
def type_nul(truth: Kit) -> list[Member]:
    return [member.but(kind=b"\0") if member.kind == b"0" else member for member in truth.members()]


@tarball_control()
def magic_of_gnu(truth: Kit) -> list[Member]:
    return [member.but(magic=GNU) for member in truth.members()]


@tarball_control()
def magics_mixed(truth: Kit) -> list[Member]:
    return [member.but(magic=GNU) if number % 2 else member for number, member in enumerate(truth.members())]


@tarball_control()
def every_file_executable(truth: Kit) -> list[Member]:
    return [member.but(mode=0o755) for member in truth.members()]


@tarball_control()
def no_file_executable(truth: Kit) -> list[Member]:
    return [member.but(mode=0o644) if member.kind == b"0" else member for member in truth.members()]


def _everywhere(fields: dict[str, bytes], truth: Kit) -> list[Member]:
    return [member.lying(**fields) for member in truth.members()]


for _name, _fields in {
    "owners_of_nobody": {"uid": b"0177776\0", "gid": b"0177776\0", "uname": b"nobody", "gname": b"nogroup"},
    "owners_beyond_octal": {"uid": b"\x80\0\0\0\0\x20\0\0", "gid": b"\xff" * 8},
    "owners_beyond_ascii": {"uname": "café".encode(), "gname": b"\xff\xfe"},
    "owners_of_letters": {"uid": b"nobody\0", "gid": b"       \0"},
    "owners_empty": {"uid": bytes(8), "gid": bytes(8)},
    "device_numbers": {"devmajor": b"0000001\0", "devminor": b"0000003\0"},
    "device_numbers_of_letters": {"devmajor": b"null\0", "devminor": b"\xff" * 8},
    "times_of_zero": {"mtime": b"00000000000\0"},
    "times_before_1970": {"mtime": b"\xff" * 12},
    "times_far_ahead": {"mtime": b"\x80" + (2**60).to_bytes(11)},
    "times_empty": {"mtime": bytes(12)},
}.items():
    tarball_control(_name)(partial(_everywhere, _fields))


@tarball_control()
def numbers_ended_by_space(truth: Kit) -> list[Member]:
    return [member.lying(size=b"%011o " % len(member.data), mode=b"%07o " % member.mode) for member in truth.members()]


@tarball_control()
def numbers_ended_by_space_and_nul(truth: Kit) -> list[Member]:
    return [member.lying(size=b"%010o \0" % len(member.data), mode=b"%06o \0" % member.mode) for member in truth.members()]


@tarball_control()
def names_by_prefix(truth: Kit) -> list[Member]:
    return [
        member.but(name=name, prefix=folder)
        for member in truth.members()
        for folder, _, name in [member.name.rstrip("/").rpartition("/")]
    ]


@tarball_control()
def names_by_pax(truth: Kit) -> list[Member]:
    return [told for member in truth.members() for told in (pax_path(member.name), member.but(name="ignored"))]


@tarball_control()
def names_by_gnu_record(truth: Kit) -> list[Member]:
    return [told for member in truth.members() for told in (gnu_long_name(member.name), member.but(name="ignored", magic=GNU))]


@tarball_control()
def names_by_pax_over_lying_headers(truth: Kit) -> list[Member]:
    return [
        told
        for member in truth.members()
        for told in (pax_path(member.name), member.but(name="../../etc/passwd", prefix="/evil"))
    ]


@tarball_control()
def names_of_exactly_100_bytes(truth: Kit) -> list[Member]:
    truth.files["n" * (100 - len(truth.root) - 1)] = b"Its field has no NUL.\n"
    truth.attest()
    return truth.members()


@tarball_control()
def names_of_100_and_155_bytes(truth: Kit) -> list[Member]:
    folder, name = "f" * (155 - len(truth.root) - 1), "n" * 100
    truth.files[f"{folder}/{name}"] = b"Both fields are full.\n"
    truth.attest()
    return [
        member.but(name=name, prefix=f"{truth.root}/{folder}") if member.name.endswith("n" * 100) else member
        for member in truth.members()
        if member.kind != b"5"
    ]


@tarball_control()
def pax_times(truth: Kit) -> list[Member]:
    times = record("mtime", "1750000000.123456789") + record("atime", "1750000001.5") + record("ctime", "-1")
    return [told for member in truth.members() for told in (pax(times), member)]


@tarball_control()
def pax_path_between_times(truth: Kit) -> list[Member]:
    return [
        told
        for member in truth.members()
        for told in (pax(record("atime", "1"), record("path", member.name), record("mtime", "1.5")), member.but(name="ignored"))
    ]


@tarball_control()
def pax_record_of_4096_bytes(truth: Kit) -> list[Member]:
    return truth.with_member(README, pax(record("mtime", "0" * (4096 - len("4096 mtime=\n")))), truth.member(README))


@tarball_control()
def pax_record_with_odd_header(truth: Kit) -> list[Member]:
    odd = pax(record("mtime", "1")).but(name="/../PaxHeaders/README", mode=0o4777)
    return truth.with_member(README, odd, truth.member(README))


@tarball_control()
def many_zero_blocks_at_the_end(truth: Kit) -> bytes:
    return gzipped(archive(truth.members(), END * 500))


@tarball_control()
def exactly_two_zero_blocks_at_the_end(truth: Kit) -> bytes:
    return gzipped(archive(truth.members(), END))


# -- gzip, field by field

for _name, _header in {
    "gzip_with_name": b"\x1f\x8b\x08\x08\0\0\0\0\0\3kit.tar\0",
    "gzip_with_time": b"\x1f\x8b\x08\x00\x12\x34\x56\x78\2\3",
    "gzip_with_name_and_time": b"\x1f\x8b\x08\x08\x12\x34\x56\x78\2\3lnm-offline-kit-2026.9.1.tar\0",
    "gzip_with_name_beyond_ascii": b"\x1f\x8b\x08\x08\0\0\0\0\0\3caf\xe9 \x1b[2J../..\0",
    "gzip_with_comment": b"\x1f\x8b\x08\x10\0\0\0\0\0\3a comment\0",
    "gzip_with_extra_field": b"\x1f\x8b\x08\x04\0\0\0\0\0\3\x05\0extra",
    "gzip_marked_as_text": b"\x1f\x8b\x08\x01\0\0\0\0\0\3",
    "gzip_from_another_system": b"\x1f\x8b\x08\x00\0\0\0\0\4\0",
}.items():

    def _headed(header: bytes, truth: Kit) -> bytes:
        return gzipped(archive(truth.members()), header=header)

    tarball_control(_name)(partial(_headed, _header))


def _compressed(level: int, truth: Kit) -> bytes:
    return gzip.compress(archive(truth.members()), level)


for _level in (0, 1, 9):
    tarball_control(f"gzip_level_{_level}")(partial(_compressed, _level))


@tarball_control()
def gzip_in_many_blocks(truth: Kit) -> bytes:
    tar = archive(truth.members())
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    return (
        b"".join(engine.compress(tar[at : at + 100]) + engine.flush(zlib.Z_FULL_FLUSH) for at in range(0, len(tar), 100))
        + engine.flush()
    )


# -- where the kit lies


@place_control(FOLDER)
def folder_renamed(place: Path, truth: Kit) -> Path:
    truth.folder_name = "anything"
    return truth.write_folder(place)


@place_control(FOLDER)
def folder_named_as_another_version(place: Path, truth: Kit) -> Path:
    truth.folder_name = "concelier-lnm-2027.1.0"
    return truth.write_folder(place)


@place_control(FOLDER)
def folder_with_spaces(place: Path, truth: Kit) -> Path:
    truth.folder_name = " my  kit 's * folder "
    return truth.write_folder(place)


@place_control(FOLDER)
def folder_with_a_name_beyond_ascii(place: Path, truth: Kit) -> Path:
    truth.folder_name = "café\n$(touch lnm-lie)"
    return truth.write_folder(place)


@place_control(FOLDER)
def folder_with_a_slash_at_the_end(place: Path, truth: Kit) -> Path:
    truth.folder_name = "kit/"
    return truth.write_folder(place)


@place_control(FOLDER)
def folder_through_a_link(place: Path, truth: Kit) -> Path:
    (place / "link").symlink_to(truth.write_folder(place))
    return place / "link"


@place_control(FOLDER)
def folder_below_a_link(place: Path, truth: Kit) -> Path:
    (place / "real").mkdir()
    truth.write_folder(place / "real")
    (place / "link").symlink_to("real")
    return place / "link" / truth.folder_name


@place_control(FOLDER)
def folder_for_its_owner_alone(place: Path, truth: Kit) -> Path:
    root = truth.write_folder(place)
    for path in root.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    root.chmod(0o700)
    return root


@place_control(FOLDER)
def folder_for_a_group(place: Path, truth: Kit) -> Path:
    root = truth.write_folder(place)
    for path in root.rglob("*"):
        path.chmod(0o775 if path.is_dir() else 0o664)
    return root


@place_control(FOLDER)
def folder_for_reading_alone(place: Path, truth: Kit) -> Path:
    root = truth.write_folder(place)
    for path in root.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return root


@place_control(TARBALL)
def tarball_with_spaces(place: Path, truth: Kit) -> Path:
    return truth.write_tarball(place).rename(place / " my  kit 's * .tar.gz ")


@place_control(TARBALL)
def tarball_without_an_ending(place: Path, truth: Kit) -> Path:
    return truth.write_tarball(place).rename(place / "download")


@place_control(TARBALL)
def tarball_named_as_another_version(place: Path, truth: Kit) -> Path:
    return truth.write_tarball(place).rename(place / "lnm-offline-kit-2027.1.0.tar.gz")


@place_control(TARBALL)
def tarball_through_a_link(place: Path, truth: Kit) -> Path:
    (place / "link").symlink_to(truth.write_tarball(place).name)
    return place / "link"


@place_control(TARBALL)
def tarball_for_reading_alone(place: Path, truth: Kit) -> Path:
    path = truth.write_tarball(place)
    path.chmod(0o400)
    return path
