"""Counts of this process, and the collector that renders them for Prometheus (api.md §G.1)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from core import messages
from core.constants import INBOUND_SLOTS
from core.reasons import Reason

if TYPE_CHECKING:
    from adapters.http.exchange import Exchange

BUCKETS: Final = tuple(2**power * 1e-6 for power in range(5, 24))  # 32 us to 8.4 s.


STAGES_COMMANDS: Final = 8_192
QUANTILES: Final = {"p50_ns": "0.5", "p90_ns": "0.9", "p99_ns": "0.99", "p99_9_ns": "0.999"}
_COUNTERS: Final = {
    "major_faults": ("outcry_core_major_faults", "Page faults of the core that wait for a disk."),
    "minor_faults": ("outcry_core_minor_faults", "Other page faults of the serving core."),
    "late_kernels": ("outcry_core_late_kernels", "Kernels loaded or compiled while serving."),
    "journal_bytes": ("outcry_journal_bytes", "Bytes written to the journal."),
    "blocks": ("outcry_journal_blocks", "Blocks written to the journal."),
    "events_published": ("outcry_events_published", "Events written to the output ring."),
    "queries": ("outcry_queries", "Queries answered by the core."),
    "rejects": ("outcry_commands_rejected", "Commands rejected by the core."),
    "ring_faults": ("outcry_ring_faults", "Words of adapters that made no sense."),
    "replies_dropped": ("outcry_replies_dropped", "Answers for which a reply ring had no room."),
    "gateway_lapped": ("outcry_output_laps", "Times that this reader was lapped."),
    "replay_differences": ("outcry_replay_differences", "Times that the replay was elsewhere."),
    "snapshot_faults": ("outcry_snapshot_faults", "Snapshots not written, loaded or used."),
    "scrubbed_segments": ("outcry_scrubbed_segments", "Sealed segments read again, unchanged."),
    "scrub_faults": ("outcry_scrub_faults", "Sealed segments that are not what they were."),
}
_GAUGES: Final = {
    "durable_sequence": ("outcry_durable_seq", "Newest sequence on stable storage."),
    "open_orders": ("outcry_open_orders", "Orders that are open."),
    "replayed_sequence": ("outcry_replayed_seq", "Newest sequence the replayer has applied."),
    "witness_sequence": ("outcry_witness_seq", "Newest sequence in the witness file."),
    "witness_lag_ns": ("outcry_witness_lag_ns", "Age of what is durable and not witnessed."),
    "archived_sequence": ("outcry_archived_seq", "Newest sequence in the event archive."),
    "snapshot_sequence": ("outcry_snapshot_seq", "Sequence of the newest snapshot."),
    "snapshot_ns": (
        "outcry_snapshot_ns",
        "Wall clock of the newest snapshot of this life.",
    ),
    "journal_over_bytes": ("outcry_journal_over_bytes", "Bytes above keep_bytes that must stay."),
    "recovered_commands": ("outcry_recovered_commands", "Commands replayed at the start."),
    "gateway_commands_waiting": ("outcry_commands_waiting", "Commands without answer yet."),
    "gateway_queries_waiting": ("outcry_queries_waiting", "Queries without answer yet."),
}


class Histogram:
    """Seconds, in buckets that double."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts, as Prometheus wants them."""
        found, total = [], 0
        for bound, count in zip((*map(repr, BUCKETS), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class HttpMetrics:
    """What the handlers count."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.received: Counter[tuple[str, str, str]] = Counter()
        self.order_seconds: dict[str, Histogram] = {}
        self.replays = 0

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self.requests[route, method, status] += 1
        _observe(self.seconds, route, seconds)

    def order(self, order_type: str, seconds: float) -> None:
        """An order was answered by the core."""
        _observe(self.order_seconds, order_type, seconds)


def _observe(kept: dict[str, Histogram], name: str, seconds: float) -> None:
    histogram = kept.get(name)
    if histogram is None:
        histogram = kept[name] = Histogram()
    histogram.observe(seconds)


class ExchangeCollector(Collector):
    """Renders everything at the moment of the scrape."""

    def __init__(self, exchange: "Exchange", version: str) -> None:
        self._exchange = exchange
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """All families."""
        self._exchange.newest_feed.flush()
        yield from self._http()
        yield from self._orders()
        yield from self._trades()
        yield from self._core()

    def _http(self) -> Iterator[Metric]:
        metrics = self._exchange.metrics
        labels = ["route", "method", "status"]
        requests = CounterMetricFamily("outcry_http_requests", "HTTP requests.", labels=labels)
        for (route, method, status), count in metrics.requests.items():
            requests.add_metric([route, method, str(status)], count)
        yield requests
        yield _histogram(
            "outcry_http_request_duration_seconds",
            "Time from the request's head to its answer.",
            ["route"],
            {(route,): kept for route, kept in metrics.seconds.items()},
        )
        name = self._exchange.name
        yield _histogram(
            "outcry_order_latency_seconds",
            "Time from offering PLACE_ORDER to its answer, journaled and matched.",
            ["gateway", "type"],
            {(name, kind): kept for kind, kept in metrics.order_seconds.items()},
        )
        yield _counter("outcry_idempotent_replays", "Orders answered again.", metrics.replays)

    def _orders(self) -> Iterator[Metric]:
        exchange, feed = self._exchange, self._exchange.feed
        labels = ["instrument", "type", "side", "gateway"]
        received = CounterMetricFamily(
            "outcry_orders_received", "Valid orders offered to the core.", labels=labels
        )
        for terms, count in exchange.metrics.received.items():
            received.add_metric([*terms, exchange.name], count)
        yield received
        yield _counter(
            "outcry_orders_accepted", "Orders accepted.", feed.kinds[messages.ORDER_ACCEPTED]
        )
        rejects = CounterMetricFamily(
            "outcry_orders_rejected", "Orders rejected by the core.", labels=["reason"]
        )
        for reason, count in feed.rejects.items():
            rejects.add_metric([_word(reason)], count)
        yield rejects
        cancels = CounterMetricFamily(
            "outcry_orders_canceled", "Orders canceled or expired.", labels=["cause"]
        )
        for reason, count in feed.cancels.items():
            cancels.add_metric([_word(reason)], count)
        yield cancels

    def _trades(self) -> Iterator[Metric]:
        feed, reference = self._exchange.feed, self._exchange.reference
        trades = CounterMetricFamily("outcry_trades", "Trades.", labels=["instrument"])
        lots = CounterMetricFamily(
            "outcry_trade_quantity", "Quantity traded, in base units.", labels=["instrument"]
        )
        notional: dict[str, float] = {}
        for number, count in feed.trade_count.items():
            instrument = reference.by_id.get(number)
            if instrument is None:
                continue
            trades.add_metric([instrument.symbol], count)
            size = instrument.lot / 10**instrument.lot_scale
            lots.add_metric([instrument.symbol], feed.trade_lots[number] * size)
            scale = 10**instrument.quote.scale
            amount = feed.trade_notional[number] * instrument.multiplier / scale
            asset = instrument.quote.name
            notional[asset] = notional.get(asset, 0.0) + amount
        yield trades
        yield lots
        amounts = CounterMetricFamily(
            "outcry_trade_notional", "Price x quantity traded.", labels=["asset"]
        )
        for asset, amount in notional.items():
            amounts.add_metric([asset], amount)
        yield amounts

    def _core(self) -> Iterator[Metric]:
        exchange = self._exchange
        build = GaugeMetricFamily("outcry_build_info", "Build.", labels=["version", "durability"])
        build.add_metric([self._version, exchange.durability], 1)
        yield build
        restarts = CounterMetricFamily(
            "outcry_restarts", "Processes started again by the supervisor.", labels=["process"]
        )
        for process, count in exchange.restarts.items():
            restarts.add_metric([process], count)
        yield restarts
        yield _gauge("outcry_ready", "1 when orders can be placed.", int(exchange.ready))
        yield _gauge("outcry_seq", "Newest sequence applied.", exchange.sequence)
        if exchange.link is None:
            return
        yield _gauge("outcry_epoch", "Life of the core.", exchange.link.epoch)
        counters = exchange.link.counters()
        for label, (name, text) in _COUNTERS.items():
            yield _counter(name, text, counters.get(label, 0))
        for label, (name, text) in _GAUGES.items():
            yield _gauge(name, text, counters.get(label, 0))
        fill = GaugeMetricFamily(
            "outcry_ring_fill_ratio", "Part of the inbound ring in use.", labels=["ring"]
        )
        fill.add_metric([exchange.name], counters.get("inbound_fill", 0) / INBOUND_SLOTS)
        yield fill
        yield from self._stages(exchange.link.stages(STAGES_COMMANDS) or [])

    def _stages(self, rows: list[dict[str, Any]]) -> Iterator[Metric]:
        text = f"Time from stage to stage, of the newest {STAGES_COMMANDS} commands."
        family = Metric("outcry_stage_latency_seconds", text, "summary")
        for row in rows:
            for label, quantile in QUANTILES.items():
                labels = {"stage": row["stage"], "quantile": quantile}
                family.add_sample(family.name, labels, row[label] / 1e9)
        if rows:
            yield family


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _histogram(
    name: str, text: str, labels: list[str], kept: dict[tuple[str, ...], Histogram]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, histogram in kept.items():
        family.add_metric(list(values), histogram.buckets(), histogram.sum)
    return family


def _word(reason: int) -> str:
    return Reason(reason).word if reason in Reason._value2member_map_ else str(reason)
