"""Compressors: none of the standard library's, and the one that is used stands in records and provenance."""

from __future__ import annotations

import ast
import base64
import json
import re

from scripts import gzipped
from scripts.repro import compare
from tests.build.trees import Tree
from tests.conftest import ROOT


def test_no_step_compresses_with_the_standard_library() -> None:
    """Its zlib is the system's, so its bytes are another distribution's."""
    wrong = []
    for path in [ROOT / "dodo.py", *sorted((ROOT / "scripts").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [ast.unparse(node)] if isinstance(node, ast.Attribute) else []
            wrong += [
                f"{path.name}: {name}"
                for name in names
                if re.match(r"(zlib|gzip|bz2|lzma)\b|zipfile\.ZIP_(?!STORED)|shutil\.make_archive", name)
            ]
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[wxa]([:|](gz|bz2|xz|zst))", node.value)
            ):
                wrong.append(f"{path.name}: {node.value}")
    assert wrong == []


def test_records_of_packing_steps_name_the_compressor_and_its_machine_code(built: Tree) -> None:
    found = compare.look(built.root).records
    packing = [one for one in found.values() if one["step"] == "scripts.tarball.write"]
    assert len(packing) == 4
    for one in packing:
        assert re.fullmatch(r"zlib-ng [0-9.]+", one["tools"]["compressor"])
        assert one["tools"]["compressor level"] == str(gzipped.LEVEL)
        assert "RFC 1952" in one["tools"]["compressor format"]
        code = {name: sha256 for name, sha256 in one["tools"].items() if name.startswith("pkg:pypi/zlib-ng@")}
        assert {name.partition("#zlib_ng/")[2].partition(".")[0] for name in code} == {"zlib_ng"}
        assert set(map(len, code.values())) == {64}
    assert not [one for one in found.values() if one["step"] != "scripts.tarball.write" and "compressor" in one["tools"]]


def test_the_compressor_is_a_resolved_dependency_of_every_archive(built: Tree) -> None:
    for path in built.dist.glob("*.tar.gz.provenance.sigstore.json"):
        claim = json.loads(base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"]))
        found = claim["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert len([one for one in found if one["uri"].startswith("pkg:pypi/zlib-ng@")]) == 1, path.name
        assert not [one for one in found if one["uri"].startswith("file:pkg:")]
