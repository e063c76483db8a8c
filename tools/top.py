"""``outcry top``: what a running exchange does, once a second, from its counters and rings.

Everything is mapped read-only through DATA/run/core.json; nobody in the exchange notices.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Group
from rich.live import Live
from rich.table import Table

from adapters.link import CoreFile, read_core_file
from core.clock import monotonic_ns
from core.counters import Counters, attach_counters
from core.journal.segments import SEGMENT_NAME, journal_directory
from core.messages import COMMAND_NAMES
from core.shm import INBOUND, OUTPUT, REPLIES, Segment, SegmentError, attach
from core.stages import Stages, attach_stages, table
from tools import exits
from tools.pinning import place_of
from tools.ring_dump import header_of
from tools.smaps import memory
from tools.stage_table import cells, duration
from tools.supervisor import RESTARTS_NAME

Row = dict[str, Any]
Cells = tuple[str, ...]

PERIOD_S: Final = 1.0
STATES: Final = {0: "recovering", 1: "serving", 2: "stopping"}
QUIET: Final = ("major_faults", "minor_faults", "late_kernels")


class Watched:
    """Counters and rings of one life of a core."""

    def __init__(self, core: CoreFile, data: Path) -> None:
        self.core = core
        self._data = data
        self._segments: list[Segment] = []
        self.counters: Counters = attach_counters(core.shm, core.epoch)
        try:
            self._output = self._attach("out", OUTPUT)
            self._inbound = {name: self._attach(f"in-{name}", INBOUND) for name in core.gateways}
            self._replies = {name: self._attach(f"reply-{name}", REPLIES) for name in core.gateways}
            self._stages: Stages | None = None
            if core.stages:
                self._stages = attach_stages(core.shm, core.epoch)
                self._segments.append(self._stages.segment)
            self._memory = memory(core.pid)
        except SegmentError:
            self.close()
            raise

    def _attach(self, part: str, kind: int) -> Segment:
        segment = attach(f"{self.core.shm}-{part}", kind, self.core.epoch, writable=False)
        self._segments.append(segment)
        return segment

    def close(self) -> None:
        """Unmap."""
        self.counters.close()
        for segment in self._segments:
            segment.close()

    def look(self) -> Row:
        """Everything as it is now: raw numbers."""
        values = self.counters.values()
        output = header_of(self._output, OUTPUT)
        slots = self.counters.ring_slots()
        gateways = {}
        for name, number in self.core.gateways.items():
            ring = header_of(self._inbound[name], INBOUND)
            replies = header_of(self._replies[name], REPLIES)
            gateways[name] = {
                "fill": ring["produced"] - ring["consumed"],
                "capacity": ring["capacity"],
                "slots": slots.get(number, 0),
                "sleeping": bool(ring["sleeping"]),
                "incarnation": ring["incarnation"],
                "replies_waiting": replies["produced"] - replies["consumed"],
                "events_read": ring["events_read"],
            }
        return {
            "at_ns": monotonic_ns(),
            "counters": values,
            "kinds": self.counters.commands_by_kind(),
            "position": output["position"],
            "output_capacity": output["capacity"],
            "core_sleeping": bool(output["sleeping"]),
            "place": place_of(self.core.pid),
            "gateways": gateways,
            "spares": spares(self._data, values["segment_no"]),
            "restarts": restarts(self._data),
            "stages": self._stages.read() if self._stages is not None else None,
            "memory": self._memory,
        }


def spares(data: Path, segment_no: int) -> int:
    """Segments that were prepared behind the one in use."""
    directory = journal_directory(data)
    names = [] if directory is None else [path.name for path in directory.iterdir()]
    matches = [SEGMENT_NAME.fullmatch(name) for name in names]
    return sum(1 for match in matches if match and int(match[1]) > segment_no)


def restarts(data: Path) -> dict[str, int]:
    """How often the supervisor had to start each process again since it began."""
    try:
        return dict(json.loads((data / "run" / RESTARTS_NAME).read_text()))
    except FileNotFoundError:
        return {}


def figures(core: CoreFile, before: Row, now: Row) -> Row:
    """What to show: levels as they are, rates between two looks."""
    was, values = before["counters"], now["counters"]
    seconds = max(now["at_ns"] - before["at_ns"], 1) / 1e9

    def rate(label: str) -> float:
        return float(round((values[label] - was[label]) / seconds, 1))

    def change(label: str) -> int:
        return int(values[label] - was[label])

    kinds = {
        COMMAND_NAMES.get(kind, str(kind)): round((count - before["kinds"].get(kind, 0)) / seconds)
        for kind, count in now["kinds"].items()
    }
    cycles, blocks = change("duty_cycles"), change("blocks")
    slots = sum(one["slots"] for one in now["gateways"].values())
    slots -= sum(one["slots"] for one in before["gateways"].values())
    return {
        "epoch": core.epoch,
        "pid": core.pid,
        "durability": core.durability,
        "state": STATES.get(values["state"], str(values["state"])),
        "ready": bool(values["ready"]),
        "heartbeat_age_ms": round((now["at_ns"] - values["heartbeat_ns"]) / 1e6, 1),
        "seconds": round(seconds, 3),
        "sequence": values["sequence"],
        "durable_sequence": values["durable_sequence"],
        "commands_per_s": rate("sequence"),
        "commands_per_s_by_kind": {kind: count for kind, count in kinds.items() if count},
        "events_per_s": rate("events_published"),
        "trades_per_s": rate("trades"),
        "rejects_per_s": rate("rejects"),
        "queries_per_s": rate("queries"),
        "open_orders": values["open_orders"],
        "gateways": {
            name: _gateway(before["gateways"][name], one, now, seconds)
            for name, one in now["gateways"].items()
        },
        "ring_faults": values["ring_faults"],
        "replies_dropped": values["replies_dropped"],
        "output_position": now["position"],
        "output_capacity": now["output_capacity"],
        "journal_bytes_per_s": rate("journal_bytes"),
        "blocks_per_s": rate("blocks"),
        "slots_per_block": round(slots / blocks, 2) if blocks else 0.0,
        "ns_per_block": round(change("block_ns") / blocks) if blocks else 0,
        "segment_no": values["segment_no"],
        "spares": now["spares"],
        "duty_cycles_per_s": rate("duty_cycles"),
        "busy_ratio": round(change("busy_cycles") / cycles, 4) if cycles else 0.0,
        "sleeps_per_s": rate("sleeps"),
        "wake_ups_per_s": rate("wake_ups"),
        "core_sleeping": now["core_sleeping"],
        "core_cpus": now["place"].cpus,
        "core_nice": now["place"].nice,
        "longest_cycle_ns": values["longest_cycle_ns"],
        "longest_cycle_1s_ns": values["longest_cycle_1s_ns"],
        **_replayer(values),
        **{name: values[name] for name in QUIET},
        **now["memory"],
        "stages": _stages(now, was["sequence"]),
        "recovered_commands": values["recovered_commands"],
        "restarts": now["restarts"],
    }


def _stages(now: Row, after: int) -> list[Row]:
    """Stage x percentile of the commands since the look before, as far as they are there."""
    stamps = now["stages"]
    return [] if stamps is None else table(stamps[stamps["sequence"] > after])


def _gateway(before: Row, now: Row, look: Row, seconds: float) -> Row:
    return {
        "fill": now["fill"],
        "capacity": now["capacity"],
        "slots_per_s": round((now["slots"] - before["slots"]) / seconds, 1),
        "events_lag": look["position"] - now["events_read"],
        "replies_waiting": now["replies_waiting"],
        "sleeping": now["sleeping"],
        "incarnation": now["incarnation"],
    }


def _replayer(values: Row) -> Row:
    """Sequences of the replayer, and how far each is behind; a lag is None where it never ran."""
    found: Row = {}
    for name in ("replayed", "witness", "archived", "snapshot"):
        sequence = values[f"{name}_sequence"]
        found[f"{name}_sequence"] = sequence
        found[f"{name}_lag"] = values["durable_sequence"] - sequence if sequence else None
    return {**found, "witness_lag_ns": values["witness_lag_ns"]}


# Showing it.


def run(data: Path, *, once: bool, as_json: bool) -> None:
    """Look every second until Ctrl-C; with ``once`` twice, a second apart."""
    if once:
        found = _once(data)
        sys.stdout.write(f"{json.dumps(found)}\n" if as_json else "\n".join(text(found)) + "\n")
        return
    with Live(refresh_per_second=4, screen=sys.stdout.isatty()) as live:
        try:
            for found in _follow(data):
                live.update(Group(*tables(found)))
        except KeyboardInterrupt:
            return


def _once(data: Path) -> Row:
    core = _core(data)
    if core is None:
        raise exits.Stop(exits.USAGE, f"{data}: no exchange runs here (no run/core.json)")
    watched = Watched(core, data)
    try:
        before = watched.look()
        time.sleep(PERIOD_S)
        return figures(core, before, watched.look())
    finally:
        watched.close()


def _follow(data: Path) -> Iterator[Row]:
    """Figures every second; over a restart of the core, with that of the next one."""
    while True:
        core = _core(data)
        if core is None:
            yield {"state": f"no core serves {data}"}
            time.sleep(PERIOD_S)
            continue
        try:
            watched = Watched(core, data)
        except SegmentError as error:
            yield {"state": str(error)}
            time.sleep(PERIOD_S)
            continue
        try:
            before = watched.look()
            while _core(data) == core:
                time.sleep(PERIOD_S)
                now = watched.look()
                yield figures(core, before, now)
                before = now
        finally:
            watched.close()


def _core(data: Path) -> CoreFile | None:
    return read_core_file(data / "run")


def tables(found: Row) -> Iterator[Any]:
    """The figures as tables of rich."""
    if "sequence" not in found:
        yield found["state"]
        return
    for title, rows in sections(found).items():
        table = Table(
            title=title, title_justify="left", show_header=False, box=None, padding=(0, 1)
        )
        for row in rows:
            table.add_row(*row)
        yield table


def text(found: Row) -> Iterator[str]:
    """The figures as lines."""
    for title, rows in sections(found).items():
        yield title
        for row in rows:
            yield "  " + "".join(f"{cell:<22}" for cell in row).rstrip()


def sections(found: Row) -> dict[str, list[Cells]]:
    """What is shown, by title: rows of text."""
    head = f"core {found['pid']} epoch {found['epoch']}, {found['state']}, {found['durability']}"
    found_stages = {"stages": cells(found["stages"])} if found["stages"] else {}
    return {
        head: _core_rows(found),
        "rings": _ring_rows(found),
        "journal": _journal_rows(found),
        "duty cycles": _cycle_rows(found),
        **found_stages,
        "beside it": [
            *(
                (name, f"{found[f'{name}_sequence']:,}", _behind(found[f"{name}_lag"]))
                for name in ("replayed", "witness", "archived", "snapshot")
            ),
            (
                "restarts",
                ", ".join(f"{name} {n}" for name, n in found["restarts"].items()) or "none",
                f"recovered {found['recovered_commands']:,} commands",
            ),
        ],
    }


def _core_rows(found: Row) -> list[Cells]:
    behind = found["sequence"] - found["durable_sequence"]
    kinds = ", ".join(f"{k} {n:,}" for k, n in found["commands_per_s_by_kind"].items()) or "none"
    names = ("commands", "events", "trades", "rejects", "queries")
    return [
        ("sequence", f"{found['sequence']:,}", f"durable {behind:,} behind"),
        ("per second", *(f"{name} {found[f'{name}_per_s']:,.0f}" for name in names)),
        ("commands", kinds),
        ("open orders", f"{found['open_orders']:,}"),
    ]


def _ring_rows(found: Row) -> list[Cells]:
    rows: list[Cells] = [("gateway", "fill", "slots/s", "events behind", "state")]
    for name, one in found["gateways"].items():
        state = "sleeping" if one["sleeping"] else "awake"
        lag = f"{one['events_lag']:,}"
        if not one["incarnation"]:
            state, lag = "not attached", "-"
        fill = f"{one['fill']:,} of {one['capacity']:,}"
        rows.append((name, fill, f"{one['slots_per_s']:,.0f}", lag, state))
    position, capacity = found["output_position"], found["output_capacity"]
    faults, dropped = found["ring_faults"], found["replies_dropped"]
    rows.append(("output", f"position {position:,}", f"of {capacity:,}"))
    rows.append(("faults", f"words {faults:,}", f"replies dropped {dropped:,}"))
    return rows


def _journal_rows(found: Row) -> list[Cells]:
    return [
        (
            "per second",
            f"{found['journal_bytes_per_s'] / 1e6:,.2f} MB",
            f"blocks {found['blocks_per_s']:,.0f}",
            f"slots/block {found['slots_per_block']:,.1f}",
            f"write {duration(found['ns_per_block'])}",
        ),
        (
            "segment",
            f"{found['segment_no']}",
            f"spares {found['spares']}",
        ),
    ]


def _cycle_rows(found: Row) -> list[Cells]:
    return [
        (
            "per second",
            f"{found['duty_cycles_per_s']:,.0f}",
            f"busy {found['busy_ratio']:.1%}",
            f"sleeps {found['sleeps_per_s']:,.0f}",
            f"wake-ups {found['wake_ups_per_s']:,.0f}",
        ),
        (
            "longest",
            f"{duration(found['longest_cycle_ns'])} since start",
            f"{duration(found['longest_cycle_1s_ns'])} last second",
            f"heartbeat {found['heartbeat_age_ms']:,.0f} ms ago",
        ),
        ("runs on", f"CPU {found['core_cpus']}", f"nice {found['core_nice']}"),
        (
            "since ready",
            f"major faults {found['major_faults']:,}",
            f"minor faults {found['minor_faults']:,}",
            f"late kernels {found['late_kernels']:,}",
        ),
        (
            "memory",
            f"{found['rss_bytes'] / 1e6:,.0f} MB",
            f"{found['huge_bytes'] / 1e6:,.0f} MB in huge pages",
        ),
    ]


def _behind(lag: int | None) -> str:
    return "not running" if lag is None else f"{lag:,} behind"
