"""One flow through engines side by side: ours, the naive ones, packages, and native commands.

Every engine is a process of its own that reads the flow file and prints one JSON line
(docs/benchmarks.md has the contract), so that a native engine is added by its command line, and one
that crashes or hangs is a row of the table and nothing more.  Rounds are interleaved.  What an
engine found is compared with the sidecar of the flow, else with ours.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import flow as flows
from bench.bench_kernel import spread_of
from bench.peers.registry import OWN, PACKAGES, install_command, is_installed

ROUNDS: Final = 3
SECONDS_MAX: Final = 120.0  # Of one engine in one round.
FLOW: Final = "{flow}"
REQUIRED: Final = ("commands", "trades", "traded_qty", "notional", "rejects", "trade_hash")
COMPARED: Final = (
    *REQUIRED,
    *("resting_orders", "resting_qty", "levels", "book_hash_l3", "book_hash_l2"),
)
MESSAGE_CHARS: Final = 300


class Engine:
    """One engine: how it is run, and what it gave so far."""

    def __init__(self, name: str, command: list[str], about: str = "") -> None:
        self.name, self.command, self.about = name, command, about
        self.ns: list[float] = []
        self.found: dict[str, Any] = {}
        self.fault = ""

    def round(self, path: Path, seconds: float) -> None:
        """Run it once; what goes wrong is kept as its fault."""
        if self.fault:
            return
        command = [part.replace(FLOW, str(path)) for part in self.command]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, check=False
            )
        except OSError as error:
            self.fault = f"{command[0]}: {error.strerror}"
            return
        except subprocess.TimeoutExpired:
            self.fault = f"gave nothing within {seconds:g} s"
            return
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [""])[-1][:MESSAGE_CHARS]
            self.fault = f"ended with {done.returncode}: {last}"
            return
        self._take(done.stdout)

    def _take(self, output: str) -> None:
        lines = output.strip().splitlines() or [""]
        try:
            found = json.loads(lines[-1])
        except ValueError:
            found = None
        if not isinstance(found, dict):
            got = lines[-1][:MESSAGE_CHARS]
            self.fault = f"expected one JSON object as the last line, got {got!r}"
            return
        missing = [name for name in ("ns_per_command", *REQUIRED) if name not in found]
        ns = found.get("ns_per_command")
        if missing:
            self.fault = f"its JSON has no {', '.join(missing)}"
        elif not isinstance(ns, int | float) or not ns > 0:
            self.fault = f"ns_per_command: expected a number above 0, got {ns!r}"
        elif self.found and any(found[name] != self.found[name] for name in REQUIRED):
            self.fault = "gave other results in another round"
        else:
            self.ns.append(float(ns))
            self.found = found

    def row(self, expected: dict[str, Any], ours: float | None) -> dict[str, Any]:
        """Its line of the table; ``ours``: our ns per command."""
        row: dict[str, Any] = {"engine": self.name, "about": self.about}
        if self.fault:
            return row | {"result": "failed", "fault": self.fault}
        wrong = [
            name
            for name in COMPARED
            if name in expected and name in self.found and self.found[name] != expected[name]
        ]
        ns = median(self.ns)
        row |= {
            "result": "differs" if wrong else "same",
            "ns_per_command": round(ns, 2),
        }
        row |= {name: self.found[name] for name in COMPARED if name in self.found}
        if ours:
            row["ratio_to_outcry"] = round(ns / ours, 3)
        return row | ({"differs_in": ", ".join(wrong)} if wrong else {})


def engine_of(given: str) -> Engine:
    """An engine by NAME=COMMAND with {flow} in it.  Raises ValueError."""
    name, is_given, text = given.partition("=")
    try:
        command = shlex.split(text)
    except ValueError as fault:
        raise ValueError(f"{given!r}: {fault}") from None
    if not (name and is_given and any(FLOW in part for part in command)):
        raise ValueError(f"expected 'NAME=COMMAND {FLOW}', got {given!r}")
    if name in OWN or name in PACKAGES:
        raise ValueError(f"{name!r} is taken, give it another name")
    return Engine(name, command, "by command line")


def known() -> tuple[list[Engine], list[dict[str, Any]]]:
    """The engines that are here, and a row for each that is not installed."""
    run = [sys.executable, "-m", "bench.peers.run"]
    here = [Engine(name, [*run, name, FLOW], about) for name, about in OWN.items()]
    missing = []
    for name, peer in PACKAGES.items():
        if is_installed(name):
            here.append(Engine(name, [*run, name, FLOW], peer.about))
        else:
            missing.append(
                {
                    "engine": name,
                    "about": peer.about,
                    "result": "not installed",
                    "install": install_command(name),
                }
            )
    return here, missing


def run(
    path: Path,
    engines: tuple[str, ...] = (),
    rounds: int = ROUNDS,
    seconds: float = SECONDS_MAX,
) -> dict[str, Any]:
    """Every engine over the flow at ``path``; flat fields by engine, and the table ``runs``.

    Raises ValueError for a flow or an engine that is none; a result of an engine never raises.
    """
    flow = flows.read_flow(path)
    added = [engine_of(given) for given in engines]
    names = [engine.name for engine in added]
    if len(set(names)) < len(names):
        raise ValueError(f"engines must have different names, got {', '.join(names)}")
    here, missing = known()
    here += added
    for _ in range(rounds):
        for engine in here:
            engine.round(path, seconds)
    ours = here[0]
    count = len(flow.records)
    expected = dict(flows.sidecar(path).get(str(count), ours.found))
    expected["commands"] = count - flow.prefill
    mine = median(ours.ns) if ours.ns and not ours.fault else None
    rows = [engine.row(expected, mine) for engine in here] + missing
    found: dict[str, Any] = {"flow": path.name, "commands": expected["commands"], "rounds": rounds}
    found["trade_hash"] = expected.get("trade_hash", "")
    for row in rows:
        name = row["engine"].replace("-", "_")
        for field in ("result", "ns_per_command", "ratio_to_outcry", "fault", "install"):
            if field in row:
                found[f"{name}_{field}"] = row[field]
    noise = {f"{one.name}_ns_per_command": spread_of(one.ns) for one in here if one.ns}
    return found | {"runs": rows, "noise": noise}
