"""`outcry bench report`: a page out of results, and the judgement against older ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import bars, stored
from bench.compare import BETTER, NOT, WITHIN, WORSE, Comparison, Judgement, compare
from bench.page import percent, render, value_of
from tools import exits

PAGE: Final = "report.html"
COLOURS: Final = {BETTER: "green", WORSE: "red", WITHIN: "dim", NOT: "dim"}


class Options(NamedTuple):
    """What the command was told."""

    places: Sequence[Path]
    output: Path | None
    old: Sequence[Path]
    fail_on_worse: bool


def run(options: Options, console: Console) -> dict[str, Any]:
    """Write the page, print the comparison; flat fields.

    Stop (64) with every fault of the results; (70) when something is worse and that was asked.
    """
    places = list(options.places) or [Path(stored.DIRECTORY)]
    results = _read(places)
    comparisons = compare(_read(options.old), results) if options.old else []
    output = options.output or _beside(places[0])
    page = render(results, comparisons)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except OSError as fault:
        raise exits.Stop(exits.USAGE, f"--output {output}: {fault.strerror}") from None
    show(comparisons, console)
    judged = [item for found in comparisons for item in found.judgements]
    held = [met for result in results for met in bars.held(result)]
    worse = sorted({f"{item.bench} {item.field}" for item in judged if _is_worse(item)})
    if worse and options.fail_on_worse:
        raise exits.Stop(exits.FAILED, f"bench report: worse beyond noise: {', '.join(worse)}")
    found: dict[str, Any] = {"output": str(output), "results": len(results)}
    found |= {"bars_reached": sum(met.is_reached for met in held)}
    found |= {"bars_missed": sum(not met.is_reached for met in held)}
    if options.old:
        for verdict in (BETTER, WORSE, WITHIN, NOT):
            name = verdict.replace(" ", "_")
            found[name] = sum(item.verdict == verdict for item in judged)
    return found


def show(comparisons: Sequence[Comparison], console: Console) -> None:
    """One table a benchmark."""
    for item in comparisons:
        table = Table(title=Text(_title(item)), title_justify="left", box=None, pad_edge=False)
        for name, justify in (("figure", "left"), ("old", "right"), ("new", "right")):
            table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("change", justify="right", no_wrap=True)
        table.add_column("judgement")
        for found in item.judgements:
            words = found.verdict + (f": {found.why}" if found.why else "")
            table.add_row(
                Text(found.field),
                Text(value_of(found, found.old)),
                Text(value_of(found, found.new)),
                Text(percent(found.change)),
                Text(words, style=COLOURS[found.verdict]),
            )
        console.print(table)
        console.print()


def against(result: dict[str, Any], directory: Path, console: Console) -> None:
    """Compare with the result of the same bench, options and machine in ``directory``.

    Where there is none, this one is stored as what later ones are compared with.
    """
    new = stored.as_read(result)
    place = directory / stored.machine_name(new)
    before = stored.read([place]) if any(place.glob("*.json")) else []
    old = [item for item in before if item.bench == new.bench]
    old = [item for item in old if item.about.options == new.about.options]
    if old:
        show(compare(old, [new]), console)
    else:
        console.print(f"stored for later comparison: {stored.save(result, place)}", soft_wrap=True)


def _title(item: Comparison) -> str:
    old, new = item.old.about, item.new.about
    told = " ".join(f"{name}={value}" for name, value in new.options.items())
    words = [item.new.bench, told, f"({old.taken:%Y-%m-%d %H:%M} {old.commit}, then {new.commit})"]
    return " ".join(filter(None, words))


def _is_worse(item: Judgement) -> bool:
    return item.verdict == WORSE and item.counts


def _beside(place: Path) -> Path:
    return (place if place.is_dir() else place.parent) / PAGE


def _read(places: Sequence[Path]) -> list[stored.Result]:
    try:
        return stored.read(places)
    except stored.ResultFaults as fault:
        raise exits.Stop(exits.USAGE, f"bench report: {'; '.join(fault.faults)}") from None
