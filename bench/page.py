"""One HTML page out of results: no network, no script, nothing beside it.

``page.html`` is the template; everything that comes from a result is escaped by it.  What is
put in unescaped are the drawings alone, which ``bench.charts`` escapes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import jinja2
import msgspec
from markupsafe import Markup

from bench import bars, charts
from bench.compare import Comparison, Judgement
from bench.figures import baseline_of, shown, unit_of
from bench.stored import Result, Stage, Step, is_number

TEMPLATE: Final = "page.html"
FOLDER: Final = Path(__file__).resolve().parent
BAR_WHOLE: Final = 2.0  # The ratio at which a bar is full.
COLOURS: Final = 32  # Lines in a chart; the page has eight colours, then dashes.


Timed = TypeVar("Timed", Step, Stage)


class Row(NamedTuple):
    """A figure in the table; ``share`` is the width of its bar in percent, None: no bar."""

    field: str
    value: str
    baseline: str
    ratio: str
    share: float | None
    limit: float | None
    bar: str
    verdict: str
    spread: str


class Section(NamedTuple):
    """One result: its figures, its facts, where it was taken."""

    anchor: str
    title: str
    result: Result
    rows: list[Row]
    facts: list[tuple[str, str]]
    options: str
    machine: list[tuple[str, str]]
    hiccups: list[tuple[str, str]]
    ladders: list[tuple[str, Markup]]
    ladder_rows: list[list[str]]
    stages: list[tuple[str, Markup]]
    stage_rows: list[list[str]]


class Group(NamedTuple):
    """Everything about one benchmark: what its results have in common is drawn over one another."""

    bench: str
    sections: list[Section]
    curves: Markup


def render(results: Sequence[Result], comparisons: Sequence[Comparison] = ()) -> str:
    """The page; ``comparisons`` as ``bench.compare`` gives them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["percent"] = percent
    environment.globals["value_of"] = value_of
    groups = _groups(results, comparisons)
    met = [(item.bench, held) for item in results for held in bars.held(item)]
    return environment.get_template(TEMPLATE).render(
        groups=groups,
        comparisons=comparisons,
        met=[(bench, held, shown(held.value, unit_of(held.field))) for bench, held in met],
        limit=lambda held: shown(held.bar.limit, unit_of(held.field)),
        taken=_span(results),
        colours=range(COLOURS),
    )


def percent(change: float | None) -> str:
    """A relative change, with its sign."""
    return "" if change is None else f"{100 * change:+.1f} %"


def value_of(judgement: Judgement, value: Any) -> str:
    """One side of a comparison."""
    return shown(value, unit_of(judgement.field))


def _groups(results: Sequence[Result], comparisons: Sequence[Comparison]) -> list[Group]:
    groups = []
    for bench in dict.fromkeys(result.bench for result in results):
        own = [result for result in results if result.bench == bench]
        old = [item.old for item in comparisons if item.new.bench == bench]
        named = [(_name(item, own), item, False) for item in own]
        named += [(_name(item, old), item, True) for item in old]
        lines = [
            charts.Line(" · ".join(filter(None, (curve.name, name))), curve, is_old)
            for name, item, is_old in named
            for curve in item.about.curves
        ]
        groups.append(
            Group(
                bench,
                [
                    _section(number, item, own, _stages(item, comparisons))
                    for number, item in enumerate(own)
                ],
                Markup(charts.curves(lines)),
            )
        )
    return groups


def _name(result: Result, among: Sequence[Result]) -> str:
    """What tells a result from the others of its benchmark: options that differ, else its time."""
    if len(among) == 1:
        return ""
    options = result.about.options
    differing = [
        _option(name, options[name])
        for name in options
        if any(other.about.options.get(name) != options[name] for other in among)
    ]
    same = sum(other.about.options == options for other in among)
    words = [*differing, f"{result.about.taken:%m-%d %H:%M}" if same > 1 else ""]
    return " ".join(filter(None, words)) or f"{result.about.taken:%m-%d %H:%M}"


def _option(name: str, value: Any) -> str:
    if value is True:
        return name
    return value if isinstance(value, str) else f"{name} {value}"


def _stages(result: Result, comparisons: Sequence[Comparison]) -> list[tuple[str, Markup]]:
    """A bar of the result, and one of what it is compared with, by percentile."""
    rows = [("now", result.about.stages)]
    rows += [("old", item.old.about.stages) for item in comparisons if item.new is result]
    named = [
        (" ".join(filter(None, (name, part))), stages)
        for name, found in rows
        for part, stages in _parts(found).items()
    ]
    shares = charts.STAGES_SHOWN.items() if named else ()
    return [(label, Markup(charts.stages(named, share))) for share, label in shares]


def _parts(rows: Sequence[Timed]) -> dict[str, list[Timed]]:
    """Steps or stages by durability."""
    names = dict.fromkeys(row.durability for row in rows)
    return {name: [row for row in rows if row.durability == name] for name in names}


def _section(
    number: int, result: Result, among: Sequence[Result], stages: list[tuple[str, Markup]]
) -> Section:
    about = result.about
    hiccups = [] if about.hiccups is None else list(msgspec.structs.asdict(about.hiccups).items())
    facts = [
        (name, shown(value, None))
        for name, value in result.flat.items()
        if not is_number(value) or unit_of(name) is None
    ]
    return Section(
        anchor=f"{result.bench}-{number}",
        title=_name(result, among),
        result=result,
        rows=_rows(result),
        facts=facts,
        options=", ".join(f"{name} {shown(value, None)}" for name, value in about.options.items()),
        machine=[(name, _member(name, value)) for name, value in about.machine.items()],
        hiccups=[(_label(name), shown(value, unit_of(name))) for name, value in hiccups],
        ladders=[
            (name, Markup(charts.ladder(steps))) for name, steps in _parts(about.ladder).items()
        ],
        ladder_rows=[_texts(step) for step in about.ladder],
        stages=stages,
        stage_rows=[_texts(stage) for stage in about.stages],
    )


def _rows(result: Result) -> list[Row]:
    """One row a figure; a baseline stands in the row of what it is the baseline of."""
    held = {met.field: met for met in bars.held(result)}
    paired = {baseline_of(name, result.flat) for name in result.flat}
    rows = []
    for name, value in result.flat.items():
        unit = unit_of(name)
        if unit is None or not is_number(value) or name in paired:
            continue
        assert isinstance(value, int | float)
        base = result.flat.get(baseline_of(name, result.flat))
        ratio: float | None = None
        if unit.kind == "ratio":
            ratio = value
        elif isinstance(base, int | float) and base:
            ratio = value / base
        met = held.get(name)
        noise = result.noise(name)
        is_ratio_bar = met is not None and unit.kind == "ratio"
        rows.append(
            Row(
                field=name,
                value=shown(value, unit),
                baseline="" if base is None else shown(base, unit),
                ratio="" if ratio is None or unit.kind == "ratio" else f"{ratio:.3g} x",
                share=None if ratio is None else _share(ratio),
                limit=_share(met.bar.limit) if met is not None and is_ratio_bar else None,
                bar="" if met is None else f"{met.bar.sign} {shown(met.bar.limit, unit)}",
                verdict="" if met is None else ("reached" if met.is_reached else "missed"),
                spread="" if noise is None else f"± {100 * noise:.1f} %",
            )
        )
    return rows


def _share(ratio: float) -> float:
    """Width in percent; the bar is full at BAR_WHOLE and longer ratios are cut there."""
    return round(min(max(ratio / BAR_WHOLE, 0.0), 1.0) * 100, 1)


def _member(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} on {item}" for key, item in value.items()) or "nothing"
    if value == "":
        return "unknown"
    return shown(value, unit_of(name))


def _texts(row: Any) -> list[str]:
    return [shown(value, unit_of(name)) for name, value in msgspec.structs.asdict(row).items()]


def _label(name: str) -> str:
    return name.removesuffix("_ns").replace("p99_9", "p99.9")


def _span(results: Sequence[Result]) -> str:
    days = sorted({f"{result.about.taken:%Y-%m-%d}" for result in results})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""
