"""CVSS: the base score that a vector says (FIRST, CVSS v2, v3.0, v3.1 and v4.0), by the library `cvss`."""

from __future__ import annotations

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from lnm_runner.advisories.record import PayloadError, Severity

SYSTEMS = {"CVSS:3": ("cvssv3", CVSS3), "CVSS:4": ("cvssv4", CVSS4)}


def of_vector(vector: str, place: str) -> Severity:
    """The severity of a vector; a vector of version 2 has no prefix.

    Raises: PayloadError for what is no vector.
    """
    system, reader = SYSTEMS.get(vector[:6], ("cvssv2", CVSS2))
    try:
        return Severity(system, float(reader(vector).base_score), vector)
    except (CVSSError, KeyError, ValueError) as err:
        raise PayloadError(f"{place}: {vector[:60]!r} is no CVSS vector") from err
