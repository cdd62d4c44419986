"""The operator's pages: every command of `lnm` in them is one that there is, and the runbook's table is that of its stages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lnm_runner import cli, roles
from lnm_runner.commands import runbook
from lnm_runner.errors import InputError
from lnm_runner.runbook import stages

from tests.build.test_docs import PAGES, commands
from tests.conftest import ROOT

PAGE = "bundle-layout/runbook/runbook.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
OF_THE_KIT = [page for page in PAGES if page.startswith("bundle-layout/")]
VALUES = {"STAGE": "freeze", "DAYS": "7", "KIT.tar.gz": "KIT", "…": ""}
"""What stands for a value in a page, and one of its kind."""


def asked(page: str) -> Iterator[list[str]]:
    """The words of each command; quotes hold one word, and what is left out may be left out."""
    for words in commands(page, "lnm"):
        text = re.sub(r"'[^']*'|\"[^\"]*\"", "WHY", " ".join(words))
        yield [value for word in text.rstrip(".,:").split() if (value := VALUES.get(word, word).rstrip(",;:"))]


@pytest.mark.parametrize("page", OF_THE_KIT)
def test_every_command_of_lnm_in_a_page_of_the_kit_is_understood(page: str) -> None:
    for words in asked(page):
        try:
            parsed = cli.parser().parse_args(words)
        except InputError as err:
            if err.message.startswith("the following arguments are required") and page != PAGE:
                continue  # the command's name, in a sentence about it
            pytest.fail(f"{page}: lnm {' '.join(words)}: {err.message}")
        except SystemExit:  # --help and --version
            continue
        if parsed.command == "runbook":
            assert parsed.stage in {*stages.NAMES, *runbook.WORDS}, f"{page}: lnm {' '.join(words)}"


def test_the_commands_of_the_runbook_are_found() -> None:
    """A search that finds none would pass the test above; and one that understands nothing would fail none."""
    found = {tuple(words[:2]) for words in asked(PAGE)}
    assert {("runbook", "freeze"), ("outbox", "publish"), ("runbook", "evidence"), ("doctor",)} <= found
    with pytest.raises(InputError):
        cli.parser().parse_args(["runbook", "freeze", "--exekute"])


def rows() -> list[list[str]]:
    """The table of the stages, its cells."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TEXT.splitlines()
        if re.match(r"\| `[a-z0-9-]+` \|", line)
    ]


def test_the_page_has_the_stages_of_the_runbook_in_their_order_and_names_those_that_may_be_absent() -> None:
    ours = [stage.name for stage in stages.STAGES if stage.delivery != "21-103"]
    assert [row[0].strip("`") for row in rows()] == ours
    assert [stage.name for stage in stages.STAGES if stage.delivery == "21-103" and f"`{stage.name}`" not in TEXT] == []


def test_the_page_rehearses_every_stage_and_both_ways_back() -> None:
    block = TEXT.partition("## Rehearse in staging")[2].partition("## Production")[0]
    said = re.findall(r"^    lnm runbook ([a-z0-9-]+).*--execute", block, re.MULTILINE)
    assert set(said) == {stage.name for stage in stages.STAGES if stage.delivery != "21-103"} | {"evidence"}
    forward = [name for name in said if name in stages.NAMES and stages.named(name).window]
    assert list(dict.fromkeys(forward)) == [stage.name for stage in stages.STAGES if stage.window == 1]


def test_the_page_says_of_exactly_those_stages_that_may_be_skipped_that_they_may() -> None:
    said = TEXT.partition("**Skipping**")[2].partition(" can be left out")[0]
    assert re.findall(r"`([a-z-]+)`", said) == [stage.name for stage in stages.STAGES if stage.may_be_skipped]


def test_every_role_that_the_page_names_is_in_the_table_of_roles() -> None:
    known = {role.name for role in roles.ROLES}
    assert set(re.findall(r"\blnm[A-Z][A-Za-z0-9]+", TEXT)) - known == set()


def test_every_variable_that_the_page_names_is_read_somewhere() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "runner/src").rglob("*.py")))
    named = set(re.findall(r"\b((?:LNM|CONCELIER)_[A-Z_]+)\b", TEXT)) - {"CONCELIER_INGEST_ENABLED", "LNM_SIGNING_KEY"}
    assert {name for name in named if name.removesuffix("_PASSWORD_FILE") not in sources} == set()


def test_the_page_is_in_the_kit(dist: Path, version: str) -> None:
    assert (dist / f"concelier-lnm-{version}/runbook/runbook.md").read_bytes() == (ROOT / PAGE).read_bytes()
