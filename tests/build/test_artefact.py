"""scripts/artefact.py: what a row of the table depends on, and what is stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import artefact, layout, sbom_kit, tarball
from scripts.artefact import Artefact
from scripts.errors import MissingError
from tests.conftest import ROOT

STEPS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py") if "out: BinaryIO" in path.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are found by their paths below the project's root."""
    monkeypatch.chdir(ROOT)


AT_USE = {"keyless": ", scripts.sigstore_instance.instance"}
"""What a step imports when it runs, and not before."""


def row(name: str) -> Artefact:
    return Artefact("layout", Path("artifacts/lnm", name), layout.write, {"source": Path("bundle-layout", name)}, name=name)


def test_there_are_steps_to_test() -> None:
    assert {"layout", "sbom_kit", "tarball", "signing", "manifest", "provenance"} <= set(STEPS)


@pytest.mark.parametrize("module", STEPS)
def test_the_code_behind_a_step_is_all_that_python_loads_for_it(module: str) -> None:
    code = f"import sys, scripts.{module}{AT_USE.get(module, '')}\nfor name, found in sys.modules.items():\n"
    code += " if name.startswith('scripts.'): print(found.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {Path(line).relative_to(ROOT) for line in done.stdout.splitlines()}
    loaded -= {
        Path(f"scripts/{name}/__init__.py") for name in ("sigstore_instance", "private_key")
    }  # they have a docstring alone
    assert artefact.imports_of(f"scripts.{module}") == loaded


def test_a_step_depends_on_its_inputs_its_code_and_the_lock_of_the_build() -> None:
    assert row("README.md").task()["file_dep"] == ["bundle-layout/README.md"]
    assert set(artefact.code_of(layout.write.__module__)) == {
        "scripts/layout.py",
        "scripts/files.py",
        "scripts/errors.py",
        "requirements/build.txt",
    }
    assert "scripts/sbom.py" in artefact.code_of(sbom_kit.write.__module__)
    assert "scripts/sbom.py" not in artefact.code_of(tarball.write.__module__)


def test_files_of_different_names_have_different_records_of_names_that_can_be_written() -> None:
    names = (
        "a/b__c",
        "a__b/c",
        "a/b/c",
        "a__b__c",
        "/".join(["n" * 200] * 5),
        "/".join(["n" * 200] * 4 + ["m" * 200]),
        "n" * 255,
    )
    records = [row(name).record for name in names]
    assert len({str(path).lower() for path in records}) == len(names)
    assert max(len(path.name) for path in records) <= 255


def test_every_name_of_the_name_rule_is_a_name_for_doit() -> None:
    labels = {name: row(name).task()["name"] for name in ("a=b", "a+b@c", "a%3Db".replace("%", ""), "-a")}
    assert not any("=" in label for label in labels.values())
    assert len(set(labels.values())) == len(labels)


def test_stale_is_whatever_lies_there_and_nothing_makes(tmp_path: Path) -> None:
    wanted = (tmp_path / "kit/a", tmp_path / "kit/sub/b", tmp_path / "c", tmp_path / "kit/linked", tmp_path / "kit/folder")
    for path in wanted[:3]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "stray").write_text("")
    (tmp_path / "kit/.half.part").write_text("")
    (tmp_path / "kit/sub/old/older").mkdir(parents=True)
    (tmp_path / "kit/sub/old/older/x").write_text("")
    (tmp_path / "kit/empty").mkdir()
    (tmp_path / "kit/linked").symlink_to("a")
    (tmp_path / "kit/dangling").symlink_to("nowhere")
    (tmp_path / "kit/elsewhere").symlink_to("/", target_is_directory=True)
    (tmp_path / "kit/folder").mkdir()
    os.mkfifo(tmp_path / "fifo")

    found = {path.relative_to(tmp_path).as_posix() for path in artefact.stale((tmp_path,), wanted)}

    assert found == {
        "stray",
        "kit/.half.part",
        "kit/sub/old",
        "kit/empty",
        "kit/linked",
        "kit/dangling",
        "kit/elsewhere",
        "kit/folder",
        "fifo",
    }


def test_pruning_removes_what_is_stale_and_never_follows_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    (out / "old").mkdir(parents=True)
    mine.mkdir()
    (mine / "precious").write_text("x")
    (out / "keep").write_text("")
    (out / "old/x").write_text("")
    (out / "link").symlink_to(mine, target_is_directory=True)
    assert artefact.prune((out,), (out / "keep",)) is None
    assert [path.name for path in out.iterdir()] == ["keep"]
    assert (mine / "precious").read_text() == "x"
    said = capsys.readouterr().out
    assert f"removed {out}/old: " in said
    assert f"removed {out}/link: " in said


def test_a_link_above_a_target_is_stale(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a").write_text("")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kit").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert artefact.stale((tmp_path / "out",), (tmp_path / "out/kit/a",)) == [tmp_path / "out/kit"]


# ---- what must be there


def test_every_input_that_is_gone_is_named_at_once() -> None:
    made = Artefact("a", Path("made"), layout.write, {"source": Path("README.md")})
    rows = (made, Artefact("b", Path("x"), layout.write, {"source": (Path("made"), Path("gone/b"), made.record)}), row("gone"))
    with pytest.raises(MissingError, match=r"^bundle-layout/gone, gone/b: no such file"):
        artefact.require(rows)
    artefact.require((made,))
