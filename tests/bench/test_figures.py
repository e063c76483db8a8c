"""What a field's name says: unit, direction, baseline, and how its value is shown."""

import pytest

from bench.figures import baseline_of, better_of, shown, unit_of


@pytest.mark.parametrize(
    ("name", "kind", "better", "value", "text"),
    [
        ("ns_per_command", "time", "lower", 72.14, "72.1 ns"),
        ("w1_ns_per_command_min", "time", "lower", 72, "72 ns"),
        ("p99_9_ns", "time", "lower", 12_345, "12.3 µs"),
        ("ready_ms", "time", "lower", 1_400, "1.4 s"),
        ("commands_per_s", "rate", "higher", 5_540_000, "5.54 M/s"),
        ("baseline_raw_bytes_per_s", "rate", "higher", 857 << 20, "857 MiB/s"),
        ("resident_bytes", "size", "lower", 3 << 29, "1.5 GiB"),
        ("bytes_per_order", "size", "lower", 192, "192 B"),
        ("overhead_percent", "percent", "lower", 4.25, "4.25 %"),
        ("w1_ratio", "ratio", "", 0.646, "0.646 x"),
        ("resting_growth", "ratio", "lower", 2.5, "2.5 x"),
        ("relaxed_16_cpu_per_order_ns", "time", "lower", 64_000, "64 µs"),
        ("major_faults", "count", "lower", 12_000, "12,000"),
        ("late", "count", "lower", 0, "0"),
    ],
)
def test_a_name_carries_its_unit(
    name: str, kind: str, better: str, value: float, text: str
) -> None:
    unit = unit_of(name)
    assert unit is not None
    assert (unit.kind, unit.better) == (kind, better)
    assert shown(value, unit) == text


@pytest.mark.parametrize("name", ["commands", "trades", "seconds", "ns", "cpus", "s", "flow"])
def test_a_name_without_a_unit_is_a_fact(name: str) -> None:
    assert unit_of(name) is None


def test_facts_are_shown_as_they_are() -> None:
    assert [shown(value, None) for value in (True, None, "w1", 1_234_567, 0.25)] == [
        *("yes", "-", "w1", "1,234,567", "0.25")
    ]


def test_a_figure_finds_its_baseline_by_name() -> None:
    flat = {"baseline_p50_ns": 1, "w1_baseline_ns_per_command": 2, "baseline_note": "x"}
    assert baseline_of("p50_ns", flat) == "baseline_p50_ns"
    assert baseline_of("w1_ns_per_command", flat) == "w1_baseline_ns_per_command"
    assert baseline_of("w2_ns_per_command", flat) == ""
    assert baseline_of("note", flat) == ""
    assert baseline_of("baseline_p50_ns", flat) == ""


def test_a_ratio_is_better_as_its_baseline_is() -> None:
    assert better_of("ratio", ["ratio", "baseline_ns_per_command"]) == "lower"
    assert better_of("ratio", ["ratio", "baseline_events_per_s"]) == "higher"
    mixed = ["a_ratio", "b_ratio", "a_baseline_p50_ns", "b_baseline_commands_per_s"]
    assert better_of("a_ratio", mixed) == "lower"
    assert better_of("b_ratio", mixed) == "higher"
    assert better_of("ratio", mixed) == ""
    assert better_of("ratio", ["ratio"]) == ""
