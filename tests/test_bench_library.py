"""What every benchmark is made of: samples, results, the open loop, hiccups, the endless stream."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bench import flow, machine, result, samples
from bench.flow_make import make
from core.jit import PURE

Change = Callable[[dict[str, Any]], object]
LATENCY = {"p50_ns": 5, "p99_ns": 9, "p99_9_ns": 9, "max_ns": 9}


def good() -> dict[str, Any]:
    """A result with every part."""
    runs = [{"ns_per_command": 5.0, "p50_ns": 4}, {"ns_per_command": 7.0, "p50_ns": 6}]
    return {
        **result.head("kernel", {"flow": "w1"}, pinned={"core": 1}, replayer=machine.STOPPED),
        **result.from_runs(runs),
        "hiccups": LATENCY | {"samples": 9},
        "curves": [{"name": "all", "unit": "ns", "points": [[50, 5], [100, 9]]}],
        "ladder": [{"rate_per_s": 5, "achieved_per_s": 5, "late": 0} | LATENCY],
        "stages": [{"stage": "matched", "p90_ns": 7, "count": 9} | LATENCY],
    }


def test_a_whole_result_has_no_fault_and_is_json() -> None:
    assert result.faults(good()) == []
    assert json.loads(json.dumps(good()))["machine"]["pinned"] == {"core": 1}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda r: r.pop("taken"), "taken: missing"),
        (lambda r: r.update(schema=2), "schema: expected 1, got 2"),
        (lambda r: r.update(schema="1"), "schema: expected int, got '1'"),
        (lambda r: r["machine"].pop("mhz"), "machine.mhz: missing"),
        (lambda r: r["machine"].update(smt=1), "machine.smt: expected bool, got 1"),
        (lambda r: r["hiccups"].update(max_ns=1.5), "hiccups.max_ns: expected int, got 1.5"),
        (lambda r: r["curves"][0].pop("unit"), "curves[0].unit: missing"),
        (
            lambda r: r["curves"][0].update(points=[[9, 1], [5, 1]]),
            "curves[0].points: expected rising percentiles, got [9, 5]",
        ),
        (lambda r: r["ladder"][0].pop("late"), "ladder[0].late: missing"),
        (lambda r: r["stages"][0].update(count=None), "stages[0].count: expected int, got None"),
        (
            lambda r: r["runs"][0].update(deep={}),
            "runs[0].deep: expected a number, text, true or false, got dict",
        ),
        (
            lambda r: r.update(figures=[]),
            "figures: expected a number, text, true or false, got list",
        ),
        (lambda r: r["noise"].update(p50_ns=-1), "noise.p50_ns: expected a number from 0 on"),
    ],
)
def test_what_is_no_result_is_named(change: Change, fault: str) -> None:
    changed = copy.deepcopy(good())
    change(changed)
    assert [found for found in result.faults(changed) if found.startswith(fault)]


def test_figures_are_medians_over_the_runs_with_their_spread() -> None:
    found = result.from_runs([{"p50_ns": n, "mode": "spin"} for n in (10, 12, 20)])
    assert found["p50_ns"] == 12
    assert found["mode"] == "spin"
    assert found["noise"] == {"p50_ns": round(2 / 12, 4)}
    assert len(found["runs"]) == 3


def test_every_field_of_a_result_is_documented() -> None:
    text = (result.ROOT / "docs/benchmarks.md").read_text()
    for name in [*result.PARTS, *result.MACHINE, *result.RUNG, *result.STAGE, *result.CURVE]:
        assert f"`{name}`" in text, name


def test_the_machine_is_described_in_full() -> None:
    found = machine.describe({"core": 1}, machine.RUNNING)
    assert set(found) == set(result.MACHINE)
    assert found["cpu"]
    assert found["memory_bytes"] > 1 << 28
    assert found["replayer"] == "running"


def test_percentiles_are_values_that_were_measured() -> None:
    values = np.array([7] * 98 + [100, 5_000])
    found = samples.percentiles(values)
    assert found == {"p50_ns": 7, "p99_ns": 100, "p99_9_ns": 5_000, "max_ns": 5_000}
    assert set(samples.percentiles(values, "half_")) == {f"half_{name}" for name in found}
    with pytest.raises(ValueError, match="expected at least one"):
        samples.percentiles(values[:0])


def test_a_curve_rises_to_the_largest_value() -> None:
    points = samples.curve("all", np.arange(1, 100_001))["points"]
    assert points[-1][0] == 100
    assert points[-1][1] == pytest.approx(100_000, rel=0.001)
    assert [value for _, value in points] == sorted(value for _, value in points)
    assert points[3] == [50, pytest.approx(50_000, rel=0.001)]


def test_samples_that_do_not_fit_are_an_error_not_a_gap() -> None:
    room = samples.Samples(2)
    for value in (4, 5):
        samples.store(room.address, value)
    assert room.values.tolist() == [4, 5]
    samples.store(room.address, 6)
    with pytest.raises(ValueError, match="expected at most 2, 1 more came"):
        room.values  # noqa: B018
    room.clear()
    assert room.values.tolist() == []


@pytest.mark.skipif(PURE, reason="a plain Python clock sees a moment a microsecond late")
def test_the_hiccup_meter_sees_each_planned_moment_once() -> None:
    from bench import hiccups

    found = hiccups.measure(0.01)
    assert found["samples"] == 10_000
    assert 0 <= found["p50_ns"] <= found["p99_ns"] <= found["p99_9_ns"] <= found["max_ns"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> flow.Flow:
    return flow.read_flow(make("mixed", tmp_path_factory.mktemp("flow"), count=200))


def test_the_stream_goes_on_for_ever_and_names_orders_as_the_engine_does(mixed: flow.Flow) -> None:
    from bench.stream import Stream

    stream = Stream(mixed, 1 << 24 | 1, 10_000)
    seen = []
    for _ in range(2):
        stream.bind(stream.round)
        seen.append(stream.counted())
    first, second = seen
    # Everything is canceled at the end of a round, so each gives the same again.
    assert first["open_orders"] == second["open_orders"] == 0
    assert first["trades"] > 0
    assert second["trades"] == 2 * first["trades"]
    assert second["rejects"] == 2 * first["rejects"]
    assert second["sequence"] == len(stream.setup) + 2 * stream.round


def test_a_flow_that_names_an_order_before_it_is_placed_is_refused(mixed: flow.Flow) -> None:
    from bench.stream import Stream

    wrong = mixed._replace(records=mixed.records[::-1])
    with pytest.raises(ValueError, match="names an order that is placed after it"):
        Stream(wrong, 1 << 24 | 1, 10)


@pytest.fixture
def rings(mixed: flow.Flow) -> Iterator[Any]:
    """A producer, and the core's ends of its rings."""
    from adapters.link import CoreFile
    from bench.producer import Producer
    from bench.stream import Stream
    from core import shm
    from core.output import create_output
    from core.ring import create_inbound

    uuid8 = "0b0b0b0b"
    shm.unlink_stale(uuid8)
    prefix = shm.prefix(uuid8, 1)
    inbound, output = create_inbound(prefix, "bench.0", 1, 1), create_output(prefix, 1)
    inbound.segment.publish()
    output.segment.publish()
    stream = Stream(mixed, 1 << 24 | 1, 1_000)
    core = CoreFile(1, 1, prefix, "relaxed", {"bench.0": 1}, uuid8)
    producer = Producer(core, "bench.0", -1, stream.sender)
    yield producer, inbound, output, stream
    producer.close()
    inbound.close()
    output.close()
    shm.unlink_stale(uuid8)


def answer(rings: Any, request_ids: list[int]) -> None:
    """Publish one event for each, as the core would."""
    from core.memory import view
    from core.messages import EVENT
    from core.output import claim, event_slot, publish

    output = rings[2]
    claim(output.end, len(request_ids))
    for ahead, request_id in enumerate(request_ids):
        event = view(event_slot(output.end, ahead), EVENT, 1)
        event["index"], event["fee"] = 0, request_id
    publish(output.end, len(request_ids))


def test_latency_counts_from_the_planned_time_and_late_sends_are_counted(rings: Any) -> None:
    from bench import openloop
    from core.clock import monotonic_ns

    producer, inbound, _output, stream = rings
    count, stall_ns, room = 10, 50_000_000, samples.Samples(10)
    stream.bind(count)
    now_ns = monotonic_ns()
    times = openloop.planned(count, 1_000.0, now_ns - stall_ns)
    assert np.diff(times).tolist() == [1_000_000] * 9
    plan = np.zeros(1, openloop.PLAN)
    plan["producer"], plan["planned"] = producer.address, times.ctypes.data
    plan["samples"], plan["end"] = room.address, count
    address = int(plan.ctypes.data)
    while inbound.fill() < count:  # An open loop waits for no answer.
        assert openloop.run_plan(address, monotonic_ns() + 5_000_000) == 0
    answer(rings, [len(stream.setup) + 1 + number for number in range(count)])
    while producer.answered < count:
        openloop.run_plan(address, monotonic_ns() + 5_000_000)
    latencies_ns = room.values
    assert latencies_ns[0] >= stall_ns
    assert (-np.diff(latencies_ns)).tolist() == [1_000_000] * 9, "seen at once, planned apart"
    assert plan["late"][0] == count
    assert plan["late_max_ns"][0] >= stall_ns


def test_a_wrong_answer_is_no_answer(rings: Any) -> None:
    from bench import closedloop

    producer, _inbound, _output, stream = rings
    stream.bind(2)
    answer(rings, [len(stream.setup) + 2])
    with pytest.raises(RuntimeError, match="not that of the next command"):
        closedloop.round_trips(producer, 1)


def test_events_that_were_overwritten_are_noticed(rings: Any) -> None:
    from bench import closedloop

    producer, _inbound, output, stream = rings
    stream.bind(2)
    for _ in range(5):
        answer(rings, [0])
        output.row["position"] += output.capacity // 4
    answer(rings, [0])
    with pytest.raises(RuntimeError, match="overwritten before they were read"):
        closedloop.rate_per_s(producer, 1)
