"""`outcry up`: the processes of a configuration, compiled kernels first, then the supervisor."""

import fcntl
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import structlog

from adapters.process import configure_logs
from core.limits import Limits
from tools import exits
from tools.child import Spec, describe_exit, start
from tools.config import Config, is_loopback, names, parse_address
from tools.pinning import OFF, Pinning, choose, nice_allowed, usable_cpus
from tools.supervisor import STOP_SIGNALS, Readiness, Supervisor, hold_signals

LOCK_WAIT_S: Final = 2.0  # The children of a supervisor that was killed need a moment to vanish.
PROBE_TIMEOUT_S: Final = 0.5
RLIMIT_NICE: Final = 13  # Linux; the resource module does not name it.


def gateway_names(config: Config) -> list[str]:
    """Every gateway that has rings, in the order of their ids, which begin at 1."""
    return [*http_gateways(config), *names(config.core.extra_gateways)]


def http_gateways(config: Config) -> list[str]:
    """The gateways of the HTTP workers; they come first."""
    return [f"http.{worker}" for worker in range(config.http.workers)]


def specs(
    config: Config, limits: Limits, listen: str, pinning: Pinning | None = None
) -> list[Spec]:
    """Every process of the exchange; the core is told last to stop."""
    data, journal = config.data.dir, config.journal
    core = [
        *_module("core.sequencer"),
        *("--data", data, "--durability", journal.durability, "--idle", config.core.idle),
        *("--segment-bytes", str(journal.segment_bytes), "--spares", str(journal.spares)),
        *("--gateways", ",".join(gateway_names(config))),
        *("--limits", json.dumps(limits._asdict())),
    ]
    if config.core.stages:
        core.append("--stages")
    if pinning is not None:
        core += ["--cpu", str(pinning.core), "--nice", str(pinning.nice)]
    prepare = [*_module("core.journal.prepare"), "--data", data]
    prepare += ["--segment-bytes", str(journal.segment_bytes), "--spares", str(journal.spares)]
    prepare += ["--durability", journal.durability]
    if journal.allow_volatile:
        core.append("--allow-volatile")
        prepare.append("--allow-volatile")
    found = [
        Spec("core", tuple(core), 1, exits.FINAL_OF_CORE),
        Spec("prepare", tuple(prepare), 1, exits.FINAL_OF_OTHERS),
    ]
    if config.replayer.enabled:
        found.append(_replayer(config))
    for worker, gateway in enumerate(http_gateways(config)):
        adapter = [
            *_module("adapters.http"),
            *("--data", data, "--gateway", gateway, "--listen", listen),
            *("--request-timeout-ms", str(config.http.request_timeout // 1_000_000)),
            *("--archive-scan-bytes", str(config.http.archive_scan_bytes)),
            *("--log-format", config.log.format, "--log-level", config.log.level),
        ]
        if config.dev.enabled:
            adapter.append("--dev")
        name = f"http-{worker}" if worker else "http"
        found.append(Spec(name, tuple(adapter), 0, exits.FINAL_OF_OTHERS))
    return found


def _replayer(config: Config) -> Spec:
    """It ends last: it leaves a snapshot behind the newest command."""
    rules, journal = config.replayer, config.journal
    argv = [*_module("replay.replayer"), "--data", config.data.dir]
    argv += ["--snapshot-every-ms", str(rules.snapshot_every // 1_000_000)]
    argv += ["--snapshot-bytes", str(rules.snapshot_bytes), "--snapshots", str(rules.snapshots)]
    argv += ["--events-keep-bytes", str(config.events.keep_bytes)]
    argv += ["--scrub-every-ms", str(journal.scrub_every // 1_000_000)]
    argv += ["--keep-bytes", str(journal.keep_bytes), "--on-difference", rules.on_difference]
    if journal.copy_to:
        argv += ["--copy-to", journal.copy_to]
    stops = rules.on_difference == "stop"
    final = exits.FINAL_OF_OTHERS | ({exits.JOURNAL_REFUSED} if stops else set())
    return Spec("replayer", tuple(argv), 2, final)


def run(config: Config, limits: Limits) -> int:
    """Run the exchange until it is stopped; the exit code of ``outcry up``."""
    hold_signals()
    configure_logs(config.log.format, config.log.level)
    log = structlog.get_logger("up")
    run_directory = make_run_directory(Path(config.data.dir))
    lock = take_lock(run_directory)
    host, port = free_address(config.http.listen)
    listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    pinning = find_pinning(config)
    log.info(
        "starting",
        durability=config.journal.durability,
        data=config.data.dir,
        http=listen,
        pinned=pinning.text() if pinning else "no",
    )
    if config.dev.enabled:
        log.warning("development: whoever reaches the port is any trader", loopback=True)
    elif not is_loopback(host):
        log.warning("plain HTTP on an address that others reach", http=listen)
    ended = compile_first()
    if ended is not None:
        return ended
    if pinning is not None:  # What is started from here on inherits it; the core leaves it.
        os.sched_setaffinity(0, pinning.others)
    supervisor = Supervisor(
        specs(config, limits, listen, pinning),
        run_directory,
        keep_open=(lock,),
        readiness=Readiness(
            lambda: is_ready(host, port), lambda: _announce(listen, config.data.dir)
        ),
    )
    return supervisor.run()


def find_pinning(config: Config) -> Pinning | None:
    """Where the core runs and where all else; None: wherever the kernel likes.

    Exit 78 for a CPU that cannot be used.  Priority is only a nice value: SCHED_FIFO would starve
    what the kernel has to run on the CPU of a core that spins, or, throttled (sched_rt_runtime_us),
    stop it for 50 ms each second; and on an isolated CPU there is nobody to be faster than.
    """
    log = structlog.get_logger("up")
    usable = usable_cpus()
    found = choose(config.core.pin, config.core.nice, Path("/"), usable)
    if found is None:
        if config.core.pin != OFF:
            log.warning("not pinned: with one CPU the core would have to share it", cpus=1)
        return None
    status = Path("/proc/self/status").read_text()
    if not nice_allowed(found.nice, status, resource.getrlimit(RLIMIT_NICE)[0]):
        log.warning("the core keeps its priority: not permitted", nice=found.nice)
        return found._replace(nice=0)
    return found


def make_run_directory(data: Path) -> Path:
    """DATA/run, made if it is absent; exit 78 when it cannot be."""
    directory = data / "run"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise exits.Stop(
            exits.CONFIGURATION, f"data.dir: {directory}: cannot be made: {fault.strerror}"
        ) from None
    return directory


def take_lock(run_directory: Path) -> int:
    """The descriptor of the lock on a data directory; exit 75 when an exchange runs in it.

    Every child holds the descriptor too: the lock is free when the last of them is gone.
    """
    descriptor = os.open(run_directory / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _running_owner(run_directory)
            if owner is None and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            os.close(descriptor)
            by = f"process {owner}" if owner else "a process of an exchange that was killed"
            raise exits.Stop(
                exits.IN_USE, f"data.dir: {run_directory.parent} is in use by {by}"
            ) from None
        return descriptor


def _running_owner(run_directory: Path) -> int | None:
    try:
        pid = int((run_directory / "supervisor.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def free_address(listen: str) -> tuple[str, int]:
    """Host and port to listen on; port 0 becomes a free one.  Exit 78 when it is taken."""
    host, port = parse_address(listen)
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return host, int(probe.getsockname()[1])
    except OSError as fault:
        raise exits.Stop(
            exits.CONFIGURATION,
            f"http.listen: {listen} cannot be listened on: {fault.strerror or fault}; choose "
            "another with --http HOST:PORT",
        ) from None


def compile_first() -> int | None:
    """Compile what is not compiled yet, in a process of its own; an exit code if it must end."""
    hold_signals()
    spec = Spec("compile", (*_module("tools.compile"), "--quiet"), 0, frozenset())
    process = start(spec)
    while process.poll() is None:
        taken = signal.sigtimedwait((*STOP_SIGNALS, signal.SIGCHLD), 1.0)
        if taken is not None and taken.si_signo != signal.SIGCHLD:
            process.kill()
            process.wait()
            return exits.OK
    if process.returncode:
        raise exits.Stop(
            exits.FAILED, f"compiling the core failed: {describe_exit(process.returncode)}"
        )
    return None


def is_ready(host: str, port: int) -> bool:
    """Whether GET /readyz answers 200 now."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _announce(listen: str, data: str) -> None:
    sys.stdout.write(f"ready http={listen} fix=off data={data}\n")
    sys.stdout.flush()


def _module(name: str) -> list[str]:
    """Our interpreter on a module of this checkout, whatever the working directory is."""
    return [sys.executable, "-m", name]


def compile_in_process() -> None:
    """For commands that run kernels themselves: compile in a process of its own, then return."""
    from tools.compile import is_compiled  # Loads the compiler, which these commands load anyway.

    if is_compiled():
        return
    process = subprocess.run([*_module("tools.compile"), "--quiet"], check=False)
    if process.returncode:
        raise exits.Stop(
            exits.FAILED, f"compiling the core failed: {describe_exit(process.returncode)}"
        )
