"""The paths, and what is the same for every request: ids, headers, problems, metrics."""

import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from adapters.http import (
    account,
    admin,
    admin_accounts,
    admin_instruments,
    admin_trades,
    market,
    money,
    orders,
    place,
    problems,
    system,
    tickers,
    transfers,
    trial,
)
from adapters.http.body import BODY_BYTES_MAX
from adapters.http.exchange import EXCHANGE, STAMP, Exchange
from adapters.http.problems import REQUEST_ID, SEQ, Problem
from adapters.http.replies import new_request_id
from adapters.http.system import REGISTRY, registry_of
from adapters.stamps import begin

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(exchange: Exchange) -> web.Application:
    """The application over an exchange; a path's last part may hold '/' (symbols, client ids)."""
    app = web.Application(middlewares=[_frame], client_max_size=BODY_BYTES_MAX)
    app[EXCHANGE] = exchange
    app[REGISTRY] = registry_of(exchange)
    _add_orders(app.router)
    _add_others(app.router)
    _add_admin(app.router)
    return app


def _add_orders(router: web.UrlDispatcher) -> None:
    by_client = "/v1/orders/by-client-id/{cid:.+}"
    router.add_post("/v1/orders", place.place_order)
    router.add_get("/v1/orders", account.get_orders)
    router.add_post("/v1/orders/test", trial.try_order)
    router.add_post("/v1/orders/cancel-all", orders.cancel_all)
    router.add_post("/v1/orders/cancel-all-after", transfers.cancel_all_after)
    router.add_post(f"{by_client}/cancel", orders.cancel_order)
    router.add_get(by_client, orders.get_order)
    router.add_delete(by_client, orders.cancel_order)
    router.add_patch(by_client, orders.replace_order)
    router.add_post("/v1/orders/{id}/cancel", orders.cancel_order)
    router.add_get("/v1/orders/{id}", orders.get_order)
    router.add_delete("/v1/orders/{id}", orders.cancel_order)
    router.add_patch("/v1/orders/{id}", orders.replace_order)


def _add_others(router: web.UrlDispatcher) -> None:
    router.add_get("/v1/balances", account.get_balances)
    router.add_get("/v1/positions", account.get_positions)
    router.add_get("/v1/positions/{symbol:.+}", account.get_positions)
    router.add_get("/v1/account", account.get_account)
    router.add_get("/v1/instruments", market.get_instruments)
    router.add_get("/v1/instruments/{symbol:.+}/book", market.get_book)
    router.add_get("/v1/instruments/{symbol:.+}/trades", market.get_trades)
    router.add_get("/v1/instruments/{symbol:.+}/bbo", tickers.get_best)
    router.add_get("/v1/tickers", tickers.get_tickers)
    router.add_get("/v1/tickers/{symbol:.+}", tickers.get_ticker)
    router.add_get("/v1/instruments/{symbol:.+}", market.get_instrument)
    router.add_get("/v1/assets", market.get_assets)
    router.add_get("/v1/fees", market.get_fees)
    router.add_get("/v1/ping", system.get_ping)
    router.add_get("/v1/time", system.get_time)
    router.add_get("/v1/status", system.get_status)
    router.add_get("/v1/calculator/collateral", trial.get_collateral)
    router.add_post("/v1/transfers", transfers.transfer)
    router.add_get("/healthz", system.get_health)
    router.add_get("/readyz", system.get_ready)
    router.add_get("/metrics", system.get_metrics)


def _add_admin(router: web.UrlDispatcher) -> None:
    account_path, instrument_path = "/v1/admin/accounts/{id}", "/v1/admin/instruments/{symbol:.+}"
    router.add_post("/v1/admin/instruments", admin_instruments.create_instrument)
    router.add_post(f"{instrument_path}/settle", admin_instruments.settle_instrument)
    router.add_patch(instrument_path, admin_instruments.change_instrument)
    router.add_post("/v1/admin/assets", admin.create_asset)
    router.add_post("/v1/admin/accounts", admin.create_account)
    router.add_patch(account_path, admin_accounts.change_account)
    router.add_post(f"{account_path}/suspend", admin_accounts.change_account)
    router.add_post(f"{account_path}/limits", admin_accounts.set_limits)
    router.add_get(f"{account_path}/limits", admin_accounts.get_limits)
    router.add_post(f"{account_path}/deposit", money.deposit)
    router.add_post(f"{account_path}/withdraw", money.withdraw)
    router.add_post("/v1/admin/kill-switch", admin_accounts.set_kill_switch)
    router.add_post("/v1/admin/trades/{trade_id}/bust", admin_trades.bust_trade)
    router.add_post("/v1/admin/trades/{trade_id}/correct", admin_trades.correct_trade)
    router.add_post("/v1/admin/executions", admin_trades.record_execution)
    router.add_get("/v1/admin/state", admin.get_state)
    router.add_get("/v1/admin/stages", admin.get_stages)


@web.middleware
async def _frame(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Around every request: its id and headers, errors as problems, its count and duration."""
    start = time.perf_counter()
    exchange = request.app[EXCHANGE]
    request[STAMP] = begin(getattr(request.protocol, "read_ns", 0))
    request[REQUEST_ID] = request_id = new_request_id()
    try:
        response = await handler(request)
    except Problem as problem:
        response = _answer(problem, request, exchange)
    except web.HTTPException as error:
        response = _answer(_of_http(error, request), request, exchange)
    except HttpProcessingError as error:
        unread = Problem("malformed", f"the request could not be read: {error.message!a}")
        response = _answer(unread, request, exchange)
    except Exception:
        log = structlog.get_logger(process=exchange.name)
        log.exception("request failed", request_id=request_id, path=request.rel_url.raw_path)
        internal = Problem("internal", "an error of the exchange; look the outcome up")
        response = _answer(internal, request, exchange)
    response.headers["X-Request-Id"] = request_id
    response.headers["Server-Time"] = str(time.time_ns() // 1_000)
    response.headers["X-Seq"] = str(request.get(SEQ, exchange.sequence))
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    seconds = time.perf_counter() - start
    exchange.metrics.request(route, _method(request), response.status, seconds)
    return response


def _answer(problem: Problem, request: web.Request, exchange: Exchange) -> web.Response:
    seq = problem.extra.get("seq", exchange.sequence)
    request[SEQ] = seq
    return problems.response(problem, request, seq)


def _of_http(error: web.HTTPException, request: web.Request) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"this path takes {allowed}, not {request.method[:32]!a}"
        return Problem("method_not_allowed", detail, headers={"Allow": allowed})
    if isinstance(error, web.HTTPNotFound):
        return Problem("not_found", "no such path")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem("too_large", f"expected a body of at most {BODY_BYTES_MAX} bytes")
    if error.status < 500:
        return Problem("malformed", f"the request was refused: {error.reason}")
    return Problem("internal", f"an error of the exchange: {error.reason}")


def _method(request: web.Request) -> str:
    known = ("GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS")
    return request.method if request.method in known else "other"
