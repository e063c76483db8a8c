"""One way to start every adapter: event loop, logs, signals, the supervisor's death, the pid file.

An adapter holds no truth, so it may end at any moment; it ends cleanly when it has the time.
Sources: architecture decisions 15-17, contract.md (processes).
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
import uvloop

OK: Final = 0
USAGE: Final = 64
FAILED: Final = 70
CONFIGURATION: Final = 78

PR_SET_PDEATHSIG: Final = 1
PARENT_CHECK_S: Final = 0.25
STOP_GRACE_S: Final = 5.0
ORPHAN_GRACE_S: Final = 0.4  # With the check's period below the second that contract.md gives.
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

Log = structlog.typing.FilteringBoundLogger


class Settings(NamedTuple):
    """What every adapter is told: ``name`` is that of its gateway, such as 'http.0'."""

    data: Path
    name: str
    log_format: str = "console"
    log_level: str = "info"


class ConfigurationFault(Exception):
    """Ends the process with exit code 78 and this sentence on standard error."""


Service = Callable[[Settings, asyncio.Event], Awaitable[None]]


def run(settings: Settings, service: Service) -> int:
    """Run ``service`` until it ends or the process is told to stop; the exit code.

    ``service(settings, stopping)`` ends soon after the event ``stopping`` is set.
    """
    configure_logs(settings.log_format, settings.log_level)
    parent = os.getppid()
    bind_to_parent()
    pid_file = settings.data / "run" / f"{process_name(settings.name)}.pid"
    try:
        write_pid(pid_file)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, service, parent))
    except ConfigurationFault as fault:
        sys.stderr.write(f"{fault}\n")
        return CONFIGURATION
    except Exception:
        logger(settings.name).exception("failed")
        return FAILED
    finally:
        remove_pid(pid_file)
    return OK


def configure_logs(log_format: str, level: str) -> None:
    """Logs on standard error: ``console`` for people, ``json`` for machines."""
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ]
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> Log:
    """The log of a process; ``configure_logs`` comes first."""
    log: Log = structlog.get_logger(process=name)
    return log


def process_name(gateway: str) -> str:
    """Name of the pid file: 'http.0' is http, 'http.1' is http-1 (contract.md)."""
    kind, _, number = gateway.partition(".")
    return kind if number in ("", "0") else f"{kind}-{number}"


def write_pid(path: Path) -> None:
    """Our process id, seen by readers whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(f"{os.getpid()}\n")
    temporary.replace(path)


def remove_pid(path: Path) -> None:
    """Remove our pid file, not that of a process that was started after us."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text().strip() == str(os.getpid()):
            path.unlink()


def bind_to_parent() -> None:
    """Ask the kernel for SIGTERM at our parent's death; a supervisor may have asked for SIGKILL."""
    current = ctypes.c_int(0)
    libc = ctypes.CDLL(None, use_errno=True)
    pr_get_pdeathsig = 2
    libc.prctl(pr_get_pdeathsig, ctypes.byref(current), 0, 0, 0)
    if current.value == 0:
        libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def parse_listen(text: str) -> tuple[str, int]:
    """(host, port) of 'HOST:PORT' or '[IPV6]:PORT'; ConfigurationFault when it is neither."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ConfigurationFault(f"--listen: expected HOST:PORT, got {text!r}")
    return host, int(port)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that several workers of one exchange can share (SO_REUSEPORT).

    Two exchanges of one user could share a port by mistake: the supervisor looks before it starts.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(1_024)
    except OSError as error:
        raise ConfigurationFault(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


def freeze_heap() -> None:
    """After the start: what lives now lives for ever, so the collector need not look at it."""
    gc.collect()
    gc.freeze()


async def _serve(settings: Settings, service: Service, parent: int) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def stop(reason: str) -> None:
        orphaned = os.getppid() != parent  # Then the signal may be the kernel's word of it.
        loop.call_later(ORPHAN_GRACE_S if orphaned else STOP_GRACE_S, _leave)
        if not stopping.is_set():
            logger(settings.name).info("stopping", reason=reason)
            stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # A supervisor acts on SIGINT for us.
            loop.add_signal_handler(number, stop, signal.Signals(number).name)

    def check_parent() -> None:
        if os.getppid() != parent:
            stop("the parent process is gone")
        else:
            loop.call_later(PARENT_CHECK_S, check_parent)

    check_parent()
    await service(settings, stopping)


def _leave() -> None:
    """The clean stop takes too long; nothing here is worth waiting for."""
    os._exit(FAILED)
