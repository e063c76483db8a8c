"""One system call of the replayer fails, or it is killed, beside a core that must not notice.

    python -m tests.faults.shadowed [--count N] [--kills K] --seed 1 [--json]

Without --count every call of every phase gets every fault; with it so many cases chosen by seed.
Then K kills of the replayer alone, at random moments.  What holds: the core answers as if nothing
were; the replayer says what failed, and goes on or ends with its exit code; started again it goes
on; no snapshot, no witness and no event that it left is wrong; a core that starts from what it left
comes to the state of a replay from genesis.
"""

import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from core.journal import witness
from core.journal.errors import EXIT_FAILED, JournalRefused
from core.journal.verify import locate
from replay.snapshots import listed
from tests.faults.bare import Bare, Settings
from tests.faults.beside import Beside
from tests.faults.cases import Case, fail_each, hit
from tests.faults.feeder import Feeder
from tests.faults.forked import warm_once
from tests.faults.loop import Impossible
from tests.faults.proof import prove
from tests.faults.report import EXIT_IMPOSSIBLE, Report, arguments, folder, keep
from tests.faults.shadowproof import completed, judge
from tests.faults.tracer import CALLS, Call, Tracer

TRACED: Final = (*CALLS, "write", "unlinkat", "rmdir", "sendfile")
ERRORS: Final = ("error=EIO", "error=ENOSPC", "signal=SIGKILL")
SHORT: Final = "retval=511"
FAULTS: Final = {
    "pwrite64": (*ERRORS, SHORT, "error=EINTR"),
    "write": (*ERRORS, SHORT),
}
IN_FLIGHT: Final = 8
BURST: Final = 25
PAUSE_S: Final = 0.03
BURSTS: Final = 10
BURSTS_AFTER: Final = 3
CATCHES_UP_S: Final = 60.0  # Of a loaded machine with a slow disk; else it hangs.
KILLS_A_ROUND: Final = 10
LIVES_S: Final = 0.4  # At the most, until it is killed.
FEW: Final = 10  # Cases of one phase only: else its preparation takes longer than they do.
MODES: Final = ("sync", "relaxed")


class Phase(NamedTuple):
    """From which directory a life begins, and what the replayer is told."""

    name: str
    template: Path | None
    feeder: Feeder
    settings: Settings
    options: dict[str, Any]
    core_ends_first: bool  # Then the replayer has an end to follow to.


class Life:
    """A core under load, and a replayer beside it that may be traced."""

    def __init__(self, phase: Phase, place: Path, report: Report, inject: str = "") -> None:
        place.mkdir()
        self.place, self.phase, self.report, self._inject = place, phase, report, inject
        self.bare = Bare(place / "data", phase.settings)
        if phase.template is not None:
            shutil.copytree(phase.template, place, dirs_exist_ok=True)
        self.feeder = phase.feeder.copy(self.bare.data)
        options = dict(phase.options)
        if "copy-to" in options:
            options["copy-to"] = place / options["copy-to"]
        self.beside = Beside(self.bare.data, options)
        self.calls: list[Call] = []
        self.found: list[str] = []

    def run(self) -> int:
        """Load until all is done that is done; the exit code of the replayer."""
        bare, beside, feeder = self.bare, self.beside, self.feeder
        bare.start()
        feeder.attach(bare.has_ended)
        beside.start(stopped=True)
        tracer = Tracer(beside.process.pid, self.place / "strace", self._inject, TRACED)
        beside.process.send(signal.SIGCONT)
        self.work(BURSTS)
        if beside.code is None:
            self.catch_up()
        if self.phase.core_ends_first:
            self._stop_core()
        code = beside.end()
        self.calls = tracer.calls()
        return code

    def work(self, bursts: int) -> None:
        """So many bursts of commands; TimeoutError when the core does not answer."""
        for _ in range(bursts):
            if not self.feeder.pump(self.bare.has_ended, len(self.feeder.answers) + BURST):
                self.found.append(f"the core ended: {self.bare.code}: {self.bare.words()}")
                return
            self.look()
            time.sleep(PAUSE_S)

    def look(self) -> int:
        """The sequence of the witness, which is not ahead of what is durable."""
        try:
            said = witness.read(*locate(self.bare.data)).sequence
        except JournalRefused as refused:
            self.found.append(f"the witness is gone: {refused}")
            return 0
        self.feeder.drain()
        if said > self.feeder.durable:
            self.found.append(f"the witness says {said}, durable is {self.feeder.durable}")
        return said

    def catch_up(self) -> None:
        """Wait until the replayer has witnessed all that is durable."""
        begun = time.monotonic()
        while (said := self.look()) < self.feeder.durable:
            if self.beside.code is not None:
                return
            if time.monotonic() > begun + CATCHES_UP_S:
                behind = f"at {said} of {self.feeder.durable}, {self.beside.process.where()}"
                self.found.append(f"the replayer does not go on: {behind}: {self.beside.words()}")
                return
            time.sleep(0.005)
        took_ms = int(1_000 * (time.monotonic() - begun))
        counts = self.report.counts
        counts["caught_up_max_ms"] = max(counts["caught_up_max_ms"], took_ms)

    def _stop_core(self) -> None:
        self.feeder.detach()
        if code := self.bare.stop():
            self.found.append(f"a clean stop of the core gave {code}: {self.bare.words()}")

    def whole(self) -> Path:
        """A directory with every segment that there ever was."""
        copies = self.phase.options.get("copy-to")
        if copies is None:
            return self.bare.data
        return completed(self.bare.data, self.place / copies, self.place / "whole")

    def judge(self, *, may_say_gap: bool) -> None:
        """What the replayer left, now."""
        may = may_say_gap or "events-keep-bytes" in self.phase.options
        self.found += judge(self.bare.data, self.whole(), self.report, may_say_gap=may)

    def settle(self, *, may_say_gap: bool) -> None:
        """The core is killed; both start again, without a fault, work, and end."""
        bare, beside, feeder = self.bare, self.beside, self.feeder
        feeder.detach()
        bare.kill()
        bare.start()
        if not feeder.attach(bare.has_ended):
            self.found.append(f"the next start: exit {bare.code}: {bare.words()}")
            return
        beside.start()
        self.work(BURSTS_AFTER)
        self.catch_up()
        live = feeder.state_hash()
        self._stop_core()
        if code := beside.end():
            self.found.append(f"the next replayer: exit {code}: {beside.words()}")
        self.judge(may_say_gap=may_say_gap)
        self.found += prove(self.whole(), feeder, live)
        newest = listed(bare.data)[:1]
        if [(row["sequence"], row.get("state_hash")) for row in newest] != [live]:
            self.found.append(f"live {live}, the newest snapshot is {newest}")

    def remove(self) -> None:
        """Nothing is left, but of a broken one what OUTCRY_FAULTS_KEEP asks for."""
        self.feeder.detach()
        self.beside.close()
        self.bare.close()
        if self.found:
            keep(self.place, "shadowed")
        shutil.rmtree(self.place)


def phases(place: Path, seed: int, durability: str, report: Report) -> list[Phase]:
    """The directories from which the cases start."""
    settings = Settings(durability)
    nothing = Feeder(place / "none", seed, in_flight=IN_FLIGHT)
    first = Phase("first", None, nothing, settings, {}, core_ends_first=False)
    life = Life(first, place / f"lived-{durability}", report)
    life.run()
    life.beside.close()
    life.feeder.detach()
    life.bare.kill()
    assert not life.found, life.found
    _leave_halves(life.bare.data)
    shutil.rmtree(life.bare.data / "run")
    kept = {"keep-bytes": 600_000, "copy-to": "copies", "events-keep-bytes": 100_000}
    later = Phase("later", life.place, life.feeder, settings, {}, core_ends_first=True)
    return [first, later, later._replace(name="retention", options=kept)]


def _leave_halves(data: Path) -> None:
    """What a replayer that was killed may have left: a draft, half a line, half a block."""
    draft = data / "snapshots" / "0000000000000009.1.aaaa.tmp"
    draft.mkdir()
    (draft / "state").write_bytes(b"half")
    directory, _ = locate(data)
    with (directory / "manifest").open("ab") as file:
        file.write(b'{"segment":')
    newest = max((data / "events").glob("*.events"))
    with newest.open("r+b") as file:
        file.truncate(newest.stat().st_size - 100)


def cases(phase: Phase, place: Path, report: Report) -> Iterator[Case[Phase]]:
    """Every call of a life without a fault that touches the data directory, with every fault."""
    life = Life(phase, place / "counted", report)
    code = life.run()
    assert code == 0, life.beside.words()
    assert not life.found, life.found
    counts: dict[tuple[int, str], int] = {}
    seen: set[tuple[str, int]] = set()
    for call in life.calls:
        counts[call.thread, call.name] = number = counts.get((call.thread, call.name), 0) + 1
        if call.touches(life.bare.data):
            seen.add((call.name, number))
    life.remove()
    assert seen, "a life without calls"
    for name, number in sorted(seen):
        for fault in FAULTS.get(name, ERRORS):
            yield Case(phase, name, number, fault)


def break_one(report: Report, case: Case[Phase], place: Path) -> None:
    """One case from its beginning to its judgement."""
    life = Life(case.phase, place, report, case.inject)
    try:
        code = life.run()
        failed = hit(report, life.calls, life.bare.data)
        if failed is not None:
            life.found += _of_end(report, case, life, code, failed)
        in_archive = any(call.injected and ".events>" in call.text for call in life.calls)
        may_say_gap = in_archive and case.fault == SHORT
        life.judge(may_say_gap=may_say_gap)
        life.settle(may_say_gap=may_say_gap)
    except (TimeoutError, RuntimeError, AssertionError, OSError, JournalRefused) as fault:
        life.found.append(f"{fault!r}; the core said: {life.bare.words()}")
    finally:
        report.note(str(case), life.found)
        life.remove()


def _of_end(report: Report, case: Case[Phase], life: Life, code: int, hit: Call) -> list[str]:
    """How the replayer ended, or what it said and went on."""
    report.counts[f"exit_{code}"] += 1
    told = f"{hit.name}({hit.text}"
    if case.fault == "signal=SIGKILL":
        return [] if code == -signal.SIGKILL else [f"killed, yet exit {code}: {told}"]
    said = life.beside.complaints()
    if code not in (0, EXIT_FAILED):
        return [f"exit {code} after {told}: {life.beside.words()}"]
    if code == 0:
        report.counts["went_on"] += 1
    if said:
        wrong = [line for line in said if "ALARM" in line and not is_of(line, hit)]
        return [f"{told}: {wrong}"] if code == 0 and wrong else []
    for name, is_one in SILENT.items():
        if is_one(case, hit):
            report.counts[f"silent_{name}"] += 1
            return []
    return [f"it said nothing of {told}"]


def is_of(alarm: str, hit: Call) -> bool:
    """Is it an alarm about the file that failed?  Never one that ends the following: the journal
    is as it was.
    """
    return any(path in alarm for path in FILE.findall(hit.text)) and "from here on" not in alarm


FILE: Final = re.compile('["<](/[^">]+)[">]')
# Faults of which the replayer need not speak.
SILENT: Final[dict[str, Callable[[Case[Phase], Call], bool]]] = {
    "core_file": lambda case, hit: "/run/core.json" in hit.text,  # Read again and again.
    "interrupted": lambda case, hit: case.fault == "error=EINTR",  # Python calls again.
    "is_there": lambda case, hit: hit.name == "mkdir",  # Of a directory that need not be made.
    # The archive goes on behind a short write, and strace's one wrote nothing: a hole is left.
    "archive_short": lambda case, hit: case.fault == SHORT and ".events>" in hit.text,
}


def kill_round(report: Report, phase: Phase, place: Path, kills: int, seed: int) -> None:
    """Kills of the replayer alone; then all is judged."""
    chance = random.Random(seed)
    life = Life(phase, place, report)
    bare, beside, feeder = life.bare, life.beside, life.feeder
    try:
        bare.start()
        feeder.attach(bare.has_ended)
        for _ in range(kills):
            beside.start()
            until = time.monotonic() + chance.uniform(0.0, LIVES_S)
            while time.monotonic() < until and not life.found:
                feeder.pump(bare.has_ended, len(feeder.answers) + chance.randint(1, BURST))
                time.sleep(min(chance.uniform(0.0, PAUSE_S), max(until - time.monotonic(), 0.0)))
            if (code := beside.end(signal.SIGKILL)) != -signal.SIGKILL:
                life.found.append(f"the replayer had ended with {code}: {beside.words()}")
            report.counts["kills"] += 1
            life.look()
            if phase.options:
                continue  # A whole journal can be had when the core is at rest only.
            life.judge(may_say_gap=False)
        life.settle(may_say_gap=False)
    except (TimeoutError, RuntimeError, AssertionError, OSError, JournalRefused) as fault:
        life.found.append(f"{fault!r}; the core said: {bare.words()}")
    finally:
        report.counts["answered"] += len(feeder.answers)
        report.note(f"kills seed {seed} {phase.name} {phase.settings.durability}", life.found)
        life.remove()


def campaign(count: int, kills: int, seed: int, minutes: float = 0.0) -> Report:
    """``count`` cases, 0: all of them, as far as ``minutes`` reach; then so many kills.

    Raises Impossible.
    """
    report = Report("shadowed", seed, minutes=minutes)
    chance = random.Random(seed)
    warm_once()
    with folder("shadowed") as place:
        is_small = 0 < count <= FEW
        modes = [chance.choice(MODES)] if is_small else MODES
        begins = [phase for mode in modes for phase in phases(place, seed, mode, report)]
        used = [chance.choice(begins)] if is_small else begins
        todo = [case for phase in used for case in cases(phase, place, report)]
        report.counts["calls"] = len({(str(c.phase), c.call, c.number) for c in todo})
        fail_each(report, todo, count, place, break_one, chance)
        while (left := kills - report.counts["kills"]) > 0:
            seed += 1
            phase = begins[seed % len(begins)]
            kill_round(report, phase, place / f"kills-{seed}", min(left, KILLS_A_ROUND), seed)
    return report


def main() -> int:
    """The command line."""
    parser = arguments(__doc__, 0)
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    try:
        report = campaign(options.count, options.kills, options.seed, options.minutes)
    except Impossible as reason:
        sys.stderr.write(f"shadowed: not possible here: {reason}\n")
        return EXIT_IMPOSSIBLE
    return report.end(as_json=options.json)


assert set(FAULTS) <= set(TRACED)

if __name__ == "__main__":
    sys.exit(main())
