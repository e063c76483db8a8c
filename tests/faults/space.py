"""Disks that end: no room, a bound on file sizes, read-only, frozen, no descriptors left.

    python -m tests.faults.space --count 10 --seed 1 [--json]

Each case runs a core on a small ext4 under load until it meets the end.  What holds: it ends with
70 and publishes nothing more (or goes on where nothing was needed), the next start, once the cause
is gone, has everything that was answered, and answers the rest.
"""

import errno
import random
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.journal.errors import EXIT_FAILED
from core.journal.layout import SEGMENT_BYTES_MIN
from tests.faults.bare import Bare, Settings
from tests.faults.feeder import Feeder
from tests.faults.forked import warm_once
from tests.faults.loop import Disk, Impossible, own_mounts, run
from tests.faults.power import prove_all
from tests.faults.report import EXIT_IMPOSSIBLE, Report, arguments, folder

DISK_MIB: Final = 16
ENDS_WITHIN_S: Final = 20.0
LOAD_S: Final = 0.15
FROZEN_S: Final = 5.5  # A write that takes five seconds is a failure.

Trouble = Callable[[Disk, Bare], Callable[[], None]]  # Makes it; what it gives ends it.


def full(disk: Disk, bare: Bare) -> Callable[[], None]:
    """Another file takes all the room that is left."""
    ballast = disk.place / "ballast"
    _fill(ballast, 1 << 20)
    _fill(disk.place / "ballast-2", 4_096)
    return lambda: _remove(ballast, disk.place / "ballast-2")


def _fill(path: Path, step: int) -> None:
    with path.open("ab", buffering=0) as file:
        try:
            while file.write(b"\1" * step):
                pass
        except OSError as fault:
            if fault.errno != errno.ENOSPC:
                raise


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def file_size(_disk: Disk, bare: Bare) -> Callable[[], None]:
    """RLIMIT_FSIZE: the next write behind half a segment is too far."""
    bound = SEGMENT_BYTES_MIN // 2
    resource.prlimit(bare.process.pid, resource.RLIMIT_FSIZE, (bound, bound))
    return lambda: None


def descriptors(_disk: Disk, bare: Bare) -> Callable[[], None]:
    """RLIMIT_NOFILE: the next rotation cannot open its segment."""
    resource.prlimit(bare.process.pid, resource.RLIMIT_NOFILE, (4, 4))
    return lambda: None


def read_only(disk: Disk, _bare: Bare) -> Callable[[], None]:
    """The file system finds an error and makes itself read-only."""
    run("mount", "-o", "remount,abort", str(disk.place))

    def mend() -> None:
        disk.unmount()
        disk.mount(is_boot=False)

    return mend


def frozen(disk: Disk, _bare: Bare) -> Callable[[], None]:
    """Nothing is written for longer than a write may take."""
    run("fsfreeze", "-f", str(disk.place))
    thaw = threading.Timer(FROZEN_S, lambda: run("fsfreeze", "-u", str(disk.place)))
    thaw.start()
    return thaw.join


TROUBLES: Final[dict[str, Trouble]] = {
    "full": full,
    "file_size": file_size,
    "descriptors": descriptors,
    "read_only": read_only,
    "frozen": frozen,
}
# A frozen file system only delays the background sync of ``relaxed``: that goes on.
GOES_ON: Final = {("frozen", "relaxed")}


def case(report: Report, place: Path, name: str, durability: str, seed: int) -> list[str]:
    """One trouble from the creation of a journal to its judgement."""
    chance = random.Random(seed)
    disk = Disk(place, f"{name}-{durability}-{seed}", DISK_MIB)
    bare = Bare(disk.place / "data", Settings(durability))
    bare.log = place / f"{disk.place.name}.log"
    feeder = Feeder(bare.data, seed, in_flight=chance.choice((1, 8, 64)))
    feeder.load.row(2_000)
    try:
        bare.start()
        feeder.attach()
        feeder.run_for(chance.uniform(0, LOAD_S))
        found = _meet(bare, feeder, TROUBLES[name](disk, bare), (name, durability))
        report.counts["answered"] += len(feeder.answers)
        # A file system that fails takes its dirty pages with it; else the page cache has all.
        floor = feeder.durable if (name, durability) == ("read_only", "relaxed") else None
        if bare.has_ended():
            bare.start()
            assert feeder.attach(bare.has_ended, floor), f"exit {bare.code}: {bare.words()}"
        if not feeder.pump(bare.has_ended, max(feeder.ever_sent, 60)):
            return [*found, f"the next life: exit {bare.code}: {bare.words()}"]
        return [*found, *prove_all(bare, feeder)]
    finally:
        feeder.detach()
        bare.close()
        disk.remove()


def _meet(bare: Bare, feeder: Feeder, mend: Callable[[], None], kind: tuple[str, str]) -> list[str]:
    """Feed until the core has ended, then mend the cause; what was wrong with its end."""
    begun = time.monotonic()
    feeder.pump(lambda: bare.code is not None or time.monotonic() - begun > ENDS_WITHIN_S)
    ended = bare.code
    feeder.drain()
    if kind in GOES_ON:
        mend()
        return [] if ended is None else [f"exit {ended}, though nothing had failed"]
    if ended is None:
        bare.kill()
    feeder.detach()
    mend()
    if ended is None:
        return [f"it went on for {ENDS_WITHIN_S} s: {len(feeder.answers)} answers"]
    return [] if ended == EXIT_FAILED else [f"exit {ended}: {bare.words()}"]


def campaign(count: int, seed: int) -> Report:
    """``count`` cases, every trouble in turn; raises Impossible."""
    report = Report("space", seed)
    own_mounts()
    warm_once()
    kinds = [(name, durability) for name in TROUBLES for durability in ("sync", "relaxed")]
    with folder("space") as place:
        for number in range(count):
            name, durability = kinds[number % len(kinds)]
            where = f"seed {seed + number} {name} {durability}"
            report.counts["cases"] += 1
            report.counts[f"cases_{name}"] += 1
            try:
                report.note(where, case(report, place, name, durability, seed + number))
            except (TimeoutError, AssertionError, RuntimeError) as fault:
                report.note(where, [repr(fault)])
    return report


def main() -> int:
    """The command line."""
    options = arguments(__doc__, 10).parse_args()
    try:
        report = campaign(options.count, options.seed)
    except Impossible as reason:
        sys.stderr.write(f"space: not possible here: {reason}\n")
        return EXIT_IMPOSSIBLE
    return report.end(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
