"""`outcry up`: the command lines of the processes, the lock, the port, the ready line."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from core.limits import SMALL
from replay import replayer
from replay.keeping import Rules
from tools import exits, up
from tools.config import Config, Core, Dev, Events, Http, Journal, Replayer, relations

HERE = Path(__file__).parent
Begin = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start a fake exchange; none of its processes outlives the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(data: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, str(HERE / "fake_exchange.py"), str(data), "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None and not process.stdout.closed:
            process.communicate()


def _stop(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    return process.returncode


def _argv(config: Config, name: str) -> list[str]:
    found = {spec.name: spec.argv for spec in up.specs(config, SMALL, "127.0.0.1:8080")}
    return list(found[name])


def _value(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_the_ready_line_names_http_fix_and_data(tmp_path: Path, begin: Begin) -> None:
    process = begin(tmp_path / "new" / "data")
    assert process.stdout is not None
    words = dict(word.split("=") for word in process.stdout.readline().split()[1:])
    assert list(words) == ["http", "fix", "data"]
    assert words["http"].startswith("127.0.0.1:")
    assert not words["http"].endswith(":0")
    assert words["fix"] == "off"
    assert words["data"] == str(tmp_path / "new" / "data")
    names = {path.name for path in (tmp_path / "new" / "data" / "run").iterdir()}
    assert names == {"http.pid", "supervisor.pid", "supervisor.lock"}
    child = (tmp_path / "new" / "data" / "run" / "http.pid").read_text().strip()
    held = [os.readlink(entry) for entry in Path(f"/proc/{child}/fd").iterdir()]
    assert any(name.endswith("supervisor.lock") for name in held), "children hold the lock too"
    assert _stop(process) == 0


def test_a_second_exchange_in_the_same_directory_ends_with_75(tmp_path: Path, begin: Begin) -> None:
    first = begin(tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline().startswith("ready ")
    second = begin(tmp_path)
    _, complaint = second.communicate(timeout=10)
    assert second.returncode == 75
    assert f"is in use by process {first.pid}" in complaint
    assert _stop(first) == 0


def test_a_directory_can_be_used_again_right_after_a_kill(tmp_path: Path, begin: Begin) -> None:
    first = begin(tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline().startswith("ready ")
    first.kill()
    second = begin(tmp_path)
    assert second.stdout is not None
    assert second.stdout.readline().startswith("ready ")
    first.communicate()
    assert _stop(second) == 0


def test_a_directory_is_in_use_while_a_process_of_it_lives(tmp_path: Path) -> None:
    descriptor = up.take_lock(up.make_run_directory(tmp_path))
    with subprocess.Popen(["sleep", "60"], pass_fds=(descriptor,)) as orphan:
        os.close(descriptor)
        begun = time.monotonic()
        with pytest.raises(exits.Stop, match="of an exchange that was killed") as stop:
            up.take_lock(tmp_path / "run")
        assert stop.value.code == 75
        assert time.monotonic() - begun >= up.LOCK_WAIT_S
        orphan.kill()


def test_a_port_that_is_taken_is_a_fault_of_the_configuration() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(exits.Stop, match=f"http.listen: {listen} cannot be") as stop:
            up.free_address(listen)
    assert stop.value.code == 78
    assert up.free_address(listen) == ("127.0.0.1", int(listen.rpartition(":")[2]))


def test_a_directory_that_cannot_be_made_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(exits.Stop, match="cannot be made") as stop:
        up.make_run_directory(tmp_path / "file" / "data")
    assert stop.value.code == 78


def test_the_core_is_told_everything_that_the_configuration_says_of_it() -> None:
    journal = Journal(durability="relaxed", segment_bytes=8 << 20, spares=3, allow_volatile=True)
    config = msgspec.structs.replace(Config(), journal=journal, http=Http(workers=2))
    argv = _argv(config, "core")
    assert argv[1:3] == ["-m", "core.sequencer"]
    assert _value(argv, "--data") == "data"
    assert _value(argv, "--durability") == "relaxed"
    assert _value(argv, "--segment-bytes") == str(8 << 20)
    assert _value(argv, "--spares") == "3"
    assert _value(argv, "--idle") == "hybrid"
    assert _value(argv, "--gateways") == "http.0,http.1"
    assert json.loads(_value(argv, "--limits")) == SMALL._asdict()
    assert "--allow-volatile" in argv
    assert "--allow-volatile" not in _argv(Config(), "core")


def test_every_worker_has_its_own_gateway_and_pid_file() -> None:
    config = msgspec.structs.replace(Config(), http=Http(workers=3), dev=Dev(enabled=True))
    found = {spec.name: spec.argv for spec in up.specs(config, SMALL, "127.0.0.1:8080")}
    assert set(found) == {"core", "prepare", "replayer", "http", "http-1", "http-2"}
    gateways = [_value(list(found[name]), "--gateway") for name in ("http", "http-1", "http-2")]
    assert gateways == ["http.0", "http.1", "http.2"]
    assert all("--dev" in found[name] for name in ("http", "http-1", "http-2"))
    assert "--dev" not in _argv(Config(), "http")


def test_the_replayer_is_told_its_rules_and_ends_last() -> None:
    config = Config(
        journal=Journal(keep_bytes=5 << 30, copy_to="/copies", scrub_every=7_000_000_000),
        replayer=Replayer(on_difference="stop", snapshot_every=2_000_000_000, snapshots=4),
        events=Events(keep_bytes=1 << 30),
    )
    (spec,) = (s for s in up.specs(config, SMALL, "127.0.0.1:8080") if s.name == "replayer")
    settings = replayer.arguments(list(spec.argv[3:]))
    assert settings == replayer.Settings(
        data=Path("data"),
        snapshot_every_ns=2_000_000_000,
        snapshot_bytes=256 << 20,
        events_keep_bytes=1 << 30,
        scrub_every_ns=7_000_000_000,
        rules=Rules(4, 5 << 30, Path("/copies")),
        stop_at_difference=True,
    )
    assert spec.rank == 2
    assert exits.JOURNAL_REFUSED in spec.final_codes
    off = msgspec.structs.replace(config, replayer=Replayer(enabled=False))
    assert "replayer" not in [s.name for s in up.specs(off, SMALL, "127.0.0.1:8080")]


def test_producers_of_others_get_rings_and_no_process() -> None:
    config = msgspec.structs.replace(Config(), core=Core(extra_gateways="flow.0, load.12"))
    assert _value(_argv(config, "core"), "--gateways") == "http.0,flow.0,load.12"
    assert [spec.name for spec in up.specs(config, SMALL, "127.0.0.1:8080")] == [
        "core",
        "prepare",
        "replayer",
        "http",
    ]
    assert relations(config) == []
    for wrong in ("http.1", "Flow.0", "flow", "../x.0"):
        bad = msgspec.structs.replace(Config(), core=Core(extra_gateways=wrong))
        assert [key for key, _ in relations(bad)] == ["core.extra_gateways"]


def test_the_request_timeout_reaches_the_adapter() -> None:
    config = msgspec.structs.replace(Config(), http=Http(request_timeout=250_000_000))
    assert _value(_argv(config, "http"), "--request-timeout-ms") == "250"


def test_adapters_are_told_to_stop_before_the_core() -> None:
    ranks = {spec.name: spec.rank for spec in up.specs(Config(), SMALL, "127.0.0.1:8080")}
    assert ranks["http"] < ranks["core"]


def test_nobody_answers_is_not_ready() -> None:
    assert not up.is_ready(*up.free_address("127.0.0.1:0"))


def test_ctrl_c_while_the_core_is_compiled_ends_everything_with_0(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom tools import up\n"
        "up._module = lambda name: ['sh', '-c', 'exec sleep 60']\n"
        "print('begun', flush=True)\nsys.exit(up.compile_first())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(10) == 0
    process.stdout.close()
