"""`outcry up` in a process of its own, on a directory of a test, with sizes that start fast."""

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.faults.forked import warm_once
from tools.cli import main

CHECKOUT: Final = Path(__file__).parents[2]
SHM: Final = Path("/dev/shm")
COMMAND_WITHIN_S: Final = 900.0  # A check of every command of a long campaign.
READY_WITHIN_S: Final = 120.0  # A loaded machine of two cores, with everything starting at once.
LIMITS: Final = {
    "orders_max": 20_000,
    "closed_keep": 60_000,
    "pages_max": 4_096,
    "ids_max": 250_000,
    "accounts_max": 256,
    "assets_max": 16,
    "instruments_max": 16,
    "balances_max": 1_024,
    "positions_max": 1_024,
    "sessions_max": 64,
    "workflows_max": 64,
    "extras_max": 64,
}
SETTINGS: Final = {
    "journal.segment_bytes": "4MiB",  # So that a test sees rotations.
    "journal.allow_volatile": "true",  # /tmp may be a tmpfs.
    "log.format": "json",
    **{f"limits.{name}": str(value) for name, value in LIMITS.items()},
}
FOREIGN: Final = ("OUTCRY__", "OUTCRY_JIT", "NUMBA_DISABLE_JIT")


class Reply(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with nothing of a configuration but ``settings``."""
    found = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    found["PYTHONPATH"] = str(CHECKOUT)
    for key, value in settings.items():
        found["OUTCRY__" + key.replace(".", "__").upper()] = value
    return found


def outcry(*arguments: str, settings: Mapping[str, str] = SETTINGS) -> Ended:
    """Run the command line to its end, in a fork of this process: what it imports is loaded."""
    warm_once()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            _run(arguments, environment(settings), out.fileno(), err.fileno())
        deadline = time.monotonic() + COMMAND_WITHIN_S
        while not (found := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise AssertionError(f"{arguments}: no end within {COMMAND_WITHIN_S} s")
            time.sleep(0.002)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
        return Ended(os.waitstatus_to_exitcode(found[1]), *texts)


def _run(arguments: Sequence[str], environ: Mapping[str, str], out: int, err: int) -> None:
    """In the child: the command, and never back."""
    code: Any = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(CHECKOUT)
        sys.argv = ["outcry", *arguments]
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException as fault:  # Never into the test's own code.
        sys.stderr.write(f"{fault!r}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(question: Callable[[], Any], what: str, within_s: float = READY_WITHIN_S) -> Any:
    """The first true answer; AssertionError when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Is there such a process, one that has not ended?"""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in ("Z", "X")
    return False


class Exchange:
    """One data directory and, while it runs, the processes on it."""

    def __init__(
        self,
        data: Path,
        *,
        durability: str = "sync",
        settings: Mapping[str, str] | None = None,
        flags: tuple[str, ...] = ("--dev",),
    ) -> None:
        self.data = data
        self.settings = {**SETTINGS, "journal.durability": durability, **(settings or {})}
        self.port = free_port()
        self.log = data.parent / f"{data.name}.log"
        self.ready_s = 0.0  # From the start to the ready line.
        self._flags = flags
        self._process: subprocess.Popen[str] | None = None

    # Life.

    def start(self) -> "Exchange":
        """Start and wait for the ready line."""
        begun = time.monotonic()
        process = self.begin()
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_WITHIN_S)
        line = process.stdout.readline() if readable else ""
        if not line.startswith("ready "):
            self.close()
            raise AssertionError(f"no ready line but {line!r}; the log:\n{self.log.read_text()}")
        assert line == f"ready http={self.address} fix=off data={self.data}\n"
        self.ready_s = time.monotonic() - begun
        return self

    def begin(self) -> "subprocess.Popen[str]":
        """Start, without waiting, in a process group of its own."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=environment(self.settings),
                cwd=CHECKOUT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        return self._process

    def command(self) -> list[str]:
        """The command line."""
        up = [sys.executable, "-m", "tools.cli", "up", *self._flags]
        return [*up, "--data", str(self.data), "--http", self.address]

    @property
    def address(self) -> str:
        """HOST:PORT of HTTP."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Is the supervisor there?"""
        return self._process is not None and self._process.poll() is None

    @property
    def supervisor(self) -> int:
        """The process id of ``outcry up``."""
        assert self._process is not None
        return self._process.pid

    def stop(self, number: int = signal.SIGTERM, *, group: bool = False) -> int:
        """Stop with a signal to the supervisor or to the whole group; the exit code."""
        if group:
            os.killpg(self.supervisor, number)
        else:
            os.kill(self.supervisor, number)
        return self.wait()

    def wait(self, within_s: float = 60.0) -> int:
        """The exit code of ``outcry up``."""
        assert self._process is not None
        self._process.communicate(timeout=within_s)
        return self._process.returncode

    def close(self) -> None:
        """End whatever is left of it, also in /dev/shm."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            if self._process.stdout is not None and not self._process.stdout.closed:
                self._process.communicate()
        for segment in self.segments():
            segment.unlink(missing_ok=True)

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Its processes and files.

    def pids(self) -> dict[str, int]:
        """Process ids by name, as DATA/run says."""
        found = {}
        for path in (self.data / "run").glob("*.pid"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found[path.stem] = int(path.read_text())
        return found

    def kill(self, name: str) -> int:
        """SIGKILL to a process; its id."""
        pid = int(until(lambda: self.pids().get(name), f"{name} is started"))
        with contextlib.suppress(ProcessLookupError):  # It has just died of the one before.
            os.kill(pid, signal.SIGKILL)
        return pid

    def core_file(self) -> dict[str, Any]:
        """DATA/run/core.json; {} when no core serves."""
        with contextlib.suppress(FileNotFoundError):
            return dict(json.loads((self.data / "run" / "core.json").read_text()))
        return {}

    def segments(self) -> list[Path]:
        """What it has in /dev/shm, of all epochs."""
        journal = self.data / "journal"
        uuids = [path.name for path in journal.iterdir()] if journal.is_dir() else []
        return [found for uuid in uuids for found in SHM.glob(f"outcry-{uuid[:8]}-*")]

    # HTTP.

    def request(
        self, method: str, path: str, user: str = "", body: Any = None, **headers: str
    ) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if user:
            sent["X-Dev-User"] = user
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, sent)
            answer = connection.getresponse()
            raw = answer.read()
            found = json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw
            return Reply(answer.status, dict(answer.headers), found)
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Does /readyz say that orders can be placed?"""
        try:
            return self.request("GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self) -> None:
        """Wait until orders can be placed."""
        until(self.is_ready, "/readyz answers 200")

    def state(self) -> dict[str, Any]:
        """Sequence and state hash of the live exchange."""
        reply = self.request("GET", "/v1/admin/state", "admin")
        assert reply.status == 200, reply
        return dict(reply.body)

    # Its journal, by the command line.

    def verify(self) -> dict[str, Any]:
        """`outcry journal verify --json`, which must end with 0."""
        return self._json("journal", "verify")

    def replay(self, *more: str) -> dict[str, Any]:
        """`outcry replay --json`."""
        return self._json("replay", *more)

    def _json(self, *words: str) -> dict[str, Any]:
        done = outcry(*words, "--data", str(self.data), "--json", settings=self.settings)
        assert done.code == 0, done
        return dict(json.loads(done.out.splitlines()[-1]))

    def check_journal(self) -> None:
        """The live state is what the journal says, byte for byte, and the journal is whole."""
        live = self.state()
        assert self.verify()["last_sequence"] >= live["sequence"]
        replayed = self.replay("--to", str(live["sequence"]))
        assert replayed["state_hash"] == live["state_hash"]
