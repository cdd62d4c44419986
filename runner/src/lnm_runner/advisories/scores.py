"""CVSS: the base score that a vector says (FIRST, CVSS v2, v3.0, v3.1 and v4.0), by the library `cvss`."""

from __future__ import annotations

import functools

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from lnm_runner.advisories.record import PayloadError, Severity

SYSTEMS = {"CVSS:3": ("cvssv3", CVSS3), "CVSS:4": ("cvssv4", CVSS4)}
HIGHEST = 10
REMEMBERED = 4_096  # vectors; a few thousand stand in all of OSV's advisories


@functools.lru_cache(maxsize=REMEMBERED)
def base_score(vector: str) -> tuple[str, float]:
    """System and base score of a vector; a vector of version 2 has no prefix.

    Raises: CVSSError, KeyError or ValueError for what is no vector.
    """
    system, reader = SYSTEMS.get(vector[:6], ("cvssv2", CVSS2))
    return system, float(reader(vector).base_score)


def of_vector(vector: str, place: str, given: float | None = None) -> Severity:
    """The severity of a vector, with the base score that the source gives beside it, where it gives one.

    Raises: PayloadError for what is no vector, or no score of one.
    """
    try:
        system, said = base_score(vector)
    except (CVSSError, KeyError, ValueError) as err:
        raise PayloadError(f"{place}: {vector[:60]!r} is no CVSS vector") from err
    if given is None:
        return Severity(system, said, vector)
    if not 0 <= given <= HIGHEST:
        raise PayloadError(f"{place}: the score beside it is not between 0 and {HIGHEST}")
    return Severity(system, float(given), vector)
