"""scripts/licences.py: notices and BSD licences that are in a wheel, and none that are not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from scripts import licences

TWO = """Copyright (c) A
Redistribution and use in source and binary forms, with or without modification, are permitted provided:
 1. Redistributions of source code must retain the above copyright notice, this list.
 2. Redistributions in binary form must
    reproduce the above copyright notice, this list.
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"
"""
THREE = (
    f"{TWO}Neither the name of the A nor the names of its\n   contributors may be used to endorse or promote products derived.\n"
)
FOUR = f"{THREE}All advertising materials mentioning features must display this.\n"


def wheel(folder: Path, **files: str) -> Path:
    """A wheel with these files; two low lines stand for a slash, one for a dot."""
    path = folder / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return path


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(TWO, "BSD-2-Clause"), (THREE, "BSD-3-Clause"), (FOUR, ""), ("BSD", ""), (TWO.replace("AND CONTRIBUTORS", ""), "")],
)
def test_a_bsd_licence_is_told_by_its_clauses(text: str, wanted: str) -> None:
    assert licences.bsd(text) == wanted
    assert licences.bsd("".join(f"# {line}\n" for line in text.splitlines())) == wanted


def test_the_licence_file_counts_before_the_modules(tmp_path: Path) -> None:
    both = wheel(tmp_path, **{"a-1_dist-info__LICENSE": TWO, "a__b_py": THREE})
    assert licences.which_bsd(both) == "BSD-2-Clause"


def test_modules_count_where_there_is_no_licence_file(tmp_path: Path) -> None:
    assert licences.which_bsd(wheel(tmp_path, a__b_py=THREE, a_py="")) == "BSD-3-Clause"


def test_texts_that_disagree_say_nothing(tmp_path: Path) -> None:
    assert licences.which_bsd(wheel(tmp_path, a__b_py=THREE, a_py=TWO)) == ""
    assert licences.which_bsd(wheel(tmp_path, a_py="")) == ""


def test_the_mit_licence_is_told_by_its_text_and_by_all_of_the_texts(tmp_path: Path) -> None:
    mit = ". ".join(licences.MIT).replace("copies of", "copies\nof")
    assert licences.is_mit(wheel(tmp_path, **{"a-1_dist-info__LICENSE": mit}))
    assert not licences.is_mit(wheel(tmp_path, **{"a-1_dist-info__LICENSE": mit.replace("sublicense, ", "")}))
    assert not licences.is_mit(wheel(tmp_path, **{"a-1_dist-info__LICENSE": mit, "a-1_dist-info__LICENSE_other": TWO}))
    assert not licences.is_mit(wheel(tmp_path, a_py=mit))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Copyright (c) 2015 A. Nobody and others.\n", "Copyright (c) 2015 A. Nobody and others"),
        ("#  Copyright 2001-2018\n# B. Nobody\n# All rights reserved.\n", "Copyright 2001-2018 B. Nobody"),
        ("Copyright (C) Z\nCopyright © A\nCopyright (C) Z\n", "Copyright (C) Z; Copyright © A"),
        (
            'i.e., "Copyright (c) 2001,\n2002 F; All Rights Reserved" are retained',
            "Copyright (c) 2001, 2002 F; All Rights Reserved",
        ),
        ("Copyright [yyyy] [name of copyright owner]\n", ""),
        (" Copyright (C) 2007 F\n Everyone is permitted to copy and distribute verbatim copies\n of this document\n", ""),
        ("the copyright notice of 2015\nA copyright (c) in a line\n", ""),
        ("", ""),
    ],
)
def test_a_notice_is_a_line_that_claims_a_copyright(text: str, wanted: str) -> None:
    assert licences.notices([text]) == wanted


def test_notices_are_looked_for_in_licence_files_and_then_in_modules(tmp_path: Path) -> None:
    assert licences.copyright_of(wheel(tmp_path, a_py="# Copyright 2020 M\n")) == "Copyright 2020 M"
    both = wheel(tmp_path, a_py="# Copyright 2020 M\n", **{"a-1_dist-info__licenses__COPYING": "Copyright 2021 L\n"})
    assert licences.copyright_of(both) == "Copyright 2021 L"
    assert licences.copyright_of(wheel(tmp_path, a_py="")) == ""


def test_a_wheel_is_without_a_notice_where_no_file_of_it_has_one(tmp_path: Path) -> None:
    assert licences.is_without_notice(wheel(tmp_path, a_py="", **{"a-1_dist-info__LICENSE": "Copyright [yyyy] [name]\n"}))
    assert not licences.is_without_notice(wheel(tmp_path, a_py="", a__b__c_py="\n" * licences.HEAD + "# Copyright 2020 M\n"))


def test_a_notice_stands_in_the_file_of_that_name_and_at_last_in_the_readme(tmp_path: Path) -> None:
    files = {"a-1_dist-info__licenses__LICENSE": "Apache", "a-1_dist-info__METADATA": "Copyright 2024 A. Body\n"}
    assert licences.copyright_of(wheel(tmp_path, **files)) == "Copyright 2024 A. Body"
    assert (
        licences.copyright_of(wheel(tmp_path, **files, **{"a-1_dist-info__licenses__NOTICE": "Copyright 2019 B\n"}))
        == "Copyright 2019 B"
    )
