"""The images of the kit as others read them: OCI's own JSON schemas, skopeo, umoci, podman with runc. None of them is needed by a user."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from referencing.jsonschema import DRAFT4

SCHEMAS = Path("/usr/share/gocode/src/github.com/opencontainers/image-spec/schema")
PLATFORMS = ("linux-amd64", "linux-arm64")
LIMIT_BYTES = 20_000_000
PODMAN_S = 120


def needs(*tools: str) -> None:
    """Skips by name where one of these is not here."""
    missing = [tool for tool in tools if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: ci/apt.txt")


def ran(*command: str | Path) -> str:
    """What a program prints that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=PODMAN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=PLATFORMS)
def layout(request: pytest.FixtureRequest, dist: Path, version: str) -> Path:
    """The layout of an image of the kit."""
    path = dist / f"concelier-lnm-{version}/images/lnm-runner-{request.param}"
    if not path.is_dir():
        pytest.skip("this kit was built without an image: its manifest says why")
    return path


def document(layout: Path, item: dict[str, str]) -> Any:
    return json.loads((layout / "blobs" / item["digest"].replace(":", "/")).read_bytes())


def entry(layout: Path) -> dict[str, Any]:
    """The one descriptor in the index."""
    (found,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return dict(found)


def schemas() -> dict[str, jsonschema.Draft4Validator]:
    """`{file: validator}` of the schemas that Debian ships with image-spec."""
    if not SCHEMAS.is_dir():
        pytest.skip("no golang-github-opencontainers-image-spec-dev: ci/apt.txt")
    texts = {path.name: json.loads(path.read_bytes()) for path in SCHEMAS.glob("*.json")}
    registry: Any = referencing.Registry()
    for name, text in texts.items():
        resource = referencing.Resource.from_contents(text, default_specification=DRAFT4)
        for place in {name, text.get("id", name), *(f"https://opencontainers.org/schema/{above}{name}" for above in ABOVE)}:
            registry = registry.with_resource(place, resource)
    return {name: jsonschema.Draft4Validator(text, registry=registry) for name, text in texts.items()}


ABOVE = ("", "image/", "image/descriptor/", "descriptor/")


def test_the_schemas_of_oci_accept_every_document_and_refuse_a_spoilt_one(layout: Path) -> None:
    known = schemas()
    manifest = document(layout, entry(layout))
    documents = {
        "image-layout-schema.json": json.loads((layout / "oci-layout").read_bytes()),
        "image-index-schema.json": json.loads((layout / "index.json").read_bytes()),
        "image-manifest-schema.json": manifest,
        "config-schema.json": document(layout, manifest["config"]),
    }
    for name, found in documents.items():
        assert [error.message for error in known[name].iter_errors(found)] == []
    assert not known["image-manifest-schema.json"].is_valid({**manifest, "schemaVersion": "2"})
    assert not known["config-schema.json"].is_valid({**documents["config-schema.json"], "rootfs": {}})


def test_it_is_small(layout: Path) -> None:
    assert sum(path.stat().st_size for path in layout.rglob("*") if path.is_file()) <= LIMIT_BYTES


def test_skopeo_sees_the_same_digest_and_keeps_it(layout: Path, tmp_path: Path) -> None:
    needs("skopeo")
    digest = entry(layout)["digest"]
    raw = ran("skopeo", "inspect", "--raw", f"oci:{layout}")
    assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == digest

    ran("skopeo", "copy", "--quiet", f"oci:{layout}", f"dir:{tmp_path / 'dir'}")
    ran("skopeo", "copy", "--quiet", f"dir:{tmp_path / 'dir'}", f"oci:{tmp_path / 'again'}")

    assert entry(tmp_path / "again")["digest"] == digest


def test_umoci_unpacks_it_to_what_the_layers_hold(layout: Path, version: str, tmp_path: Path) -> None:
    needs("umoci")
    ran("umoci", "unpack", "--rootless", "--image", f"{layout}:{version}", tmp_path / "bundle")

    root, names = tmp_path / "bundle/rootfs", set()
    for item in document(layout, entry(layout))["layers"]:
        with tarfile.open(layout / "blobs" / item["digest"].replace(":", "/")) as layer:
            for member in layer:
                names.add(member.name)
                path = root / member.name
                assert path.is_symlink() == member.issym()
                if member.isreg():
                    assert path.stat().st_size == member.size
    assert {path.relative_to(root).as_posix() for path in root.rglob("*")} == names


@pytest.fixture
def podman() -> Iterator[tuple[str, ...]]:
    """The command, with a storage of its own; podman wants its path to be short."""
    needs("podman", "runc")
    if os.geteuid() != 0:
        pytest.skip("podman is tried as root alone: rootless it needs subordinate ids")
    with tempfile.TemporaryDirectory(prefix="p", ignore_cleanup_errors=True) as place:
        command = (
            "podman",
            "--root",
            f"{place}/root",
            "--runroot",
            f"{place}/run",
            "--storage-driver",
            "vfs",
            "--runtime",
            "runc",
        )
        yield command
        subprocess.run([*command, "system", "reset", "--force"], capture_output=True, check=False, timeout=PODMAN_S)


def test_podman_loads_it_under_its_digest_and_runs_it_as_nobody(
    podman: tuple[str, ...], dist: Path, version: str, tmp_path: Path
) -> None:
    layout = dist / f"concelier-lnm-{version}/images/lnm-runner-linux-amd64"
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        archive.add(layout, ".")

    name = ran(*podman, "load", "--quiet", "--input", tmp_path / "image.tar").strip().rpartition(": ")[2]

    assert ran(*podman, "image", "inspect", "--format", "{{.Digest}}", name).strip() == entry(layout)["digest"]
    alone = ("--read-only", "--cap-drop=all", "--security-opt", "no-new-privileges", "--network", "none")
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")  # what podman sets by itself is not allowed here
    assert ran(*podman, "run", "--rm", *alone, *limits, name, "--version") == f"lnm {version}\n"
    assert name == f"stella-ops.org/concelier/lnm-runner:{version}"
    named = f"stella-ops.org/concelier/lnm-runner@{entry(layout)['digest']}"  # as runner/README.md says
    assert ran(*podman, "run", "--rm", *alone, *limits, named, "--version") == f"lnm {version}\n"
