"""Makes `images/lnm-runner-<platform>/`: an OCI layout of the base's layers, the layer of wheels and that of migrations.

Format: OCI image-spec 1.1 (scripts/oci.py), config.md for what the image runs as: the runner, as uid 65532, with no shell before
it. No tag names it anywhere but in the annotations that `podman load` reads; everything else refers to it by digest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts import layer, migrations_layer, oci, release

NAME = "lnm-runner"
REPOSITORY = f"stella-ops.org/concelier/{NAME}"
PLATFORMS = ("linux-amd64", "linux-arm64")
USER = f"{migrations_layer.USER}:{migrations_layer.USER}"
COMMAND = "/usr/local/bin/lnm"
ENVIRONMENT = {
    "HOME": "/home/nonroot",
    "LNM_BAKED_MIGRATIONS": f"/{migrations_layer.HOME}/migrations",
    "LNM_STATE_DIR": f"/{migrations_layer.STATE}",
    "PYTHONDONTWRITEBYTECODE": "1",
}
INHERITED = (
    "LANG",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)  # of the base's variables; what else it sets is not for this program


def name(platform: str) -> str:
    """Of the image for a platform, as folders and files of the kit have it."""
    return f"{NAME}-{platform}"


def environment(inherited: list[str]) -> list[str]:
    """Some variables of the base, and ours, `NAME=value`, sorted."""
    theirs = dict(line.partition("=")[::2] for line in inherited)
    taken = {name: theirs[name] for name in INHERITED if name in theirs}
    return sorted(f"{name}={value}" for name, value in {**taken, **ENVIRONMENT}.items())


def config(base: dict[str, Any], added: dict[str, layer.Layer], labels: dict[str, str], created: str) -> dict[str, Any]:
    """The configuration: the base's, with our layers, `{what made it: layer}`, on top."""
    below, history = base["rootfs"]["diff_ids"], base.get("history") or []
    if len([entry for entry in history if not entry.get("empty_layer")]) != len(below):  # it is optional
        history = [{"created": created, "created_by": "the base"}] * len(below)
    return {
        **{key: base[key] for key in ("architecture", "os", "variant") if key in base},
        "config": {
            "Cmd": ["--help"],
            "Entrypoint": [COMMAND],
            "Env": environment((base.get("config") or {}).get("Env") or []),
            "Labels": labels,
            "User": USER,
            "Volumes": {f"/{migrations_layer.STATE}": {}},
            "WorkingDir": "/",
        },
        "created": created,
        "history": [*history, *({"created": created, "created_by": words} for words in added)],
        "rootfs": {"diff_ids": [*below, *(one.diff_id for one in added.values())], "type": "layers"},
    }


def write(out: Path, *, base: Path, wheels: Path, migrations: Path, platform: str, version: str, epoch: int) -> None:
    """Writes the layout; `base` is the index of the base's layout, the other two say what their layers are (layer.json)."""
    created = release.timestamp(epoch)
    (bottom,) = oci.read_index(base.parent)
    below = oci.read_document(base.parent, bottom)
    added = {"lnm-release-kit: wheels of the runner": wheels, "lnm-release-kit: migrations": migrations}
    layers = {words: layer.read_folder(path) for words, path in added.items()}
    labels = {
        "org.opencontainers.image.base.digest": bottom["digest"],
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.version": version,
    }
    described = oci.render(config(oci.read_document(base.parent, below["config"]), layers, labels, created))
    listed = [*below["layers"], *(one.descriptor() for one in layers.values())]
    annotations = {
        "org.opencontainers.image.base.digest": bottom["digest"],
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.version": version,
    }
    manifest = oci.manifest(oci.descriptor(oci.CONFIG, described), listed, annotations=annotations)
    os, _, architecture = platform.partition("-")
    entry = oci.descriptor(
        oci.MANIFEST,
        manifest,
        annotations={"io.containerd.image.name": f"{REPOSITORY}:{version}", "org.opencontainers.image.ref.name": version},
        platform={"architecture": architecture, "os": os},
    )
    blobs: dict[str, bytes | Path] = {one["digest"]: oci.blob(base.parent, one["digest"]) for one in below["layers"]}
    blobs |= {layers[words].digest: path.with_name(layer.FILE) for words, path in added.items()}
    blobs |= {oci.digest_of(document): document for document in (described, manifest)}
    oci.write_layout(out, blobs, oci.index([entry]))
