"""Orders over HTTP: one worker, 1, 16 and 100 connections, relaxed and sync, beside a bare handler.

The exchange runs as ``outcry up --dev`` starts it, its core spinning on the second processor; the
HTTP worker and everything else share the first one with the load generator, which is this process.
Runs of the exchange and of the bare handlers take turns; figures are medians over the rounds.  Each
order is a limit order that comes to rest, with a client order id of its own.  Every answer must be
201, and the exchange's sequence must have moved by as many.
"""

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from bench import machine, result
from bench.hiccups import HiccupMeter
from bench.http_load import DIGITS_MARK, Lines, Seen

CONNECTIONS: Final = (1, 16, 100)
DURABILITIES: Final = ("relaxed", "sync")
BARE: Final = ("aiohttp", "protocol")
ROUNDS: Final = 3
ORDERS_MAX: Final = 60_000  # A run: an exchange keeps up to a million open orders.
CEILING_FACTOR: Final = 10  # As many more of them against a server that does nothing.
STOP_S: Final = 30.0
SETTLE_S: Final = 2.0
CREATED: Final = 201
WATCH_DIVISOR: Final = 10  # Of a run's time, between the runs.
USER: Final = "bench"
PERCENTILES: Final = {"p50_ns": 50.0, "p99_ns": 99.0, "p99_9_ns": 99.9}
CHECKOUT: Final = Path(__file__).resolve().parents[1]


class Server(NamedTuple):
    """Something that answers orders on 127.0.0.1."""

    name: str
    port: int
    pid: int  # Of the process whose work is counted.


class Run(NamedTuple):
    """One run against one server."""

    server: str
    connections: int
    orders_per_s: float
    p50_ns: int
    p99_ns: int
    p99_9_ns: int
    cpu_per_order_ns: float  # Of the server's process.
    generator_ns: float  # Of this process, an order.
    orders: int


def order(head: str = "") -> bytes:
    """The request, with the place of its id's digits."""
    prefix = secrets.token_hex(4)
    body = (
        f'{{"client_order_id":"{prefix}-{DIGITS_MARK.decode()}","instrument":"BTC-USD",'
        '"side":"buy","type":"limit","price":"10.00","qty":"0.0001"}'
    )
    lines = (
        "POST /v1/orders HTTP/1.1",
        "Host: 127.0.0.1",
        f"X-Dev-User: {USER}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(lines) + "\r\n" + head + "\r\n" + body).encode()


class Plan(NamedTuple):
    """How much is run; smaller in tests."""

    rounds: int = ROUNDS
    connections: tuple[int, ...] = CONNECTIONS
    durabilities: tuple[str, ...] = DURABILITIES
    orders: int = ORDERS_MAX  # At most, in a run.
    settings: Mapping[str, str] = MappingProxyType({})  # Of the exchange.


def run(seconds: float, plan: Plan = Plan()) -> dict[str, Any]:  # noqa: B008  It is a constant.
    """Runs of ``seconds`` each."""
    allowed = sorted(os.sched_getaffinity(0))
    runs: list[dict[str, Any]] = []
    meter = HiccupMeter()
    with contextlib.ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, allowed)
        os.sched_setaffinity(0, {allowed[0]})
        bare = [stack.enter_context(_bare(name)) for name in BARE]
        ceilings = [_ceiling(count, seconds, plan) for count in plan.connections]
        replayer = False
        for durability in plan.durabilities:
            with _exchange(durability, plan.settings, allowed) as (server, has_replayer):
                replayer = has_replayer
                for count in plan.connections * plan.rounds:
                    meter.watch(seconds / WATCH_DIVISOR)
                    for one in (*bare, server):
                        made = _measure(one, count, seconds, plan)
                        runs.append({"durability": durability, **made._asdict()})
    pinned = {"generator": allowed[0], "http": allowed[0], "core": allowed[1 % len(allowed)]}
    options = {"seconds": seconds, "rounds": plan.rounds}
    ran = machine.RUNNING if replayer else machine.NONE
    found = result.head("http", options, pinned=pinned, replayer=ran)
    found |= _result(runs, ceilings, plan) | {"hiccups": meter.result()}
    return result.without_empty({**found, "runs": runs, "noise": _noise(runs, plan)})


def _result(runs: list[dict[str, Any]], ceilings: list[Run], plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for durability in plan.durabilities:
        for count in plan.connections:
            chosen = [
                one
                for one in runs
                if one["durability"] == durability and one["connections"] == count
            ]
            found |= _figures(f"{durability}_{count}", chosen, durability)
    for ceiling in ceilings:
        found[f"generator_{ceiling.connections}_orders_per_s"] = round(ceiling.orders_per_s)
        found[f"generator_{ceiling.connections}_ns"] = round(ceiling.generator_ns)
    return found


def _noise(runs: list[dict[str, Any]], plan: Plan) -> dict[str, float]:
    """Median absolute deviation over the median of the rates, where there are several rounds."""
    found = {}
    for durability in plan.durabilities if plan.rounds > 1 else ():
        for count in plan.connections:
            rates = [
                one["orders_per_s"]
                for one in runs
                if (one["server"], one["connections"]) == (durability, count)
            ]
            found[f"{durability}_{count}_orders_per_s"] = round(result.spread(rates), 4)
    return found


def _figures(prefix: str, runs: list[dict[str, Any]], durability: str) -> dict[str, Any]:
    def middle(server: str, field: str) -> float:
        return float(median(one[field] for one in runs if one["server"] == server))

    rate = middle(durability, "orders_per_s")
    bare = middle("aiohttp", "orders_per_s")
    found: dict[str, Any] = {f"{prefix}_orders_per_s": round(rate)}
    for field in (*PERCENTILES, "cpu_per_order_ns"):
        found[f"{prefix}_{field}"] = round(middle(durability, field))
    found[f"{prefix}_baseline_orders_per_s"] = round(bare)
    found[f"{prefix}_baseline_p50_ns"] = round(middle("aiohttp", "p50_ns"))
    found[f"{prefix}_baseline_cpu_per_order_ns"] = round(middle("aiohttp", "cpu_per_order_ns"))
    found[f"{prefix}_ratio"] = round(rate / bare, 3)
    raw = middle("protocol", "orders_per_s")
    found[f"{prefix}_protocol_orders_per_s"] = round(raw)
    found[f"{prefix}_protocol_ratio"] = round(rate / raw, 3)
    return found


def _measure(server: Server, connections: int, seconds: float, plan: Plan) -> Run:
    lines = _lines(server.port, connections)
    before = _sequence(server)
    try:
        busy_ns = _busy_ns(server.pid)
        seen = lines.closed(1, plan.orders, seconds, CREATED)
        busy_ns = _busy_ns(server.pid) - busy_ns
    finally:
        lines.close()
    if before is not None:
        _check_sequence(server, before + seen.answered)
    return _run(server.name, connections, seen, busy_ns)


def _run(server: str, connections: int, seen: Seen, busy_ns: int) -> Run:
    p50, p99, p99_9 = np.percentile(seen.samples_ns, list(PERCENTILES.values())).tolist()
    return Run(
        server,
        connections,
        seen.answered / seen.seconds,
        round(p50),
        round(p99),
        round(p99_9),
        cpu_per_order_ns=busy_ns / seen.answered,
        generator_ns=seen.cpu_s * 1e9 / seen.answered,
        orders=seen.answered,
    )


def _lines(port: int, connections: int) -> Lines:
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    return Lines(sockets, order())


def _busy_ns(pid: int) -> int:
    """Processor time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in tasks)


def _sequence(server: Server) -> int | None:
    """The newest sequence of an exchange; None for a bare server."""
    if server.name in BARE:
        return None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        # The first time this makes the account.
        connection.request("GET", "/v1/balances", headers={"X-Dev-User": USER})
        response = connection.getresponse()
        response.read()
        return int(response.headers["X-Seq"])
    finally:
        connection.close()


def _check_sequence(server: Server, expected: int) -> None:
    """The core shows its sequence a moment after its events."""
    deadline = time.monotonic() + SETTLE_S
    while (found := _sequence(server)) != expected:
        if time.monotonic() > deadline:
            raise RuntimeError(f"bench http: expected sequence {expected}, the core is at {found}")
        time.sleep(0.01)


def _ceiling(connections: int, seconds: float, plan: Plan) -> Run:
    """What the generator reaches against a server that does nothing, on the same processor."""
    with _process("trivial") as process:
        server = Server("trivial", _port_of(process), process.pid)
        assert process.stdin is not None
        process.stdin.write(f"{connections} {len(order())}\n")
        process.stdin.flush()
        lines = _lines(server.port, connections)
        try:
            seen = lines.closed(1, CEILING_FACTOR * plan.orders, seconds, CREATED)
            return _run(server.name, connections, seen, _busy_ns(server.pid))
        finally:
            lines.close()


@contextlib.contextmanager
def _bare(stack: str) -> Iterator[Server]:
    with _process(stack) as process:
        yield Server(stack, _port_of(process), process.pid)


@contextlib.contextmanager
def _process(stack: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.http_bare", stack],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _port_of(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.strip().isdigit():
        raise RuntimeError(f"bench http: a bare server ended with {process.wait()}")
    return int(line)


@contextlib.contextmanager
def _exchange(
    durability: str, settings: Mapping[str, str], allowed: list[int]
) -> Iterator[tuple[Server, bool]]:
    """A fresh exchange on a free port, its core on the second processor; has it a replayer?"""
    with tempfile.TemporaryDirectory(prefix="outcry-bench-") as directory:
        data = Path(directory) / "data"
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("OUTCRY__")},
            "OUTCRY__CORE__IDLE": "spin",
            "OUTCRY__JOURNAL__DURABILITY": durability,
            **{
                f"OUTCRY__{name}".upper().replace(".", "__"): text
                for name, text in settings.items()
            },
        }
        up = [sys.executable, "-m", "tools.cli", "up", "--dev", "--http", "127.0.0.1:0"]
        os.sched_setaffinity(0, allowed)  # What it starts inherits this.
        process = subprocess.Popen(
            [*up, "--data", str(data)],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        os.sched_setaffinity(0, {allowed[0]})
        try:
            yield _ready(process, data, durability, allowed)
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _ready(
    process: "subprocess.Popen[str]", data: Path, durability: str, allowed: list[int]
) -> tuple[Server, bool]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready "):
        raise RuntimeError(f"bench http: no exchange: outcry up ended with {process.wait(STOP_S)}")
    port = int(line.split()[1].rpartition(":")[2])
    pids = {path.stem: int(path.read_text()) for path in (data / "run").glob("*.pid")}
    for name, pid in pids.items():
        _pin(pid, allowed[1 % len(allowed)] if name == "core" else allowed[0])
    return Server(durability, port, pids["http"]), "replayer" in pids


def _pin(pid: int, cpu: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {cpu})
