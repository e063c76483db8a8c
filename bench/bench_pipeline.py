"""The whole way: producer process, inbound ring, core (journal, risk, match), output ring, back.

The core is the process that ``outcry up`` starts, on processor 1; everything else is on processor
0.  In both durabilities: one command in flight beside the barest thing that has to happen (two ring
hops; a raw write and sync of one block), as many a second as there can be (closed by a window), and
a ladder of rates in open loop.  Single runs of all of these take turns; figures are medians.

Every run is exact: the core's counters must be those of a private engine over the same commands.
"""

import time
from pathlib import Path
from statistics import mean, median
from typing import Any, Final, NamedTuple

import numpy as np

from bench import closedloop, flow, openloop, result, samples
from bench.bench_ring import RINGS, HopPair
from bench.core_process import GATEWAY, CoreProcess, one_interrupt
from bench.hiccups import HiccupMeter
from bench.machine import pin, unpin
from bench.producer import SESSION, Producer
from bench.raw_disk import RawDisk, bytes_per_s
from bench.stream import Stream
from core.constants import BATCH_SLOTS_MAX, GATEWAY_SHIFT, SLOT_BYTES
from core.journal.blocks import block_bytes
from core.journal.layout import ALIGN_SYNC, SEGMENT_BYTES

SETTLED_S: Final = 0.2  # After setting up, before anything is measured.
BLOCK_BYTES: Final = 4_096
FULL_BLOCK_BYTES: Final = block_bytes(BATCH_SLOTS_MAX * SLOT_BYTES, ALIGN_SYNC)
BYTES_A_COMMAND: Final = 160  # In the journal, at the most when batches are full.
TURN_BLOCKS: Final = 64  # At saturation, of ours and of the baseline in turn.
SHARES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)  # Of saturation: the rungs of the ladder.
HALF: Final = 0.5
DURABILITIES: Final = ("relaxed", "sync")


class Size(NamedTuple):
    """How much is measured."""

    burst_s: float = 10.0  # One run at saturation.
    sustained_s: float = 0.0  # One long run at saturation; 0: none.
    rung_s: float = 1.0
    runs: int = 3
    trips: int = 20_000  # Round trips of one run in ``relaxed``; a tenth in ``sync``.
    hop_s: float = 0.3
    probe: int = 200_000  # Commands of the first look at the rate.
    segment_bytes: int = SEGMENT_BYTES
    allow_volatile: bool = False  # ``sync`` on a tmpfs: for tests of the benchmark only.


def size_of(seconds: float | None) -> Size:
    """What ``--seconds`` asks for: bursts of at most 10 s, above that one long run as well."""
    given = seconds or Size().burst_s
    burst_s = min(given, Size().burst_s)
    rung_s = min(Size().rung_s, burst_s / 4)
    sustained_s = given if given > burst_s else 0.0
    return Size(burst_s=burst_s, rung_s=rung_s, sustained_s=sustained_s)


class Pipeline:
    """One core, the producer in this process, and what both have in common."""

    def __init__(self, order_flow: flow.Flow, durability: str, size: Size) -> None:
        self.durability, self.size = durability, size
        ahead = int((size.sustained_s + size.burst_s) * 5_000_000) + 2 * size.probe
        self.stream = Stream(order_flow, 1 << GATEWAY_SHIFT | SESSION, ahead)
        self.core = CoreProcess(
            self.stream.limits,
            durability,
            segment_bytes=size.segment_bytes,
            allow_volatile=size.allow_volatile,
        )
        try:
            self.producer = Producer(self.core.core, GATEWAY, self.core.fifo, self.stream.sender)
        except BaseException:
            self.core.close()
            raise
        self.pinned = self.core.pin() | {"producer": pin(0)}

    def set_up(self) -> None:
        """Instruments and funded accounts, and one round of the flow."""
        for slots in self.stream.setup:
            while not self.producer.give(slots):
                self.core.check()
        while self.core.counter("sequence") < len(self.stream.setup):
            self.core.check()
            time.sleep(0.001)
        self.producer.skip()
        self.rate(self.stream.round)
        time.sleep(SETTLED_S)

    def bind(self, count: int) -> None:
        """Bind ``count`` more commands and prepare the segments that they need."""
        needed = count * BYTES_A_COMMAND // self.size.segment_bytes + 2
        self.core.discard()
        self.core.prepare(needed)
        self.stream.bind(count)

    def rate(self, count: int) -> float:
        """Commands a second at saturation, over ``count`` of them."""
        self.bind(count)
        found = closedloop.rate_per_s(self.producer, count)
        self.judge()
        return found

    def trips(self, count: int) -> Any:
        """Nanoseconds of ``count`` round trips."""
        self.bind(count)
        found = closedloop.round_trips(self.producer, count)
        self.judge()
        return found

    def rung(self, rate_per_s: float, seconds: float) -> openloop.Outcome:
        """Open loop at a rate."""
        count = max(int(rate_per_s * seconds), 1)
        self.bind(count)
        found = openloop.run(self.producer, count, rate_per_s)
        self.judge()
        return found

    def judge(self) -> None:
        """AssertionError unless the core has counted what the private engine has."""
        expected = self.stream.counted()
        expected["events_published"] = expected.pop("cursor")
        deadline = time.monotonic() + 5
        while True:
            found = {name: self.core.counter(name) for name in expected}
            if found == expected or time.monotonic() > deadline:
                break  # The counters are stored after the events are.
        if found != expected:
            raise AssertionError(f"the core counts {found}, expected {expected}")

    def close(self) -> None:
        """End the core; nothing of it is left."""
        self.producer.close()
        self.core.close()


def run(path: Path, size: Size, durabilities: tuple[str, ...] = DURABILITIES) -> dict[str, Any]:
    """The result; AssertionError when a run was not exact, RuntimeError when the core ended."""
    with one_interrupt():
        return _run(path, size, durabilities)


def _run(path: Path, size: Size, durabilities: tuple[str, ...]) -> dict[str, Any]:
    order_flow = flow.read_flow(path)
    meter, parts, pinned = HiccupMeter(), [], {}
    try:
        for durability in durabilities:
            unpin()
            pipeline = Pipeline(order_flow, durability, size)
            try:
                pipeline.set_up()
                parts.append(_measured(pipeline, meter))
                pinned = pipeline.pinned
            finally:
                pipeline.close()
    finally:
        unpin()
    runs = [
        {name: value for part in same for name, value in part.items()}
        for same in zip(*(part.runs for part in parts), strict=True)
    ]
    found = result.head("pipeline", {"flow": path.name, **size._asdict()}, pinned=pinned)
    found |= result.from_runs(runs) | {"hiccups": meter.result()}
    for part in parts:
        found |= part.fields
    found["curves"] = [curve for part in parts for curve in part.curves]
    found["ladder"] = [rung for part in parts for rung in part.ladder]
    return result.without_empty(found)


class _Part(NamedTuple):
    """What one durability adds to the result."""

    runs: list[dict[str, Any]]
    fields: dict[str, Any]
    curves: list[dict[str, Any]]
    ladder: list[dict[str, Any]]


def _measured(pipeline: Pipeline, meter: HiccupMeter) -> _Part:
    size, name = pipeline.size, pipeline.durability
    baseline = _Relaxed(pipeline) if name == "relaxed" else _Sync(pipeline)
    runs, trips, halves = [], [], []
    ladder: dict[float, list[dict[str, Any]]] = {share: [] for share in SHARES}
    try:
        rate = pipeline.rate(size.probe)
        for _ in range(size.runs):
            pipeline.core.halt()
            meter.watch(size.hop_s)
            pipeline.core.go_on()
            figures, taken_ns = baseline.round_trips()
            trips.append(taken_ns)
            figures |= baseline.saturation(max(int(rate * size.burst_s), 1))
            rate = figures["saturation_commands_per_s"]
            for share, rungs in ladder.items():
                outcome = pipeline.rung(rate * share, size.rung_s)
                rungs.append(outcome.rung())
                if share == HALF:
                    halves.append(outcome.latencies_ns)
                    figures |= samples.percentiles(outcome.latencies_ns, "half_")
            runs.append({f"{name}_{field}": value for field, value in figures.items()})
        fields = _compared(name, runs)
        if size.sustained_s:
            fields |= _sustained(pipeline, rate)
    finally:
        baseline.close()
    curves = [
        samples.curve(f"{name}, one in flight", np.concatenate(trips)),
        samples.curve(f"{name}, half of saturation, open loop", np.concatenate(halves)),
    ]
    rungs = [_middle(rungs) | {"durability": name} for rungs in ladder.values()]
    return _Part(runs, fields, curves, rungs)


class _Relaxed:
    """Round trips against two bare ring hops, measured in turn while the other one stands still."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        unpin()
        self._hops = HopPair()
        self._hops.halt()

    def round_trips(self) -> tuple[dict[str, Any], Any]:
        """Figures of one run, and every round trip."""
        size = self._pipeline.size
        self._pipeline.core.halt()
        self._hops.go_on()
        end, hops = time.monotonic() + size.hop_s, list[float]()
        while not hops or time.monotonic() < end:
            hops.append(self._hops.batch(RINGS))
        self._hops.halt()
        self._pipeline.core.go_on()
        taken_ns = self._pipeline.trips(size.trips)
        return samples.percentiles(taken_ns) | {"baseline_hop_ns": round(median(hops))}, taken_ns

    def saturation(self, count: int) -> dict[str, Any]:
        """What the disk allows is asked in the sustained run only: a burst goes to memory."""
        return {"saturation_commands_per_s": round(self._pipeline.rate(count))}

    def close(self) -> None:
        self._hops.close()
        pin(0)


class _Sync:
    """Round trips against raw writes and syncs of one block, turn by turn."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        place = pipeline.core.directory / "raw"
        self._disk = RawDisk(place, SEGMENT_BYTES, direct=pipeline.core.writes_direct)

    def round_trips(self) -> tuple[dict[str, Any], Any]:
        """Figures of one run, and every round trip."""
        count = max(self._pipeline.size.trips // 10, 1)
        ours: list[int] = []
        raw: list[int] = []
        producer, end = self._pipeline.producer, time.monotonic() + self._pipeline.size.burst_s
        self._pipeline.bind(count)
        while not ours or (len(ours) < count and time.monotonic() < end):
            ours.append(int(closedloop.round_trips(producer, 1)[0]))
            raw.append(self._disk.write(BLOCK_BYTES))
        if len(ours) < count:  # The disk is slow: what is bound has to be sent all the same.
            closedloop.rate_per_s(producer, count - len(ours))
        self._pipeline.judge()
        taken_ns = np.array(ours)
        beside = samples.percentiles(np.array(raw), "baseline_write_")
        return samples.percentiles(taken_ns) | beside, taken_ns

    def saturation(self, count: int) -> dict[str, Any]:
        """Full blocks of the core, and as many raw writes and syncs of one, turn by turn: what a
        disk takes changes from one second to the next, and both must see the same of it."""
        size, producer = self._pipeline.size, self._pipeline.producer
        self._pipeline.bind(count)
        end, sent, ours_s, raw = time.monotonic() + 2 * size.burst_s, 0, 0.0, list[int]()
        while not sent or (sent < count and time.monotonic() < end):
            part = min(TURN_BLOCKS * BATCH_SLOTS_MAX, count - sent)
            ours_s += part / closedloop.rate_per_s(producer, part)
            sent += part
            raw.extend(self._disk.write(FULL_BLOCK_BYTES) for _ in range(TURN_BLOCKS))
        if sent < count:  # As above.
            closedloop.rate_per_s(producer, count - sent)
        self._pipeline.judge()
        return {
            "saturation_commands_per_s": round(sent / ours_s),
            "baseline_full_write_ns": round(mean(raw)),
        }

    def close(self) -> None:
        self._disk.close()


def _compared(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Ratios to the baselines of the same runs: medians over the runs."""

    def ratio(top: str, bottom: str, factor: float = 1.0) -> float:
        found: float = median(run[f"{name}_{top}"] / run[f"{name}_{bottom}"] for run in runs)
        return round(found * factor, 4)

    if name == "relaxed":
        return {"relaxed_ratio": ratio("p50_ns", "baseline_hop_ns", 0.5)}
    full = median(run["sync_baseline_full_write_ns"] for run in runs)
    rates = median(
        run["sync_saturation_commands_per_s"] * run["sync_baseline_full_write_ns"] for run in runs
    )
    return {
        "sync_ratio": ratio("p50_ns", "baseline_write_p50_ns"),
        "sync_baseline_saturation_commands_per_s": round(BATCH_SLOTS_MAX * 1e9 / full),
        "sync_saturation_ratio": round(rates / (BATCH_SLOTS_MAX * 1e9), 4),
    }


def _sustained(pipeline: Pipeline, rate: float) -> dict[str, Any]:
    """One long run, and what the disk takes in the same place before and after it."""
    name, place = pipeline.durability, pipeline.core.directory / "stream"
    place.mkdir()
    seconds = max(pipeline.size.sustained_s / 10, 0.1)
    disk = [bytes_per_s(place, seconds, 1 << 30)]
    written = pipeline.core.counter("journal_bytes")
    count = int(rate * pipeline.size.sustained_s)
    sustained = pipeline.rate(count)
    bytes_a_command = (pipeline.core.counter("journal_bytes") - written) / count
    disk.append(bytes_per_s(place, seconds, 1 << 30))
    allowed = median(disk) / bytes_a_command
    return {
        f"{name}_sustained_commands_per_s": round(sustained),
        f"{name}_sustained_s": round(count / sustained, 1),
        f"{name}_baseline_disk_bytes_per_s": round(median(disk)),
        f"{name}_journal_bytes_per_command": round(bytes_a_command, 1),
        f"{name}_sustained_ratio": round(sustained / allowed, 4),
    }


def _middle(rungs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure of one rung over its runs."""
    return {name: round(median(rung[name] for rung in rungs)) for name in rungs[0]}
