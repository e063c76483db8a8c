"""The listening part: aiohttp's server, but what is no HTTP is answered with a problem as well."""

import asyncio
import logging
import socket
import time
from typing import Final

import msgspec
import structlog
from aiohttp import web

from adapters.http.direct import Connection
from adapters.http.exchange import STAMP, Exchange
from adapters.http.heads import Heads
from adapters.http.problems import CONTENT_TYPE, Problem, body_of
from adapters.http.replies import new_request_id

SHUTDOWN_TIMEOUT_S: Final = 2.0
KEEPALIVE_S: Final = 75.0


class Server:
    """Serves an application on one socket until ``stop``."""

    def __init__(self, app: web.Application, exchange: Exchange) -> None:
        self._exchange = exchange
        self._heads = Heads()
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        self._listener: asyncio.Server | None = None
        self._log = _logger(exchange.name)

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._protocol, sock=listener)

    async def stop(self) -> None:
        """Accept no more, answer what is under way, close."""
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()

    def _protocol(self) -> "_Protocol":
        manager = self._runner.server
        assert manager is not None
        return _Protocol(
            manager,
            self._exchange,
            self._heads,
            loop=asyncio.get_running_loop(),
            access_log=None,  # No line per request.
            keepalive_timeout=KEEPALIVE_S,
            logger=self._log,
        )


class _Protocol(Connection):
    """One connection."""

    __slots__ = ()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer."""
        done = await super().finish_response(request, resp, start_time)
        stamp = request.get(STAMP)
        if stamp is not None and stamp.sequence and self.exchange.link is not None:
            self.exchange.link.written(stamp)
        return done

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What never came to a handler: no HTTP (400), or an error of the server itself (500)."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status >= 500:
            self.logger.error("connection failed", exc_info=exc)
            problem = Problem("internal", "an error of the exchange; look the outcome up")
        else:
            first_line = (message or "").partition("\n")[0]
            problem = Problem("malformed", f"not HTTP as expected: {first_line[:200]!a}")
        sequence = self.exchange.sequence
        request_id = new_request_id()
        content = body_of(problem, "", request_id, sequence)
        headers = {
            "X-Request-Id": request_id,
            "Server-Time": str(time.time_ns() // 1_000),
            "X-Seq": str(sequence),
        }
        response = web.Response(
            status=problem.status,
            body=msgspec.json.encode(content),
            content_type=CONTENT_TYPE,
            headers=headers,
        )
        response.force_close()
        return response


class _ToStructlog(logging.Handler):
    """aiohttp logs through ``logging``; here all lines of a process have one form."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(process=record.name)
        if record.exc_info:
            log.error(record.getMessage(), exc_info=record.exc_info)
        else:
            log.log(record.levelno, record.getMessage())


def _logger(name: str) -> logging.Logger:
    log = logging.Logger(name, logging.WARNING)
    log.addHandler(_ToStructlog())
    return log
