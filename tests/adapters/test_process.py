"""An adapter's process: it ends when told, and when its parent is gone; its pid file."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters import process
from adapters.process import CONFIGURATION, USAGE, ConfigurationFault

SERVICE = """
import asyncio, sys
from pathlib import Path
from adapters.process import Settings, run

async def service(settings, stopping):
    print("up", flush=True)
    await stopping.wait()
    if "hang" in sys.argv:
        await asyncio.sleep(60)

sys.exit(run(Settings(Path(sys.argv[1]), "http.1"), service))
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.stdin.read(), *sys.argv[1:]])
print(child.pid, flush=True)
time.sleep(60)
"""


def start(data: Path, *more: str) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(data), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_clean_stop(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as child:
        pid_file = tmp_path / "run" / "http-1.pid"
        assert pid_file.read_text() == f"{child.pid}\n"

        child.send_signal(number)

        assert child.wait(5) == 0
        assert not pid_file.exists()


@pytest.mark.parametrize("more", [(), ("hang",)])
def test_it_ends_within_a_second_of_its_parents_death(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(SERVICE)
        parent.stdin.close()
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "up\n"
        parent.kill()
        parent.wait()
        killed = time.monotonic()
        while running(child):
            assert time.monotonic() - killed < 1.5
            time.sleep(0.01)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_pid_file_of_a_later_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "http.pid"
    process.write_pid(path)
    assert path.read_text() == f"{os.getpid()}\n"
    path.write_text("1\n")
    process.remove_pid(path)
    assert path.exists()


@pytest.mark.parametrize(
    ("gateway", "name"), [("http.0", "http"), ("http.1", "http-1"), ("fix", "fix")]
)
def test_names_of_pid_files(gateway: str, name: str) -> None:
    assert process.process_name(gateway) == name


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:x", "host:70000"])
def test_what_is_no_address_to_listen_on(text: str) -> None:
    with pytest.raises(ConfigurationFault, match="expected HOST:PORT"):
        process.parse_listen(text)


def test_addresses_to_listen_on() -> None:
    assert process.parse_listen("127.0.0.1:0") == ("127.0.0.1", 0)
    assert process.parse_listen("[::1]:8080") == ("::1", 8080)


def test_workers_share_a_port() -> None:
    first = process.listening_socket("127.0.0.1", 0)
    second = process.listening_socket(*first.getsockname())
    assert first.getsockname() == second.getsockname()
    first.close()
    second.close()


def run_http(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "adapters.http", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_development_is_refused_where_others_could_reach_it(tmp_path: Path) -> None:
    ended = run_http("--data", str(tmp_path), "--listen", "0.0.0.0:0", "--dev")

    assert ended.returncode == CONFIGURATION
    assert "must be a loopback address, got 0.0.0.0" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_argument_is_wrong_usage(tmp_path: Path) -> None:
    ended = run_http("--data", str(tmp_path), "--log", "loud")

    assert ended.returncode == USAGE


async def test_without_a_core_the_process_answers_that_it_starts(tmp_path: Path) -> None:
    import aiohttp

    arguments = ["--data", str(tmp_path), "--listen", "127.0.0.1:0", "--dev", "--log", "json"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.http", *arguments, stderr=asyncio.subprocess.PIPE
    )
    assert child.stderr is not None
    import json

    line = json.loads(await child.stderr.readline())
    base = f"http://{line['host']}:{line['port']}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/healthz") as healthy:
            assert healthy.status == 200
        async with session.get(f"{base}/readyz") as ready:
            assert (ready.status, (await ready.json(content_type=None))["code"]) == (
                503,
                "starting",
            )
    child.terminate()
    assert await asyncio.wait_for(child.wait(), 5) == 0
