"""Liveness, readiness, metrics, and the demo that --dev makes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.gateway import CoreAway
from adapters.http import development
from adapters.http.exchange import Exchange
from core import messages
from core.messages import COMMAND, NEW_INSTRUMENT
from core.reasons import Reason
from tests.adapters.http.conftest import Client, MakeClient
from tests.adapters.http.fake_gateway import FakeGateway, answered, event


@pytest.mark.parametrize("path", ["/v1/ping", "/v1/time", "/v1/status", "/healthz", "/readyz"])
async def test_a_healthy_exchange_answers_200_to_anybody(client: Client, path: str) -> None:
    reply = await client.get(path, user=None)

    assert (reply.status, reply.body["seq"], reply.headers["X-Seq"]) == (200, 1_000, "1000")


async def test_health_names_the_durability(client: Client) -> None:
    assert (await client.get("/healthz")).body["durability"] == "sync"


async def test_ready_only_while_orders_can_be_placed(client: Client, gateway: FakeGateway) -> None:
    gateway.ready = False

    ready = await client.get("/readyz")
    healthy = await client.get("/healthz")

    assert (ready.status, ready.body["code"]) == (503, "not_accepting")
    assert (healthy.status, healthy.body["phase"]) == (200, "not_accepting")


async def test_a_replay_that_differs_makes_health_red_and_orders_go_on(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.replayer = {"snapshot_faults": 1}
    warned = await client.get("/healthz")
    gateway.replayer = {"replay_differences": 1, "witness_lag_ns": 3_000_000_000}
    red = await client.get("/healthz")

    assert (warned.status, warned.body["status"]) == (200, "ok")
    assert warned.body["alarms"] == ["snapshot_failed"]
    assert (red.status, red.body["status"]) == (503, "red")
    assert red.body["alarms"] == ["replay_differs", "witness_late"]
    assert (await client.get("/readyz")).status == 200


async def test_a_core_that_replays_says_how_far_it_is(
    make_client: MakeClient, tmp_path: Path
) -> None:
    exchange = Exchange("http.0", dev=True)
    exchange.run = tmp_path
    client: Client = await make_client(exchange)
    (tmp_path / "start").write_text("replaying 3.1 M of 10.0 M commands")

    ready = await client.get("/readyz")
    assert (ready.status, ready.body["detail"]) == (503, "replaying 3.1 M of 10.0 M commands")
    assert (await client.get("/healthz")).body["start"] == "replaying 3.1 M of 10.0 M commands"


async def test_before_the_core_is_found_it_is_starting(make_client: MakeClient) -> None:
    client: Client = await make_client(Exchange("http.0", dev=True))

    assert (await client.get("/healthz")).status == 200
    for path in ("/readyz", "/v1/instruments", "/v1/balances", "/v1/orders/1"):
        reply = await client.get(path)
        assert (reply.status, reply.body["code"]) == (503, "starting")
    placed = await client.place()
    assert (placed.status, placed.body["code"]) == (503, "starting")
    assert (await client.get("/metrics")).status == 200


async def test_metrics_count_requests_orders_and_trades(
    client: Client, gateway: FakeGateway, exchange: Exchange, tmp_path: Path
) -> None:
    (tmp_path / "restarts.json").write_text('{"core":3}')
    exchange.run = tmp_path
    gateway.script.append(answered(event(messages.ORDER_ACCEPTED, leaves=2_500, qty=2_500)))
    await client.place()
    await client.get("/v1/nothing")
    gateway.publish(
        np.concatenate(
            [
                event(messages.ORDER_ACCEPTED, sequence=1),
                event(messages.FILL, sequence=1, index=1, price=100, qty=20_000),
                event(messages.FILL, sequence=1, index=2, flags=messages.MAKER),
                event(messages.ORDER_REJECTED, sequence=2, reason=Reason.PHASE),
                event(messages.ORDER_CANCELED, sequence=3, reason=Reason.CANCELED_BY_USER),
            ]
        )
    )

    text = (await client.get("/metrics")).body.decode()

    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return samples[name, tuple(sorted(labels.items()))]

    assert value("outcry_seq") == 1_000
    assert value("outcry_orders_accepted_total") == 1
    assert value("outcry_orders_rejected_total", reason="phase") == 1
    assert value("outcry_orders_canceled_total", cause="canceled_by_user") == 1
    assert value("outcry_trades_total", instrument="BTC-USD") == 1
    assert value("outcry_trade_quantity_total", instrument="BTC-USD") == 2.0
    assert value("outcry_trade_notional_total", asset="USD") == 2.0
    terms = {"instrument": "BTC-USD", "type": "limit", "side": "buy", "gateway": "http.0"}
    assert value("outcry_orders_received_total", **terms) == 1
    placed = {"route": "/v1/orders", "method": "POST", "status": "201"}
    assert value("outcry_http_requests_total", **placed) == 1
    missing = {"route": "none", "method": "GET", "status": "404"}
    assert value("outcry_http_requests_total", **missing) == 1
    assert value("outcry_order_latency_seconds_count", gateway="http.0", type="limit") == 1
    assert value("outcry_http_request_duration_seconds_count", route="/v1/orders") == 1
    assert value("outcry_journal_bytes_total") == 4_096
    assert value("outcry_restarts_total", process="core") == 3
    assert value("outcry_ring_fill_ratio", ring="http.0") == 0.25


def kinds(gateway: FakeGateway) -> list[int]:
    return [int(np.frombuffer(sent[:128], COMMAND)[0]["kind"]) for sent in gateway.sent]


async def test_the_demo_is_made_at_the_first_start(
    exchange: Exchange, gateway: FakeGateway
) -> None:
    assets, symbols = (
        dict(gateway.assets),
        {1: "BTC-USD", 2: "ETH-USD", 3: development.EVENT_CONTRACT},
    )
    gateway.assets.clear()
    gateway.symbols.clear()

    async def make(sent: Any) -> Any:
        if sent[0]["kind"] == messages.CREATE_ASSET:
            number = len(gateway.assets) + 1
            gateway.assets[number] = assets[number]
            return answered(event(messages.ASSET_CREATED, order_id=number))
        number = len(gateway.symbols) + 1
        gateway.symbols[number] = symbols[number]
        return answered(event(messages.INSTRUMENT_CREATED, order_id=number))

    gateway.script.extend([make] * 6)

    await development.prepare(exchange)
    await development.prepare(exchange)

    assert kinds(gateway) == [10, 10, 10, 11, 11, 11]
    terms = [np.frombuffer(sent[:128], NEW_INSTRUMENT)[0] for sent in gateway.sent[3:]]
    assert [
        (row["tick"], row["tick_scale"], row["lot"], row["lot_scale"], row["taker_ppm"])
        for row in terms
    ] == [(1, 2, 1, 4, 500), (1, 2, 1, 3, 500), (1, 2, 1, 0, 0)]


async def test_a_demo_that_broke_off_is_finished(exchange: Exchange, gateway: FakeGateway) -> None:
    gateway.symbols = {1: "BTC-USD", 3: development.EVENT_CONTRACT}
    gateway.script.append(CoreAway("away"))

    with pytest.raises(Exception, match="not executed"):
        await development.prepare(exchange)
    gateway.script.append(
        answered(event(messages.COMMAND_REJECTED, reason=Reason.NAME_TAKEN, cum=2))
    )
    await development.prepare(exchange)

    assert kinds(gateway) == [11, 11]


async def test_metrics_have_the_quantiles_of_each_stage(
    client: Client, gateway: FakeGateway
) -> None:
    names = ("p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "max_ns", "count")
    gateway.stage_rows = [{"stage": "durable", **{name: 2_000 for name in names}}]

    text = (await client.get("/metrics")).body.decode()

    assert "# TYPE outcry_stage_latency_seconds summary" in text
    for quantile in ("0.5", "0.9", "0.99", "0.999"):
        labels = f'quantile="{quantile}",stage="durable"'
        assert f"outcry_stage_latency_seconds{{{labels}}} 2e-06" in text.replace(
            f'stage="durable",quantile="{quantile}"', labels
        )
