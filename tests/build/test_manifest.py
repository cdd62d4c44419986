"""scripts/manifest.py and scripts/statement.py: what is signed says what is there."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import checksums, manifest, statement
from scripts.errors import InputError
from tests.build.trees import Tree

SOURCE = b'"""21-101."""\n\nID = "20251202_lnm_21_101_sharding_and_ttl"\n'
RELEASE: dict[str, Any] = {
    "channel": "edge",
    "created_at": "2025-12-01T00:00:00Z",
    "source": {"commit": None, "state": "unknown", "note": "why"},
    "version": "2026.11.0",
    "epoch": 1764547200,
}
FORMAT = Path(__file__).parents[2] / "docs/kit-format.md"


@pytest.fixture(scope="session")
def parsed(built: Tree) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(built.manifest)
    return found


def shell(built: Tree, command: str) -> str:
    done = subprocess.run(["sh", "-c", command], cwd=built.kit, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def written(folder: Path, files: dict[str, bytes], trust: str = "dev") -> bytes:
    """The manifest over a small kit of these files."""
    for name, data in files.items():
        (folder / "kit" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "kit" / name).write_bytes(data)
    sums = checksums.render({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    (folder / "SHA256SUMS").write_bytes(sums)
    migrations = tuple(folder / "kit" / name for name in files if name.endswith("/migration.py"))
    listed, out = folder / "SHA256SUMS", io.BytesIO()
    manifest.write(
        out,
        sums=listed,
        payload=listed,
        migrations=migrations,
        images=(),
        base=folder / "kit",
        release=RELEASE,
        trust=trust,
        absent={"lnm-runner-linux-amd64": "no reason"},
    )
    return out.getvalue()


# ---- as it was built


def test_the_digest_of_a_migration_is_what_sha256sum_computes(built: Tree, parsed: dict[str, Any]) -> None:
    """Decisions §3, over the files themselves and not over the list."""
    ready = [row for row in parsed["predicate"]["deliveries"] if row["status"] == "ready"]
    assert [row["id"] for row in ready] == ["21-101", "21-102"]
    for row in ready:
        folder = f"migrations/{row['id']}"
        files = f"find {folder} -type f ! -path {folder}/README.md | LC_ALL=C sort"
        assert row["digest"] == shell(built, f"{files} | xargs sha256sum | sha256sum")


def test_the_migration_is_named_by_the_id_in_its_text(built: Tree, parsed: dict[str, Any]) -> None:
    text = (built.kit / "migrations/21-101/migration.py").read_text(encoding="utf-8")
    identity = parsed["predicate"]["deliveries"][0]["migration"]
    assert f'"{identity}"' in text
    assert identity == "20251202_lnm_21_101_sharding_and_ttl"


def test_root_hash_and_subjects_are_those_of_sha256sums(built: Tree, parsed: dict[str, Any]) -> None:
    assert parsed["predicate"]["rootHash"] == shell(built, "grep -v '  attestations/' SHA256SUMS | sha256sum")
    lines = [line.split("  ") for line in (built.kit / "SHA256SUMS").read_text().splitlines()]
    wanted = [("SHA256SUMS", shell(built, "sha256sum SHA256SUMS")), *((name, sha256) for sha256, name in lines)]
    assert [(subject["name"], subject["digest"]["sha256"]) for subject in parsed["subject"]] == wanted


def test_it_has_exactly_the_members_of_the_format_page(parsed: dict[str, Any]) -> None:
    assert list(parsed) == ["_type", "predicate", "predicateType", "subject"]
    table = FORMAT.read_text(encoding="utf-8").split("The predicate's members, all required:")[1].split("\n\n")[1]
    assert sorted(re.findall(r"^\| `([A-Za-z_]+)` \|", table, re.MULTILINE)) == sorted(parsed["predicate"])
    assert parsed["predicateType"] == "https://stella-ops.org/attestations/offline-update/1"
    assert parsed["_type"] == "https://in-toto.io/Statement/v1"


def test_it_starts_and_ends_with_text_that_a_shell_can_compare(built: Tree) -> None:
    assert built.manifest.startswith('{"_type":"https://in-toto.io/Statement/v1","predicate":{"channel":"edge",')
    assert built.manifest.endswith("]}\n")
    assert built.manifest.count("\n") == 1


def test_every_delivery_and_part_is_ready_or_absent_with_a_reason(parsed: dict[str, Any]) -> None:
    predicate = parsed["predicate"]
    assert [row["id"] for row in predicate["deliveries"]] == ["21-101", "21-102", "21-103"]
    assert [row["id"] for row in predicate["parts"]] == [
        "lnm-runner-linux-amd64", "lnm-runner-linux-arm64", "monitoring", "runbook", "seeds",
    ]  # fmt: skip
    for row in [*predicate["deliveries"], *predicate["parts"]]:
        told = {"digest", "id", "migration", "status"} if row in predicate["deliveries"] else {"digest", "id", "status"}
        assert set(row) == (told if row["status"] == "ready" else {"id", "reason", "status"})
        assert all(row.values())


def test_the_runbook_is_ready_with_the_digest_of_its_folder(built: Tree, parsed: dict[str, Any]) -> None:
    (row,) = (row for row in parsed["predicate"]["parts"] if row["id"] == "runbook")
    sums = (built.kit / "SHA256SUMS").read_bytes().splitlines(keepends=True)
    lines = b"".join(line for line in sums if line[66:].startswith(b"runbook/"))
    assert row == {"digest": hashlib.sha256(lines).hexdigest(), "id": "runbook", "status": "ready"}


def test_what_is_absent_is_not_in_the_kit(built: Tree, parsed: dict[str, Any]) -> None:
    for row in parsed["predicate"]["deliveries"]:
        there = (built.kit / "migrations" / row["id"] / "migration.py").exists()
        assert there == (row["status"] == "ready")
    seeds = json.loads((built.kit / "seeds/object-store/seed-manifest.json").read_bytes())
    assert seeds["status"] == "placeholder"
    assert seeds["entries"] == []
    assert not any((built.kit / part).exists() for part in ("images", "monitoring"))
    assert {path.name for path in (built.kit / "runbook").iterdir()} == {
        "import.md",
        "roles",
        "runbook.md",
        "trust-policy.example.toml",
        "trust.md",
    }


# ---- over a small kit


def test_a_migration_that_is_there_is_ready_and_the_others_are_absent(tmp_path: Path) -> None:
    found = json.loads(written(tmp_path, {"migrations/21-101/migration.py": SOURCE, "README.md": b"x"}))
    assert [row["status"] for row in found["predicate"]["deliveries"]] == ["ready", "absent", "absent"]


def test_the_digest_sees_every_byte_but_the_readme(tmp_path: Path) -> None:
    files = {"migrations/21-101/migration.py": SOURCE, "migrations/21-101/x.json": b"1", "migrations/21-101/README.md": b"a"}

    def digest_with(**changes: bytes) -> str:
        changed = {**files, **{f"migrations/21-101/{name.replace('_', '.')}": data for name, data in changes.items()}}
        found: str = json.loads(written(tmp_path, changed))["predicate"]["deliveries"][0]["digest"]
        return found

    plain = digest_with()
    assert digest_with(README_md=b"b") == plain
    assert digest_with(x_json=b"2") != plain
    assert digest_with(migration_py=SOURCE + b"# a comment\n") != plain
    assert digest_with(new_txt=b"") != plain


def test_the_readme_of_a_folder_below_counts(tmp_path: Path) -> None:
    files = {"migrations/21-101/migration.py": SOURCE, "migrations/21-101/sub/README.md": b"a"}
    one = json.loads(written(tmp_path, files))["predicate"]["deliveries"][0]["digest"]
    files["migrations/21-101/sub/README.md"] = b"b"
    assert json.loads(written(tmp_path, files))["predicate"]["deliveries"][0]["digest"] != one


@pytest.mark.parametrize("line", [b'ID = "x_1"', b'ID: Final = "x_1"'])
def test_the_id_is_found_in_both_forms_of_a_constant(line: bytes) -> None:
    assert manifest.migration_id(b'"""Doc."""\n' + line + b"\n", "migration.py") == "x_1"


@pytest.mark.parametrize(
    "source",
    [b"", b'# ID = "x"\n', b'    ID = "x"\n', b'ID = "x"\nID = "y"\n', b"ID = x\n", b'ID = "a b"\n', b'ID: str = "x"\n'],
)
def test_a_migration_without_exactly_one_id_is_refused_by_its_name(tmp_path: Path, source: bytes) -> None:
    with pytest.raises(InputError, match=r"^migrations/21-101/migration\.py: found [02] lines") as caught:
        written(tmp_path, {"migrations/21-101/migration.py": source})
    assert caught.value.hint


@pytest.mark.parametrize("trust", ["dev", "key"])
def test_trust_and_the_facts_of_the_release_are_said_as_they_are(tmp_path: Path, trust: str) -> None:
    predicate = json.loads(written(tmp_path, {"migrations/21-101/migration.py": SOURCE}, trust))["predicate"]
    assert predicate["trust"] == trust
    assert {name: predicate[name] for name in RELEASE if name in predicate} == {
        name: value for name, value in RELEASE.items() if name != "epoch"
    }
    assert "epoch" not in predicate


# ---- statements


def test_a_statement_keeps_the_order_of_its_subjects() -> None:
    found = json.loads(statement.render([("b", "1"), ("a", "2")], "t", {}))
    assert [subject["name"] for subject in found["subject"]] == ["b", "a"]


def test_the_spdx_statement_is_the_sbom_byte_for_byte_about_the_kit(tmp_path: Path) -> None:
    (tmp_path / "payload.sums").write_bytes(b"x")
    (tmp_path / "sbom.json").write_bytes('{"a":1,"name":"é"}\n'.encode())
    out = io.BytesIO()
    statement.write_spdx(out, payload=tmp_path / "payload.sums", sbom=tmp_path / "sbom.json", kit_name="concelier-lnm-1")
    assert out.getvalue().decode() == (
        '{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":1,"name":"é"},"predicateType":"https://spdx.dev/Document",'
        f'"subject":[{{"digest":{{"sha256":"{hashlib.sha256(b"x").hexdigest()}"}},"name":"concelier-lnm-1"}}]}}\n'
    )


def test_the_built_spdx_statement_holds_the_bytes_of_the_sbom(built: Tree) -> None:
    text = (built.root / "artifacts/.build/spdx.json").read_bytes()
    document = (built.kit / "sbom/lnm-kit.spdx.json").read_bytes().removesuffix(b"\n")
    assert text.startswith(b'{"_type":"https://in-toto.io/Statement/v1","predicate":' + document + b',"predicateType":')
