"""Names that the name rule of docs/kit-format.md refuses, and awkward ones that it allows."""

from __future__ import annotations

from tests.faults.forge import README, STEPS

LONG_PART = "n" * 255


def deep(parts: int) -> str:
    """A name of that many parts."""
    return "/".join([*("d" for _ in range(parts - 1)), "file"])


def long(characters: int) -> str:
    """A name of that many characters, in parts of at most 200."""
    parts = ["p" * 200] * (characters // 201)
    return "/".join([*parts, "q" * (characters - 201 * len(parts))])


BAD = {
    "with_trailing_dot": "runbook/notes.",
    "with_trailing_dots": "runbook/notes...",
    "with_leading_dot": "runbook/.hidden",
    "of_three_dots": "runbook/...",
    "of_folder_with_trailing_dot": "notes./a",
    "of_folder_with_leading_dot": ".git/config",
    "with_trailing_space": "runbook/notes ",
    "with_leading_space": "runbook/ notes",
    "with_space": "runbook/my notes",
    "of_one_space": "runbook/ ",
    "with_backslash": "runbook\\notes",
    "with_backslash_traversal": "..\\..\\evil",
    "with_colon": "README.md:stream",
    "with_drive_letter": "C:notes",
    "with_newline": "runbook/no\ntes",
    "with_trailing_newline": "runbook/notes\n",
    "with_carriage_return": "runbook/notes\r",
    "with_tab": "runbook/no\ttes",
    "with_escape_sequence": "runbook/\x1b[2Jnotes",
    "with_delete": "runbook/no\x7ftes",
    "with_bell": "runbook/no\x07tes",
    "with_quote": "runbook/it's",
    "with_double_quote": 'runbook/"notes"',
    "with_dollar": "runbook/$(id)",
    "with_backtick": "runbook/`id`",
    "with_semicolon": "runbook/notes;id",
    "with_star": "runbook/*",
    "with_question_mark": "runbook/notes?",
    "with_brackets": "runbook/[a-z]",
    "with_percent": "runbook/%s%n",
    "with_tilde": "~root",
    "with_pipe": "runbook/a|b",
    "with_ampersand": "runbook/a&b",
    "with_hash": "#notes",
    "with_comma": "runbook/a,b",
    "with_less_than": "runbook/a<b",
    "non_ascii_nfc": "runbook/caf\u00e9",
    "non_ascii_nfd": "runbook/cafe\u0301",
    "fullwidth": "runbook/\uff21",
    "with_right_to_left_mark": "runbook/\u202egpj.exe",
    "with_zero_width_space": "runbook/no\u200btes",
    "not_utf8": "runbook/no\udcfftes",
    "device_con": "CON",
    "device_in_lower_case": "nul",
    "device_with_extension": "runbook/Nul.txt",
    "device_with_two_extensions": "runbook/com1.tar.gz",
    "device_com0": "COM0",
    "device_com9": "runbook/com9.log",
    "device_lpt0": "lpt0",
    "device_lpt1": "LPT1.md",
    "device_prn": "prn.pdf",
    "device_folder": "aux/notes",
    "device_folder_with_extension": "runbook/aux.d/notes",
    "of_33_parts": deep(33),
}

BAD_LONG = {"of_256_character_part": "n" * 256, "of_256_character_folder": "n" * 256 + "/a", "of_1025_characters": long(1025)}
"""Told in a pax record: no usual file system holds the first two."""

COLLISIONS = {
    "case_collision": ("readme.md", README),
    "case_collision_below_a_folder": ("runbook/Steps.md", STEPS),
    "folder_case_collision": ("Runbook/other.md", STEPS),
    "file_and_folder_case_collision": ("RUNBOOK", STEPS),
    "collision_with_an_envelope_file": ("sha256sums", "SHA256SUMS"),
    "collision_with_the_attestations_folder": ("Attestations/notes", "attestations/spdx.dsse.json"),
}
"""A further name, and the one that it is equal to after case folding."""

GOOD = (
    "-n",
    "-rf/--help",
    "--",
    "+x",
    "=",
    "@file",
    "@",
    "_",
    "a.b.c.d",
    "a..b",
    "a=b@c+d-e_f",
    "runbook/console",
    "com10",
    "con-1/con_2",
    "lpt",
    "xnul.txt",
    "a.con",
    "README.md-",
    "manifest.json.bak",
    "manifest.0123456789ABCDEF.dsse.json",
    "SHA256SUMS.txt",
    "attestation/file",
    "attestations-old/file",
    "sbom/attestations/file",
    "runbook/SHA256SUMS",
    "0",
    LONG_PART,
    deep(32),
    long(1024),
)
