"""`python -m scripts.verify`, as nox runs it, over the kit that was built and over kits with one lie in them.

The lies are told in a kit without images, a seventh as large; tests/verify/test_image_statements.py has those about images.
Two of its checks take nine tenths of its time. Where a test changes nothing that they read they are left out, as they pass then
as they do on the honest kit; LNM_FAULTS=all leaves out none.
"""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.build.conftest import built, wheels  # noqa: F401 - fixtures: a tree that was built once
from tests.build.cosign_box import sealed
from tests.build.trees import Said, Tree, traces
from tests.conftest import ROOT
from tests.faults.verifiers import ALL

VERIFIERS, FOREIGN = "the kit, by both single-file verifiers", "SBOMs, by the tools of others"
BESIDE_THE_KIT = (VERIFIERS, FOREIGN)
"""The slow checks, which read the kit, as folder and tarball, or its SBOMs, and nothing beside it but the key."""
TITLES = (
    "the output folder",
    VERIFIERS,
    "checksums, by sha256sum",
    "signatures over blobs, by three tools",
    "signed statements",
    "identity signatures",
    "images, and what is signed about them",
    "SBOMs",
    FOREIGN,
    "tarball and folder are one kit",
    "delivery bundles are parts of the kit",
    "reproducibility",
)


@dataclasses.dataclass(frozen=True)
class Kit:
    """A copy of an output folder."""

    dist: Path
    version: str

    @property
    def folder(self) -> Path:
        return self.dist / f"concelier-lnm-{self.version}"

    @property
    def tarball(self) -> Path:
        return self.dist / f"lnm-offline-kit-{self.version}.tar.gz"

    def bundle(self, delivery: str) -> Path:
        return self.dist / f"lnm-{delivery}-{self.version}.tar.gz"


@pytest.fixture
def kit(built: Tree, tmp_path: Path) -> Iterator[Kit]:  # noqa: F811 - the fixture
    """A copy of a kit without images that a lie may be told in."""
    shutil.copytree(built.dist, tmp_path / "dist", symlinks=True)
    yield Kit(tmp_path / "dist", built.version)
    shutil.rmtree(tmp_path / "dist")


def without_cosign() -> str:
    """The PATH less the folders that have a cosign."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not Path(folder, "cosign").exists())


def stage(kit: Kit, *options: str, before: tuple[str, ...] = (), without: tuple[str, ...] = (), **environment: str) -> Said:
    """Runs the stage as nox does, or what is left of it without some checks."""
    module = ("tests.verify.part", *without, "--") if without and not ALL else ("scripts.verify",)
    command = [*before, sys.executable, "-m", *module, "--dist", str(kit.dist), *options]
    merged = {**os.environ, "PATH": without_cosign(), **environment}
    if "LNM_TRUSTED_KEY" not in environment:
        merged.pop("LNM_TRUSTED_KEY", None)
    done = subprocess.run(command, cwd=ROOT, env=merged, capture_output=True, text=True, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


@functools.cache
def alone() -> tuple[str, ...]:
    """Words before a command that take the network from it; none where that may not be done here."""
    words = ("unshare", "--map-root-user", "--net")
    may = (
        shutil.which("unshare") is not None and not subprocess.run([*words, "true"], check=False, capture_output=True).returncode
    )
    return words if may else ()


def titles(said: Said) -> list[str]:
    """The checks that were run."""
    return [line for line in said.out.splitlines() if line in TITLES]


def titles_without(left_out: tuple[str, ...]) -> list[str]:
    """The checks that are to be run."""
    return [title for title in TITLES if ALL or title not in left_out]


def another_key(folder: Path) -> Path:
    """A public key that signed nothing."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    path = folder / "other.pub"
    path.write_bytes(public.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo))
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


# ---- the real kit


@pytest.fixture(scope="module")
def honest(dist: Path, version: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Kit, Said]:
    """A copy of the kit under test that nobody changes, and what the stage says of it: asked once for all workers.

    It has no network then, where that may be done here: the whole stage takes long, and the tests below look at one run of it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "honest"
    shared.mkdir(exist_ok=True)
    kit = Kit(shared / "dist", version)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "said").exists():
            shutil.rmtree(kit.dist, ignore_errors=True)
            shutil.copytree(dist, kit.dist, symlinks=True)
            before = traces(kit.dist)
            said = stage(kit, before=alone())
            assert traces(kit.dist) == before
            (shared / "said").write_text(json.dumps(dataclasses.asdict(said)), encoding="utf-8")
    return kit, Said(**json.loads((shared / "said").read_text(encoding="utf-8")))


def test_the_real_kit_passes_and_every_check_says_what_it_found(honest: tuple[Kit, Said]) -> None:
    """Nothing of it is written to: the fixture looks."""
    _, said = honest
    assert said.code == 0, said.text
    assert titles(said) == list(TITLES)
    for title in TITLES:
        assert re.search(rf"^{re.escape(title)}\n(  skipped .*\n)?  ok  ", said.out, re.MULTILINE), title
    assert re.search(r"^verify stage: [0-9]{2} ok, 0 failed, [0-9]+ skipped$", said.out, re.MULTILINE)
    assert "FAILED" not in said.out
    assert said.err == ""


def test_every_file_that_is_signed_or_stated_is_named(honest: tuple[Kit, Said]) -> None:
    kit, said = honest
    for archive in (kit.tarball, *map(kit.bundle, ("21-101", "21-102", "21-103"))):
        for name in (archive.name, f"{archive.name}.sigstore.json", f"{archive.name}.provenance.sigstore.json"):
            assert f"  ok      {name}: " in said.out
    for name in ("SHA256SUMS", "manifest.dsse.json", "attestations/spdx.dsse.json", "attestations/slsa-provenance.dsse.json"):
        assert f"  ok      {kit.folder.name}/{name}: " in said.out


def test_without_cosign_its_opinion_is_missing_and_that_is_said(honest: tuple[Kit, Said]) -> None:
    kit, said = honest
    assert "  skipped cosign: not on the PATH" in said.out
    assert f"  skipped {kit.folder.name}/manifest.sigstore.json: cosign is not on the PATH" in said.out
    with_verdict = Path(f"{kit.tarball}.repro.sigstore.json").exists()  # where nox -s repro was run before
    images = len(list((kit.folder / "images").iterdir()))
    assert said.out.count("\n  skipped ") == 6 + images + with_verdict


def test_with_cosign_nothing_is_skipped(honest: tuple[Kit, Said]) -> None:
    if shutil.which("cosign") is None:
        pytest.skip("cosign is not on the PATH (CI builds it: ci/tools/build.sh)")
    kit, _ = honest
    said = stage(
        kit, without=BESIDE_THE_KIT, PATH=os.environ["PATH"]
    )  # which ask no cosign, and the tests above see what they skip
    assert said.code == 0, said.text
    assert ", 0 failed, 0 skipped" in said.out
    assert "accepted by verify_kit.py, openssl, cosign (.sig), cosign (bundle)" in said.out
    assert "refused by verify_kit.py, openssl, cosign (.sig), cosign (bundle)" in said.out


def test_a_key_from_elsewhere_is_used_and_the_one_beside_the_kit_is_called_what_it_is(
    honest: tuple[Kit, Said], kit: Kit, tmp_path: Path
) -> None:
    _, beside = honest
    assert "not who made it (--key)" in beside.out
    key = str(shutil.copy(kit.dist / "signing-key.pub", tmp_path / "trusted.pub"))
    for said in (stage(kit, "--key", key, without=(FOREIGN,)), stage(kit, without=(FOREIGN,), LNM_TRUSTED_KEY=key)):
        assert said.code == 0, said.text
        assert "not who made it" not in said.out


def test_it_needs_no_network(honest: tuple[Kit, Said]) -> None:
    if not alone():
        pytest.skip("unshare (util-linux) may not make a network namespace here")
    _, said = honest
    assert said.code == 0, said.text


def test_a_kit_signed_with_ed25519_by_a_key_that_is_sealed_as_cosign_does_it_passes(
    built: Tree,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    path, password = tmp_path / "cosign.key", tmp_path / "password"
    path.write_bytes(sealed(ed25519.Ed25519PrivateKey.generate(), b"the password"))
    path.chmod(0o600)
    password.write_text("the password\n")
    tree = copied(built, tmp_path).variant(LNM_SIGNING_KEY=str(path), LNM_SIGNING_KEY_PASSWORD_FILE=str(password))
    tree.bundle()
    said = stage(Kit(tree.dist, tree.version), without=(FOREIGN,), PATH=os.environ["PATH"])
    assert said.code == 0, said.text
    shutil.rmtree(tree.root)


# ---- lies


@dataclasses.dataclass(frozen=True)
class Lie:
    """One thing that is not as the build made it."""

    name: str
    tell: Callable[[Kit], object]
    exit_code: int
    names: tuple[str, ...]
    """What the output must name; {v} is the version."""
    without: tuple[str, ...] = BESIDE_THE_KIT
    """The slow checks that read nothing of what is changed."""


def end(path: Path, suffix: str) -> Path:
    return Path(f"{path}{suffix}")


LIES = (
    Lie("flipped byte in a bundle", lambda kit: flip(kit.bundle("21-101")), 5, ("lnm-21-101-{v}.tar.gz: ",)),
    Lie(
        "flipped byte in the tarball",
        lambda kit: flip(kit.tarball),
        6,
        ("lnm-offline-kit-{v}.tar.gz: verify_kit.py refuses",),
        without=(FOREIGN,),
    ),
    Lie(
        "sig of another bundle",
        lambda kit: shutil.copy(end(kit.bundle("21-102"), ".sig"), end(kit.bundle("21-101"), ".sig")),
        5,
        ("lnm-21-101-{v}.tar.gz: as it is: verify_kit.py, openssl refuse its signature",),
    ),
    Lie(
        "bundle of another bundle",
        lambda kit: shutil.copy(end(kit.bundle("21-102"), ".sigstore.json"), end(kit.bundle("21-101"), ".sigstore.json")),
        5,
        ("lnm-21-101-{v}.tar.gz.sigstore.json: holds another digest",),
    ),
    Lie(
        "provenance of another bundle",
        lambda kit: shutil.copy(
            end(kit.bundle("21-102"), ".provenance.sigstore.json"), end(kit.bundle("21-101"), ".provenance.sigstore.json")
        ),
        5,
        ("lnm-21-101-{v}.tar.gz.provenance.sigstore.json: is about lnm-21-102-{v}.tar.gz",),
    ),
    Lie(
        "two bundles swapped with all that is beside them",
        lambda kit: swap_bundles(kit, "21-101", "21-102"),
        5,
        ("lnm-21-101-{v}.tar.gz.provenance.sigstore.json: is about lnm-21-102-{v}.tar.gz",),
    ),
    Lie("garbage sig", lambda kit: end(kit.bundle("21-103"), ".sig").write_text("???"), 5, ("lnm-21-103-{v}.tar.gz: as it is",)),
    Lie(
        "garbage bundle",
        lambda kit: end(kit.tarball, ".sigstore.json").write_text("{}"),
        5,
        ("lnm-offline-kit-{v}.tar.gz.sigstore.json: is no bundle",),
    ),
    Lie(
        "garbage provenance",
        lambda kit: end(kit.tarball, ".provenance.sigstore.json").write_text("[]"),
        5,
        ("lnm-offline-kit-{v}.tar.gz.provenance.sigstore.json: is no signed statement",),
    ),
    Lie("stray file", lambda kit: (kit.dist / "stray.txt").write_text("x"), 6, ("stray.txt: is in the output folder",)),
    Lie("stray link", lambda kit: (kit.dist / "latest").symlink_to("nowhere"), 6, ("latest: is in the output folder",)),
    Lie("stray folder", lambda kit: (kit.dist / "empty").mkdir(), 6, ("empty/: is in the output folder",)),
    Lie(
        "stray file in the kit",
        lambda kit: (kit.folder / "stray").write_text("x"),
        6,
        ("verify_kit.py refuses it: stray: ",),
        without=(FOREIGN,),
    ),
    Lie(
        "file of the kit missing",
        lambda kit: (kit.folder / "LICENSE").unlink(),
        6,
        ("LICENSE: ", "sha256sum: "),
        without=(FOREIGN,),
    ),
    Lie(
        "sha256 missing", lambda kit: end(kit.tarball, ".sha256").unlink(), 6, ("lnm-offline-kit-{v}.tar.gz.sha256: is missing",)
    ),
    Lie("sig missing", lambda kit: end(kit.bundle("21-101"), ".sig").unlink(), 6, ("lnm-21-101-{v}.tar.gz.sig: is missing",)),
    Lie("bundle missing", lambda kit: kit.bundle("21-103").unlink(), 6, ("lnm-21-103-{v}.tar.gz: is missing",)),
    Lie(
        "provenance missing",
        lambda kit: end(kit.tarball, ".provenance.sigstore.json").unlink(),
        6,
        ("lnm-offline-kit-{v}.tar.gz.provenance.sigstore.json: is missing",),
    ),
    Lie("verifier missing", lambda kit: (kit.dist / "verify.sh").unlink(), 6, ("verify.sh: is missing",)),
    Lie(
        "verifier changed", lambda kit: flip(kit.dist / "verify_kit.py"), 6, ("differs from what lies beside it: verify_kit.py",)
    ),
    Lie("wrong sha256", lambda kit: flip(end(kit.tarball, ".sha256")), 6, ("lnm-offline-kit-{v}.tar.gz.sha256: sha256sum",)),
    Lie(
        "sbom replaced by the other one",
        lambda kit: shutil.copy(kit.folder / "sbom/lnm-tooling.spdx.json", kit.folder / "sbom/lnm-kit.spdx.json"),
        6,
        ("verify_kit.py refuses it: sbom/lnm-kit.spdx.json: ", "sbom/lnm-kit.spdx.json: lists other files than SHA256SUMS"),
        without=(),
    ),
    Lie(
        "sbom that is none",
        lambda kit: (kit.folder / "sbom/lnm-kit.spdx.json").write_text("{}"),
        6,
        ("sbom/lnm-kit.spdx.json: spdx-tools cannot read it",),
        without=(),
    ),
    Lie(
        "envelope file missing",
        lambda kit: (kit.folder / "manifest.dsse.json").unlink(),
        5,
        ("manifest.dsse.json: is not there",),
        without=(FOREIGN,),
    ),
    Lie(
        "key that is none",
        lambda kit: (kit.dist / "signing-key.pub").write_text("x"),
        2,
        ("signing-key.pub: ",),
        without=(FOREIGN,),
    ),
)


def swap_bundles(kit: Kit, one: str, two: str) -> None:
    for suffix in ("", ".sig", ".sigstore.json", ".provenance.sigstore.json"):
        first, second = end(kit.bundle(one), suffix), end(kit.bundle(two), suffix)
        aside = first.with_name("aside")
        first.rename(aside)
        second.rename(first)
        aside.rename(second)


@pytest.mark.parametrize("lie", LIES, ids=[lie.name for lie in LIES])
def test_a_lie_is_found_named_and_has_its_exit_code(kit: Kit, lie: Lie) -> None:
    lie.tell(kit)
    said = stage(kit, without=lie.without)
    assert said.code == lie.exit_code, said.text
    for name in lie.names:
        assert name.format(v=kit.version) in said.out
    assert re.search(rf"^first failure: .+ \[exit {lie.exit_code}\]$", said.err, re.MULTILINE)
    assert "Traceback" not in said.text
    assert titles(said) == titles_without(lie.without)


def test_a_kit_that_another_key_signed_is_refused_with_both_keys(kit: Kit, tmp_path: Path) -> None:
    said = stage(kit, "--key", str(another_key(tmp_path)), without=(FOREIGN,))
    assert said.code == 5
    assert "SHA256SUMS.sigstore.json: signed by key " in said.out
    assert f"{kit.bundle('21-101').name}: as it is: verify_kit.py, openssl refuse its signature" in said.out
    assert f"{kit.folder.name}/manifest.dsse.json: securesystemslib refuses it" in said.out


@pytest.mark.parametrize("gone", ["all", "tarball", "folder", "key"])
def test_without_a_kit_there_is_nothing_to_verify(kit: Kit, gone: str) -> None:
    if gone == "all":
        shutil.rmtree(kit.dist)
        kit.dist.mkdir()
    elif gone == "folder":
        shutil.rmtree(kit.folder)
    else:
        (kit.tarball if gone == "tarball" else kit.dist / "signing-key.pub").unlink()
    said = stage(kit)
    assert said.code == 4
    assert re.fullmatch(r"error: .+: not there\n  next: doit bundle \[exit 4\]\n", said.err)


# ---- parts of another build, every one of them rightly signed by the same key


def copied(built: Tree, folder: Path) -> Tree:  # noqa: F811 - the fixture's value
    tree = Tree(folder / "tree", built.version, built.environment)
    shutil.copytree(built.root, tree.root, symlinks=True)
    return tree


@pytest.fixture
def two_builds(built: Tree, tmp_path: Path) -> Iterator[tuple[Kit, Kit]]:  # noqa: F811 - the fixture
    """One build, and another of the same version by the same key with a word more in a page of 21-102."""
    shutil.copytree(built.dist, tmp_path / "one")
    tree = copied(built, tmp_path)
    tree.append("bundle-layout/migrations/21-102/README.md", "\nchanged\n")
    tree.bundle()
    yield Kit(tmp_path / "one", built.version), Kit(tree.dist, built.version)
    shutil.rmtree(tmp_path / "one")
    shutil.rmtree(tree.root)


def test_the_tarball_of_another_build_is_found(two_builds: tuple[Kit, Kit]) -> None:
    kit, another = two_builds
    for path in another.dist.glob(f"{another.tarball.name}*"):
        shutil.copy(path, kit.dist)
    said = stage(kit, without=(FOREIGN,))
    assert said.code == 6, said.text
    wanted = f"{kit.tarball.name}: differs from what lies beside it: "
    assert wanted in said.err
    assert f"{kit.folder.name}/migrations/21-102/README.md" in said.err
    assert said.out.count("FAILED") == 1


def test_a_bundle_of_another_build_is_found(two_builds: tuple[Kit, Kit]) -> None:
    kit, another = two_builds
    for path in another.dist.glob(f"{another.bundle('21-102').name}*"):
        shutil.copy(path, kit.dist)
    said = stage(kit, without=(FOREIGN,))
    assert said.code == 6, said.text
    assert f"{kit.bundle('21-102').name}: differs from the kit: migrations/21-102/README.md" in said.err
    assert said.out.count("FAILED") == 1
