"""One engine over one flow file, as a command: the contract of ``outcry bench peers --engine``.

    python -m bench.peers.run NAME FLOW

The last line of standard output is one JSON object: ``ns_per_command`` over the commands behind the
prefill, their number ``commands``, and the numbers of a sidecar over the whole file.
"""

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench import flow as flows
from bench.peers.adapter import Adapter, Trade, trade_hash
from bench.peers.registry import OWN, PACKAGES
from core.limits import DEFAULT

FLOOR: Final = DEFAULT  # Of our tables.
Result = dict[str, Any]


def outcry(path: Path, *, risk: bool) -> Result:
    """Our engine: one timed run whose events are those of a judged one."""
    from bench.kernel_run import Prepared, Setting

    prepared = Prepared(flows.read_flow(path), Setting(risk=risk, floor=FLOOR))
    found = prepared.judge()[str(len(prepared.commands))]
    return {"ns_per_command": prepared.timed(), "commands": prepared.counted, **found}


def naive(path: Path) -> Result:
    """The naive kernel; ValueError for a flow that it is not made for."""
    from bench.naive import NaiveRun

    flow = flows.read_flow(path)
    run = NaiveRun(flow)
    if not run.fits:
        raise ValueError(f"{path.name}: the naive kernel takes one instrument, prices below 262144")
    trades: list[Trade] = run.trades()
    taken = run.timed()
    names = ("trades", "traded_qty", "notional", "rejects")
    return {
        "ns_per_command": taken,
        "commands": len(flow.records) - flow.prefill,
        **dict(zip(names, run.sums, strict=True)),
        "trade_hash": trade_hash(trades),
    }


def matcher(path: Path) -> Result:
    """The slow and obvious matcher, one instrument."""
    from bench.flow_make import Matcher, Op

    flow = flows.read_flow(path)
    if flow.symbols != 1:
        raise ValueError(f"{path.name}: the obvious matcher takes one instrument")
    ops = [Op(*(*row[:2], *row[3:7])) for row in flow.records.tolist()]
    made = Matcher()
    taken = timed(made.apply, [(op,) for op in ops], flow.prefill)
    return {"ns_per_command": taken, "commands": len(ops) - flow.prefill, **made.numbers()}


def package(name: str, path: Path) -> Result:
    """A peer that is installed by package; one book for each instrument."""
    module: Any = importlib.import_module(f"bench.peers.{name}_peer")
    flow = flows.read_flow(path)
    trades: list[Trade] = []
    books: list[Adapter] = [module.Peer(trades) for _ in range(flow.symbols)]
    calls = [
        (books[symbol].apply, (op, side, user, order_id, price, qty))
        for op, side, symbol, user, order_id, price, qty, _aux in flow.records.tolist()
    ]
    taken = timed(lambda apply, record: apply(*record), calls, flow.prefill)
    resting = [book.resting() for book in books]
    return {
        "ns_per_command": taken,
        "commands": len(calls) - flow.prefill,
        "trades": len(trades),
        "traded_qty": sum(qty for *_, qty in trades),
        "notional": sum(price * qty for _, _, price, qty in trades),
        "rejects": sum(book.rejects for book in books),
        "trade_hash": trade_hash(trades),
        "resting_orders": sum(count for count, _ in resting),
        "resting_qty": sum(qty for _, qty in resting),
    }


def timed(call: Callable[..., object], given: list[Any], prefill: int) -> float:
    """Call with each of the given, without the collector; ns of one behind the prefill."""
    for args in given[:prefill]:
        call(*args)
    gc.collect()
    gc.disable()
    start = time.perf_counter_ns()
    for args in given[prefill:]:
        call(*args)
    elapsed = time.perf_counter_ns() - start
    gc.enable()
    return elapsed / max(len(given) - prefill, 1)


ENGINES: Final[dict[str, Callable[[Path], Result]]] = {
    "outcry": lambda path: outcry(path, risk=True),
    "outcry-book": lambda path: outcry(path, risk=False),
    "naive": naive,
    "matcher": matcher,
    **{name: lambda path, name=name: package(name, path) for name in PACKAGES},  # type: ignore[misc]
}
assert set(ENGINES) == {*OWN, *PACKAGES}


def main(given: list[str]) -> int:
    """Run one; 0, or 64 and what was expected."""
    if len(given) != 2 or given[0] not in ENGINES:
        print(f"expected one of {', '.join(ENGINES)} and a flow file, got {given}", file=sys.stderr)
        return 64
    try:
        found = ENGINES[given[0]](Path(given[1]))
    except (ValueError, ImportError, OSError) as fault:
        print(fault, file=sys.stderr)
        return 64
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
