"""What is measured beside what, at which sizes, with which goal: one row each. A new bench is a new row."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from scripts import oci
from tests.bench.measure import Command, nothing
from tests.bench.trees import doit, mirror
from tests.build.trees import Tree

STEP = Path(__file__).with_name("step.py")
KIT_STAGE = ("sbom", "checksums", "attestations", "signatures", "manifest", "tarball")
"""The groups between the payload as it is laid out and the signed tarball."""
MIGRATION = "bundle-layout/migrations/21-101/migration.py"
TAR = (
    "tar --sort=name --mtime=@$1 --owner=0 --group=0 --numeric-owner --format=posix"
    " --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --create $2 | pigz -6n -p2 >$3"
)
IMAGE = "image:lnm-runner-linux-amd64"
BUILDAH = (
    'b="buildah --root $1/store --runroot $1/run --storage-driver vfs"; c=$($b from scratch)'
    " && $b add -q $c $2 / >$1/said && $b commit -q --timestamp 0 $c built >>$1/said"
)
MB_SIZES, TARGET_SIZES, FILE_SIZES = (3, 30, 300), (60, 600, 6000), (30, 300, 3000)


@dataclasses.dataclass(frozen=True)
class Bench:
    """One row."""

    name: str
    ours: Callable[[Tree], Command]
    what: str
    """What `ours` is, in words."""
    beside: Callable[[Tree], Command] | None = None
    theirs: str = ""
    """What `beside` is, in words."""
    unit: str = "MB"
    sizes: tuple[int, ...] = MB_SIZES
    repeats: tuple[int, ...] = (7, 5, 7)
    """At each of the sizes."""
    goal: float | None = None
    """The most that ours / beside may be, at the size `goal_at`."""
    goal_at: int = 300
    memory_goal_mb: int | None = None
    programs: tuple[str, ...] = ()
    """Of other packages, that have to be there."""


def command(tree: Tree, *argv: str | Path, before: Callable[[], object] = nothing, cwd: Path | None = None) -> Command:
    """A command in a tree."""
    return Command(tuple(map(str, argv)), cwd or tree.root, tree.environment, before)


def build(tree: Tree, *tasks: str, before: Callable[[], object] = nothing) -> Command:
    """A command of doit."""
    return command(tree, *doit(*tasks), before=before)


def forget(tree: Tree, *tasks: str) -> Callable[[], object]:
    """Has doit make these tasks anew, and those alone, although their targets are there."""

    def before() -> None:
        said = tree.doit("forget", *tasks)
        assert said.code == 0, said.text

    return before


def kit_stage(tree: Tree) -> Command:
    """Everything between the payload as it is laid out and the signed tarball."""
    return build(tree, "tarball", before=forget(tree, *KIT_STAGE))


def step(tree: Tree, target: Path) -> Command:
    """The step of one row, without doit."""
    return command(tree, sys.executable, STEP, target.relative_to(tree.root), tree.root.with_name("step.out"))


def tar_and_pigz(tree: Tree) -> Command:
    """The folder of the kit as one archive."""
    epoch = (tree.root / "SOURCE_DATE_EPOCH").read_text(encoding="ascii").strip()
    script = ("sh", "-c", TAR, "sh", epoch, tree.kit.name, tree.root.with_name("tar.out"))
    return command(tree, *script, cwd=tree.kit.parent)


def verify_kit(tree: Tree, kit: Path) -> Command:
    """The single-file verifier."""
    return command(tree, sys.executable, tree.dist / "verify_kit.py", "--key", tree.dist / "signing-key.pub", kit)


def verify_sh(tree: Tree, kit: Path) -> Command:
    """The verifier in shell."""
    return command(tree, "sh", tree.dist / "verify.sh", tree.dist / "signing-key.pub", kit)


def sha256sum_check(tree: Tree) -> Command:
    """The list of checksums, and nothing else of what a verifier does."""
    return command(tree, "sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=tree.kit)


def gzip_and_sha256sum(tree: Tree) -> Command:
    """Unpacks and hashes the tarball as one stream."""
    return command(tree, "sh", "-c", 'gzip -dc "$1" | sha256sum', "sh", tree.tarball)


def change_migration(tree: Tree) -> Command:
    """A build after one line more in one migration."""
    return build(tree, "bundle", before=lambda: tree.append(MIGRATION, "# one line more\n"))


def build_all(tree: Tree) -> Command:
    """A build where nothing was built; the wheels were fetched before."""
    return build(tree, "bundle", before=lambda: shutil.rmtree(tree.root / "artifacts"))


def one_image(tree: Tree) -> Command:
    """The image for one platform from its parts, the Debian packages and wheels being there."""
    parts = [f"image:linux-amd64/{part}" for part in ("base", "base.json", "wheels")]
    return build(tree, IMAGE, before=forget(tree, *parts, "image:migrations", IMAGE))


def changed_image(tree: Tree) -> Command:
    """The same image after one line more in one migration."""
    return build(tree, IMAGE, before=lambda: tree.append(MIGRATION, "# one line more\n"))


def buildah(tree: Tree) -> Command:
    """Adds the unpacked image to an empty one and commits that, in a storage of its own."""
    place = tree.root.with_name("buildah")
    root = place / "rootfs"
    if not root.exists():
        unpack(tree.kit / "images/lnm-runner-linux-amd64", root)
    return command(
        tree, "sh", "-c", BUILDAH, "sh", place, root, before=lambda: tree.run("rm", "-rf", place / "store", place / "run")
    )


def unpack(layout: Path, root: Path) -> None:
    """Unpacks the layers of an image over one another."""
    (entry,) = oci.read_index(layout)
    for item in oci.read_document(layout, entry)["layers"]:
        with tarfile.open(oci.blob(layout, item["digest"])) as packed:
            packed.extractall(root, filter="fully_trusted")  # noqa: S202 - ours


def kit_sbom(tree: Tree) -> Command:
    """The step that writes the kit's SBOM."""
    return step(tree, tree.kit / "sbom/lnm-kit.spdx.json")


TARBALL_SIDE = "`tar --sort=name … \\| pigz -6n -p2`"
BENCHES = (
    Bench(
        "kit-stage",
        kit_stage,
        "`doit tarball` from the laid-out payload: SBOMs, checksums, statements, signatures, manifest, tarball and its provenance",
        tar_and_pigz,
        TARBALL_SIDE,
        goal=0.7,
        memory_goal_mb=100,
        programs=("tar", "pigz"),
    ),
    Bench(
        "tarball",
        lambda tree: step(tree, tree.tarball),
        "the step `tarball.write` alone, without doit",
        tar_and_pigz,
        TARBALL_SIDE,
        programs=("tar", "pigz"),
    ),
    Bench(
        "verify-folder",
        lambda tree: verify_kit(tree, tree.kit),
        "`verify_kit.py` on the unpacked kit",
        sha256sum_check,
        "`sha256sum --check`",
        goal=0.6,
        programs=("sha256sum",),
    ),
    Bench(
        "verify-tarball",
        lambda tree: verify_kit(tree, tree.tarball),
        "`verify_kit.py` on the tarball",
        gzip_and_sha256sum,
        "`gzip -dc \\| sha256sum`",
        goal=1.5,
        programs=("gzip", "sha256sum"),
    ),
    Bench(
        "verify-sh-folder",
        lambda tree: verify_sh(tree, tree.kit),
        "`verify.sh` on the unpacked kit",
        sha256sum_check,
        "`sha256sum --check`",
        programs=("sha256sum", "openssl"),
    ),
    Bench(
        "verify-sh-tarball",
        lambda tree: verify_sh(tree, tree.tarball),
        "`verify.sh` on the tarball",
        gzip_and_sha256sum,
        "`gzip -dc \\| sha256sum`",
        repeats=(7, 5, 3),
        programs=("gzip", "sha256sum", "openssl"),
    ),
    Bench(
        "noop",
        lambda tree: build(tree, "bundle"),
        "`doit bundle` with nothing to do",
        lambda tree: build(tree, "--version"),
        "`doit --version`",
        unit="targets",
        sizes=TARGET_SIZES,
        repeats=(15, 9, 5),
        goal=3,
        goal_at=60,
    ),
    Bench(
        "noop-make",
        lambda tree: build(tree, "bundle"),
        "`doit bundle` with nothing to do",
        lambda tree: command(tree, "make", "-r", cwd=mirror(tree)),
        "`make -r` on the same graph",
        unit="targets",
        sizes=TARGET_SIZES,
        repeats=(15, 9, 5),
        programs=("make", "ninja"),
    ),
    Bench(
        "noop-ninja",
        lambda tree: build(tree, "bundle"),
        "`doit bundle` with nothing to do",
        lambda tree: command(tree, "ninja", cwd=mirror(tree)),
        "`ninja` on the same graph",
        unit="targets",
        sizes=TARGET_SIZES,
        repeats=(15, 9, 5),
        programs=("make", "ninja"),
    ),
    Bench("sbom", kit_sbom, "the step `sbom_kit.write` alone, validation included", unit="files", sizes=FILE_SIZES),
    Bench(
        "rebuild",
        change_migration,
        "`doit bundle` after one line more in one migration",
        build_all,
        "`doit bundle` from nothing, wheels fetched before",
        repeats=(5, 3, 3),
        goal=0.25,
        goal_at=3,
    ),
    Bench(
        "image",
        one_image,
        "`doit image:lnm-runner-linux-amd64` from the fetched Debian packages and wheels, SHA-256 and gzip included",
        buildah,
        "`buildah from scratch`, `add`, `commit` of the same tree, unpacked before",
        unit="image",
        sizes=(1,),
        repeats=(5,),
        goal=1.5,
        goal_at=1,
        programs=("buildah",),
    ),
    Bench(
        "image-migration",
        changed_image,
        "the same after one line more in one migration",
        one_image,
        "the same from the fetched packages and wheels",
        unit="image",
        sizes=(1,),
        repeats=(5,),
        goal=0.25,
        goal_at=1,
    ),
)
