"""Laws of the report: whatever a journal holds, the page is whole, carries no foreign markup, and stays small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lnm_runner.report import html, markdown
from lnm_runner.report.markup import VOID

from tests.runbook import predicates

HOSTILE = (
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</style></title></svg><iframe>", "]]>--><!--", "&lt;b&gt;&amp;",
    "a|b", "`x` | `y`", "![x](http://x.example/)", "[a](javascript:b)", "www.x.example", "https://x.example/?a=b", "a@x.example",
    "\u202egnp.exe", "\x00\x1b[31m", "\n# head\n", "\\|", "*_~#$", "{{x}}", "url(http://x.example/)", "x" * 5_000, "\u200b", "\ud800",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.text("<>&\"'`|\\[]()!*_#:/.w@\n", max_size=30))
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.none(), st.booleans())
ANYTHING = st.recursive(
    st.one_of(TEXTS, NUMBERS), lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(TEXTS, below, max_size=3)), max_leaves=6
)  # fmt: skip
OURS = frozenset(
    {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "main",
        "footer",
        "h1",
        "h2",
        "h3",
        "div",
        "p",
        "strong",
        "section",
    }
    | {"table", "thead", "tbody", "tr", "th", "td", "span", "code", "figure", "figcaption", "ul", "li", "i"}
    | {"svg", "desc", "defs", "pattern", "g", "line", "rect", "text", "circle", "polygon", "polyline"}
)
ADDRESSES = frozenset({"href", "src", "srcset", "action", "xlink:href", "data", "poster", "background", "formaction", "ping"})
QUICKLY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Judge(HTMLParser):
    """Whether elements are ours, balanced, and ask for nothing."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.defects: list[str] = []
        self.names: list[str] = []
        self.feed(page)
        self.close()
        self.defects += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.begun(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.begun(tag, attrs)

    def begun(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.defects += [f"<{tag}>"] if tag not in OURS else []
        for name, value in attrs:
            if name in ADDRESSES or name.startswith("on") or name == "style":
                self.defects.append(f"{tag} {name}={value}")
            if "url(" in (value or "") and not re.fullmatch(r"url\(#[a-z]+-hatch\)", value or "") and name != "content":
                self.defects.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.defects.append(f"</{tag}>")

    def handle_comment(self, data: str) -> None:
        self.defects.append(data)

    def handle_pi(self, data: str) -> None:
        self.defects.append(data)


def replaced(value: Any, texts: Iterator[str]) -> Any:
    """The same, with every text in it, names of members of evidence among them, another one."""
    if isinstance(value, dict):
        return {key: replaced(item, texts) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, texts) for item in value]
    return next(texts) if isinstance(value, str) else value


def endless(texts: list[str]) -> Iterator[str]:
    while True:
        yield from texts


def require_whole(predicate: dict[str, Any], samples: list[dict[str, Any]]) -> None:
    page = html.render(predicate, samples)
    judge = Judge(page.decode())
    assert judge.defects == []
    assert judge.names[:4] == ["html", "head", "meta", "meta"]
    assert len(page) < 1_000_000
    assert page == html.render(predicate, samples)
    text = markdown.render(predicate, samples).decode()
    require_tables(text)
    assert len(text) < 1_000_000


def require_tables(text: str) -> None:
    """Each row of a table has as many cells as its head, and nothing in it can become alive."""
    columns = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)
        columns = columns or len(cells)
        assert len(cells) == columns, line
        bare = re.sub(r"\\.|`[A-Za-z0-9.:_/-]+`", "·", line)
        assert not re.search(r"[<>\[\]`*_~@&]|://|[Ww]{3}\.", bare), line


@given(texts=st.lists(TEXTS, min_size=1, max_size=12))
@QUICKLY
def test_no_text_of_a_journal_becomes_markup_whatever_it_is(texts: list[str]) -> None:
    require_whole(replaced(predicates.rehearsal(), endless(texts)), replaced(predicates.samples()[::20], endless(texts)))


@given(texts=st.lists(TEXTS, min_size=1, max_size=12))
@QUICKLY
def test_nor_does_one_where_the_rest_is_as_it_should_be(texts: list[str]) -> None:
    """Stages that are known, so that their evidence is told."""
    predicate, hostile = predicates.rehearsal(), endless(texts)
    for row in predicate["stages"]:
        row["evidence"] = replaced(row["evidence"], hostile)
    for name in ("kit", "server", "operator", "runner", "head", "plan", "proofs"):
        predicate[name] = replaced(predicate[name], hostile)
    predicate["score"] = {"stages": [{"stage": next(hostile), "predicted": 1, "real": 2, "percent": 200}]}
    predicate["stages"][1] |= {"state": "skipped", "evidence": {"reason": next(hostile)}}
    require_whole(predicate, predicates.samples()[::20])


@given(name=st.sampled_from(sorted(predicates.rehearsal())), value=ANYTHING, sample=st.dictionaries(TEXTS, ANYTHING, max_size=2))
@QUICKLY
def test_any_json_in_the_place_of_a_member_still_makes_a_whole_page(name: str, value: Any, sample: dict[str, Any]) -> None:
    one = {"at": predicates.at(1), "stage": "watch", "lagMs": value, "documents": value, "backlog": value}
    require_whole({**predicates.rehearsal(), name: value}, [sample, one, {**one, "at": value}])


@given(
    stage=st.sampled_from(sorted(predicates.EVIDENCE)), value=ANYTHING, state=st.sampled_from(["done", "failed", "skipped", "?"])
)
@QUICKLY
def test_any_json_in_the_place_of_evidence_still_makes_a_whole_page(stage: str, value: Any, state: str) -> None:
    predicate = predicates.rehearsal()
    evidence = predicates.of(predicate, stage)["evidence"]
    predicates.of(predicate, stage).update(state=state, evidence={**dict.fromkeys(evidence, value), "more": value})
    require_whole(predicate, [])


def test_a_journal_of_thousands_of_lines_and_names_still_makes_a_small_page() -> None:
    predicate = predicates.rehearsal()
    line = {"state": "started", "evidence": {}}
    predicate["journal"] = [{**line, "at": predicates.at(number), "stage": f"{number}" * 99} for number in range(5_000)]
    predicate["stages"] += [
        {"name": f"{number}" * 99, "state": "done", "attempts": 1, "durationMs": 1} for number in range(5_000)
    ]
    predicates.of(predicate, "validate")["evidence"]["names"] = ["x" * 999] * 5_000
    predicates.of(predicate, "backfill-21-102")["evidence"]["errorCodes"] = {f"{number}" * 99: 1 for number in range(5_000)}
    assert len(html.render(predicate, [])) < 400_000
