"""Lies about images and the statements of them, listed and signed as if they were true. Rows C2, C6, C7, C10 to C13, C18."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import partial

from tests.faults.checksum_lies import exactly
from tests.faults.forge import MANIFEST, Json, Kit, line
from tests.faults.images import AMD64, ARM64, NAME, SLSA, Image, TextChange, b64, dsse, hex_of, sbom, text
from tests.faults.keys import MAIN, SECOND, STRANGER
from tests.faults.registry import instead, kit_lie
from tests.faults.statement_lies import ATTESTATION, ATTESTATION_WRITING, X_WRITING

FOLDER = f"attestations/{AMD64}"
LAYOUT = f"images/{AMD64}"
SBOM = f"sbom/{AMD64}.spdx.json"
ABOUT = exactly(FOLDER)
ImageChange = Callable[[Image], object]
FilesChange = Callable[[dict[str, bytes]], object]


def with_image(truth: Kit, image: Image, *change: FilesChange) -> Kit:
    """The kit with an image, its files changed before they are listed."""
    files = image.files()
    for tell in change:
        before = dict(files)
        tell(files)
        if files == before:
            raise ValueError("no file changed: the lie would be the truth")
    truth.files |= files
    return truth.attest()


def image_lie(row: str, name: str, tell: ImageChange, *reasons: str, only: str = "folder", kin: str = "") -> None:
    """Enters a kit with an image that was changed before it was signed."""

    def told(truth: Kit) -> Kit:
        image, right = Image(MAIN), Image(MAIN).files()
        tell(image)
        if image.files() == right:
            raise ValueError(f"{name}: the image did not change: the lie would be the truth")
        return with_image(truth, image)

    kit_lie(row, 5, *(reasons or (ABOUT,)), name=f"image_{name}", only=only, kin=kin)(told)


def files_lie(row: str, name: str, tell: FilesChange, *reasons: str, only: str = "folder", kin: str = "") -> None:
    """Enters a kit with an image, whose files were changed before they were listed."""
    kit_lie(row, 5, *(reasons or (ABOUT,)), name=f"image_{name}", only=only, kin=kin)(
        lambda truth: with_image(truth, Image(MAIN), tell)
    )


def below(folder: str, files: dict[str, bytes]) -> list[str]:
    """The names in a folder."""
    return [name for name in files if name.startswith(f"{folder}/")]


def drop(folder: str, files: dict[str, bytes]) -> None:
    """Removes a folder, or a file."""
    for name in below(folder, files) or [folder]:
        del files[name]


# -- what is there


files_lie("C11", "without_attestations", partial(drop, FOLDER), only="")
files_lie("C18", "without_sbom", partial(drop, SBOM), exactly(SBOM), only="")
files_lie("C11", "absent_but_attested", partial(drop, LAYOUT), exactly(LAYOUT), only="")
files_lie("C11", "without_index", partial(drop, f"{LAYOUT}/index.json"), exactly(LAYOUT))
files_lie("C11", "of_attestations_without_index", partial(drop, f"{FOLDER}/index.json"))
files_lie("C11", "of_attestations_without_oci_layout", partial(drop, f"{FOLDER}/oci-layout"))
files_lie("C11", "without_oci_layout", partial(drop, f"{LAYOUT}/oci-layout"), exactly(LAYOUT))


def _sbom_alone(files: dict[str, bytes]) -> None:
    drop(FOLDER, files)
    drop(LAYOUT, files)


files_lie("C11", "absent_but_its_sbom_is_there", _sbom_alone, exactly(LAYOUT))


@kit_lie("C11", 5, exactly(f"attestations/{ARM64}"), name="second_image_without_attestations")
def _second(truth: Kit) -> Kit:
    with_image(truth, Image(MAIN))
    return with_image(truth, Image(MAIN, ARM64), partial(drop, f"attestations/{ARM64}"))


@kit_lie("C11", 5, exactly(f"attestations/{ARM64}"), name="second_image_of_two_is_attested_by_a_stranger")
def _second_by_a_stranger(truth: Kit) -> Kit:
    with_image(truth, Image(MAIN))
    return with_image(truth, Image(STRANGER, ARM64))


def _moved(old: str, new: str, files: dict[str, bytes]) -> None:
    for name in below(old, files):
        files[new + name.removeprefix(old)] = files.pop(name)


files_lie("C11", "of_no_known_platform", partial(_moved, FOLDER, "attestations/lnm-runner-linux-s390x"), "s390x")
files_lie("C11", "attested_in_upper_case", partial(_moved, FOLDER, f"attestations/{AMD64.upper()}"), AMD64.upper())
files_lie("C11", "attested_one_folder_below", partial(_moved, FOLDER, f"attestations/old/{AMD64}"))
files_lie("C11", "attested_beside_the_folder", partial(_moved, FOLDER, f"{FOLDER}.old"), exactly(f"{FOLDER}.old"))


@kit_lie("C6", 5, ABOUT, name="attestations_of_two_images_swapped", only="folder")
def _swapped(truth: Kit) -> Kit:
    truth.files |= Image(MAIN).files() | Image(MAIN, ARM64).files()
    _moved(FOLDER, "swap", truth.files)
    _moved(f"attestations/{ARM64}", FOLDER, truth.files)
    _moved("swap", f"attestations/{ARM64}", truth.files)
    return truth.attest()


@kit_lie("C6", 5, AMD64, name="image_is_another_than_the_attested", only="tarball")
def _other_image(truth: Kit) -> Kit:
    attested = Image(MAIN, layers=(b"another layer\n",)).files()
    return with_image(
        truth,
        Image(MAIN),
        lambda files: (
            [files.pop(name) for name in below(FOLDER, files)]
            and files.update({name: attested[name] for name in below(FOLDER, attested)})
        ),
    )


def _put(name: str, data: bytes, files: dict[str, bytes]) -> None:
    files[name] = data


BESIDE = b'{"more":1}'
for _lie, _name in {
    "a_readme": f"{FOLDER}/README.md",
    "a_blob": f"{FOLDER}/blobs/sha256/{hex_of(BESIDE)}",
    "a_blob_of_wrong_name": f"{FOLDER}/blobs/sha256/{'0' * 64}",
    "a_blob_of_another_algorithm": f"{FOLDER}/blobs/sha512/{hashlib.sha512(BESIDE).hexdigest()}",
    "a_folder": f"{FOLDER}/more/index.json",
    "a_dsse": f"{FOLDER}/slsa-provenance.dsse.json",
}.items():
    files_lie("C2", f"with_{_lie}_among_its_attestations", partial(_put, _name, BESIDE), exactly(_name))
for _lie, _name in {
    "a_readme": f"{LAYOUT}/README.md",
    "a_blob": f"{LAYOUT}/blobs/sha256/{hex_of(BESIDE)}",
    "a_blob_of_wrong_name": f"{LAYOUT}/blobs/sha256/{'0' * 64}",
    "a_manifest_json": f"{LAYOUT}/manifest.json",
}.items():
    files_lie("C2", f"with_{_lie}_beside_it", partial(_put, _name, BESIDE), exactly(_name))


def _document(number: str, *layers: bytes) -> bytes:
    """What stands in a blob of the image, or of one that has other layers."""
    seen: list[bytes] = []

    def keep(data: bytes) -> bytes:
        seen.append(data)
        return data

    image = Image(MAIN, lies={number: keep})
    image.layers = layers or image.layers
    image.files()
    return seen[-1]


def _blob(number: str) -> str:
    """The name of a blob."""
    return f"{FOLDER if number.isdecimal() else LAYOUT}/blobs/sha256/{hex_of(_document(number))}"


def _without(number: str, files: dict[str, bytes]) -> None:
    del files[_blob(number)]


def _renamed(number: str, files: dict[str, bytes]) -> None:
    files[f"{_blob(number)[:-64]}{'0' * 64}"] = files.pop(_blob(number))


def _changed(number: str, files: dict[str, bytes]) -> None:
    files[_blob(number)] += b"\n"


BLOBS: dict[str, tuple[str, Callable[[str, dict[str, bytes]], None]]] = {
    "absent": ("folder", _without),
    "of_wrong_name": ("tarball", _renamed),
    "of_other_bytes": ("tarball", _changed),
}
for _turn, _number in enumerate(("manifest", "config", "layer 0", *map(str, range(1, 14)))):
    _where = ABOUT if _number.isdecimal() else exactly(LAYOUT)
    for _lie, (_only, _tell) in BLOBS.items():
        _kin = f"image_blob_{_lie}_{_turn % 3}"  # verify.sh judges some
        _called = f"blob_{_number.replace(' ', '_')}_{_lie}"
        files_lie("C2", _called, partial(_tell, _number), _where, only=_only, kin=_kin)


# -- the statements


def _payload(number: str, change: Callable[[Json], object], image: Image) -> None:
    def told(payload: bytes) -> bytes:
        statement = json.loads(payload)
        change(statement)
        return line(statement)

    image.lies[f"payload {number}"] = told


def _lied(where: str, change: TextChange, image: Image) -> None:
    image.lies[where] = change


def _subject(**members: Json) -> Callable[[Json], object]:
    return lambda statement: statement["subject"][0].update(members)


ABOUT_IMAGES: dict[str, tuple[str, Callable[[Json], object]]] = {
    "subject_with_a_tag": ("C13", _subject(name=f"{NAME}:2026.9.1")),
    "subject_with_a_digest_in_its_name": (
        "C13",
        lambda statement: statement["subject"][0].update(name=f"{NAME}@sha256:{statement['subject'][0]['digest']['sha256']}"),
    ),
    "subject_is_a_tag_alone": ("C13", lambda statement: statement.update(subject=[{"name": f"{NAME}:2026.9.1"}])),
    "subject_of_another_registry": ("C13", _subject(name=f"docker.io/{NAME}")),
    "subject_of_sha512_as_well": (
        "C13",
        lambda statement: statement["subject"][0]["digest"].update(sha512="0" * 128),
    ),
    "subject_digest_with_prefix": (
        "C13",
        lambda statement: statement["subject"][0]["digest"].update(
            sha256="sha256:" + statement["subject"][0]["digest"]["sha256"]
        ),
    ),
    "subject_is_the_kit": ("C13", _subject(name="concelier-lnm-2026.9.1")),
    "subject_is_the_config": ("C13", _subject(digest={"sha256": _blob("config")[-64:]})),
    "predicate_type_of_cosign_spdx": ("C11", lambda statement: statement.update(predicateType="https://spdx.dev/Document/v2.3")),
}

for _turn, (_lie, (_row, _statement)) in enumerate({**ATTESTATION, **ABOUT_IMAGES}.items()):
    _number, _kind = [("4", "provenance"), ("5", "spdx")][_turn % 2]
    _kin = "" if _row == "C13" else f"attested_{_lie}"
    _only = ["folder", "tarball"][_turn // 2 % 2]
    image_lie(_row, f"{_kind}_{_lie}", partial(_payload, _number, _statement), only=_only, kin=_kin)
for _turn, (_lie, _text) in enumerate(ATTESTATION_WRITING.items()):
    _number, _kind = [("4", "provenance"), ("5", "spdx")][_turn % 2]
    image_lie("C12", f"{_kind}_payload_{_lie}", partial(_lied, f"payload {_number}", _text), kin=f"payload_{_lie}")
for _lie in ("nested_5000_deep", "with_key_twice", "with_fraction", "with_raw_control", "not_utf8"):
    image_lie("C12", f"provenance_predicate_{_lie}", partial(_lied, "payload 4", X_WRITING[_lie]))


def _both_in_one(image: Image) -> None:
    payloads: dict[str, bytes] = {}

    def keep(number: str, payload: bytes) -> bytes:
        payloads[number] = payload
        return payloads.get("4", payload)

    image.lies |= {"payload 4": partial(keep, "4"), "payload 5": partial(keep, "5")}


image_lie("C11", "of_two_provenances", _both_in_one)


# -- the SBOM


files_lie("C18", "of_another_sbom", lambda files: files.update({SBOM: sbom("another") + b"\n"}))
files_lie("C18", "of_an_sbom_without_newline", lambda files: files.update({SBOM: files[SBOM][:-1]}))


def _sbom(data: bytes, image: Image) -> None:
    image.sbom = data


image_lie("C18", "of_an_indented_sbom", partial(_sbom, json.dumps(json.loads(sbom(AMD64)), indent=1).encode()))
image_lie("C18", "of_an_unsorted_sbom", partial(_sbom, instead(sbom(AMD64), b'{"SPDXID":', b'{"a":1,"SPDXID":')))
image_lie("C18", "of_an_sbom_that_is_a_list", partial(_sbom, b"[]"))


# -- who signed


image_lie("C7", "signature_by_a_stranger", lambda image: image.signers.update(S=STRANGER))
image_lie("C7", "provenance_by_a_stranger", lambda image: image.signers.update({"4": STRANGER}), ABOUT, STRANGER.named)
image_lie("C7", "spdx_by_a_stranger", lambda image: image.signers.update({"5": STRANGER}), ABOUT, STRANGER.named)
image_lie("C7", "hint_of_a_stranger", lambda image: setattr(image, "hint", STRANGER.hint))
image_lie("C7", "all_by_a_stranger", lambda image: setattr(image, "key", STRANGER), ABOUT, STRANGER.named, only="")


def _by_second(names: tuple[str, ...], truth: Kit) -> Kit:
    truth.given = (MAIN, SECOND)
    return with_image(truth, Image(MAIN, signers=dict.fromkeys(names, SECOND)))


for _names in (("S",), ("4",), ("5",), ("S", "4"), ("4", "5")):
    kit_lie("C7", 5, ABOUT, name=f"image_{'_'.join(_names)}_by_another_given_key", only="folder")(partial(_by_second, _names))


def _keyid_of_main(envelope: Json) -> None:
    """A stranger's signature under the right name."""
    made = json.loads(dsse(STRANGER, base64.b64decode(envelope["payload"])))
    envelope["signatures"][0]["sig"] = made["signatures"][0]["sig"]


def _other_envelope(number: str, change: Callable[[Json], object], image: Image) -> None:
    def told(envelope: bytes) -> bytes:
        value = json.loads(envelope)
        change(value)
        return text(value)

    image.lies[number] = told


ENVELOPES: dict[str, Callable[[Json], object]] = {
    "of_other_payload_type": lambda envelope: envelope.update(payloadType="application/json"),
    "by_a_stranger_under_the_right_keyid": _keyid_of_main,
    "of_two_signatures": lambda envelope: envelope["signatures"].append(envelope["signatures"][0]),
    "of_no_signature": lambda envelope: envelope.update(signatures=[]),
    "without_keyid": lambda envelope: envelope["signatures"][0].pop("keyid"),
    "with_extra_member": lambda envelope: envelope.update(zzz=1),
    "of_other_payload": lambda envelope: envelope.update(payload=b64(b"{}\n")),
    "of_broken_base64": lambda envelope: envelope.update(payload=envelope["payload"][:-1] + "!"),
    "of_signature_of_zeros": lambda envelope: envelope["signatures"][0].update(sig=b64(bytes(64))),
}
for _turn, (_lie, _envelope) in enumerate(ENVELOPES.items()):
    _number, _kind = [("4", "provenance"), ("5", "spdx")][_turn % 2]
    image_lie("C10", f"{_kind}_envelope_{_lie}", partial(_other_envelope, _number, _envelope))


def _signature(change: TextChange, image: Image) -> None:
    image.lies["S"] = change


image_lie("C6", "signature_of_zeros", partial(_signature, lambda raw: bytes(len(raw))))
image_lie("C6", "signature_with_a_byte_more", partial(_signature, lambda raw: raw + b"\0"))
image_lie("C6", "signature_empty", partial(_signature, lambda _: b""))
image_lie("C6", "signature_of_something_else", partial(_signature, lambda _: MAIN.sign(b"something else")), only="")
image_lie("C6", "signature_of_another_image", partial(_signature, lambda _: MAIN.sign(_document("1", b"another layer\n"))))


def _spare_bits(document: Json) -> None:
    """Base64 of the same bytes, its last sextet with bits that stand for nothing."""
    notes = document["layers"][0]["annotations"]
    signed = notes["dev.cosignproject.cosign/signature"]
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = signed.rstrip("=")
    other = body[:-1] + digits[digits.index(body[-1]) + 1] + signed[len(body) :]
    if base64.b64decode(other) != base64.b64decode(signed):
        raise ValueError("this signature has no spare bits")
    notes["dev.cosignproject.cosign/signature"] = other


# -- the forms


def _with_a_space(data: bytes) -> bytes:
    return instead(data, b":", b": ")


def _with_newline(data: bytes) -> bytes:
    return data + b"\n"


for _turn, _number in enumerate((*map(str, range(1, 14)), "index", "index of the image")):
    if _number == "8":  # it has no place for a space
        continue
    _where = exactly(LAYOUT) if "image" in _number else ABOUT
    for _lie, _text in {"with_a_space": _with_a_space, "with_newline": _with_newline}.items():
        _called = f"document_{_number.replace(' ', '_')}_{_lie}"
        image_lie("C10", _called, partial(_lied, _number, _text), _where, kin=f"image_document_{_lie}_{_turn % 3}")


def _edited(change: Callable[[Json], object]) -> TextChange:
    """The change of a document's value."""

    def told(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return text(value)

    return told


BIG = 64 << 10  # more than an image's manifest may have


def _beyond_budget(value: Json) -> None:
    value["annotations"] = {"a": "x" * BIG}


FORMS: dict[str, tuple[str, Callable[[Json], object]]] = {
    "manifest_beyond_its_budget": ("manifest", _beyond_budget),
    "manifest_of_a_layer_that_is_not_there": (
        "manifest",
        lambda value: value["layers"].append({**value["layers"][0], "digest": "sha256:" + "0" * 64}),
    ),
    "payload_with_optional": ("1", lambda value: value.update(optional={})),
    "payload_of_other_reference": (
        "1",
        lambda value: value["critical"]["identity"].update({"docker-reference": f"{NAME}:latest"}),
    ),
    "payload_of_other_type": ("1", lambda value: value["critical"].update(type="atomic container signature")),
    "payload_of_other_digest": (
        "1",
        lambda value: value["critical"]["image"].update({"docker-manifest-digest": "sha256:" + "0" * 64}),
    ),
    "signature_config_of_a_time": ("2", lambda value: value.update(created="2026-09-01T00:00:00Z")),
    "signature_config_of_other_layer": ("2", lambda value: value["rootfs"].update(diff_ids=["sha256:" + "0" * 64])),
    "signature_manifest_with_a_certificate": (
        "3",
        lambda value: value["layers"][0]["annotations"].update({"dev.sigstore.cosign/certificate": "x"}),
    ),
    "signature_manifest_of_two_signatures": ("3", lambda value: value["layers"].append(value["layers"][0])),
    "signature_manifest_of_spare_bits": ("3", _spare_bits),
    "signature_manifest_without_layer": ("3", lambda value: value.update(layers=[])),
    "statement_config_reordered": ("6", lambda value: value["rootfs"]["diff_ids"].reverse()),
    "statement_manifest_reordered": ("7", lambda value: value["layers"].reverse()),
    "statement_manifest_of_one": ("7", lambda value: value["layers"].pop()),
    "statement_manifest_of_three": ("7", lambda value: value["layers"].append(value["layers"][0])),
    "statement_manifest_of_other_type": ("7", lambda value: value["layers"][0]["annotations"].update(predicateType="custom")),
    "bundle_of_other_version": (
        "9",
        lambda value: value.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
    ),
    "bundle_with_a_log_entry": ("9", lambda value: value["verificationMaterial"]["tlogEntries"].append({})),
    "bundle_of_another_envelope": ("10", lambda value: value["dsseEnvelope"].update(payload=b64(b"{}\n"))),
    "referrer_of_other_subject": ("11", lambda value: value["subject"].update(digest="sha256:" + "0" * 64)),
    "referrer_without_subject": ("11", lambda value: value.pop("subject")),
    "referrer_of_other_type": ("12", lambda value: value["annotations"].update({"dev.sigstore.bundle.predicateType": SLSA})),
    "fallback_of_one": ("13", lambda value: value["manifests"].pop()),
    "fallback_reordered": ("13", lambda value: value["manifests"].reverse()),
    "index_of_attestations_reordered": ("index", lambda value: value["manifests"].reverse()),
    "index_of_attestations_without_signature": ("index", lambda value: value["manifests"].pop(1)),
    "index_of_attestations_with_another_image": ("index", lambda value: value["manifests"].append(value["manifests"][0])),
    "index_of_attestations_of_nothing": ("index", lambda value: value.update(manifests=[])),
    "index_of_attestations_with_other_tag": (
        "index",
        lambda value: value["manifests"][1]["annotations"].update({"org.opencontainers.image.ref.name": "latest"}),
    ),
    "index_of_attestations_of_another_digest": (
        "index",
        lambda value: value["manifests"][0].update(digest="sha256:" + "0" * 64),
    ),
    "index_of_other_tag": (
        "index of the image",
        lambda value: value["manifests"][0]["annotations"].update({"org.opencontainers.image.ref.name": "latest"}),
    ),
    "index_of_other_platform": (
        "index of the image",
        lambda value: value["manifests"][0]["platform"].update(architecture="arm64"),
    ),
    "index_of_other_size": ("index of the image", lambda value: value["manifests"][0].update(size=1)),
    "index_of_two_images": ("index of the image", lambda value: value["manifests"].append(value["manifests"][0])),
    "index_of_no_image": ("index of the image", lambda value: value.update(manifests=[])),
    "index_of_another_image": ("index of the image", lambda value: value["manifests"][0].update(digest=f"sha256:{'0' * 64}")),
    "index_with_a_signature": ("index of the image", lambda value: value["manifests"][0]["annotations"].update(kind="x")),
}
for _lie, (_number, _value) in FORMS.items():
    _where = ABOUT if _number.isdecimal() else exactly(LAYOUT)
    _where = f"{_where}|{ABOUT}" if _number == "index" else _where
    image_lie("C10", _lie, partial(_lied, _number, _edited(_value)), _where if "of_another_digest" not in _lie else AMD64)

for _layout, _where in (("index", ABOUT), ("index of the image", exactly(LAYOUT))):
    image_lie(
        "C10",
        f"layout_of_{_layout.replace(' ', '_')}_of_other_version",
        partial(_lied, f"layout of {_layout}", lambda data: data.replace(b"1.0.0", b"1.0.1")),
        _where,
    )
image_lie("C10", "index_of_attestations_is_no_json", partial(_lied, "index", lambda _: b"no JSON"))
image_lie("C10", "index_of_attestations_empty", partial(_lied, "index", lambda _: b""))
image_lie("C10", "index_of_attestations_with_nuls", partial(_lied, "index", lambda data: b"\0" + data))
image_lie("C10", "attested_at_another_time", lambda image: setattr(image, "created_at", "2026-09-02T00:00:00Z"))
image_lie("C10", "of_another_version", lambda image: setattr(image, "version", "2026.9.2"), AMD64)


@kit_lie("C10", 5, AMD64, name="image_of_the_kits_former_version", only="tarball")
def _former(truth: Kit) -> Kit:
    truth.version = "2026.9.2"
    truth.root = "concelier-lnm-2026.9.2"
    return with_image(truth, Image(MAIN))


# -- what the manifest says of images


def _said(parts: list[Json], truth: Kit) -> None:
    with_image(truth, Image(MAIN))
    truth.state_with(lambda statement: statement["predicate"].update(parts=parts))


for _lie, _part in {
    "of_another_digest": {"digest": "sha256:" + "0" * 64, "id": AMD64, "status": "ready"},
    "of_the_config": {"digest": _blob("config")[-64:], "id": AMD64, "status": "ready"},
    "absent": {"id": AMD64, "reason": "not in this version", "status": "absent"},
    "of_another_platform_alone": {"digest": _blob("manifest")[-64:], "id": ARM64, "status": "ready"},
}.items():
    kit_lie("T2", 5, exactly(MANIFEST), name=f"image_in_the_manifest_{_lie}", only="folder")(partial(_said, [_part]))


@kit_lie("T2", 5, exactly(MANIFEST), name="image_in_the_manifest_alone", only="tarball")
def _said_alone(truth: Kit) -> None:
    part = {"digest": "sha256:" + _blob("manifest")[-64:], "id": AMD64, "status": "ready"}
    truth.state_with(lambda statement: statement["predicate"].update(parts=[part]))
