"""Power cuts under load on a file system of one's own.

    python -m tests.faults.power --count 200 --seed 1 [--json]

``sync``: nothing that was ever published is lost, nothing is refused.  ``relaxed``: nothing at or
below the durable sequence that the counters told is lost, what is left is consistent, the loss is
recorded.  One cut in eight falls into the creation of a journal; small segments make most others
fall near a rotation.
"""

import random
import sys
import threading
import time
from pathlib import Path
from typing import Final

from core.journal.errors import EXIT_FAILED
from tests.faults.bare import Bare, Settings
from tests.faults.feeder import Feeder
from tests.faults.forked import warm_once
from tests.faults.loop import Disk, Impossible, own_mounts
from tests.faults.proof import prove
from tests.faults.report import EXIT_IMPOSSIBLE, Report, arguments, folder

DISK_MIB: Final = 96
CUTS_A_DISK: Final = 12
LOAD_S: Final = 0.25  # A life is cut at a random moment of so long.
CREATION_S: Final = 0.06
DIES_WITHIN_S: Final = 1.0
STARTS_CUT: Final = 0.25  # The share of lives that are cut while they start.


def history(report: Report, place: Path, seed: int, cuts: int) -> None:
    """A journal from its creation through ``cuts`` cuts to its judgement."""
    chance = random.Random(seed)
    durability = chance.choice(("sync", "relaxed"))
    disk = Disk(place, f"disk-{seed}", DISK_MIB)
    bare = Bare(disk.place / "data", Settings(durability))
    bare.log = place / f"disk-{seed}.log"
    feeder = Feeder(bare.data, seed, in_flight=chance.choice((1, 8, 64)))
    feeder.load.row(400)
    try:
        for cut in range(cuts):
            if cut == 0 and chance.random() < 0.8:
                _cut_creation(report, disk, bare, chance)
            else:
                _cut_life(report, disk, bare, feeder, chance)
            report.counts["cuts"] += 1
            report.counts[f"cuts_{durability}"] += 1
        _finish(report, bare, feeder, durability)
        report.note(f"seed {seed} {durability}", prove_all(bare, feeder))
    except (TimeoutError, AssertionError) as fault:
        report.note(f"seed {seed} {durability}", [f"{fault!r}; the core said: {bare.words()}"])
    finally:
        feeder.detach()
        bare.close()
        disk.remove()
    report.counts["answered"] += len(feeder.answers)
    report.counts["lost_undurable"] += len(feeder.gone)


def _cut_creation(report: Report, disk: Disk, bare: Bare, chance: random.Random) -> None:
    bare.start()
    time.sleep(chance.uniform(0, CREATION_S))
    disk.cut()
    bare.kill()
    disk.unmount()
    disk.mount()
    report.counts["cuts_in_creation"] += 1


def _cut_life(
    report: Report, disk: Disk, bare: Bare, feeder: Feeder, chance: random.Random
) -> None:
    """One life, cut from a thread of its own at a random moment: of its start, or under load."""
    floor = _floor(bare, feeder)
    fuse = threading.Timer(chance.uniform(0.0, LOAD_S), disk.cut)
    in_start = chance.random() < STARTS_CUT
    report.counts["cuts_in_start"] += in_start
    bare.start()
    if in_start:
        fuse.start()
    feeder.attach(lambda: bare.has_ended() or _is_burnt(fuse), floor)
    if not in_start:
        fuse.start()
    feeder.pump(lambda: _is_burnt(fuse) or bare.code is not None)
    fuse.join()
    cut_s = time.monotonic()
    feeder.pump(lambda: bare.code is not None or time.monotonic() - cut_s > DIES_WITHIN_S)
    report.counts["died_by_itself"] += bare.code is not None
    if bare.code not in (None, EXIT_FAILED):
        report.note("a cut", [f"exit {bare.code}, expected {EXIT_FAILED}: {bare.words()}"])
    bare.kill()
    feeder.drain()
    feeder.detach()
    disk.unmount()
    disk.mount()


def _is_burnt(fuse: threading.Timer) -> bool:
    return fuse.finished.is_set()


def _floor(bare: Bare, feeder: Feeder) -> int | None:
    """What the next life must have: all in ``sync``, in ``relaxed`` what was told to be durable."""
    return None if bare.settings.durability == "sync" else feeder.durable


def _finish(report: Report, bare: Bare, feeder: Feeder, durability: str) -> None:
    """A life without a cut: everything is answered, then a clean stop."""
    bare.start()
    assert feeder.attach(bare.has_ended, _floor(bare, feeder)), f"exit {bare.code}"
    goal = max(feeder.ever_sent, 60)
    assert feeder.pump(bare.has_ended, goal), f"exit {bare.code}"
    report.counts[f"histories_{durability}"] += 1


def prove_all(bare: Bare, feeder: Feeder) -> list[str]:
    """Stop cleanly and judge the whole history."""
    live = feeder.state_hash()
    feeder.detach()
    code = bare.stop()
    return [*([f"a clean stop gave {code}"] if code else []), *prove(bare.data, feeder, live)]


def campaign(count: int, seed: int) -> Report:
    """``count`` cuts; raises Impossible."""
    report = Report("power", seed)
    own_mounts()
    warm_once()
    with folder("power") as place:
        while report.counts["cuts"] < count:
            cuts = min(CUTS_A_DISK, count - report.counts["cuts"])
            history(report, place, seed, cuts)
            seed += 1
    return report


def main() -> int:
    """The command line."""
    options = arguments(__doc__, 200).parse_args()
    try:
        report = campaign(options.count, options.seed)
    except Impossible as reason:
        sys.stderr.write(f"power: not possible here: {reason}\n")
        return EXIT_IMPOSSIBLE
    return report.end(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
