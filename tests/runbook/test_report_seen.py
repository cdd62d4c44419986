"""The report as a browser shows it: a real headless Chromium, at the width of a telephone and of a desk, light and dark."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lnm_runner.report import html

from tests.runbook import chromium, predicates
from tests.runbook.chromium import Page

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="chromium is not installed (ci/apt.txt)")
NARROW, WIDE = 400, 1200
CHARTS = ("timeline", "throughput", "lag", "backlog")
FAINT = """(() => {
  const part = value => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4 };
  const parts = text => (text.match(/[0-9.]+/g) || []).map(Number);
  const light = text => { const [r, g, b] = parts(text); return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b) };
  const clear = text => parts(text).length === 4 && parts(text)[3] === 0;
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3 && node.data.trim());
    if (!own.length || ['title', 'desc'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    let ground = element;
    while (ground && clear(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
    const pair = [light(element.tagName === 'text' ? style.fill : style.color), light(getComputedStyle(ground).backgroundColor)];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.tagName} ${own[0].data.slice(0, 40)}`);
  }
  return found;
})()"""
"""Every text whose colour is too near to that of its ground, as the browser has computed both."""
OUTSIDE = """(() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text, rect, circle, polyline')].filter(element => !element.closest('defs')).filter(element => {
    const box = element.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  }).map(element => svg.id + ': ' + element.tagName + ' ' + element.textContent);
}))()"""
"""What is drawn outside of its chart, where it would be cut off."""
OVERLAPPING = """(() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(element => [element.textContent, element.getBoundingClientRect()]);
  return boxes.flatMap(([said, a], number) => boxes.slice(number + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
    .map(([other]) => svg.id + ': ' + said + ' / ' + other));
}))()"""
"""Words of a chart that are written over each other."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium.page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    predicate = predicates.rehearsal()
    predicates.of(predicate, "validate").update(state="failed", evidence={"type": "EquationError", "exit": 2})
    predicates.of(predicate, "freeze").update(state="skipped", evidence={"reason": "the product is switched off"})
    path.write_bytes(html.render(predicate, predicates.samples(is_lag_lost=True)))
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_it_can_be_read_at_every_width_in_light_and_dark(
    page: Page, report: Path, tmp_path: Path, width: int, *, dark: bool
) -> None:
    page.open(report, width, dark=dark)
    assert page.says("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    assert page.says(FAINT) == []
    assert page.says(OUTSIDE) == []
    assert page.says(OVERLAPPING) == []
    ground = page.says("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 28)" if dark else "rgb(255, 255, 255)")
    page.screenshot(tmp_path / "report.png")
    across, down = struct.unpack(">II", (tmp_path / "report.png").read_bytes()[16:24])
    assert across == width
    assert down > 1_000
    assert (page.complaints(), set(page.requests())) == ([], {report.as_uri()})


def test_every_chart_is_there_with_its_words_for_who_cannot_see_it(page: Page, report: Path) -> None:
    page.open(report, NARROW)
    for name in CHARTS:
        box: dict[str, Any] = page.says(f"document.querySelector('#chart-{name}').getBoundingClientRect().toJSON()")
        assert box["width"] > NARROW / 2
        assert box["height"] > 100
    shown = "[...document.querySelectorAll('svg')].every(svg => svg.ariaLabelledByElements[0].textContent && svg.querySelector('desc').textContent)"
    assert page.says(shown) is True


def test_its_policy_has_the_browser_refuse_what_is_not_its_own(page: Page, report: Path, tmp_path: Path) -> None:
    """Were markup of others to get in, nothing would run and nobody be asked; and a page that complains is noticed here."""
    foreign = b"<img src='https://x.example/a.png'><script>document.title = 'ran'</script>"
    planted = tmp_path / "planted.html"
    planted.write_bytes(report.read_bytes().replace(b"<main>", b"<main>" + foreign))
    page.open(planted, WIDE)
    assert page.says("document.title") != "ran"
    said = page.complaints()
    assert sum('"blockedReason": "csp"' in one for one in said) == len(("image",))
    assert sum("Content Security Policy" in one for one in said) == len(("image", "script"))
