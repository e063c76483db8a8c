"""Port, address, secrets, clock."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.doctor.ground import expect, ground
from tools.doctor import network
from tools.doctor.running import Running
from tools.doctor.where import Clock, this_clock


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_port_that_is_taken_and_by_whom(tmp_path: Path, taken: str) -> None:
    expect(network.http_port, ground(tmp_path), "ok", "is free")
    where = ground(tmp_path, settings={"http.listen": taken}, root=Path("/"))
    expect(network.http_port, where, "fail", f"process {os.getpid()}", "--http HOST:PORT")
    expect(network.http_port, where, "fail", Path(sys.executable).name, f"kill {os.getpid()}")


def test_the_port_of_the_exchange_that_runs_here_is_no_fault(tmp_path: Path, taken: str) -> None:
    where = ground(tmp_path, settings={"http.listen": taken}, root=Path("/"))
    where.__dict__["running"] = Running({"http": os.getpid()}, frozenset())
    expect(network.http_port, where, "ok", "this exchange's own")


@pytest.mark.parametrize(
    ("listen", "words"),
    [("192.0.2.1:8080", "cannot be listened on"), ("nowhere", "expected HOST:PORT")],
)
def test_an_address_that_is_not_of_this_machine(tmp_path: Path, listen: str, words: str) -> None:
    where = ground(tmp_path, settings={"http.listen": listen})
    expect(network.http_port, where, "fail", words, "HOST:PORT")


@pytest.mark.parametrize(
    ("listen", "dev", "verdict", "words", "mend"),
    [
        ("127.0.0.1:0", "false", "ok", "this machine only", ""),
        ("[::1]:0", "true", "ok", "any user of this machine is any trader", ""),
        ("0.0.0.0:0", "true", "fail", "whoever reaches the port is any trader", "127.0.0.1"),
        ("10.0.0.7:80", "false", "warn", "not encrypted", "TLS"),
        ("nowhere", "false", "skip", "no address", ""),
    ],
)
def test_dev_sign_in_is_for_this_machine_only(
    tmp_path: Path, listen: str, dev: str, verdict: str, words: str, mend: str
) -> None:
    where = ground(tmp_path, settings={"http.listen": listen, "dev.enabled": dev})
    expect(network.bind_address, where, verdict, words, mend)


def test_secrets_that_everybody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = ground(tmp_path)
    expect(network.secrets, where, "skip", "no secret")
    dev = ground(tmp_path, settings={"dev.enabled": "true"})
    expect(network.secrets, dev, "warn", "X-Dev-User is believed", "without --dev")
    monkeypatch.setenv("GOOD", "q8fJx1zUe5Lr0TgWmVbK")
    monkeypatch.setenv("KNOWN", "ChangeMe")
    monkeypatch.setenv("SHORT", "q8fJx1zUe5L")
    assert network.secrets(where, {"a.key": "env:GOOD"}).verdict == "ok"
    for reference, words in (
        ("env:KNOWN", "a.key: a default that everybody knows"),
        ("env:SHORT", "a.key: shorter than 16 characters"),
        ("env:NOT_SET", "the variable NOT_SET is not set"),
        ("hunter2hunter2hunter2", "never as itself"),
    ):
        found = network.secrets(where, {"a.key": reference, "b.key": "env:GOOD"})
        assert (found.verdict, found.mend[:7]) == ("fail", "openssl")
        assert words in found.found
        assert "hunter2" not in found.found
        assert "q8fJ" not in found.found


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (Clock(True, 2_000), "ok", "at most 2.0 ms off"),
        (Clock(True, 900_000), "warn", "900.0 ms"),
        (Clock(False, 16_000_000), "warn", "not synchronised"),
        (None, "skip", "does not tell"),
    ],
)
def test_the_clock_is_that_of_the_world(
    tmp_path: Path, answer: Clock | None, verdict: str, words: str
) -> None:
    expect(network.clock, ground(tmp_path, ask_clock=lambda: answer), verdict, words)


def test_the_kernel_is_asked_for_its_clock() -> None:
    found = this_clock()
    assert found is None or (isinstance(found.synchronised, bool) and found.error_us >= 0)


def test_every_check_is_run() -> None:
    names = ("http_port", "bind_address", "secrets", "clock")
    assert tuple(check.__name__ for check in network.CHECKS) == names
