"""Charts of a report, as SVG that stands in the page itself: no script, colours of the page.

pygal draws; what it adds for a drawing that stands alone (script, style, comments, a random id) is
taken out again.  The style of the page (page.html) colours it, so one drawing serves light and dark.
"""

import math
from collections.abc import Sequence
from math import log10
from typing import Any, Final

import pygal
from pygal.style import Style

from bench.figures import time_text
from bench.stored import Curve, Stage, Step

WIDTH: Final = 640
FONT: Final = 15
PERCENTILES: Final = (0.0, 90.0, 99.0, 99.9, 99.99, 99.999)
SHARES: Final = ("p50_ns", "p99_ns", "p99_9_ns")
STAGES_SHOWN: Final = {"p50_ns": "p50", "p99_ns": "p99"}


def curves(named: Sequence[tuple[str, Curve]]) -> str:
    """Latency against percentile, several runs over one another; "" when no value is above 0."""
    lines = [
        (name, [(_nines(at), log10(value)) for at, value in curve.points if value > 0])
        for name, curve in named
    ]
    powers = [power for _, points in lines for _, power in points]
    if not powers:
        return ""
    last = max(place for _, points in lines for place, _ in points)
    shown = [at for at in PERCENTILES if _nines(at) < last + 1]
    chart = _xy(len(lines), powers, "percentile")
    chart.x_labels = [{"value": _nines(at), "label": f"{at:g}"} for at in shown]
    chart.xrange = (0, max(last, 1.0))
    for name, points in lines:
        chart.add(name, points)
    return _svg(chart, "latency against percentile")


def ladder(steps: Sequence[Step]) -> str:
    """Rate against p50, p99, p99.9; "" when there is nothing to draw."""
    lines = {
        name: [(s.rate_per_s, log10(getattr(s, name))) for s in steps if getattr(s, name) > 0]
        for name in SHARES
    }
    powers = [power for points in lines.values() for _, power in points]
    if not powers:
        return ""
    chart = _xy(len(SHARES), powers, "commands a second")
    rates = sorted({step.rate_per_s for step in steps})
    keep = max(1, -(-len(rates) // 6))
    chart.x_labels = [{"value": rate, "label": _rate(rate)} for rate in rates[::keep]]
    if len(rates) == 1:
        chart.xrange = (0, rates[0] * 2)
    for name, points in lines.items():
        chart.add(name.removesuffix("_ns").replace("p99_9", "p99.9"), sorted(points))
    return _svg(chart, "latency against rate")


def stages(rows: Sequence[tuple[str, Sequence[Stage]]], share: str = "p50_ns") -> str:
    """One bar per run, the stages one after another; ``share`` is a field of Stage.

    Percentiles of stages do not add up to that of the whole way; the bar compares stages.
    """
    names = list(dict.fromkeys(stage.stage for _, run in rows for stage in run))
    if not names:
        return ""
    chart = pygal.HorizontalStackedBar(
        **_config(len(names)), height=120 + 40 * len(rows) + 28 * _legend_rows(len(names))
    )
    chart.x_labels = [name for name, _ in rows]
    for name in names:
        found = [{stage.stage: getattr(stage, share) for stage in run} for _, run in rows]
        chart.add(name, [run.get(name) for run in found])
    chart.value_formatter = time_text
    return _svg(chart, "time per stage")


def _nines(percentile: float) -> float:
    """Where a percentile lies: 0 at 0, 90 at 1, 99 at 2; 100 is drawn behind the last nine."""
    return -log10(max(1 - percentile / 100, 1e-6))


def _rate(rate: float) -> str:
    for size, name in ((1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:g}{name}"
    return f"{rate:g}"


def _xy(count: int, powers: Sequence[float], title: str) -> Any:
    """A chart of times by their power of ten; pygal's own logarithm would take both axes."""
    chart = pygal.XY(
        **_config(count),
        height=340 + 28 * _legend_rows(count),
        show_dots=True,
        dots_size=2.5,
        x_title=title,
    )
    low = math.floor(min(powers))
    high = max(math.ceil(max(powers)), low + 1)
    chart.y_labels = [
        {"value": power, "label": time_text(10.0**power)} for power in range(low, high + 1)
    ]
    chart.range = (low, high)
    chart.value_formatter = lambda power: time_text(10.0**power)
    return chart


def _legend_rows(count: int) -> int:
    return -(-count // 2)


def _config(count: int) -> dict[str, Any]:
    style = Style(
        colors=("black",) * count,  # The page colours them by class, .color-0 and on.
        label_font_size=FONT,
        major_label_font_size=FONT,
        legend_font_size=FONT,
        title_font_size=FONT,
    )
    return {
        "style": style,
        "disable_xml_declaration": True,
        "js": [],
        "width": WIDTH,
        "show_x_guides": True,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": min(count, 2),
        "legend_box_size": 14,
        "truncate_legend": -1,
        "truncate_label": -1,
        "show_minor_x_labels": True,
        "margin": 12,
        "title": None,
    }


def _svg(chart: Any, label: str) -> str:
    """The drawing as text that may stand in a page."""
    chart.add_xml_filter(lambda root: _bare(root, label))
    return str(chart.render(is_unicode=True))


def _bare(root: Any, label: str) -> Any:
    """The drawing without scripts, styles, comments and its random id."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in ("script", "style", "title"):
                parent.remove(child)
    root.attrib.pop("id", None)
    root.set("role", "img")
    root.set("aria-label", label)
    return root
