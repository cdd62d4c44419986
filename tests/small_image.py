"""A small invented image of the runner, as the build makes one, and what its SBOM is made of."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import layer, oci, sbom_image
from tests.conftest import VERSION

EPOCH, PLATFORM = 1764547200, "linux-amd64"
SITE, MIGRATIONS = "usr/local/lib/python3.11/dist-packages", "opt/lnm/migrations"
STATUS = "var/lib/dpkg/status.d"
OS_RELEASE = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
ODD = "PyYAML"  # in a foreign base, and not normalised
FOREIGN = "sha256:" + "f" * 64
DEBIAN: tuple[tuple[str, str, str, list[str], str], ...] = (
    # name, version, source, depends, licence
    ("libc6", "2.36-9+deb12u13", "glibc", ["libgcc-s1"], "LGPL-2.1-or-later AND LicenseRef-glibc"),
    ("libgcc-s1", "12.2.0-14+deb12u1", "gcc-12", ["libc6"], "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("libstdc++6", "12.2.0-14+deb12u1", "gcc-12", ["libc6", "libgcc-s1"], "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("netbase", "6.4", "netbase", [], "GPL-2.0-only"),
    ("python3.11-minimal", "3.11.2-6+deb12u6", "python3.11", ["libc6", "mime-support"], "PSF-2.0"),
)
WHEELS: tuple[tuple[str, str, str, list[str]], ...] = (
    # name, version, file, requires
    ("lnm-runner", VERSION, f"lnm_runner-{VERSION}-py3-none-any.whl", []),
    ("pymongo", "4.20.0", "pymongo-4.20.0-cp311-cp311-manylinux_2_17_x86_64.whl", ["dnspython"]),
    ("dnspython", "2.9.2", "dnspython-2.9.2-py3-none-any.whl", []),
)


@dataclasses.dataclass(frozen=True)
class Small:
    """Where the parts are: a kit with images/ and migrations/, and beside it what describes them."""

    kit: Path
    base: Path
    inventory: Path
    wheels: tuple[Path, ...]

    @property
    def image(self) -> Path:
        """The layout of the image."""
        return self.kit / "images" / sbom_image.name_of(PLATFORM)

    @property
    def migrations(self) -> tuple[Path, ...]:
        """The files of the migrations."""
        return tuple(path for path in sorted((self.kit / "migrations").rglob("*")) if path.is_file())

    def sbom(self, **changed: Any) -> bytes:
        """The image's document; `changed` are other arguments of the step."""
        out = io.BytesIO()
        arguments: dict[str, Any] = {
            "image": self.image / oci.INDEX_FILE,
            "base": self.base,
            "wheels": self.wheels,
            "migrations": self.migrations,
            "inventory": self.inventory,
            "migrations_base": self.kit / "migrations",
            "platform": PLATFORM,
            "version": VERSION,
            "epoch": EPOCH,
        }
        sbom_image.write(out, **(arguments | changed))
        return out.getvalue()


def described(*, foreign: bool = False) -> dict[str, Any]:
    """What base.json says."""
    packages = [
        {
            "architecture": "amd64",
            "copyright": "" if foreign else f"Copyright 2020 the authors of {name}",
            "depends": depends,
            "filename": "" if foreign else f"pool/main/{name}_{version}_amd64.deb",
            "licence": "NOASSERTION" if foreign else licence,
            "name": name,
            "purl": f"pkg:deb/debian/{name.replace('+', '%2B')}@{version.replace('+', '%2B')}?arch=amd64&distro=debian-12",
            "sha256": "" if foreign else hashlib.sha256(name.encode()).hexdigest(),
            "source": source,
            "supplier": f"Debian {source} Maintainers <{source}@lists.debian.org>",
            "version": version,
        }
        for name, version, source, depends, licence in DEBIAN
    ]
    own = {
        "architecture": "amd64",
        "interpreter": "/usr/bin/python3.11",
        "python": "3.11",
        "relocked": [],
        "site": f"/{SITE}",
        "packages": packages,
    }
    if not foreign:
        return own
    unknown = dict.fromkeys(("copyright", "filename", "sha256", "supplier"), "")
    theirs = {
        "name": ODD,
        "version": "6.0",
        "purl": f"pkg:pypi/{ODD.lower()}@6.0",
        "source": ODD,
        "licence": "MIT",
        "depends": [],
    }
    return own | {"image": FOREIGN, "packages": [*packages, {**unknown, **theirs, "architecture": "any"}]}


def metadata(name: str, version: str) -> bytes:
    """Of a wheel."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText with Name: nothing\n".encode()


def a_file(name: str, version: str) -> layer.Entry:
    """The METADATA of a wheel as an entry."""
    return layer.file(metadata(name, version))


def base_entries(*, foreign: bool = False) -> dict[str, layer.Entry]:
    """The base layer."""
    python = {f"{SITE}/{ODD}-6.0.dist-info/METADATA": a_file(ODD, "6.0")} if foreign else {}
    control = {
        f"{STATUS}/{name}": layer.file(
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\nSource: {source}\n"
            f"Maintainer: Debian {source} Maintainers <{source}@lists.debian.org>\nDescription: small\n Version: none\n".encode()
        )
        for name, version, source, _, _ in DEBIAN
    }
    sums = {f"{STATUS}/{name}.md5sums": layer.file(b"") for name, *_ in DEBIAN}
    release = {"usr/lib/os-release": layer.file(OS_RELEASE), "etc/os-release": layer.link("../usr/lib/os-release")}
    return {**control, **sums, **release, **python}


def wheel_entries() -> dict[str, layer.Entry]:
    """The layer of what the wheels hold."""
    return {
        f"{SITE}/{name.replace('-', '_')}-{version}.dist-info/{part}": layer.file(data)
        for name, version, _, _ in WHEELS
        for part, data in (("METADATA", metadata(name, version)), ("RECORD", b""))
    }


def lay_out(image: Path, layers: tuple[Mapping[str, layer.Entry], ...]) -> None:
    """Writes the layout of an image of these layers."""
    written: list[tuple[layer.Layer, bytes]] = []
    for entries in layers:
        out = io.BytesIO()
        written.append((layer.write(out, entries, EPOCH), out.getvalue()))
    rootfs = {"diff_ids": [item.diff_id for item, _ in written], "type": "layers"}
    config = oci.render({"architecture": "amd64", "config": {}, "os": "linux", "rootfs": rootfs})
    manifest = oci.manifest(oci.descriptor(oci.CONFIG, config), [item.descriptor() for item, _ in written])
    platform = {"architecture": "amd64", "os": "linux"}
    blobs: dict[str, bytes | Path] = {oci.digest_of(data): data for data in (config, manifest)}
    blobs |= {item.digest: data for item, data in written}
    oci.write_layout(image, blobs, oci.index([oci.descriptor(oci.MANIFEST, manifest, platform=platform)]))


def make(folder: Path, *, foreign: bool = False) -> Small:
    """All of it in a folder."""
    kit = folder / "kit"
    for name, text in (("21-101/migration.py", "# Copyright (c) 2026 A. Nobody\n"), ("21-101/README.md", "text\n")):
        (kit / "migrations" / name).parent.mkdir(parents=True, exist_ok=True)
        (kit / "migrations" / name).write_text(text)
    wheels = []
    known: dict[str, Any] = {}
    for name, version, filename, requires in WHEELS:
        path = kit / "runner/wheelhouse" / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA"), metadata(name, version))
        wheels.append(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        fields = {"copyright": "", "file": filename, "licence": "MIT", "requires": requires, "sha256": sha256, "supplier": "S"}
        known[name] = {**fields, "version": version}
    del known["lnm-runner"]
    (folder / "base.json").write_text(json.dumps(described(foreign=foreign)))
    (folder / "packages.json").write_text(json.dumps(known))
    small = Small(kit, folder / "base.json", folder / "packages.json", tuple(wheels))
    baked = {f"{MIGRATIONS}/{path.relative_to(kit / 'migrations')}": layer.file(path.read_bytes()) for path in small.migrations}
    lay_out(small.image, (base_entries(foreign=foreign), wheel_entries(), baked))
    return small
