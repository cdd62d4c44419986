"""The runner as it is in the image: by bubblewrap, as nobody special, without capabilities, on a root that cannot be written."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.runner.fixtures import Site, watched
from tests.runner.installed import Answer
from tests.runner.kits import Kit

pytestmark = pytest.mark.mongod

NOBODY = 65532
TIMEOUT_S = 120
IMAGE = "images/lnm-runner-linux-amd64"
BAKED = "opt/lnm/migrations"


@pytest.fixture(scope="session", name="kit")
def whole_kit(built_kit: Kit) -> Kit:
    """With its images and all of its wheels."""
    return built_kit


@dataclass(frozen=True)
class Container:
    """An image, unpacked; and what is mounted into it."""

    root: Path
    config: dict[str, Any]
    """The image's config: what it runs, as whom, with which variables."""
    mounted: Path
    """A folder with the kit, the key and the authority of the server's certificate."""

    def __call__(self, *arguments: str, variables: dict[str, str] | None = None, wanted: int = 0) -> Answer:
        """Runs the image's entry point."""
        return self.run([*self.config["Entrypoint"], *arguments], variables or {}, wanted)

    def python(self, code: str) -> str:
        """What a program prints that the image's own Python runs; there is no shell to ask."""
        return self.run(["/usr/bin/python3.11", "-c", code], {}, 0).stdout

    def run(self, command: list[str], variables: dict[str, str], wanted: int) -> Answer:
        """Runs a program in there; who starts it is nobody, too."""
        done = subprocess.run(
            [*self.bubblewrap(variables), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            env={"PATH": os.defpath},
            user=NOBODY if os.geteuid() == 0 else None,
            group=NOBODY if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )
        assert "Traceback" not in done.stdout + done.stderr
        assert done.returncode == wanted, done.stdout + done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def bubblewrap(self, variables: dict[str, str]) -> list[str]:
        """The command before the command: all namespaces are new but that of the network."""
        of_image = dict(line.split("=", 1) for line in self.config["Env"])
        settings = [word for name, value in {**of_image, **variables}.items() for word in ("--setenv", name, value)]
        mounts = [
            "--ro-bind",
            str(self.root),
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/var/lib/lnm",
            "--tmpfs",
            "/tmp",  # noqa: S108
        ]
        alone = ["--unshare-all", "--share-net", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
        return [
            "bwrap",
            *alone,
            "--uid",
            str(NOBODY),
            "--gid",
            str(NOBODY),
            *mounts,
            "--ro-bind",
            str(self.mounted),
            "/mnt",
            *settings,
        ]


@pytest.fixture(scope="module")
def container(kit: Kit) -> Iterator[Container]:
    """The image of the kit; its files are where every user may read them."""
    if shutil.which("bwrap") is None:
        pytest.skip("no bwrap: apt install bubblewrap")
    if not (kit.folder / IMAGE).is_dir():
        pytest.skip("this kit was built without an image: the manifest says why")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        shutil.copytree(kit.folder, place / "mounted/kit")
        shutil.copy(kit.key, place / "mounted/key.pub")
        (place / "root").mkdir()
        config = unpacked(kit.folder / IMAGE, place / "root")
        (place / "root/mnt").mkdir()
        yield Container(place / "root", config["config"], place / "mounted")


def unpacked(layout: Path, root: Path) -> dict[str, Any]:
    """Unpacks the layers over one another; returns the config."""

    def blob(item: dict[str, str]) -> bytes:
        return (layout / "blobs" / item["digest"].replace(":", "/")).read_bytes()

    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads(blob(entry))
    for item in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(blob(item))) as layer:
            layer.extractall(root, filter="fully_trusted")  # noqa: S202 - ours
    config: dict[str, Any] = json.loads(blob(manifest["config"]))
    return config


@pytest.fixture
def reaches(container: Container, site: Site) -> dict[str, str]:
    """What the runner has to be told in there."""
    authority = site.server.tls.partition("tlsCAFile=")[2]
    shutil.copy(authority, container.mounted / "ca.pem")
    return {
        "CONCELIER_DB": site.database.name,
        "CONCELIER_MONGO_URI": site.uri("operator").replace(authority, "/mnt/ca.pem"),
        "LNM_TRUSTED_KEY": "/mnt/key.pub",
    }


def test_it_says_what_it_is(container: Container, version: str) -> None:
    assert container("--version").stdout == f"lnm {version}\n"
    assert "Applies the Link-Not-Merge migrations" in container(*container.config["Cmd"]).stdout


def test_it_applies_21_101_to_a_real_server_and_a_second_time_writes_nothing(
    container: Container, reaches: dict[str, str], site: Site
) -> None:
    command = ("apply", "21-101", "--kit", "/mnt/kit", "--execute", "--json")

    assert container(*command, variables=reaches).json["ok"]
    assert "lnm_obs_artifact_unique" in site.database["advisory_observations"].index_information()
    with watched(site.server) as writes:
        container(*command, variables=reaches)
    assert writes.oplog == []


def test_it_backfills_and_validates(container: Container, reaches: dict[str, str], site: Site) -> None:
    """What needs the packages beside the driver, and sqlite on a disk."""
    authority = site.server.tls.partition("tlsCAFile=")[2]
    site.add_user("seeder", "lnmSeedDemo")
    uris = {name: site.uri(name).replace(authority, "/mnt/ca.pem") for name in ("seeder", "backfiller")}
    container("seed-demo", "--execute", variables={**reaches, "CONCELIER_MONGO_URI": uris["seeder"]})
    container("apply", "21-101", "--kit", "/mnt/kit", "--execute", variables=reaches)

    backfill = ("backfill", "--kit", "/mnt/kit", "--execute", "--json")
    answer = container(*backfill, variables={**reaches, "CONCELIER_MONGO_URI": uris["backfiller"]}).json

    assert answer["outputs"]["advisory_observations"] == site.database["advisory_observations"].count_documents({})
    assert answer["outputs"]["advisory_observations"] > 0


def test_a_kit_with_other_migrations_than_are_baked_in_is_refused(container: Container, reaches: dict[str, str]) -> None:
    migration = container.root / BAKED / "21-101/migration.py"
    data = migration.read_bytes()
    migration.write_bytes(data + b"#\n")
    try:
        error = container("plan", "21-101", "--kit", "/mnt/kit", "--json", variables=reaches, wanted=6).json["error"]
    finally:
        migration.write_bytes(data)

    assert "the migrations in this image are not those of the kit: migrations/21-101/migration.py has sha256" in error["message"]


def test_a_root_without_devices_is_told(container: Container) -> None:
    words = container.bubblewrap({})
    at = words.index("--dev")
    done = subprocess.run(
        [*words[:at], *words[at + 2 :], *container.config["Entrypoint"], "status"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: /dev/null: No such file or directory\n")


def test_it_is_nobody_and_can_write_nothing_but_its_state(container: Container) -> None:
    asks = (
        "import os, json, pathlib\n"
        "status = dict(line.split(':\\t', 1) for line in pathlib.Path('/proc/self/status').read_text().splitlines())\n"
        "def tried(name):\n"
        "    try:\n"
        "        pathlib.Path(name, 'x').write_text('')\n"
        "        return True\n"
        "    except OSError:\n"
        "        return False\n"
        "places = ['/', '/etc', '/opt/lnm/migrations', '/usr/local/bin', '/mnt/kit', '/var/lib/lnm']\n"
        "print(json.dumps([os.getuid(), os.getgid(), status['CapEff'].strip(), [name for name in places if tried(name)]]))\n"
    )

    assert json.loads(container.python(asks)) == [NOBODY, NOBODY, "0" * 16, ["/var/lib/lnm"]]


def test_there_is_no_shell_and_every_module_of_python_can_be_imported(container: Container) -> None:
    programs = {path.name for folder in ("usr/bin", "usr/sbin", "usr/local/bin") for path in (container.root / folder).iterdir()}
    assert not programs & {"sh", "bash", "dash", "busybox", "perl", "apt", "dpkg"}
    asks = (
        "import importlib, pathlib, ssl, zoneinfo\n"
        "found = pathlib.Path('/usr/lib/python3.11/lib-dynload').glob('*.so')\n"
        "for path in found: importlib.import_module(path.name.split('.')[0])\n"
        "zoneinfo.ZoneInfo('Europe/Berlin')\n"
        "import bson, pymongo; assert bson.has_c()\n"
        "print(len(ssl.create_default_context().get_ca_certs()))\n"
    )

    assert int(container.python(asks)) > 100  # authorities
