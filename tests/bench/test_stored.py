"""Results as files: found, read, refused with place and reason; saved, never over another."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bench import stored
from tests.bench.examples import pipeline, result, write

POINTS = [[0, 5], [50, 4]]


def _faults(*places: Path) -> list[str]:
    with pytest.raises(stored.ResultFaults) as caught:
        stored.read(places)
    return caught.value.faults


def test_results_are_read_from_files_and_directories_oldest_first(tmp_path: Path) -> None:
    late = write(tmp_path / "a.json", result(taken="2026-11-21T10:00:00+00:00"))
    early = write(tmp_path / "one" / "b.json", pipeline())
    zone = write(tmp_path / "one" / "c.json", result(taken="2026-11-20T13:00:00+02:00"))
    found = stored.read([late, tmp_path / "one"])
    assert [item.path for item in found] == [early, zone, late]
    assert [item.bench for item in found] == ["pipeline", "kernel", "kernel"]
    assert found[0].flat == {"p50_ns": 2_345, "baseline_p50_ns": 1_234, "commands_per_s": 3_210_000}


def test_what_a_benchmark_printed_before_its_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("compiling\n" + json.dumps(result(p50_ns=7)) + "\n")
    assert stored.read([path])[0].flat == {"p50_ns": 7}


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (result(schema=...), "$.schema: expected 1, got an object without it"),
        (result(schema=2), "$.schema: invalid enum value 2 (2)"),
        (result(bench=...), "$: object missing required field bench"),
        (result(bench=7), "$.bench: expected str, got int (7)"),
        (result(bench=""), "$.bench: expected the name of a benchmark, got ''"),
        (result(taken="noon"), "$.taken: invalid RFC3339 encoded datetime ('noon')"),
        (result(options=[]), "$.options: expected object, got array"),
        (result(machine="fast"), "$.machine: expected object, got str ('fast')"),
        (result(hiccups={}), "$.hiccups: object missing required field p50_ns"),
        (result(runs=5), "$.runs: expected array, got int (5)"),
        (result(noise={"p50_ns": -1}), "$.noise.p50_ns: expected at least 0, got -1.0"),
        (result(p50_ns=[1]), "$.p50_ns: expected a number, a text, true or false, got an array"),
        (result(extra={}), "$.extra: expected a number, a text, true or false, got an object"),
        (
            result(curves=[{"name": "a", "points": POINTS}]),
            "$.curves[0].points[1]: expected at least [0.0, 5.0], got [50.0, 4.0]",
        ),
        (
            result(curves=[{"name": "a", "points": [[101, 5]]}]),
            "$.curves[0].points[0][0]: expected a percentile of 0 to 100, got 101.0",
        ),
        (
            pipeline() | {"ladder": [pipeline()["ladder"][0] | {"late": "two"}]},
            "$.ladder[0].late: expected int, got str ('two')",
        ),
        (
            pipeline() | {"stages": [pipeline()["stages"][0] | {"p90_ns": -4}]},
            "$.stages[0].p90_ns: expected at least 0, got -4.0",
        ),
    ],
)
def test_what_is_no_result_is_named_with_what_was_expected_what_came_and_where(
    tmp_path: Path, made: dict[str, Any], fault: str
) -> None:
    path = write(tmp_path / "bad.json", made)
    assert _faults(path) == [f"{path}: {fault}"]


def test_every_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "array.json").write_text("[1]")
    (tmp_path / "blank.json").write_text("\n")
    (tmp_path / "nan.json").write_text('{"schema": NaN}')
    places = [tmp_path / "empty", tmp_path / "none.json"]
    places += [tmp_path / f"{name}.json" for name in ("array", "blank", "nan")]
    assert _faults(*places) == [
        f"{places[0]}: expected results (*.json, as `--save` writes), got none",
        f"{places[1]}: expected a result, got No such file or directory",
        f"{places[2]}: $: expected a JSON object, got list",
        f"{places[3]}: $: expected a JSON object, got an empty file",
        f"{places[4]}: $: expected a JSON object, got: "
        "JSON is malformed: invalid character (byte 11)",
    ]


def test_noise_is_the_given_one_or_that_of_at_least_three_runs(tmp_path: Path) -> None:
    runs = [{"a_ns": 90, "b_ns": 1}, {"a_ns": 100, "b_ns": 1}, {"a_ns": 104}]
    path = write(tmp_path / "a.json", result(runs=runs, noise={"c_ns": 0.25}))
    found = stored.read([path])[0]
    assert found.noise("a_ns") == 0.04
    assert found.noise("b_ns") is None
    assert found.noise("c_ns") == 0.25
    assert stored.spread([0, 0, 0]) == 0.0
    assert stored.spread([0, 0, 5, 9, -7]) is None


def test_a_result_is_saved_under_its_name_and_time_and_read_back(tmp_path: Path) -> None:
    made = result(taken="2026-11-20T12:00:00+02:00", p50_ns=7)
    first, second = (stored.save(made, tmp_path / "new") for _ in range(2))
    assert first.name == "kernel-20261120T100000Z.json"
    assert second.name == "kernel-20261120T100000Z-2.json"
    assert json.loads(first.read_bytes()) == made
    assert [item.flat for item in stored.read([tmp_path / "new"])] == [{"p50_ns": 7}] * 2


def test_what_a_benchmark_does_not_say_of_itself_is_added() -> None:
    options = {"flow": Path("flows") / "w1.flow", "no_risk": False, "seconds": None, "ids": True}
    found = stored.stamped("ring", options, {"hop_ns": 80, "commit": "own"})
    assert found["options"] == {"flow": "w1.flow", "ids": True}
    assert (found["schema"], found["bench"], found["hop_ns"]) == (1, "ring", 80)
    assert found["commit"] == "own"
    assert found["machine"]["cpus"] == os.cpu_count()
    assert stored.as_read(found).flat == {"hop_ns": 80}


def test_machines_that_look_alike_have_one_name() -> None:
    named = stored.as_read(result(machine={"cpu": "Xeon(R) @ 2.80GHz", "cpus": 2}))
    assert stored.machine_name(named) == "xeon-r-2.80ghz-2cpus"
    assert stored.machine_name(stored.as_read(result(machine=...))) == "unknown-0cpus"
