"""One system call of the core fails: every n-th one of a creation, a rotation, a recovery.

    python -m tests.faults.injection [--count N] --seed 1 [--json]

Without --count every call of every phase gets every fault; with it so many cases chosen by seed.
What holds: the core ends with its exit code within a second of the error, nothing of the block that
could not be written was ever published, and the next start, without the fault, has every command
that was answered, refuses nothing, and answers the rest.
"""

import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from core.journal.errors import EXIT_FAILED
from core.journal.layout import BLOCK, DATA, SECTOR_BYTES
from core.journal.verify import open_walk
from tests.faults.bare import Bare, Settings
from tests.faults.cases import Case, fail_each, hit
from tests.faults.feeder import Feeder
from tests.faults.forked import warm_once
from tests.faults.loop import Impossible
from tests.faults.proof import prove
from tests.faults.report import EXIT_IMPOSSIBLE, Report, arguments, folder
from tests.faults.tracer import CALLS, Call, Tracer, offset_of

ERRORS: Final = ("error=EIO", "error=ENOSPC", "signal=SIGKILL")
OF_WRITES: Final = (*ERRORS, "retval=511", "error=EINTR", "error=EAGAIN")
OF_SYNCS: Final = (*ERRORS, "error=EINTR", "error=EAGAIN")
FAULTS: Final = {"pwrite64": OF_WRITES, "fdatasync": OF_SYNCS, "fsync": OF_SYNCS}
ENDS_WITHIN_S: Final = 1.0
ANSWERS: Final = 20  # Answered by a case, and again after it.
NEARLY_FULL: Final = 50  # Blocks; a segment of 256 KiB has room for 63 of ``sync``.
NEARLY_FULL_RELAXED: Final = 400  # The same for blocks of one command, of which it takes 511.
PAST_FULL: Final = 25
PAST_FULL_RELAXED: Final = 150


class Phase(NamedTuple):
    """What a core is doing when its call fails: from which directory it starts, and how far."""

    name: str
    template: Path | None
    feeder: Feeder
    settings: Settings
    goal: int
    after_ready: bool  # Only calls made while it serves.


def phases(place: Path, seed: int, durability: str) -> list[Phase]:
    """The directories from which the cases start."""
    settings = Settings(durability)
    nothing = Feeder(place / "none", seed, in_flight=1)
    blocks, more = (
        (NEARLY_FULL, PAST_FULL)
        if durability == "sync"
        else (NEARLY_FULL_RELAXED, PAST_FULL_RELAXED)
    )
    full = _lived(place / f"full-{durability}", seed, settings, blocks)
    goal = len(full[1].answers)
    torn = _torn(place / f"torn-{durability}", full, settings)
    return [
        Phase("creation", None, nothing, settings, ANSWERS, after_ready=False),
        Phase("rotation", *full, settings, goal + more, after_ready=True),
        Phase("recovery", *torn, settings, goal + 2, after_ready=False),
    ]


def _lived(place: Path, seed: int, settings: Settings, blocks: int) -> tuple[Path, Feeder]:
    """A directory whose core was killed after so many blocks, and its client."""
    bare = Bare(place / "data", settings)
    feeder = Feeder(bare.data, seed, in_flight=1)
    bare.start()
    feeder.attach()
    feeder.pump(lambda: feeder.counter("blocks") >= blocks or bare.code is not None)
    assert bare.code is None, bare.words()
    bare.kill()
    feeder.detach()
    return bare.data, feeder


def _torn(place: Path, lived: tuple[Path, Feeder], settings: Settings) -> tuple[Path, Feeder]:
    """The same, with half of the next block (an EPOCH_START) on the disk."""
    data, feeder = lived
    _copy(data, place / "data")
    _copy(data, place / "next")
    walk = open_walk(data)
    for _ in walk:
        pass
    offset, number = int(walk.state.offset), walk.segments[-1]
    bare = Bare(place / "next", settings)
    bare.start()
    feeder.copy(place / "next").attach()
    bare.close()
    name = f"journal/{walk.directory.name}/{number:012d}.seg"
    written = (place / "next" / name).read_bytes()[offset:]
    with (place / "data" / name).open("r+b") as file:
        file.seek(offset)
        file.write(written[: max(SECTOR_BYTES, _block_bytes(written) // 2)])
    shutil.rmtree(place / "next")
    return place / "data", feeder


def _copy(data: Path, target: Path) -> None:
    shutil.copytree(data, target, ignore=shutil.ignore_patterns("run"))


def _block_bytes(image: bytes) -> int:
    return int(np.frombuffer(image[: BLOCK.itemsize], BLOCK)["block_bytes"][0])


def cases(phase: Phase, scratch: Path) -> Iterator[Case[Phase]]:
    """Every call of a run without a fault that touches the data directory, with every fault."""
    life = Life(phase, scratch / "counted", "")
    life.run()
    counts: dict[tuple[int, str], int] = {}
    seen: set[tuple[str, int]] = set()
    for call in life.calls:
        counts[call.thread, call.name] = number = counts.get((call.thread, call.name), 0) + 1
        too_early = phase.after_ready and call.time_s < life.ready_s
        if call.touches(life.bare.data) and not too_early:
            seen.add((call.name, number))
    life.remove()
    assert seen, "a run without calls"
    for name, number in sorted(seen):
        for fault in FAULTS.get(name, ERRORS):
            yield Case(phase, name, number, fault)


class Life:
    """One traced life of a core from the beginning of a phase."""

    def __init__(self, phase: Phase, place: Path, inject: str) -> None:
        place.mkdir()
        self._place, self._phase, self._inject = place, phase, inject
        self.bare = Bare(place / "data", phase.settings)
        if phase.template is not None:
            _copy(phase.template, self.bare.data)
        self.feeder = phase.feeder.copy(self.bare.data)
        self.calls: list[Call] = []
        self.ready_s = 0.0
        self.ended_s = 0.0

    def run(self) -> int:
        """Feed it until the goal, then stop it; its exit code."""
        bare, feeder = self.bare, self.feeder
        bare.start(stopped=True)
        tracer = Tracer(bare.process.pid, self._place / "strace", self._inject)
        bare.process.send(signal.SIGCONT)
        feeder.attach(bare.has_ended)
        self.ready_s = time.time()
        if feeder.pump(bare.has_ended, self._phase.goal):
            bare.process.send(signal.SIGTERM)
        code = bare.wait()
        feeder.detach()
        self.calls = tracer.calls()
        self.ended_s = tracer.ended_s()
        return code

    def remove(self) -> None:
        """Nothing is left."""
        self.feeder.detach()
        self.bare.close()
        shutil.rmtree(self._place)


def break_one(report: Report, case: Case[Phase], place: Path) -> None:
    """One case from its beginning to its judgement."""
    life = Life(case.phase, place, case.inject)
    try:
        code = life.run()
        failed = hit(report, life.calls, life.bare.data)
        if failed is not None:
            report.note(str(case), _of_end(report, case, life, code, failed))
        report.note(str(case), _of_next(case, life))
    except (TimeoutError, RuntimeError, AssertionError) as fault:
        report.note(str(case), [f"{fault!r}; the core said: {life.bare.words()}"])
    finally:
        life.remove()


def _of_end(report: Report, case: Case[Phase], life: Life, code: int, hit: Call) -> list[str]:
    """How the core ended, and what of the failed block was told."""
    report.counts[f"exit_{code}"] += 1
    if case.fault == "signal=SIGKILL":
        return [] if code == -signal.SIGKILL else [f"killed, yet exit {code}"]
    if code == 0:
        return _of_survival(report, case, hit)
    found = []
    if code != EXIT_FAILED:
        found.append(f"exit {code}, expected {EXIT_FAILED}: {life.bare.words()}")
    late_s = life.ended_s - hit.time_s
    if late_s > ENDS_WITHIN_S:
        found.append(f"it ended {late_s:.2f} s after the error")
    return found + _of_block(case, life, hit)


def _of_survival(report: Report, case: Case[Phase], hit: Call) -> list[str]:
    """A fault that the core got over: only where it says so here."""
    report.counts["survived"] += 1
    for name, is_one in SURVIVED.items():
        if is_one(case, hit):
            report.counts[f"survived_{name}"] += 1
            return []
    return [f"the core went on after {hit.name}({hit.text}"]


def _of_block(case: Case[Phase], life: Life, hit: Call) -> list[str]:
    """No command of the block that was being written has been published."""
    writes = [
        call
        for call in life.calls
        if call.name == "pwrite64" and call.time_s <= hit.time_s and ".seg>" in call.text
    ]
    if case.phase.settings.durability != "sync" or not writes or offset_of(writes[-1]) < 0:
        return []
    path = Path(writes[-1].text.partition("<")[2].partition(">")[0])
    with path.open("rb") as file:
        file.seek(offset_of(writes[-1]))
        row = np.frombuffer(file.read(BLOCK.itemsize), BLOCK)[0]
    is_last = hit is writes[-1] or hit.name == "fdatasync"
    first = int(row["first_sequence"])
    if is_last and row["kind"] == DATA and life.feeder.newest >= first and _same(hit, writes[-1]):
        return [f"sequence {first} was published, though its block could not be written"]
    return []


def _same(hit: Call, write: Call) -> bool:
    """Do both calls mean the same file?"""
    name = write.text.partition("<")[2].partition(">")[0]
    return f"<{name}>" in hit.text


def _of_next(case: Case[Phase], life: Life) -> list[str]:
    """The next start, without the fault."""
    bare, feeder = life.bare, life.feeder
    bare.start()
    if not feeder.attach(bare.has_ended):
        return [f"the next start: exit {bare.code}: {bare.words()}"]
    goal = max(feeder.ever_sent, case.phase.goal)
    if not feeder.pump(bare.has_ended, goal):
        return [f"the next life: exit {bare.code}: {bare.words()}"]
    live = feeder.state_hash()
    feeder.detach()
    code = bare.stop()
    return [*([f"a clean stop gave {code}"] if code else []), *prove(bare.data, feeder, live)]


# Faults after which the core may go on, because nothing that was promised depends on the call.
SURVIVED: Final[dict[str, Callable[[Case[Phase], Call], bool]]] = {
    "interrupted": lambda case, hit: case.fault == "error=EINTR",  # Python calls again.
    "progress": lambda case, hit: "/run/start.new" in hit.text,  # Said to people only.
    "zeros_short": lambda case, hit: case.fault == "retval=511" and ".tmp>" in hit.text,
}


def campaign(count: int, seed: int, minutes: float = 0.0) -> Report:
    """``count`` cases, 0: all of them, as far as ``minutes`` reach; raises Impossible."""
    report = Report("injection", seed, minutes=minutes)
    chance = random.Random(seed)
    warm_once()
    with folder("injection") as place:
        todo = [
            case
            for durability in ("sync", "relaxed")
            for phase in phases(place, seed, durability)
            for case in cases(phase, place)
        ]
        report.counts["calls"] = len({(c.phase.name, c.call, c.number) for c in todo})
        fail_each(report, todo, count, place, break_one, chance)
    return report


def main() -> int:
    """The command line."""
    options = arguments(__doc__, 0).parse_args()
    try:
        report = campaign(options.count, options.seed, options.minutes)
    except Impossible as reason:
        sys.stderr.write(f"injection: not possible here: {reason}\n")
        return EXIT_IMPOSSIBLE
    return report.end(as_json=options.json)


assert set(FAULTS) <= set(CALLS)

if __name__ == "__main__":
    sys.exit(main())
