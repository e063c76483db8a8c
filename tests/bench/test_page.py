"""The page: every figure is on it, nothing is fetched, nothing runs, everything is escaped."""

import itertools
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from bench import charts, stored
from bench.bars import BARS, held
from bench.compare import compare
from bench.page import render
from tests.bench.examples import pipeline, read, result

EVIL = "<script>alert('&')</script>"


class Page(HTMLParser):
    """Tags, text and attributes; tags that are opened must be closed."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [f"{name}={value}" for name, value in attrs if name != "xmlns"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def _page(*made: dict[str, Any], old: dict[str, Any] | None = None) -> Page:
    results = [stored.as_read(item) for item in made]
    comparisons = [] if old is None else compare([stored.as_read(old)], results)
    return Page(render(results, comparisons))


def test_every_figure_is_on_the_page() -> None:
    figures: dict[str, Any] = {"w1_risk": False, "w1_ids": False}
    figures |= {"w1_ns_per_command": 72.1, "w1_baseline_ns_per_command": 111.6, "w1_ratio": 0.2}
    facts: dict[str, Any] = {"trades": 123_456, "trade_hash": "0f1e2d", "pinned": True}
    noise: dict[str, Any] = {"w1_ns_per_command": 0.0125}
    made = pipeline()
    made["ladder"][1]["durability"] = "sync"
    text = _page(result(**figures, **facts, noise=noise), made).text
    for shown in (
        *("w1_ns_per_command 72.1 ns 1.2 % 112 ns 0.646 x", "w1_ratio 0.2 x ≤ 0.25 x reached"),
        *("trades 123,456", "trade_hash 0f1e2d", "pinned yes"),
        *("p50_ns 2.35 µs 1.23 µs 1.9 x", "commands_per_s 3.21 M/s"),
        *("cpu Example CPU", "memory_bytes 16 GiB", "governor performance", "pinned core on 1"),
        *("p99.9 12.9 µs", "max 4.1 ms", "samples 77,123", "commit abc1234"),
        *("200 k/s 200 k/s 3 2.11 µs 6.33 µs 19 µs 912 µs",),
        *("ring 2.11 µs 4.44 µs 6.33 µs 19 µs 912 µs 5,555",),
        *("one in flight", "99.9", "2026-11-20 10:00", "durability relaxed", "no_risk yes"),
        *("Rate ladder 1 µs", "Rate ladder, sync 1 µs"),
    ):
        assert shown in text, shown


def test_nothing_is_fetched_and_nothing_runs() -> None:
    page = _page(pipeline(), old=pipeline(taken="2026-11-19T10:00:00+00:00"))
    assert {"svg", "table", "style"} <= set(page.tags)
    assert {"script", "link", "img", "iframe", "use", "image"}.isdisjoint(page.tags)
    named = [value for value in page.values if value.startswith(("href", "src", "xlink", "on"))]
    assert all(value.startswith("href=#") for value in named)
    assert "url(" not in render([stored.as_read(pipeline())])
    assert "@import" not in render([stored.as_read(pipeline())])


def test_everything_is_escaped() -> None:
    made = pipeline(commit=EVIL, note=EVIL) | {
        "options": {EVIL: EVIL},
        "machine": {EVIL: EVIL, "pinned": {EVIL: 1}},
        "bench": EVIL,
        EVIL: 3,
        f"{EVIL}_ns": 3,
    }
    made["curves"][0]["name"] = made["stages"][0]["stage"] = EVIL
    page = _page(made, old=made | {f"{EVIL}_ns": 4})
    assert "script" not in page.tags
    assert page.text.count(EVIL) >= 10


def test_older_results_are_judged_on_the_page() -> None:
    noise = {"p50_ns": 0.0, "commands_per_s": 0.0}
    old = pipeline(noise=noise, taken="2026-11-19T10:00:00+00:00")
    text = _page(pipeline(noise=noise) | {"p50_ns": 1_000, "commands_per_s": 10}, old=old).text
    assert "p50_ns better -57.4 % 2.0 % 2.35 µs 1 µs" in text
    assert "commands_per_s worse -100.0 % 2.0 % 3.21 M/s 10/s" in text
    assert "baseline_p50_ns within noise +0.0 % 1.23 µs 1.23 µs" in text
    assert "old: one in flight" in text


def test_an_old_curve_has_the_colour_of_the_new_one() -> None:
    curve = stored.Curve("a", [(0, 800), (90, 1_000)])
    lines = [charts.Line("a", curve), charts.Line("b", curve), charts.Line("b", curve, is_old=True)]
    drawn = charts.curves(lines)
    found = re.findall(r'class="series serie-\d (color-[^"]*)"', drawn)
    assert list(dict.fromkeys(found)) == ["color-0", "color-1", "color-1 old"]


def test_a_bar_is_reached_or_missed_by_figures_of_its_benchmark_and_facts() -> None:
    book: dict[str, Any] = {"w1_risk": False, "w1_ids": False, "w2_risk": False, "w2_ids": False}
    met = list(held(read(**book, w1_ratio=0.25, w2_ratio=0.41, w4_ratio=0.1)))
    assert [(one.field, one.is_reached) for one in met] == [("w1_ratio", True), ("w2_ratio", False)]
    alone = list(held(read(flow="w4.flow", risk=False, ids=False, ratio=0.33)))
    assert [(one.bar.limit, one.is_reached) for one in alone] == [(0.32, False)]
    assert list(held(read(flow="w4.flow", risk=True, ids=False, ratio=0.33))) == []
    found = list(held(read(bench="replay", commands_per_s=6_000_000)))
    assert [one.is_reached for one in found] == [True]
    text = _page(result(**book, w2_ratio=0.41)).text
    assert "book alone, w2, to the naive kernel missed 0.41 x ≤ 0.4 x" in text


def test_a_bar_beyond_hiccups_takes_off_what_the_machine_does_by_itself() -> None:
    made: dict[str, Any] = {"bench": "pipeline", "relaxed_half_p99_9_ns": 1_012_900}
    assert [(one.value, one.is_reached) for one in held(read(**made))] == [(1e6, True)]
    made["relaxed_half_p99_9_ns"] += 1
    assert [one.is_reached for one in held(read(**made))] == [False]
    assert list(held(read(**made, hiccups=...))) == []


def test_every_bar_is_for_a_figure_with_a_unit() -> None:
    for bar in BARS:
        re.compile(bar.field)
        assert bar.sign in "≤≥"
        assert bar.beyond in ("", "p99_ns", "p99_9_ns")
        assert bar.limit > 0


@pytest.mark.parametrize("count", [1, 2, 40])
def test_curves_lie_over_one_another_on_a_scale_of_nines(count: int) -> None:
    curve = stored.Curve("a", [(0, 800), (90, 1_000), (99, 90_000), (99.9, 2_000_000), (100, 9e6)])
    drawn = charts.curves([charts.Line(f"run {number}", curve) for number in range(count)])
    page = Page(drawn)
    assert [f"run {number}" in page.text for number in range(count)] == [True] * count
    assert "100 ns 1 µs 10 µs 100 µs 1 ms 10 ms" in page.text
    at = {}
    for text in ("0", "90", "99", "99.9", "max"):
        found = re.search(rf'<text x="([\d.]+)"[^>]*>{re.escape(text)}</text>', drawn)
        assert found is not None, text
        at[text] = float(found[1])
    dots = re.findall(r'<desc class="x[^"]*">([\d.]+)</desc>', drawn)
    assert float(dots[-1]) == pytest.approx(at["max"], abs=0.1)
    places = list(at.values())
    steps = [right - left for left, right in itertools.pairwise(places)]
    assert max(steps) - min(steps) < 0.01


def test_what_there_is_nothing_of_is_not_drawn() -> None:
    assert charts.curves([]) == ""
    assert charts.curves([charts.Line("a", stored.Curve("a", [(0, 0), (100, 0)]))]) == ""
    assert charts.ladder([]) == ""
    assert charts.stages([]) == ""
    assert "svg" not in _page(result(p50_ns=1)).tags


def test_one_value_is_enough_for_a_drawing() -> None:
    assert "svg" in charts.curves([charts.Line("a", stored.Curve("a", [(50, 5)]))])
    step = stored.as_read(pipeline()).about.ladder[:1]
    assert "100k" in Page(charts.ladder(step)).text


def test_a_page_of_the_same_results_is_the_same_page() -> None:
    made = json.loads(json.dumps(pipeline()))
    one, two = (render([stored.as_read(made)]) for _ in range(2))
    assert one == two
