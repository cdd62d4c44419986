"""Invented vulnerabilities, for machines without advisories: OSV, NVD 2.0 and CSAF 2.0, several sources about one CVE.

Each vulnerability has a story, by its number: its sources agree, or contradict each other in one way, or are silent. All names
and addresses are invented; a CVE's number is far above those that are assigned. Every round tells new ones. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from lnm_runner.demo import chance, multiply, synthetic_payloads
from lnm_runner.demo.components import Component, Member, distinct
from lnm_runner.demo.corpus import Entry
from lnm_runner.demo.payloads import Advisory
from lnm_runner.demo.synthetic_payloads import Score, Vulnerability
from lnm_runner.demo.vendors import vendor

VULNERABILITIES = 108
"""Of a round; some 300 advisories."""
FIRST_CVE = 9_000_000
EPOCH = dt.datetime(2023, 1, 2, tzinfo=dt.UTC)
DAYS = 900
FIRST_WORDS = (
    "amber", "birch", "cobalt", "drift", "ember", "fennel", "garnet", "hollow", "indigo", "juniper", "kestrel", "lattice",
    "meadow", "nimbus", "ochre", "pebble", "quartz", "russet", "saffron", "thistle", "umber", "velvet", "willow", "yarrow",
)  # fmt: skip
SECOND_WORDS = (
    "archive", "broker", "cache", "codec", "forms", "gateway", "headers", "images", "journal", "keys", "ledger", "mail",
    "parser", "proxy", "queue", "router", "schema", "session", "stream", "tables", "tokens", "upload", "views", "worker",
)  # fmt: skip
FLAWS = (
    "reads a file outside its folder", "runs a command from a header", "compares tokens in varying time",
    "does not end on a crafted input", "keeps a session after log-out", "follows a redirect to an internal address",
    "writes past a buffer", "shows another user's records",
)  # fmt: skip
SCORES = (
    Score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
    Score("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 8.8),
    Score("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
    Score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5),
    Score("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
    Score("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N", 5.9),
    Score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N", 5.3),
    Score("CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N", 2.5),
)
ECOSYSTEMS = ("PyPI", "Go", "npm")

Story = Callable[[Vulnerability], Sequence[Advisory]]


def invented(number: int) -> Vulnerability:
    """A vulnerability."""
    first, second = chance.pick(FIRST_WORDS, number, "first"), chance.pick(SECOND_WORDS, number, "second")
    published = EPOCH + dt.timedelta(
        days=chance.number(number, "day") % DAYS, seconds=chance.number(number, "second of") % 86_400
    )
    major, minor, patch = (chance.number(number, part) % most for part, most in (("major", 6), ("minor", 20), ("patch", 10)))
    return Vulnerability(
        number=number,
        cve=f"CVE-{published.year}-{FIRST_CVE + number}",
        ghsa=multiply.ghsa("invented", number),
        ecosystem=chance.pick(ECOSYSTEMS, number, "ecosystem"),
        maker=first,
        product=second,
        flaw=chance.pick(FLAWS, number, "flaw"),
        introduced=f"{major}.0.0" if major else "0",
        fixed=f"{major}.{minor + 1}.{patch}",
        score=chance.pick(SCORES, number, "score"),
        published=published,
        links=tuple(
            f"https://{kind}.{first}-{second}.example/{number}"
            for kind in ("code", "issues", "news")[: 1 + chance.number(number, "links") % 3]
        ),
    )


def all_agree(one: Vulnerability) -> Sequence[Advisory]:
    """Four sources, or three, say the same."""
    said = [synthetic_payloads.nvd(one), synthetic_payloads.ghsa(one), synthetic_payloads.csaf([one])]
    return [*said, synthetic_payloads.of_ecosystem(one)] if one.has_database else said


def scores_differ(one: Vulnerability) -> Sequence[Advisory]:
    """NVD finds it much worse, or much better, than the others."""
    place = SCORES.index(one.score)
    other = replace(one, score=SCORES[(place + len(SCORES) // 2) % len(SCORES)])
    return [synthetic_payloads.nvd(other), synthetic_payloads.ghsa(one), synthetic_payloads.csaf([one])]


def vectors_differ(one: Vulnerability) -> Sequence[Advisory]:
    """GitHub scores it by CVSS 4.0 alone."""
    return [synthetic_payloads.nvd(one), synthetic_payloads.ghsa(replace(one, score=synthetic_payloads.CVSS_4))]


def ranges_part(one: Vulnerability) -> Sequence[Advisory]:
    """The maker speaks of versions that come after those of GitHub."""
    later = replace(one, introduced=f"{one.major + 2}.0.0", fixed=f"{one.major + 2}.3.1")
    return [synthetic_payloads.nvd(one), synthetic_payloads.ghsa(one), synthetic_payloads.csaf([later])]


def links_part(one: Vulnerability) -> Sequence[Advisory]:
    """No two of them name the same page."""
    other = replace(one, links=(f"https://lists.{one.maker}.example/{one.number}",))
    return [synthetic_payloads.nvd(other), synthetic_payloads.ghsa(one)]


def names_part(one: Vulnerability) -> Sequence[Advisory]:
    """NVD knows the CVE, the ecosystem's database the GHSA id; only GitHub's advisory joins them."""
    return [synthetic_payloads.nvd(one), synthetic_payloads.ghsa(one), synthetic_payloads.of_ecosystem(one, (one.ghsa,))]


def not_yet_analysed(one: Vulnerability) -> Sequence[Advisory]:
    """NVD has the name, and neither score nor product."""
    return [synthetic_payloads.nvd(one, is_analysed=False), synthetic_payloads.ghsa(one), synthetic_payloads.of_ecosystem(one)]


def alone(one: Vulnerability) -> Sequence[Advisory]:
    """One source."""
    return [synthetic_payloads.nvd(one) if chance.one_in(2, one.number, "alone") else synthetic_payloads.ghsa(one)]


def taken_back(one: Vulnerability) -> Sequence[Advisory]:
    """It was none; one source has not noticed."""
    return [
        synthetic_payloads.nvd(one, is_rejected=True),
        synthetic_payloads.ghsa(one, is_withdrawn=True),
        synthetic_payloads.csaf([one]),
    ]


def two_in_one(one: Vulnerability) -> Sequence[Advisory]:
    """The maker tells of two CVEs in one document, which joins them."""
    other = replace(one, cve=f"{one.cve}1", ghsa=multiply.ghsa("invented", one.number, "other"), score=SCORES[0])
    both = [source(each) for each in (one, other) for source in (synthetic_payloads.nvd, synthetic_payloads.ghsa)]
    return [*both, synthetic_payloads.csaf([one, other])]


STORIES: Sequence[Story] = (
    all_agree, scores_differ, alone, ranges_part, vectors_differ, names_part, all_agree, links_part, alone, not_yet_analysed,
    two_in_one, taken_back,
)  # fmt: skip
"""In turns."""


@dataclass(frozen=True)
class Invented:
    """The corpus."""

    files: Sequence[str] = ()

    def round(self, number: int) -> Iterator[Entry]:
        """Some 300 advisories; those of one vulnerability come together."""
        for each in range(number * VULNERABILITIES, (number + 1) * VULNERABILITIES):
            said = STORIES[each % len(STORIES)](invented(each))
            names = distinct(name for advisory in said for name in advisory.names)
            component = Component(names, tuple(Member(vendor(advisory), advisory.modified) for advisory in said))
            yield from (Entry(advisory, component, advisory is said[0]) for advisory in said)
