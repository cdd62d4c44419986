"""The kits that are broken: the built one as it is, and one with its names, its files cut short, signed by keys of the tests."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import DIST, VERSION
from tests.faults.forge import SBOM, Json, Kit, is_envelope
from tests.faults.images import AMD64, ARM64, Image
from tests.faults.keys import MAIN, SECOND, PublicKey
from tests.runner.policies import BUILDER, SECURITY, text
from tests.tamper.files import Truth

BUILT = DIST / f"concelier-lnm-{VERSION}"
SHORT = 1024  # bytes of a file that is cut; whether it unpacks is no verifier's business
OF_IMAGES = ("images/", "attestations/", f"sbom/{AMD64}", f"sbom/{ARM64}")


def built() -> Truth:
    """The kit of the build, with its key."""
    return Truth("built kit", BUILT, (PublicKey((DIST / "signing-key.pub").read_bytes()),))


def cut_files() -> dict[str, bytes]:
    """Every file of the built kit's payload, cut short; images come from the forge, as their names follow from their bytes."""
    paths = {path.relative_to(BUILT).as_posix(): path for path in sorted(BUILT.rglob("*")) if path.is_file()}
    wanted = {name: path for name, path in paths.items() if not is_envelope(name) and not name.startswith(OF_IMAGES)}
    files = {name: path.read_bytes()[: None if name == SBOM else SHORT] for name, path in wanted.items()}
    made = said()["created_at"]
    return files | Image(MAIN, AMD64, created_at=made).files() | Image(MAIN, ARM64, created_at=made).files()


def said() -> Json:
    """The predicate of the built kit's manifest."""
    return json.loads((BUILT / "manifest.json").read_bytes())["predicate"]


class CutKit(Kit):
    """A kit whose manifest says what the built one's says."""

    def manifest(self) -> Json:
        """The built kit's predicate about these files."""
        predicate = said() | {"rootHash": self.root_hash, "version": self.version}
        images = {part["id"]: part for part in predicate["parts"] if part["id"] in {AMD64, ARM64}}
        for name, part in images.items():
            index = json.loads(self.files[f"images/{name}/index.json"])
            part |= {"digest": index["manifests"][0]["digest"], "status": "ready"}
            part.pop("reason", None)
        statement = super().manifest()
        statement["predicate"] = predicate
        return statement


def both() -> bytes:
    """The policy that demands both signers of that kit."""
    threshold = {"signatures": 2, "builder": 1, "security": 1}
    limits = {"kit_max_age_days": 0, "minimum_version": "2026.1.0", "development": True, "channels": ["edge", "stable", "airgap"]}
    return text(BUILDER, SECURITY, threshold=threshold, **limits)


class Cut:
    """Makes that kit, each time anew; what is dear to make is kept."""

    def __init__(self) -> None:
        """Signs one."""
        self.kit = CutKit(files=cut_files(), modes={}, signers=(MAIN, SECOND)).attest()

    def __call__(self) -> Kit:
        """A kit that may be changed."""
        return CutKit(files=dict(self.kit.files), modes={}, signers=self.kit.signers)

    def written(self, place: Path) -> Truth:
        """The same in a folder."""
        return Truth("cut kit", self().write_folder(place), self.kit.keys)
