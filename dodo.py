"""What is built, from what: a row for each file below artifacts/lnm/, or for a folder of them. `doit bundle` makes all of it.

Rows stand in the order in which data flows: payload, statements about it, checksums, signatures, manifest, tarball.
The code of a step is in the module that the row names; what a row is, in scripts/artefact.py.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile

from scripts import (
    checksums,
    cosign_layout,
    debian,
    debian_base,
    debian_facts,
    debian_packages,
    files,
    foreign_base,
    image,
    image_base,
    image_digest,
    keyless,
    keys,
    layer,
    layout,
    manifest,
    migrations_layer,
    oci,
    provenance,
    release,
    roles,
    runner_wheel,
    sbom,
    sbom_gate,
    sbom_image,
    sbom_kit,
    sbom_tooling,
    signing,
    state,
    statement,
    store,
    tarball,
    wheelhouse,
    wheels_layer,
)
from scripts.after import After
from scripts.artefact import LOCK, TOOL_LOCK, WORK, Artefact, Reads, prune, require, stale, take_tree_for
from scripts.errors import KitError
from scripts.fresh import ByContent, holds
from scripts.reporter import BuildReporter
from scripts.repro import verdict

INPUTS = ("bundle-layout", "runner", "scripts", "requirements", "dodo.py", "LICENSE", "SOURCE_DATE_EPOCH", "VERSION")
DIST = Path("artifacts/lnm")
LAYOUT = Path("bundle-layout")
RUNNER = Path("runner")
PRIVATE_KEY = Path("scripts/private_key")
ROLES = RUNNER / "src/lnm_runner/roles.py"

try:
    RELEASE = release.read(os.environ, INPUTS)
    LAYOUT_ROWS = layout.folders(layout.names(LAYOUT))
    RUNNER_FILES = tuple(folder / path for folder in (RUNNER, PRIVATE_KEY) for path in files.listing(folder))
    WHEELS, EXTRAS_WHEELS = wheelhouse.read_lock(), wheelhouse.read_lock(wheelhouse.EXTRAS_LOCK)
    BASES = image_base.choose(os.environ, image.PLATFORMS, RELEASE.channel)
    IS_LOCKED = image_base.is_locked(os.environ, RELEASE.channel)
    KEY = keys.source(os.environ)
    SIGNER = keyless.source(os.environ, KEY)
except KitError as err:
    raise InvalidDodoFile(str(err)) from None

EPOCH = RELEASE.epoch
KIT_NAME = f"concelier-lnm-{RELEASE.version}"
KIT = DIST / KIT_NAME
FACTS: dict[str, Any] = {
    **dataclasses.asdict(RELEASE),
    "source": RELEASE.source.statement(),
    "created_at": RELEASE.created_at,
}
PUBLIC = DIST / "signing-key.pub"
SBOMS_PASSED = After("checksums:payload.sums")  # scripts/sbom_gate.py
SIGNED: dict[str, Any] = {"uses": {"key": KEY}, "uptodate": (SBOMS_PASSED,)}
KEY_IS_CURRENT = holds(lambda: keys.is_current(KEY, PUBLIC), "the signing key is another one")

STORES = {"stores": store.named(os.environ)}

# ---- P, the payload: the same bytes on every machine
RUNNER_WHEEL = KIT / "runner/wheelhouse" / runner_wheel.name(RELEASE.version)
WHEELHOUSE = (RUNNER_WHEEL, *(KIT / "runner/wheelhouse" / wheel.filename for wheel in WHEELS))
EXTRAS_WHEELHOUSE = KIT / "runner/wheelhouse-extras"
PAYLOAD_ROWS = (
    *(
        Artefact("layout", KIT / name, layout.write, {"source": LAYOUT / name}, mode=layout.mode(name))
        for name, held in LAYOUT_ROWS.items()
        if not held
    ),
    *(
        Artefact(
            "layout",
            KIT / folder,
            layout.write_folder,
            {"sources": tuple(LAYOUT / folder / name for name in held)},
            {"base": LAYOUT / folder},
            name=folder,
            holds=held,
        )
        for folder, held in LAYOUT_ROWS.items()
        if held
    ),
    Artefact("layout", KIT / "LICENSE", layout.write, {"source": Path("LICENSE")}),
    Artefact(
        "runner",
        RUNNER_WHEEL,
        runner_wheel.write,
        {"sources": (*RUNNER_FILES, LAYOUT / "verify_kit.py", Path("VERSION"))},
        {"project": RUNNER, "filename": RUNNER_WHEEL.name},
    ),
    *(
        Artefact(
            "wheelhouse",
            KIT / "runner/wheelhouse" / wheel.filename,
            wheelhouse.write,
            {"lock": wheelhouse.LOCK},
            {"filename": wheel.filename, "fetched": wheel.sha256},
            STORES,
        )
        for wheel in WHEELS
    ),
    Artefact("runner", KIT / "runner/requirements.txt", wheelhouse.write_requirements, {"wheels": WHEELHOUSE}),
    Artefact(
        "wheelhouse",
        EXTRAS_WHEELHOUSE,
        wheelhouse.write_folder,
        {"lock": wheelhouse.EXTRAS_LOCK},
        {"fetched": {wheel.filename: wheel.sha256 for wheel in EXTRAS_WHEELS}},
        STORES,
        name="extras",
        holds=tuple(wheel.filename for wheel in EXTRAS_WHEELS),
    ),
    Artefact(
        "runner",
        KIT / "runner/requirements-extras.txt",
        wheelhouse.write_requirements,
        {"wheels": tuple(EXTRAS_WHEELHOUSE / wheel.filename for wheel in EXTRAS_WHEELS)},
    ),
    Artefact("roles", KIT / "runbook/roles/roles.json", roles.write_json, {"source": ROLES}),
    Artefact("roles", KIT / "runbook/roles/create-roles.js", roles.write_script, {"source": ROLES}),
    Artefact(
        "sbom",
        KIT / "sbom/lnm-tooling.spdx.json",
        sbom_tooling.write,
        {"lock": TOOL_LOCK, "inventory": sbom.INVENTORY},
        {"version": RELEASE.version, "epoch": EPOCH},
    ),
)

# ---- the images: for each platform a base, a layer of wheels and one of migrations, joined into a layout
MIGRATIONS = tuple(path for row in PAYLOAD_ROWS for path in row.targets if path.is_relative_to(KIT / "migrations"))
IMAGE_WORK = WORK / "image"
MIGRATIONS_LAYER = Artefact(
    "image",
    IMAGE_WORK / "migrations",
    migrations_layer.write,
    {"tree": MIGRATIONS, "licence": KIT / "LICENSE"},
    {"base": KIT, "epoch": EPOCH},
    holds=layer.HOLDS,
)


def base_rows(base: image_base.Base) -> Iterator[Artefact]:
    """The rows of what an image is built on: its layout, and what is known of it."""
    work = IMAGE_WORK / base.platform
    layout = partial(Artefact, "image", work / "base", index=oci.INDEX_FILE, name=f"{base.platform}/base")
    facts = partial(Artefact, "image", work / "base.json", name=f"{base.platform}/base.json")
    if base.layout:
        settings = {"digest": base.digest, "platform": base.platform}
        yield layout(foreign_base.write, {}, settings, {"layout": base.layout})
        yield facts(foreign_base.write_facts, {"base": work / "base" / oci.INDEX_FILE}, {"platform": base.platform})
        return
    yield Artefact(
        "image",
        work / "debs",
        debian_packages.write,
        {"lock": debian.LOCK},
        {"architecture": base.architecture, "is_locked": IS_LOCKED},
        STORES,
        name=f"{base.platform}/debs",
        index=debian.EFFECTIVE,
    )
    debs: dict[str, Reads] = {"debs": work / "debs" / debian.EFFECTIVE}
    yield layout(debian_base.write, debs, {"architecture": base.architecture, "epoch": EPOCH})
    known = {**debs, "base": work / "base" / oci.INDEX_FILE, "lock": debian.LOCK}
    yield facts(debian_facts.write, known, {"architecture": base.architecture})


def image_rows(base: image_base.Base) -> Iterator[Artefact]:
    """The rows of an image on its base; the last but one makes the layout, the last its SBOM."""
    work, name = IMAGE_WORK / base.platform, image.name(base.platform)
    yield from base_rows(base)
    yield Artefact(
        "image",
        work / "wheels",
        wheels_layer.write,
        {"base": work / "base.json", "wheels": WHEELHOUSE},
        {"epoch": EPOCH},
        name=f"{base.platform}/wheels",
        holds=layer.HOLDS,
    )
    yield Artefact(
        "image",
        KIT / "images" / name,
        image.write,
        {
            "base": work / "base" / oci.INDEX_FILE,
            "wheels": work / "wheels" / layer.FACTS,
            "migrations": MIGRATIONS_LAYER.target / layer.FACTS,
        },
        {"platform": base.platform, "version": RELEASE.version, "epoch": EPOCH},
        index=oci.INDEX_FILE,
    )
    yield Artefact(
        "sbom",
        KIT / f"sbom/{name}.spdx.json",
        sbom_image.write,
        {
            "image": KIT / "images" / name / oci.INDEX_FILE,
            "base": work / "base.json",
            "wheels": WHEELHOUSE,
            "migrations": MIGRATIONS,
            "inventory": sbom.INVENTORY,
        },
        {"migrations_base": KIT / "migrations", "platform": base.platform, "version": RELEASE.version, "epoch": EPOCH},
    )


PRESENT = tuple(base for base in BASES if not base.absent)
IMAGE_ROWS = (MIGRATIONS_LAYER, *(row for base in PRESENT for row in image_rows(base))) if PRESENT else ()
IMAGES = tuple(KIT / "images" / image.name(base.platform) / oci.INDEX_FILE for base in PRESENT)
LISTED_BY_SBOM = tuple(path for row in (*PAYLOAD_ROWS, *IMAGE_ROWS) for path in row.targets if path.is_relative_to(KIT))
KIT_SBOM = Artefact(
    "sbom",
    KIT / sbom_kit.ITSELF,
    sbom_kit.write,
    {"tree": LISTED_BY_SBOM, "inventory": sbom.INVENTORY},
    {"base": KIT, "kit_name": KIT_NAME, "version": RELEASE.version, "epoch": EPOCH},
)
PAYLOAD = (*LISTED_BY_SBOM, KIT_SBOM.target)
PAYLOAD_SUMS = WORK / "payload.sums"
RECORDS = tuple(row.record for row in (*PAYLOAD_ROWS, *IMAGE_ROWS, KIT_SBOM))

# ---- A, the statements about it; E, the envelope
SLSA, SPDX = WORK / "slsa-provenance.json", WORK / "spdx.json"
KIT_STATEMENTS = (KIT / "attestations/slsa-provenance.dsse.json", KIT / "attestations/spdx.dsse.json")
SUMS, MANIFEST = KIT / "SHA256SUMS", KIT / "manifest.json"


def statement_rows(base: image_base.Base) -> Iterator[Artefact]:
    """The rows of what is said and signed of an image; the last lays it out as cosign reads it."""
    name, work = image.name(base.platform), IMAGE_WORK / base.platform
    index = KIT / "images" / name / oci.INDEX_FILE
    payload, said = work / "simple-signing.json", {"slsa": work / "slsa.json", "spdx": work / "spdx.json"}
    sealed = {kind: work / f"{kind}.dsse.json" for kind in said}

    def row(target: Path, step: Callable[..., None], reads: Mapping[str, Reads], **more: Any) -> Artefact:
        return Artefact("attestations", target, step, reads, name=f"{name}/{target.name}", **more)

    yield row(payload, cosign_layout.write_payload, {"image": index})
    yield row(Path(f"{payload}.sig"), signing.write_sig, {"blob": payload, "public": PUBLIC}, **SIGNED)
    records = tuple(one.record for one in (*PAYLOAD_ROWS, MIGRATIONS_LAYER, *image_rows(base)))
    yield row(
        said["slsa"],
        provenance.write_image,
        {"image": index, "records": records, "lock": TOOL_LOCK},
        settings={"release": FACTS},
    )
    yield row(said["spdx"], statement.write_image_spdx, {"image": index, "sbom": KIT / f"sbom/{name}.spdx.json"})
    for kind, file in said.items():
        yield row(sealed[kind], signing.write_dsse, {"statement": file, "public": PUBLIC}, **SIGNED)
    yield Artefact(
        "attestations",
        KIT / "attestations" / name,
        cosign_layout.write,
        {
            "image": index,
            "payload": payload,
            "sig": Path(f"{payload}.sig"),
            "statements": tuple(sealed.values()),
            "public": PUBLIC,
        },
        {"created_at": RELEASE.created_at},
        index=oci.INDEX_FILE,
    )


IMAGE_STATEMENT_ROWS = tuple(row for base in PRESENT for row in statement_rows(base))
ATTESTATIONS = (*KIT_STATEMENTS, *(row.targets[0] for row in IMAGE_STATEMENT_ROWS if row.index))
SIGNED_ROWS = (
    *PAYLOAD_ROWS,
    *IMAGE_ROWS,
    KIT_SBOM,
    Artefact("checksums", PAYLOAD_SUMS, sbom_gate.write, {"tree": PAYLOAD, "lock": TOOL_LOCK}, {"base": KIT}),
    Artefact("key", PUBLIC, keys.write_public, {}, uses={"key": KEY}, uptodate=(KEY_IS_CURRENT,)),
    Artefact(
        "attestations",
        SLSA,
        provenance.write_kit,
        {"payload": PAYLOAD_SUMS, "records": RECORDS, "lock": TOOL_LOCK},
        {"kit_name": KIT_NAME, "release": FACTS},
    ),
    Artefact(
        "attestations",
        SPDX,
        statement.write_spdx,
        {"payload": PAYLOAD_SUMS, "sbom": KIT_SBOM.target},
        {"kit_name": KIT_NAME},
    ),
    Artefact("attestations", KIT_STATEMENTS[0], signing.write_dsse, {"statement": SLSA, "public": PUBLIC}, **SIGNED),
    Artefact("attestations", KIT_STATEMENTS[1], signing.write_dsse, {"statement": SPDX, "public": PUBLIC}, **SIGNED),
    *IMAGE_STATEMENT_ROWS,
    Artefact(
        "checksums",
        SUMS,
        checksums.write_joined,
        {"payload": PAYLOAD_SUMS, "attestations": ATTESTATIONS},
        {"base": KIT},
    ),
    Artefact("signatures", KIT / "SHA256SUMS.sig", signing.write_sig, {"blob": SUMS, "public": PUBLIC}, **SIGNED),
    Artefact(
        "signatures",
        KIT / "SHA256SUMS.sigstore.json",
        signing.write_blob_bundle,
        {"blob": SUMS, "sig": KIT / "SHA256SUMS.sig", "public": PUBLIC},
    ),
    Artefact(
        "manifest",
        MANIFEST,
        manifest.write,
        {
            "sums": SUMS,
            "payload": PAYLOAD_SUMS,
            "migrations": tuple(path for path in PAYLOAD if path.name == "migration.py"),
            "images": IMAGES,
        },
        {
            "base": KIT,
            "release": FACTS,
            "trust": keyless.trust(KEY, SIGNER),
            "absent": {image.name(base.platform): base.absent for base in BASES if base.absent},
        },
    ),
    Artefact("manifest", KIT / "manifest.dsse.json", signing.write_dsse, {"statement": MANIFEST, "public": PUBLIC}, **SIGNED),
    Artefact(
        "manifest",
        KIT / "manifest.sigstore.json",
        signing.write_bundled_dsse,
        {"dsse": KIT / "manifest.dsse.json", "public": PUBLIC},
    ),
)


def keyless_rows(signer: keyless.Signer) -> Iterator[Artefact]:
    """The rows of what an identity signs, beside the key; the name of the service is a setting, so another one signs again."""
    for group, step, reads in (
        ("signatures", keyless.write_blob, {"blob": SUMS}),
        ("manifest", keyless.write_statement, {"statement": MANIFEST}),
    ):
        (signed,) = reads.values()
        target = signed.with_name(f"{signed.name.removesuffix('.json')}.keyless.sigstore.json")
        current = holds(partial(keyless.is_current, signer, target), "the Sigstore instance is another one")
        yield Artefact(
            group,
            target,
            step,
            reads,
            {"sigstore": signer.service},
            {"signer": signer},
            uptodate=(SBOMS_PASSED, current),
        )


KEYLESS_ROWS = () if SIGNER is None else tuple(keyless_rows(SIGNER))
KIT_ROWS = (*SIGNED_ROWS, *KEYLESS_ROWS)
TREE = tuple(sorted(path for row in KIT_ROWS for path in row.targets if path.is_relative_to(KIT)))

# ---- the archives, and what stands beside each of them
KIT_TARBALL = Artefact(
    "tarball",
    DIST / f"lnm-offline-kit-{RELEASE.version}.tar.gz",
    tarball.write,
    {"tree": TREE},
    {"root": KIT_NAME, "base": KIT, "epoch": EPOCH, "executable": layout.EXECUTABLE},
)
DELIVERY_TREES = {
    "21-101": ("LICENSE", "migrations/21-101/"),
    "21-102": ("LICENSE", "migrations/21-102/"),
    "21-103": ("LICENSE", "migrations/21-103/", "seeds/object-store/"),
}
DELIVERY_BUNDLES = tuple(
    Artefact(
        "deliveries",
        DIST / f"lnm-{delivery}-{RELEASE.version}.tar.gz",
        tarball.write,
        {"tree": tuple(path for path in PAYLOAD if path.relative_to(KIT).as_posix().startswith(names))},
        {"root": f"lnm-{delivery}-{RELEASE.version}", "base": KIT, "epoch": EPOCH},
    )
    for delivery, names in DELIVERY_TREES.items()
)


def beside(archive: Artefact, records: tuple[Path, ...]) -> Iterator[Artefact]:
    """The rows of what stands beside an archive: signature, bundle, provenance."""
    file, group = archive.target, archive.group
    sig, claim = Path(f"{file}.sig"), WORK / f"{file.name}.provenance.json"
    sealed = Path(f"{file}.provenance.sigstore.json")
    yield Artefact(group, sig, signing.write_sig, {"blob": file, "public": PUBLIC}, **SIGNED)
    bundle = Path(f"{file}.sigstore.json")
    yield Artefact(group, bundle, signing.write_blob_bundle, {"blob": file, "sig": sig, "public": PUBLIC})
    reads: dict[str, Reads] = {"file": file, "records": (*records, archive.record), "lock": TOOL_LOCK}
    yield Artefact(group, claim, provenance.write_file, reads, {"release": FACTS})
    yield Artefact(group, sealed, signing.write_dsse_bundle, {"statement": claim, "public": PUBLIC}, **SIGNED)


def records_of(archive: Artefact) -> tuple[Path, ...]:
    """The records of the tasks that made what is packed in an archive."""
    packed = frozenset(archive.inputs)
    return tuple(row.record for row in KIT_ROWS if not packed.isdisjoint(row.targets))


ARTEFACTS = (
    *KIT_ROWS,
    KIT_TARBALL,
    Artefact("tarball", Path(f"{KIT_TARBALL.target}.sha256"), checksums.write_single, {"file": KIT_TARBALL.target}),
    *beside(KIT_TARBALL, records_of(KIT_TARBALL)),
    *(row for bundle in DELIVERY_BUNDLES for row in (bundle, *beside(bundle, records_of(bundle)))),
    *([Artefact("image", DIST / "image-digest.txt", image_digest.write, {"images": IMAGES})] if IMAGES else []),
    *(Artefact("verifiers", DIST / name, layout.write, {"source": LAYOUT / name}, mode=0o755) for name in layout.EXECUTABLE),
)
GROUPS = {
    "layout": "the files of the kit that are written by hand: bundle-layout/ and LICENSE",
    "runner": "the runner's wheel, and the requirements file of the wheelhouse",
    "wheelhouse": "each wheel that the runner needs, by the hash in requirements/wheelhouse.lock",
    "image": "the runner's image for each platform: base, wheels and migrations as layers of an OCI layout",
    "roles": "the least-privilege roles of MongoDB for each stage, from the runner's own table",
    "sbom": "SPDX 2.3 documents for the tooling and the kit",
    "checksums": "SHA256SUMS and its part that no signature changes",
    "key": "the public half of the signing key; makes a development key where none is named",
    "attestations": "SLSA provenance and the SPDX statement, each a DSSE",
    "signatures": "the signature over SHA256SUMS and its Sigstore bundle",
    "manifest": "the manifest, its DSSE and its bundle",
    "tarball": "the offline kit as one file, and what stands beside it",
    "deliveries": "a signed bundle for each of 21-101, 21-102, 21-103",
    "verifiers": "verify_kit.py and verify.sh beside the kit, so that nothing has to come out of an unverified one",
}
STATE = WORK / "doit.sqlite3"
KEPT = (LOCK, STATE, Path(f"{STATE}-journal"), verdict.beside(KIT_TARBALL.target))
TARGETS = (*(path for row in ARTEFACTS for path in (*row.targets, row.record)), *KEPT)
OUTPUT_FOLDERS = (DIST, WORK)
WHOLE = tuple(row.target for row in ARTEFACTS if row.index)

try:
    require(ARTEFACTS)
    state.prepare(STATE)
    take_tree_for(sys.argv[1:])
except KitError as err:
    raise InvalidDodoFile(str(err)) from None

BuildReporter.summary_of = KIT
DOIT_CONFIG = {
    "default_tasks": ["bundle"],
    "check_file_uptodate": ByContent,
    "backend": "sqlite3",
    "dep_file": str(STATE),
    "reporter": BuildReporter,
    "verbosity": 2,
}


def task_artefacts() -> Iterator[dict[str, Any]]:
    """Every file below artifacts/lnm/, rebuilt when what it reads, or it itself, has changed.

    The groups are «up to date» by themselves, so that doit has nothing to write down of a run that made nothing.
    """
    for group, doc in GROUPS.items():
        yield {"basename": group, "name": None, "doc": doc, "uptodate": [True]}
    for artefact in ARTEFACTS:
        yield artefact.task()


def task_prune() -> dict[str, Any]:
    """Removes from the output folders what nothing makes any more."""
    return {
        "actions": [(prune, (OUTPUT_FOLDERS, TARGETS, WHOLE))],
        "uptodate": [holds(lambda: not stale(OUTPUT_FOLDERS, TARGETS, WHOLE), "there is something that nothing makes any more")],
    }


def task_verdict() -> dict[str, Any]:
    """Removes the verdict of `nox -s repro` once it is about another tarball; no build makes or reads one."""
    current = holds(lambda: not verdict.is_outdated(KIT_TARBALL.target), "the verdict is about another tarball")
    return {"actions": [(verdict.remove, (KIT_TARBALL.target,))], "task_dep": ["tarball"], "uptodate": [current]}


def task_identity() -> dict[str, Any]:
    """Asks for the identity that signs (LNM_SIGN=keyless) before anything is built, where it has not signed yet.

    Whether what it has signed is still current nobody knows so early; a build that must sign again asks when it comes to that.
    """
    wanted = SIGNER is not None and not SIGNER.is_development and not all(row.target.exists() for row in KEYLESS_ROWS)
    return {"actions": [(keyless.require_identity,)] if wanted else None, "uptodate": [not wanted]}


def task_bundle() -> dict[str, Any]:
    """The signed offline kit and everything beside it (the default)."""
    every_reason = {"name": "verbosity", "short": "v", "type": int, "default": 1, "help": "2: every reason of everything made"}
    return {"actions": None, "task_dep": ["identity", "prune", *GROUPS, "verdict"], "uptodate": [True], "params": [every_reason]}
