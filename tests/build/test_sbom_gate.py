"""scripts/sbom_gate.py: an SBOM that is absent, empty or about other bytes stops the build before anything is signed."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import checksums, sbom_gate
from scripts.errors import ChecksumError, InputError, KitError, MissingError
from tests.build.trees import Tree, is_payload
from tests.conftest import ROOT

LOCK = ROOT / "requirements/build.txt"
KIT, TOOLING = sbom_gate.KIT, sbom_gate.TOOLING


@pytest.fixture
def payload(built: Tree, tmp_path: Path) -> tuple[Path, ...]:
    """The payload of a real build, copied to where it may be spoilt."""
    names = [path.relative_to(built.kit) for path in sorted(built.kit.rglob("*")) if path.is_file()]
    for name in filter(lambda name: is_payload(name.as_posix()), names):
        (tmp_path / "kit" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kit" / name).write_bytes((built.kit / name).read_bytes())
    return tuple(path for path in sorted((tmp_path / "kit").rglob("*")) if path.is_file())


def passes(base: Path, tree: tuple[Path, ...], lock: Path = LOCK) -> bytes:
    out = io.BytesIO()
    sbom_gate.write(out, tree=tree, lock=lock, base=base)
    return out.getvalue()


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def root_of(document: dict[str, Any]) -> Any:
    return sbom_gate.root_of(document)


def test_a_real_payload_passes_and_its_list_is_that_of_checksums(payload: tuple[Path, ...], tmp_path: Path) -> None:
    wanted = io.BytesIO()
    checksums.write_tree(wanted, tree=payload, base=tmp_path / "kit")
    assert passes(tmp_path / "kit", payload) == wanted.getvalue()


@dataclasses.dataclass(frozen=True)
class Lie:
    name: str
    tell: Callable[[Path], object]
    error: type[KitError]
    words: str


LIES = (
    Lie("kit's sbom gone", lambda base: (base / KIT).unlink(), MissingError, f"{KIT}: the payload has no such SBOM"),
    Lie("tooling's sbom gone", lambda base: (base / TOOLING).unlink(), MissingError, f"{TOOLING}: the payload has no such SBOM"),
    Lie("no bytes", lambda base: (base / KIT).write_bytes(b""), InputError, f"{KIT}: not JSON"),
    Lie(
        "an empty object", lambda base: (base / KIT).write_text("{}"), InputError, f"{KIT}: 0 packages, 0 files; wanted packages"
    ),
    Lie("a list", lambda base: (base / TOOLING).write_text("[]"), InputError, f"{TOOLING}: 0 packages, 0 files; wanted packages"),
    Lie("odd forms", lambda base: (base / KIT).write_text('{"packages": 1, "files": [1]}'), InputError, "0 packages, 0 files"),
    Lie("no packages", lambda base: edit(base / KIT, lambda found: found.update(packages=[])), InputError, "0 packages"),
    Lie(
        "the described package alone",
        lambda base: edit(base / TOOLING, lambda found: found.update(packages=[root_of(found)])),
        InputError,
        f"{TOOLING}: 1 packages, 0 files; wanted packages beside the one it describes",
    ),
    Lie("no files", lambda base: edit(base / KIT, lambda found: found.pop("files")), InputError, ", 0 files; wanted packages"),
    Lie("the other one", lambda base: (base / KIT).write_bytes((base / TOOLING).read_bytes()), InputError, "0 files"),
    Lie(
        "a file that changed since",
        lambda base: (base / "README.md").write_text("x"),
        ChecksumError,
        "sha256 of README.md: found ",
    ),
    Lie(
        "a file that it has not",
        lambda base: edit(base / KIT, lambda found: found["files"].pop(0)),
        ChecksumError,
        "LICENSE: found 0 times, wanted 1",
    ),
    Lie(
        "a file that the payload has not",
        lambda base: edit(base / KIT, lambda found: found["files"].append({**found["files"][0], "fileName": "./x"})),
        ChecksumError,
        "x: found 1 times, wanted 0",
    ),
    Lie(
        "a file twice",
        lambda base: edit(base / KIT, lambda found: found["files"].append(found["files"][0])),
        ChecksumError,
        "LICENSE: found 2 times, wanted 1",
    ),
    Lie(
        "itself",
        lambda base: edit(base / KIT, lambda found: found["files"].append({**found["files"][0], "fileName": f"./{KIT}"})),
        ChecksumError,
        f"{KIT}: lists itself",
    ),
    Lie(
        "a file without a digest",
        lambda base: edit(base / KIT, lambda found: found["files"][0].pop("checksums")),
        ChecksumError,
        "sha256 of LICENSE: found nothing…",
    ),
    Lie(
        "a kit without a digest",
        lambda base: edit(base / KIT, lambda found: root_of(found).pop("checksums")),
        ChecksumError,
        "sha256 of the kit's package: found nothing…",
    ),
    Lie(
        "nothing described",
        lambda base: edit(base / TOOLING, lambda found: found["relationships"].clear()),
        ChecksumError,
        f"{TOOLING}: sha256 of build.txt in its first package: found nothing…",
    ),
)


@pytest.mark.parametrize("lie", LIES, ids=[lie.name for lie in LIES])
def test_a_payload_with_another_sbom_is_refused(payload: tuple[Path, ...], tmp_path: Path, lie: Lie) -> None:
    lie.tell(tmp_path / "kit")
    with pytest.raises(lie.error) as caught:
        passes(tmp_path / "kit", payload)
    assert lie.words in caught.value.message
    assert caught.value.hint


def test_an_sbom_of_another_lock_is_refused(payload: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "build.txt").write_bytes(LOCK.read_bytes() + b"\n")
    with pytest.raises(
        ChecksumError, match=r"lnm-tooling\.spdx\.json: sha256 of build\.txt in its first package: found .+ wanted "
    ):
        passes(tmp_path / "kit", payload, tmp_path / "build.txt")


def test_an_sbom_beside_the_payload_is_none_of_it(payload: tuple[Path, ...], tmp_path: Path) -> None:
    rest = tuple(path for path in payload if not path.match(KIT))
    with pytest.raises(MissingError, match="has no such SBOM"):
        passes(tmp_path / "kit", rest)


# ---- in a whole build


@dataclasses.dataclass(frozen=True)
class Defect:
    name: str
    file: str
    old: str
    new: str
    words: str


DEFECTS = (
    Defect(
        "absent",
        "dodo.py",
        'KIT / "sbom/lnm-tooling.spdx.json"',
        'KIT / "sbom/other.spdx.json"',
        "sbom/lnm-tooling.spdx.json: the payload has no such SBOM",
    ),
    Defect(
        "empty",
        "scripts/sbom_tooling.py",
        'out.write(sbom.render(sbom.document("lnm-tooling", epoch, identity, packages, edges), "lnm-tooling.spdx.json"))',
        'out.write(b"{}\\n" if identity and packages and edges else b"")',
        "sbom/lnm-tooling.spdx.json: 0 packages, 0 files; wanted packages beside the one it describes",
    ),
    Defect(
        "for other digests",
        "scripts/sbom_files.py",
        "return sha1, files.sha256_of(path)",
        'return sha1, "0" * 64',
        "sbom/lnm-kit.spdx.json: sha256 of LICENSE: found 000000000000…, wanted ",
    ),
)


@pytest.mark.parametrize("defect", DEFECTS, ids=[defect.name for defect in DEFECTS])
def test_a_build_with_an_sbom_that_is_wrong_stops_before_it_signs(sources: Tree, defect: Defect) -> None:
    sources.edit(defect.file, defect.old, defect.new)
    said = sources.doit("bundle")
    assert said.code == 1
    assert defect.words in said.text
    assert "\n  next: doit forget sbom" in said.text
    assert "Traceback" not in said.text
    signed = [path.name for path in sources.dist.rglob("*") if path.name.endswith((".sig", ".dsse.json", ".sigstore.json"))]
    assert signed == []
    assert not sources.tarball.exists()
