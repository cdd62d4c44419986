"""scripts/debian_facts.py and scripts/debian_licences.py: what base.json says of the packages, and when it says nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from spdx_tools.common.spdx_licensing import spdx_licensing

from scripts import debian, debian_base, debian_facts, debian_licences
from scripts.debian import Deb
from scripts.errors import InputError
from tests.build.small_debs import COPYRIGHT, lock, make, other
from tests.build.test_debian_base import REAL, WITHOUT
from tests.conftest import ROOT

NOT_READABLE = "This is prepackaged.\n\nCopyright (C) 2001-2003 Some Body.\n"


def facts(folder: Path, *debs: Deb, wanted: tuple[Deb, ...] = ()) -> dict[str, Any]:
    """base.json of small packages; `wanted` is what was locked, where that is something else."""
    out = io.BytesIO()
    locked = lock(folder, wanted or debs, "locked")
    taken, base = lock(folder, debs), folder / "base"
    debian_base.write(base, debs=taken, architecture="amd64", epoch=0)
    debian_facts.write(out, debs=taken, base=base / "index.json", lock=locked, architecture="amd64")
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def told(licence: str, files: str = "*") -> str:
    """A machine-readable copyright file that says this."""
    return COPYRIGHT.replace("Expat", licence).replace("*", files)


# ---- packages


def test_a_package_is_told_with_all_that_an_sbom_asks_for(tmp_path: Path) -> None:
    deb = make(tmp_path, "libx1", version="1:1.0-1+b1", fields={"Source": "x (1.0-1)"})
    found = facts(tmp_path, deb)
    assert found.pop("packages") == [
        {
            "architecture": "amd64",
            "copyright": "2020 Somebody",
            "depends": [],
            "filename": "libx1_1%3a1.0-1+b1_amd64.deb",
            "licence": "MIT",
            "name": "libx1",
            "purl": "pkg:deb/debian/libx1@1:1.0-1%2Bb1?arch=amd64&distro=debian-12",
            "sha256": deb.sha256,
            "source": "x (1.0-1)",
            "supplier": "A Body",
            "version": "1:1.0-1+b1",
        }
    ]
    assert found == {
        "architecture": "amd64",
        "interpreter": "/usr/bin/python3.11",
        "python": "3.11",
        "relocked": [],
        "site": "/usr/local/lib/python3.11/dist-packages",
    }


def test_what_was_not_taken_from_the_lock_is_told(tmp_path: Path) -> None:
    wanted = Deb("some", "1", "amd64", "a" * 64)
    found = facts(tmp_path, make(tmp_path, "some", version="2"), wanted=(wanted,))
    assert found["relocked"] == [{"architecture": "amd64", "locked": "1", "package": "some", "taken": "2"}]


def test_dependencies_are_what_the_image_has_of_alternatives_and_virtual_packages_else_the_first(tmp_path: Path) -> None:
    fields = {
        "Pre-Depends": "libc6 (>= 2.36)",
        "Depends": "absent | python3-min, awk, gone (>= 2) | gone-too, one:any, libc6 (>= 2.30) [amd64]",
    }
    debs = [
        make(tmp_path, "one", fields=fields),
        make(tmp_path, "libc6"),
        make(tmp_path, "mawk", fields={"Provides": "awk"}),
        make(tmp_path, "python3.11-minimal", fields={"Provides": "python3-min (= 3.11), other"}),
    ]
    found = {item["name"]: item["depends"] for item in facts(tmp_path, *debs)["packages"]}
    assert found["one"] == ["gone", "libc6", "mawk", "python3.11-minimal"]
    assert found["mawk"] == []


# ---- licences


@pytest.mark.parametrize(
    ("synopsis", "expression"),
    [
        ("Expat", "MIT"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("Artistic or GPL-1+", "(Artistic-1.0-Perl OR GPL-1.0-or-later)"),
        ("MPL-1.1 or GPL-2+ or LGPL-2.1+", "(MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later)"),
        ("GPL-2 or Artistic and Zlib", "(GPL-2.0-only OR Artistic-1.0-Perl AND Zlib)"),
        ("GPL-2 or Artistic, and Zlib", "(GPL-2.0-only OR Artistic-1.0-Perl) AND Zlib"),
        ("public-domain", "LicenseRef-debian-public-domain"),
    ],
)
def test_names_of_debian_become_an_spdx_expression(synopsis: str, expression: str) -> None:
    assert debian_licences.licence(told(synopsis), "some") == expression


def test_all_that_any_file_of_a_source_is_under_is_told_once() -> None:
    text = told("Zlib") + "\nFiles: a\nCopyright: 1\nLicense: Expat\n\nFiles: b\nCopyright: 2\nLicense: Zlib\n"
    assert debian_licences.licence(text, "some") == "MIT AND Zlib"


def test_a_source_may_call_a_text_of_its_own_by_a_name_that_means_nothing_elsewhere() -> None:
    assert debian_licences.licence(told("BSD-variant"), "bzip2") == "bzip2-1.0.6"
    with pytest.raises(InputError, match="other: licences that no table knows: BSD-variant"):
        debian_licences.licence(told("BSD-variant"), "other")


def test_every_package_whose_licence_nobody_knows_is_named_at_once(tmp_path: Path) -> None:
    debs = [
        make(tmp_path, "one", text=told("Odd-1 or GPL-2+ with Odd exception")),
        make(tmp_path, "two", text=NOT_READABLE),
        make(tmp_path, "three", text=""),
    ]
    with pytest.raises(InputError) as caught:
        facts(tmp_path, *debs)
    for words in (
        "one: ",
        "Odd-1",
        "GPL-2+ with Odd exception",
        "two: ",
        "not machine-readable",
        "three_1.0-1_amd64.deb: no copy",
    ):
        assert words in caught.value.message
    assert "debian_licences.py" in caught.value.hint


def test_a_copyright_file_that_no_machine_reads_has_a_row_and_its_notices(tmp_path: Path) -> None:
    debs = [
        make(tmp_path, "gcc-12-base", text=NOT_READABLE, fields={"Source": "gcc-12"}),
        make(
            tmp_path,
            "libgcc-s1",
            [other("usr/share/doc/libgcc-s1", b"2", "gcc-12-base")],
            text="",
            fields={"Source": "gcc-12", "Depends": "gcc-12-base"},
        ),
    ]
    base, library = facts(tmp_path, *debs)["packages"]
    assert base["licence"] == library["licence"] == debian_licences.BY_HAND["gcc-12"]
    assert base["copyright"] == library["copyright"] == "Copyright (C) 2001-2003 Some Body"


def test_notices_are_bounded_at_the_end_of_one() -> None:
    text = COPYRIGHT.replace("2020 Somebody", "\n".join(f" {year} Somebody" for year in range(1000, 2000)))
    found = debian_licences.notices(text, "some")
    assert found.startswith("1000 Somebody; 1001 Somebody; ")
    assert found.endswith("Somebody; and others")
    assert len(found) <= debian_licences.MOST + len("; and others")


def test_every_row_of_the_tables_is_an_spdx_expression() -> None:
    rows = [debian_licences.NAMES, debian_licences.BY_HAND, *debian_licences.NAMES_OF.values()]
    for expression in {expression for row in rows for expression in row.values()}:
        unknown = spdx_licensing.unknown_license_keys(expression)
        assert all(key.startswith("LicenseRef-debian-") for key in unknown), expression


# ---- the real ones


@pytest.mark.parametrize("debs", REAL, ids=lambda debs: debs.parent.parent.name)
def test_each_package_of_the_image_is_told_whole_and_reached_from_python_or_a_root(debs: Path) -> None:
    if not debs.is_file():
        pytest.skip(WITHOUT)
    out = io.BytesIO()
    architecture = debs.parent.parent.name.partition("-")[2]
    base = debs.parent.with_name("base") / "index.json"
    debian_facts.write(out, debs=debs, base=base, lock=ROOT / debian.LOCK, architecture=architecture)
    packages = {item["name"]: item for item in json.loads(out.getvalue())["packages"]}

    assert [name for name, item in packages.items() if not all(item[field] for field in item if field != "depends")] == []
    for item in packages.values():
        spdx_licensing.parse(item["licence"])
    reached, rest = set(), ["libpython3.11-stdlib", "python3.11-minimal", "base-files", "ca-certificates", "netbase", "tzdata"]
    while rest:
        name = rest.pop()
        if name in packages and name not in reached:
            reached.add(name)
            rest += packages[name]["depends"]
    assert reached == set(packages)
