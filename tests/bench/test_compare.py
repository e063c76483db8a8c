"""Better and worse only beyond the noise of both, for the same thing on the same machine."""

from typing import Any

import pytest

from bench.compare import BETTER, NOT, WITHIN, WORSE, Judgement, compare, judge
from tests.bench.examples import MACHINE, read


def _one(old: dict[str, Any], new: dict[str, Any], field: str) -> Judgement:
    found = [item for item in judge(read(**old), read(**new)) if item.field == field]
    assert len(found) == 1
    return found[0]


def _figure(value: float, noise: float = 0.0, name: str = "p50_ns", **more: Any) -> dict[str, Any]:
    return {name: value, "noise": {name: noise}, **more}


@pytest.mark.parametrize(
    ("name", "old", "new", "verdict"),
    [
        ("p50_ns", (100, 0), (97, 0), BETTER),
        ("p50_ns", (100, 0), (103, 0), WORSE),
        ("commands_per_s", (100, 0), (103, 0), BETTER),
        ("commands_per_s", (100, 0), (97, 0), WORSE),
        # Never by less than 2 %, however quiet.
        ("p50_ns", (100, 0), (102, 0), WITHIN),
        ("p50_ns", (100, 0), (98, 0), WITHIN),
        # Three times the root of the squares: 3 % and 4 % are 5 %, so 15 % do not count.
        ("p50_ns", (100, 0.03), (115, 0.04), WITHIN),
        ("p50_ns", (100, 0.03), (115.1, 0.04), WORSE),
        ("p50_ns", (100, 0.03), (84.9, 0.04), BETTER),
        ("late", (4, 0), (1, 0), BETTER),
    ],
)
def test_a_change_counts_beyond_the_noise(
    name: str, old: tuple[float, float], new: tuple[float, float], verdict: str
) -> None:
    found = _one(_figure(*old, name), _figure(*new, name), name)
    assert found.verdict == verdict
    assert found.change == pytest.approx((new[0] - old[0]) / old[0])


def test_noise_is_taken_from_the_runs() -> None:
    runs = [{"p50_ns": value} for value in (90, 100, 110)]
    old, new = {"p50_ns": 100, "runs": runs}, _figure(125)
    assert _one(old, new, "p50_ns").needed == pytest.approx(0.3)
    assert _one(old, new, "p50_ns").verdict == WITHIN
    assert _one(old, _figure(131), "p50_ns").verdict == WORSE


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            _figure(100),
            _figure(50, machine=MACHINE | {"cpu": "Another"}),
            "other machine: cpu 'Example CPU', now 'Another'",
        ),
        (
            _figure(100),
            _figure(50, machine=MACHINE | {"pinned": {}}),
            "other machine: pinned {'core': 1}, now {}",
        ),
        (_figure(100), _figure(50, machine=...), "the machine is not described"),
        (_figure(100), _figure(50, options={}), "other options: no_risk True, now None"),
        ({"p50_ns": 100}, _figure(50), "the noise was not measured"),
        (_figure(0), _figure(50), "it was 0"),
        ({}, _figure(50), "only the new result has it"),
        (_figure(50), {}, "it is gone"),
    ],
)
def test_what_cannot_be_judged_says_why(old: dict[str, Any], new: dict[str, Any], why: str) -> None:
    found = _one(old, new, "p50_ns")
    assert (found.verdict, found.why) == (NOT, why)


def test_versions_of_software_do_not_make_another_machine() -> None:
    new = _figure(50, machine=MACHINE | {"numba": "0.70", "kernel": "7", "mhz": 2_794})
    assert _one(_figure(100), new, "p50_ns").verdict == BETTER


def test_a_ratio_that_nothing_gives_a_direction_is_not_judged() -> None:
    found = _one(_figure(1.0, name="odd_ratio"), _figure(0.5, name="odd_ratio"), "odd_ratio")
    assert (found.verdict, found.why) == (NOT, "nothing says which way is better")
    base = {"baseline_p50_ns": 7}
    found = _one(
        _figure(1.0, name="odd_ratio"), _figure(0.5, name="odd_ratio", **base), "odd_ratio"
    )
    assert found.verdict == BETTER


def test_a_bar_says_which_way_a_ratio_is_better() -> None:
    name = "relaxed_16_ratio"
    old, new = (_figure(value, name=name, bench="http") for value in (0.5, 0.6))
    found = _one(old, new, name)
    assert found.verdict == BETTER


def test_a_ratio_without_noise_has_that_of_its_group() -> None:
    figures = {"a_p50_ns": 3, "a_baseline_p50_ns": 4, "b_p50_ns": 5}
    noise = {"a_p50_ns": 0.03, "a_baseline_p50_ns": 0.04, "b_p50_ns": 0.5}
    made = [{**figures, "a_ratio": value, "noise": noise} for value in (1.0, 2.0)]
    assert _one(made[0], made[1], "a_ratio").needed == pytest.approx(3 * 0.05 * 2**0.5)
    made = [{"a_ratio": value, "noise": {}} for value in (1.0, 2.0)]
    assert _one(made[0], made[1], "a_ratio").why == "the noise was not measured"


def test_facts_are_not_compared() -> None:
    assert list(judge(read(commands=5, flow="w1"), read(commands=6, flow="w2"))) == []


def test_the_newest_of_the_same_options_are_compared() -> None:
    days = [f"2026-11-{day}T10:00:00+00:00" for day in (20, 21, 22)]
    old = [read(taken=days[0], p50_ns=1), read(taken=days[1], p50_ns=2)]
    old.append(read(taken=days[2], p50_ns=3, options={}))
    new = [read(taken=days[0], p50_ns=4), read(taken=days[1], p50_ns=5), read(bench="ring")]
    found = compare(old, new)
    assert [(item.old.flat["p50_ns"], item.new.flat["p50_ns"]) for item in found] == [(2, 5)]


def test_other_options_are_shown_beside_one_another_and_not_judged() -> None:
    found = compare([read(**_figure(100))], [read(**_figure(50, options={"ids": True}))])
    assert [item.verdict for item in found[0].judgements] == [NOT]


def test_a_baseline_is_about_the_machine() -> None:
    names = ("baseline_p50_ns", "p50_ns")
    found = list(judge(*(read(**dict.fromkeys(names, value)) for value in (1, 2))))
    assert [item.counts for item in found] == [False, True]
