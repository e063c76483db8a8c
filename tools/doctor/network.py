"""Checks: the port, who may reach it and as whom, secrets, the wall clock."""

from pathlib import Path
from typing import Any, Final

from tools import exits, secret
from tools.config import is_loopback, parse_address
from tools.config_layers import extra, keys
from tools.doctor.found import Found, fail, ok, skip, warn
from tools.doctor.running import command_line
from tools.doctor.where import Where

LISTEN: Final = "0A"  # State in /proc/net/tcp.
CLOCK_ERROR_MAX_US: Final = 100_000
KNOWN_SECRETS: Final = frozenset(
    {"admin", "change-me", "changeme", "default", "dev", "password", "secret", "test", "outcry"}
)
SHORT: Final = 16


def http_port(where: Where) -> Found:
    """Nobody else listens on the port of HTTP."""
    from tools.up import free_address

    listen = where.config.http.listen
    try:
        _, port = parse_address(listen)
    except ValueError as error:
        return fail(str(error), "http.listen = HOST:PORT")
    try:
        free_address(listen)
    except exits.Stop as stop:
        owners = listeners(where.root, port)
        ours = set(where.running.pids.values())
        if owners and owners <= ours:
            return ok(f"{listen} is this exchange's own (process {_numbers(owners)})")
        by = ", ".join(f"process {pid} ({command_line(where.root, pid)[:60]})" for pid in owners)
        mend = f"kill {_numbers(owners)}, or " if owners else ""
        said = str(stop).partition(";")[0].removeprefix("http.listen: ")
        return fail(f"{said}{': ' + by if by else ''}", f"{mend}--http HOST:PORT")
    return ok(f"{listen} is free")


def _numbers(pids: set[int]) -> str:
    return " ".join(map(str, sorted(pids)))


def listeners(root: Path, port: int) -> set[int]:
    """Processes that listen on a TCP port, as far as we may see."""
    sockets = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (root / f"proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{words[9]}]")
    found = set()
    for directory in (root / "proc").glob("[0-9]*/fd") if sockets else ():
        try:
            if any(str(entry.readlink()) in sockets for entry in directory.iterdir()):
                found.add(int(directory.parent.name))
        except OSError:  # Another user's, or it has just ended.
            continue
    return found


def bind_address(where: Where) -> Found:
    """Only this machine reaches a port where everybody is believed."""
    config = where.config
    try:
        host, _ = parse_address(config.http.listen)
    except ValueError:
        return skip("http.listen is no address")
    if is_loopback(host):
        if config.dev.enabled:
            return ok(f"{host}: any user of this machine is any trader (dev.enabled)")
        return ok(f"{host}: this machine only")
    if config.dev.enabled:
        return fail(
            f"{host} with dev.enabled: whoever reaches the port is any trader, and admin",
            "http.listen on 127.0.0.1, or dev.enabled = false",
        )
    return warn(
        f"{host}: others reach it, and HTTP here is not encrypted",
        "http.listen on 127.0.0.1, behind a proxy that speaks TLS",
    )


def secrets(where: Where, references: dict[str, str] | None = None) -> Found:
    """No secret is one that everybody knows, or stands in the configuration itself."""
    given = _references(where) if references is None else references
    if not given:
        if where.config.dev.enabled:
            return warn(
                "development: the header X-Dev-User is believed, there is no secret at all",
                "dev.enabled = false (outcry up without --dev) for anything but a try",
            )
        return skip("this version has no secret")
    bad = [f"{key}: {why}" for key, reference in given.items() if (why := _weakness(reference))]
    if bad:
        return fail(
            "; ".join(bad),
            "openssl rand -base64 32 > FILE; chmod 600 FILE; KEY = file:FILE",
        )
    return ok(f"{len(given)} by reference")


def _references(where: Where) -> dict[str, str]:
    found: dict[str, Any] = {}
    for key, kind in keys().items():
        section, name = key.split(".")
        if extra(kind).get("secret") and (value := getattr(getattr(where.config, section), name)):
            found[key] = value
    return found


def _weakness(reference: str) -> str:
    """What is wrong with a secret, without the secret; empty: nothing."""
    try:
        text = secret.resolve(reference)
    except ValueError as error:
        return str(error)
    if text.lower() in KNOWN_SECRETS:
        return "a default that everybody knows"
    return f"shorter than {SHORT} characters" if len(text) < SHORT else ""


def clock(where: Where) -> Found:
    """The wall clock, which goes into every order, is that of the world."""
    found = where.ask_clock()
    if found is None:
        return skip("the kernel does not tell (adjtimex)")
    mend = "timedatectl set-ntp true, or chronyd; chronyc tracking"
    text = f"at most {found.error_us / 1_000:.1f} ms off" if found.error_us else "error not known"
    if not found.synchronised:
        return warn("not synchronised: times in orders and journal drift from the world's", mend)
    if found.error_us > CLOCK_ERROR_MAX_US:
        return warn(f"synchronised, {text}", mend)
    return ok(f"synchronised, {text}")


CHECKS: Final = (
    http_port,
    bind_address,
    secrets,
    clock,
)
