"""The build's writer of attestations/<image>/ and the tests' own, which have no line in common, write the same bytes."""

from __future__ import annotations

import json

import pytest

from scripts import cosign_layout
from tests.faults.images import AMD64, ARM64, Image, b64
from tests.faults.keys import EDDY, MAIN, Key


@pytest.mark.parametrize("name", [AMD64, ARM64])
@pytest.mark.parametrize("key", [MAIN, EDDY], ids=["p256", "ed25519"])
def test_two_writers_of_one_form_agree(key: Key, name: str) -> None:
    seen: dict[str, bytes] = {}

    def look(document: str) -> None:
        def keep(data: bytes) -> bytes:
            seen[document] = data
            return data

        image.lies[document] = keep

    image = Image(key, name)
    for document in ("S", "4", "5"):
        look(document)
    files = image.files()
    (item,) = json.loads(files[f"images/{name}/index.json"])["manifests"]

    blobs, index = cosign_layout.render(item, b64(seen["S"]), [seen["4"], seen["5"]], key.hint, image.created_at)

    folder = f"attestations/{name}"
    wanted = {f"{folder}/blobs/sha256/{digest.removeprefix('sha256:')}": data for digest, data in blobs.items()}
    wanted |= {f"{folder}/index.json": index, f"{folder}/oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    assert {file: data for file, data in files.items() if file.startswith(f"{folder}/")} == wanted
