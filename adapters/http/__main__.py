"""The HTTP adapter: ``python -m adapters.http --data DIR --gateway http.0 --listen HOST:PORT``."""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final

from adapters.gateway import CoreAway, Gateway
from adapters.http import development
from adapters.http.app import make_app
from adapters.http.exchange import ARCHIVE_SCAN_BYTES, Exchange, is_loopback
from adapters.http.problems import Problem
from adapters.http.server import Server
from adapters.process import (
    LEVELS,
    USAGE,
    ConfigurationFault,
    Settings,
    freeze_heap,
    listening_socket,
    logger,
    parse_listen,
    run,
)
from core.archive.reader import FILLS_BYTES

ATTACH_TIMEOUT_S: Final = 2.0
RETRY_S: Final = 0.1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> "None":  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def arguments(given: list[str]) -> argparse.Namespace:
    """The command line; exit 64 when it is wrong."""
    parser = _Parser(prog="python -m adapters.http", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data directory")
    parser.add_argument("--gateway", "--name", default="http.0", help="http.0, http.1, ...")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="HOST:PORT")
    parser.add_argument("--dev", action="store_true", help="believe X-Dev-User; demo instruments")
    parser.add_argument("--request-timeout-ms", type=int, default=10_000)
    parser.add_argument("--archive-scan-bytes", type=int, default=ARCHIVE_SCAN_BYTES)
    parser.add_argument("--log-format", "--log", choices=("console", "json"), default="console")
    parser.add_argument("--log-level", choices=tuple(LEVELS), default="info")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    """Run the adapter; the exit code."""
    options = arguments(given)
    settings = Settings(options.data, options.gateway, options.log_format, options.log_level)

    async def service(settings: Settings, stopping: asyncio.Event) -> None:
        await serve(settings, stopping, options)

    return run(settings, service)


async def serve(settings: Settings, stopping: asyncio.Event, options: argparse.Namespace) -> None:
    """Listen at once, find the core meanwhile, serve until ``stopping``."""
    host, port = parse_listen(options.listen)
    if options.dev and not is_loopback(host):
        raise ConfigurationFault(
            f"--dev: whoever reaches the port would be any trader, so --listen must be a loopback "
            f"address, got {host}"
        )
    timeout_s = options.request_timeout_ms / 1_000
    exchange = Exchange(
        settings.name,
        dev=options.dev,
        timeout_s=timeout_s,
        archive_scan_bytes=options.archive_scan_bytes,
    )
    exchange.run = settings.data / "run"
    log = logger(settings.name)
    listener = listening_socket(host, port)
    server = Server(make_app(exchange), exchange)
    await server.start(listener)
    bound_host, bound_port = listener.getsockname()[:2]
    log.info("listening", host=bound_host, port=bound_port, development=options.dev)
    finder = asyncio.create_task(find_core(exchange, settings))
    try:
        await stopping.wait()
    finally:
        finder.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await finder
        await server.stop()
        if exchange.link is not None:
            await exchange.link.close()
        log.info("stopped")


async def find_core(exchange: Exchange, settings: Settings) -> None:
    """Attach to the core and make ready what orders need; tried until it is done."""
    log = logger(settings.name)
    while exchange.link is None:
        try:
            link = await Gateway.attach(settings.data, settings.name, ATTACH_TIMEOUT_S)
            exchange.bind(link, await link.recent(FILLS_BYTES))
        except CoreAway as away:
            log.info("waiting for the core", detail=str(away))
    while not exchange.prepared:
        try:
            if exchange.dev:
                await development.prepare(exchange)
            await exchange.instruments()
            exchange.prepared = True
        except Problem as problem:
            log.warning("not prepared yet", code=problem.code, detail=problem.detail)
            await asyncio.sleep(RETRY_S)
    freeze_heap()
    log.info("prepared", durability=exchange.durability, seq=exchange.sequence)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
