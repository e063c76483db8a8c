"""Where the checks look: the trees of the kernel, a configuration, a data directory.

Tests plant faults by another ``root`` (a tree with proc/ and sys/), another /dev/shm, other answers
of the machine.  What several checks need is looked up once.
"""

import ctypes
import os
import re
import resource
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from core.limits import Limits
from tools.config import Config, ConfigFaults, Fault
from tools.config_layers import Loaded
from tools.config_limits import resolve
from tools.doctor.disk import Synced, measure
from tools.doctor.running import Running, look
from tools.pinning import usable_cpus

if TYPE_CHECKING:
    from tools.doctor.journal import Look

SHM: Final = Path("/dev/shm")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Interpreter(NamedTuple):
    """The Python that runs us."""

    version: tuple[int, int, int]
    has_gil: bool
    path: str


class Clock(NamedTuple):
    """What the kernel says of its wall clock (adjtimex)."""

    synchronised: bool
    error_us: int  # At most so far off; 0: not known.


class Ticks(NamedTuple):
    """A line of /proc/stat: ticks since the boot."""

    total: int
    idle: int
    steal: int


class _Timex(ctypes.Structure):
    """struct timex of 64-bit Linux, as far as it is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


def this_interpreter() -> Interpreter:
    """Ours."""
    has_gil = not sysconfig.get_config_var("Py_GIL_DISABLED")
    return Interpreter(sys.version_info[:3], has_gil, sys.executable)


def this_clock() -> Clock | None:
    """Ask the kernel; None where it does not tell."""
    timex = _Timex()
    state = _LIBC.adjtimex(ctypes.byref(timex))
    time_error, unsynchronised = 5, 0x40
    if state < 0:
        return None
    return Clock(state != time_error and not timex.status & unsynchronised, int(timex.maxerror))


@dataclass
class Where:
    """See the module; ``faults`` are those of the configuration."""

    loaded: Loaded
    faults: list[Fault] = field(default_factory=list)
    data: Path = Path("data")
    root: Path = Path("/")
    shm: Path = SHM
    interpreter: Interpreter = field(default_factory=this_interpreter)
    ask_clock: Callable[[], Clock | None] = this_clock
    limit_of: Callable[[int], tuple[int, int]] = resource.getrlimit
    measure: Callable[[Path], Synced] = measure
    usable: frozenset[int] = field(default_factory=lambda: frozenset(usable_cpus()))

    @property
    def config(self) -> Config:
        """What is in force."""
        return self.loaded.config

    def __post_init__(self) -> None:
        self.ticks_before = self.ticks()

    def text(self, path: str) -> str | None:
        """A file of /proc or /sys without the final line end; None when it cannot be read."""
        try:
            return (self.root / path).read_text().strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """A number in such a file; None when there is none."""
        text = self.text(path)
        return int(text) if text and re.fullmatch(r"-?\d+", text) else None

    def ticks(self) -> dict[str, Ticks]:
        """/proc/stat by "cpu", "cpu0", …; empty when it cannot be read."""
        found = {}
        for line in (self.text("proc/stat") or "").splitlines():
            name, *words = line.split()
            if name.startswith("cpu") and len(words) >= 8:
                ticks = [int(word) for word in words[:8]]
                found[name] = Ticks(sum(ticks), ticks[3] + ticks[4], ticks[7])
        return found

    @cached_property
    def limits(self) -> Limits | None:
        """Of the tables; None when they do not fit together."""
        try:
            return resolve(self.loaded)
        except ConfigFaults:
            return None

    @cached_property
    def state_bytes(self) -> int:
        """What the tables of one engine take; 0: not known."""
        if self.limits is None:
            return 0
        from core.sequencer.state import tables

        return sum(tables(self.limits).values())

    @cached_property
    def running(self) -> Running:
        """Who works on the data directory."""
        return look(self.root, self.data)

    @property
    def is_live(self) -> bool:
        """Whether somebody works on the data directory now."""
        return bool(self.running.holders)

    @cached_property
    def is_warm(self) -> bool:
        """Whether the kernels are compiled for this source, mode and toolchain."""
        from core import jit
        from tools.compile import STAMP

        return jit.PURE or (jit.cache_directory() / STAMP).exists()

    def nearest(self, path: Path) -> Path:
        """``path``, or the nearest directory above it that is there."""
        place = path.absolute()
        while not place.is_dir() and place != place.parent:
            place = place.parent
        return place

    @cached_property
    def journal_place(self) -> Path:
        """The directory on whose file system the journal lies, or will lie."""
        root = self.data / "journal"
        inside = sorted(root.glob("*-*/")) if root.is_dir() else []
        return self.nearest(inside[0] if inside else root)

    @cached_property
    def look(self) -> "Look":
        """At the journal and its snapshots; compiled kernels first (``is_warm``)."""
        from tools.doctor import journal

        return journal.look(self.data, is_live=self.is_live)

    @cached_property
    def synced(self) -> Synced:
        """Measured there, once; raises OSError."""
        return self.measure(self.journal_place)

    @cached_property
    def core_cpu(self) -> int | None:
        """The CPU that ``core.pin`` gives the core; None: it is not pinned, or cannot be."""
        from tools.exits import Stop
        from tools.pinning import choose

        try:
            chosen = choose(self.config.core.pin, 0, self.root, self.usable)
        except (Stop, ValueError):
            return None
        return chosen.core if chosen else None

    def cgroup(self, name: str, old: str) -> list[str]:
        """The file ``name`` of our control group and of those above it (version 2), or of ``old``
        (version 1), innermost first."""
        controller = old.partition(".")[0]
        found = []
        for line in (self.text("proc/self/cgroup") or "").splitlines():
            _, controllers, place = line.split(":", 2)
            if controller in controllers.split(","):
                top, wanted = f"sys/fs/cgroup/{controller}", old
            elif not controllers:
                top, wanted = "sys/fs/cgroup", name
            else:
                continue
            inner = Path(place.strip("/"))
            texts = (self.text(f"{top}/{group}/{wanted}") for group in (inner, *inner.parents))
            found += [text for text in texts if text is not None]
        return found


def is_writable(directory: Path) -> bool:
    """May this process make files there?"""
    return os.access(directory, os.W_OK | os.X_OK)
