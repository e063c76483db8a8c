"""Liveness, readiness, time, metrics."""

import time
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from adapters.http.alarms import Alarm, raised
from adapters.http.exchange import Exchange
from adapters.http.metrics import ExchangeCollector
from adapters.http.problems import Problem
from adapters.http.replies import answer, exchange_of, parameters

VERSION: Final = "0.1.0"
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def registry_of(exchange: Exchange) -> CollectorRegistry:
    """A registry with everything of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ExchangeCollector(exchange, VERSION))
    return registry


REGISTRY: Final[web.AppKey[CollectorRegistry]] = web.AppKey("registry", CollectorRegistry)


async def get_ping(request: web.Request) -> web.Response:
    """GET /v1/ping."""
    parameters(request, ())
    return answer(request, {"seq": exchange_of(request).sequence})


async def get_time(request: web.Request) -> web.Response:
    """GET /v1/time: the clock of this machine, microseconds (C12)."""
    parameters(request, ())
    now = time.time_ns() // 1_000
    return answer(request, {"time": now, "seq": exchange_of(request).sequence})


async def get_status(request: web.Request) -> web.Response:
    """GET /v1/status."""
    parameters(request, ())
    content = _status(exchange_of(request))
    content["time"] = time.time_ns() // 1_000
    return answer(request, content)


async def get_health(request: web.Request) -> web.Response:
    """GET /healthz: what is known of the core; 503 while an alarm is red (docs/http.md)."""
    exchange = exchange_of(request)
    red = [alarm.word for alarm in _alarms(exchange) if alarm.is_red]
    status = HTTPStatus.SERVICE_UNAVAILABLE if red else HTTPStatus.OK
    return answer(request, _status(exchange), status=status)


async def get_ready(request: web.Request) -> web.Response:
    """GET /readyz: 200 only when orders can be placed."""
    exchange = exchange_of(request)
    if not exchange.ready:
        code = "not_accepting" if exchange.prepared else "starting"
        start = exchange.start
        raise Problem(code, start or "orders cannot be placed now")
    return answer(request, _status(exchange))


async def get_metrics(request: web.Request) -> web.Response:
    """GET /metrics: Prometheus text."""
    content = generate_latest(request.app[REGISTRY])
    return web.Response(body=content, headers={"Content-Type": METRICS_TYPE})


def _alarms(exchange: Exchange) -> list[Alarm]:
    return raised(exchange.link.counters()) if exchange.link else []


def _status(exchange: Exchange) -> dict[str, Any]:
    phase = "ready" if exchange.ready else "not_accepting" if exchange.prepared else "starting"
    alarms = _alarms(exchange)
    return {
        "status": "red" if any(alarm.is_red for alarm in alarms) else "ok",
        "phase": phase,
        "start": exchange.start or None,
        "alarms": [alarm.word for alarm in alarms],
        "version": VERSION,
        "durability": exchange.durability or None,
        "epoch": exchange.link.epoch if exchange.link else None,
        "gateway": exchange.name,
        "development": exchange.dev,
        "seq": exchange.sequence,
    }
