"""Charts as inline SVG: no script, no font, nothing from elsewhere; each with a title and a description for who cannot see it.

Colours come from the page's style sheet by class. An unknown value is hatched, and so is an attempt whose end nobody saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lnm_runner.report import axes, words
from lnm_runner.report.axes import Scale, place
from lnm_runner.report.markup import Markup, joined, tag
from lnm_runner.report.series import STRETCHES, Point, Series
from lnm_runner.report.timeline import Bar

WIDTH, HEIGHT = 520, 230
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 44
UNIT = 15
NAMES = 132
"""Of a timeline: the room for the stages' names."""
ROW, BAR = 22, 12
MOST_BARS, MOST_STAGES = 300, 30
TICKS = 6
LETTERS = 22
"""Of a name in a timeline."""


@dataclass(frozen=True)
class Chart:
    """What is drawn of a series."""

    name: str
    title: str
    unit: str
    series: Series
    divisor: int = 1
    """From the series' unit to the chart's."""
    limit: float | None = None
    """In the chart's unit; drawn as a dashed line."""
    limit_words: str = ""


def svg(name: str, title: str, description: str, height: int, *inside: str) -> Markup:
    """A drawing with its words."""
    hatch = tag(
        "pattern",
        tag("line", x1=0, y1=0, x2=0, y2=6, class_="hatch-line"),
        id=f"{name}-hatch", width=6, height=6, patternUnits="userSpaceOnUse", patternTransform="rotate(45)",
    )  # fmt: skip
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        tag("defs", hatch),
        *inside,
        role="img", viewBox=f"0 0 {WIDTH} {height}", id=f"chart-{name}",
        aria_labelledby=f"{name}-title", aria_describedby=f"{name}-desc",
    )  # fmt: skip


def note(text: str, x: float, y: float, class_: str = "", **more: str) -> Markup:
    """Text in a drawing."""
    return tag("text", text, x=place(x), y=place(y), class_=class_ or None, **more)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=place(x1), y1=place(y1), x2=place(x2), y2=place(y2), class_=class_)


def box(at: tuple[float, float], size: tuple[float, float], class_: str, fill: str | None = None) -> Markup:
    """A rectangle."""
    (x, y), (width, height) = at, size
    return tag("rect", x=place(x), y=place(y), width=place(width), height=place(height), class_=class_, fill=fill)


def time_axis(x: Scale, bottom: float, begin_ms: int, span_ms: int) -> Iterator[Markup]:
    """The scale of time below a chart, with its unit and when it begins."""
    for at, said in axes.time_ticks(span_ms, TICKS):
        yield line(x(at), bottom, x(at), bottom + 4, "axis")
        yield note(said, x(at), bottom + 16, "tick")
    yield line(x.at_low, bottom, x.at_high, bottom, "axis")
    yield note(f"time since {words.moment_of(begin_ms)}", (x.at_low + x.at_high) / 2, bottom + 34, "unit")


def value_axis(y: Scale, unit: str, right: float, top: float, step: float) -> Iterator[Markup]:
    """The scale of values, with its unit and a thin line at each."""
    for value, said in axes.values(top, step):
        yield line(LEFT, y(value), right, y(value), "grid")
        yield note(said, LEFT - 6, y(value) + 4, "value")
    middle = (y.at_low + y.at_high) / 2
    yield note(unit, UNIT, middle, "unit", transform=f"rotate(-90 {UNIT} {place(middle)})")


def drawn(chart: Chart) -> Markup:
    """A series over time."""
    series, bottom, right = chart.series, HEIGHT - BOTTOM, WIDTH - RIGHT
    span = max(series.end_ms - series.begin_ms, 1)
    highest = (series.highest or 0) / chart.divisor
    top, step = axes.round_up(max(highest, (chart.limit or 0) * 1.1))
    x, y = Scale(0, span, LEFT, right), Scale(0, top, bottom, TOP)
    parts: list[Markup] = [*value_axis(y, chart.unit, right, top, step)]
    parts += [hole(chart.name, x, first - series.begin_ms, last - series.begin_ms, bottom) for first, last in series.holes]
    for points in series.lines:
        parts += strokes(points, series.begin_ms, x, y, chart.divisor)
    if chart.limit is not None:
        parts += [
            line(LEFT, y(chart.limit), right, y(chart.limit), "limit"),
            note(chart.limit_words, right - 4, y(chart.limit) - 5, "limit-words"),
        ]
    return svg(chart.name, chart.title, described(chart), HEIGHT, *parts, *time_axis(x, bottom, series.begin_ms, span))


def hole(name: str, x: Scale, first: int, last: int, bottom: float) -> Markup:
    """Where a value was unknown; never so narrow that it could not be seen."""
    width = max(x(last) - x(first), 3)
    return box((min(x(first), x.at_high - width), TOP), (width, bottom - TOP), "hole", f"url(#{name}-hatch)")


def strokes(points: Sequence[Point], begin_ms: int, x: Scale, y: Scale, divisor: int) -> Iterator[Markup]:
    """A line through the highest values, above a band from the lowest ones; a point alone is a dot."""
    upper = [(x(point.at_ms - begin_ms), y(point.high / divisor)) for point in points]
    if len(points) == 1:
        ((across, down),) = upper
        yield tag("circle", cx=place(across), cy=place(down), r="2.2", class_="dot")
        return
    if any(point.low != point.high for point in points):
        lower = [(x(point.at_ms - begin_ms), y(point.low / divisor)) for point in reversed(points)]
        yield tag("polygon", points=path([*upper, *lower]), class_="band")
    yield tag("polyline", points=path(upper), class_="line")


def path(points: Sequence[tuple[float, float]]) -> str:
    """Places as SVG lists them."""
    return " ".join(f"{place(across)},{place(down)}" for across, down in points)


def described(chart: Chart) -> str:
    """The chart in words: how many samples, the highest, what is unknown, how it was thinned."""
    series = chart.series
    highest = (
        "nothing is known" if series.highest is None else f"highest {words.measure(series.highest / chart.divisor)} {chart.unit}"
    )
    said = [f"{words.number(series.samples)} samples", highest]
    if series.unknown:
        said.append(f"unknown in {words.number(series.unknown)} of them, which is hatched")
    if series.is_thinned:
        how = "by its average" if series.is_average else "from its lowest value to its highest"
        said.append(f"drawn as up to {STRETCHES} stretches of time, each {how}")
    return "; ".join(said) + "."


FILLS = {"done": "go", "failed": "no-go", "interrupted": "condition", "refused": "line", "skipped": "soft"}
"""How an attempt ended, and the class of its bar; any other is hatched."""


def timeline(bars: Sequence[Bar], order: Sequence[str]) -> Markup:
    """A row for each stage, and in it a bar for each attempt."""
    shown = bars[:MOST_BARS]
    seen = list(dict.fromkeys(bar.stage for bar in shown))
    names = sorted(seen, key=lambda name: order.index(name) if name in order else len(order))[:MOST_STAGES]
    begin = min(bar.begin_ms for bar in shown)
    span = max(max(bar.end_ms for bar in shown) - begin, 1)
    x, bottom = Scale(0, span, NAMES, WIDTH - RIGHT), TOP + ROW * len(names)
    parts: list[Markup] = []
    for number, name in enumerate(names):
        middle = TOP + ROW * number + ROW / 2
        parts.append(line(NAMES, middle + ROW / 2, WIDTH - RIGHT, middle + ROW / 2, "grid"))
        parts.append(note(name if len(name) <= LETTERS else f"{name[:LETTERS]}…", NAMES - 8, middle + 4, "stage"))
        parts += [attempt(bar, x, begin, middle) for bar in shown if bar.stage == name]
    said = f"{words.number(len(bars))} attempts of {words.number(len(names))} stages in {words.duration(span)}"
    left_out = f"; the first {words.number(len(shown))} are drawn" if len(bars) > len(shown) else ""
    title = "When which stage was at work"
    return svg("timeline", title, f"{said}{left_out}.", bottom + BOTTOM, *parts, *time_axis(x, bottom, begin, span))


def attempt(bar: Bar, x: Scale, begin_ms: int, middle: float) -> Markup:
    """A bar, with its words for who points at it; wide enough to be seen."""
    width = max(x(bar.end_ms - begin_ms) - x(bar.begin_ms - begin_ms), 3)
    left = min(x(bar.begin_ms - begin_ms), x.at_high - width)
    kind = FILLS.get(bar.state)
    class_, fill = (f"bar fill-{kind}", None) if kind else ("bar open", "url(#timeline-hatch)")
    drawing = box((left, middle - BAR / 2), (width, BAR), class_, fill)
    said = f"{words.plain(bar.stage)}: {words.plain(bar.state)}, {words.duration(bar.end_ms - bar.begin_ms)}"
    return tag("g", tag("title", said), drawing)


def legend() -> Markup:
    """What the colours of the bars mean."""
    entries = [(f"fill-{kind}", state) for state, kind in FILLS.items()]
    marks = [
        tag("span", tag("i", class_=f"key {name}"), state) for name, state in [*entries, ("open", "killed, or not at its end")]
    ]
    return tag("p", *[joined([mark, " "]) for mark in marks], class_="legend")
