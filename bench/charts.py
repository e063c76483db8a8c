"""Charts of a report, as SVG that stands in the page itself: no script, colours of the page.

pygal draws; what it adds for a drawing that stands alone (script, style, comments, a random id) is
taken out again.  The style of the page (page.html) colours it, so one drawing serves light and
dark: classes ``color-0`` and on, ``old`` for what is compared with.
"""

import math
import sys
from collections.abc import Sequence
from math import log10
from typing import Any, Final, NamedTuple

import pygal
from pygal.style import Style

from bench.figures import time_text
from bench.stored import Curve, Stage, Step

# Importing pygal leaves a finder of modules of an old kind, for plugins that are not used here;
# with it every later import of this process warns.
sys.meta_path[:] = [each for each in sys.meta_path if hasattr(each, "find_spec")]

WIDTH: Final = 640
FONT: Final = 15
LEGEND_ROW: Final = 24
OLD: Final = "old: "
WHOLE: Final = 100.0
ROUNDING: Final = 1e-6
PERCENTILES: Final = (0.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)
SHARES: Final = ("p50_ns", "p99_ns", "p99_9_ns")
STAGES_SHOWN: Final = {"p50_ns": "p50", "p99_ns": "p99"}


class Line(NamedTuple):
    """A curve of a run; an old one is drawn in the colour of the new one of the same name."""

    name: str
    curve: Curve
    is_old: bool = False


def curves(drawn: Sequence[Line]) -> str:
    """Latency against percentile, several runs over one another; "" when no value is above 0."""
    finite = [at for line in drawn for at, _ in line.curve.points if at < WHOLE]
    last = math.floor(max(map(_nines, finite), default=0.0) + ROUNDING) + 1
    lines = [
        [
            (_nines(at) if at < WHOLE else last, log10(value))
            for at, value in line.curve.points
            if value > 0
        ]
        for line in drawn
    ]
    powers = [power for points in lines for _, power in points]
    if not powers:
        return ""
    chart = _xy(len(lines), powers, "percentile")
    chart.x_labels = [
        *(
            {"value": _nines(at), "label": f"{at:g}"}
            for at in PERCENTILES
            if _nines(at) < last - ROUNDING
        ),
        {"value": last, "label": "max"},
    ]
    chart.xrange = (0, last)
    for line, points in zip(drawn, lines, strict=True):
        chart.add(f"{OLD}{line.name}" if line.is_old else line.name, points)
    names = list(dict.fromkeys(line.name for line in drawn))
    classes = [f"color-{names.index(line.name)}" + " old" * line.is_old for line in drawn]
    return _svg(chart, "latency against percentile", classes)


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
        **_config(len(names)), height=120 + 40 * len(rows) + LEGEND_ROW * len(names)
    )
    upwards = list(reversed(rows))  # pygal draws the first at the bottom.
    chart.x_labels = [name for name, _ in upwards]
    for name in names:
        found = [{stage.stage: getattr(stage, share) for stage in run} for _, run in upwards]
        chart.add(name, [run.get(name) for run in found])
    chart.value_formatter = time_text
    return _svg(chart, "time per stage")


def _nines(percentile: float) -> float:
    """Where a percentile below 100 lies: 0 at 0, 90 at 1, 99 at 2."""
    return -log10(1 - percentile / WHOLE)


def _rate(rate: float) -> str:
    for size, name in ((1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:g}{name}"
    return f"{rate:g}"


def _xy(count: int, powers: Sequence[float], title: str) -> Any:
    """A chart of times by their power of ten; pygal's own logarithm would take both axes."""
    chart = pygal.XY(
        **_config(count),
        height=340 + LEGEND_ROW * count,
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
        "legend_at_bottom_columns": 1,
        "legend_box_size": 14,
        "truncate_legend": -1,
        "truncate_label": -1,
        "show_minor_x_labels": True,
        "margin": 12,
        "title": None,
    }


def _svg(chart: Any, label: str, classes: Sequence[str] = ()) -> str:
    """The drawing as text that may stand in a page; ``classes`` instead of color-0 and on."""
    chart.add_xml_filter(lambda root: _bare(root, label, classes))
    return str(chart.render(is_unicode=True))


def _bare(root: Any, label: str, classes: Sequence[str]) -> Any:
    """The drawing without scripts, styles, comments and its random id."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in ("script", "style", "title"):
                parent.remove(child)
        words = parent.get("class", "").split()
        numbers = [int(word[6:]) for word in words if word.startswith("color-")]
        if classes and numbers:
            kept = [word for word in words if not word.startswith("color-")]
            parent.set("class", " ".join([*kept, classes[numbers[0]]]))
    root.attrib.pop("id", None)
    root.set("role", "img")
    root.set("aria-label", label)
    return root
