"""One history of a journal on a disk that forgets: lives, crashes, and what a client may expect.

The judge knows only what clients were told: which blocks ``append`` acknowledged, and in
``relaxed`` how far ``durable_sequence`` had come.
"""

import os
import random
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.constants import BATCH_SLOTS_MAX
from core.jit import PURE
from core.journal import witness
from core.journal.appender import NO_ROOM, append, sync_until
from core.journal.errors import JournalRefused
from core.journal.layout import RELAXED, SYNC
from core.journal.prepare import prepare
from core.journal.reader import Walk
from core.journal.recovery import Recovery, begin, finish
from core.journal.scanner import Commands
from core.journal.verify import verify
from core.journal.writer import Writer
from tests.core.journal.files import CONFIG, START_NS, commands
from tests.faults.disk import BEST, MIXED, WORST, Disk, Killed, PowerCut
from tests.faults.interpose import Calls, interposed
from tests.faults.paths import KnownPath

HELPERS: Final = frozenset({"write_file", "open_file", "sync_directory", "_put", "_write_zeros"})
LIVES: Final = (2, 3, 4, 6)


class Wrong(AssertionError):
    """The journal broke its promise."""


@dataclass
class Batch:
    """Commands of one block, and what was said about them."""

    first: int
    last: int
    content: bytes
    acknowledged: bool = False
    durable: bool = False  # A client was told so.
    chain: tuple[int, int] | None = None


class History:
    """Everything that happens to one data directory; ``run`` raises Wrong."""

    def __init__(self, place: Path, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.trash = chance.random() < 0.4
        self.disk = Disk(KnownPath(place), chance, trash=self.trash)
        self.data = self.disk.root / "place" / "data"
        durability = chance.choice((SYNC, RELAXED))
        self.config = CONFIG._replace(durability=durability)
        self.batches: list[Batch] = []
        self.high = 0  # The newest sequence a client was ever given.
        self.power_lost = False  # Since the last start that succeeded.
        self.trashed = 0  # Of the disk, at the last start that succeeded.
        self.boot = bytes(16)
        self.lives = 0
        self.crashes: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.recovery: Recovery | None = None
        self.writer: Writer | None = None
        self.syncing: tuple[int, int] | None = None
        self.refused = False
        self.keep_durability = False
        self.calls: Calls

    def run(self) -> None:
        """Some lives, then a start that nobody disturbs, and ``journal verify``."""
        with interposed(self.disk, lambda: self.boot, self.chance.random() < 0.5) as self.calls:
            self.prepare_calls()
            try:
                for _ in range(self.chance.choice(LIVES)):
                    self.disk.arm(self._steps(), self.chance.choice((PowerCut, PowerCut, Killed)))
                    self._live()
                    if self.refused:
                        return
                self._last_life()
            finally:
                self.calls.close_all()

    def prepare_calls(self) -> None:
        """With ``calls`` set: a machine that has booted."""
        self._append = self.calls.block(append)
        self._reboot()

    def _steps(self) -> int:
        """After how many operations the crash comes; 0: when the life is over."""
        chance = self.chance.random()
        if chance < 0.15:
            return 0
        if self.outcomes["created"] == 0:  # Else nearly every crash would be of a creation.
            return self.chance.randint(1, 30) if chance < 0.4 else self.chance.randint(30, 90)
        return self.chance.randint(1, 12 if chance < 0.55 else 60)

    def _live(self) -> None:
        """One process, from its start to whatever ends it."""
        self.lives += 1
        try:
            self._start()
            if not self.refused:
                for _ in range(self.chance.choice((0, 6, 15, 40))):
                    self._act()
                self._end()
        except (PowerCut, Killed) as end:
            self._crash(end)

    def _last_life(self) -> None:
        self.disk.arm(0, PowerCut)
        self.lives += 1
        self._start()
        if self.refused:
            return
        assert self.writer is not None
        self._append_block()
        self.writer.close()
        wanted = self.batches[-1].last
        found = verify(self.data)
        if (found.last_sequence, found.tail) != (wanted, "CLEAN"):
            raise Wrong(f"verify after a clean stop: expected {wanted} CLEAN, got {found}")

    def _start(self) -> None:
        if not self.keep_durability and self.chance.random() < 0.04:
            other = RELAXED if self.config.durability == SYNC else SYNC
            self.config = self.config._replace(durability=other)
        changes = self.disk.changes
        try:
            recovery = self.recovery = finish(begin(self.data, self.config), ahead=False)
        except JournalRefused as error:
            self._refuse(error, changes)
            return
        self._judge(recovery)
        self.writer = Writer(recovery)
        self.syncing = None

    def _refuse(self, error: JournalRefused, changes: int) -> None:
        self.refused = True
        self.outcomes[f"refused {error.reason}"] += 1
        if self.disk.trashed == self.trashed:
            raise Wrong(f"refused, but no sector was trashed: {error}")
        if self.disk.changes != changes:
            raise Wrong(f"refused, but something was changed: {error}")

    def _judge(self, recovery: Recovery) -> None:
        """Compare what was found with what clients were told."""
        self.outcomes[_outcome(recovery)] += 1
        walk = Walk(recovery.directory, recovery.uuid)
        found = b"".join(item.slots.tobytes() for item in walk if isinstance(item, Commands))
        place = 0
        kept: list[Batch] = []
        for batch in self.batches:
            end = place + len(batch.content)
            if found[place:end] == batch.content:
                kept.append(batch)
                place = end
            elif batch.durable or (batch.acknowledged and not self.power_lost):
                raise Wrong(f"acknowledged commands {batch.first}-{batch.last} are lost")
            else:
                break
        if place != len(found):
            raise Wrong(f"{len(found) - place} bytes of commands that nobody sent as they are")
        last = kept[-1].last if kept else 0
        if recovery.last_sequence != last:
            raise Wrong(f"expected last sequence {last}, got {recovery.last_sequence}")
        if recovery.next_sequence <= max(self.high, last):
            raise Wrong(f"sequence {recovery.next_sequence} would be given again ({self.high})")
        if recovery.created and self.high:
            raise Wrong("a new journal in the place of one that was in use")
        for batch in kept:
            batch.durable = True
        self.batches = kept
        self.high = max(self.high, last)
        self.power_lost = False
        self.trashed = self.disk.trashed

    # What a process does.

    def _act(self) -> None:
        actions: tuple[tuple[Callable[[], None], int], ...] = (
            (self._append_block, 60),
            (self._sync, 12 if self.config.durability == RELAXED else 0),
            (self._witness, 6),
            (self._spare, 3),
            (self._marker, 4),
            (self._rotate, 2),
        )
        weights = [weight for _action, weight in actions]
        self.chance.choices([action for action, _weight in actions], weights)[0]()

    def _append_block(self) -> None:
        assert self.writer is not None
        row = self.writer.row
        size = self.chance.choice((1, 1, 2, 4))
        count = self.chance.choice((1, 1, 2, 7, 16, BATCH_SLOTS_MAX // 4))
        first = int(row.next_sequence)
        last = first + count - 1
        if first <= self.high:
            raise Wrong(f"sequence {first} is given again: clients have seen {self.high}")
        rows = commands(first, (size,) * count, self.chance.randrange(1_000))
        given = (int(rows.ctypes.data), len(rows), count, first, last, START_NS + last)
        done = self._attempt(Batch(first, last, rows.tobytes()), given)
        if done == NO_ROOM:
            self.batches.pop()
            self.writer.rotate()
            done = self._attempt(Batch(first, last, rows.tobytes()), given)
        if done != 0:
            raise Wrong(f"append gave {done}")
        batch = self.batches[-1]
        batch.acknowledged = True
        batch.chain = (int(row.chain_a), int(row.chain_b))
        self.high = last
        if int(row.durable_sequence) >= last:
            batch.durable = True

    def _attempt(self, batch: Batch, given: tuple[int, ...]) -> int:
        assert self.writer is not None
        self.batches.append(batch)
        return int(self._append(self.writer.address, *given))

    def _sync(self) -> None:
        """The syncer: sees what was written, syncs, says so; other things may come in between."""
        assert self.writer is not None
        row = self.writer.row
        if PURE:
            sync_until(self.writer.address, 1)
        elif self.syncing is None:
            self.syncing = (int(row.blocks), int(row.last_sequence))
            if self.chance.random() < 0.5:
                return
        if self.syncing is not None:
            os.fdatasync(row.fd)
            row.syncs += 1
            row.synced_blocks, row.durable_sequence = self.syncing
            self.syncing = None
        for batch in self.batches:
            batch.durable = batch.durable or batch.last <= row.durable_sequence

    def _witness(self) -> None:
        """The replayer: the newest batch it may vouch for."""
        assert self.recovery is not None
        durable = [batch for batch in self.batches if batch.durable and batch.chain is not None]
        if durable:
            batch = durable[-1]
            assert batch.chain is not None
            where = (self.recovery.directory, self.recovery.uuid)
            witness.write(*where, batch.last, batch.chain, START_NS + self.disk.steps)

    def _spare(self) -> None:
        assert self.recovery is not None
        prewritten = self.config.durability == SYNC
        directory, size = self.recovery.directory, self.config.segment_bytes
        if self.chance.random() < 0.8:
            prepare(directory, size, 2, prewritten=prewritten)
            return
        before = set(self.calls.open_fds)
        with self.disk.apart(self.chance.randint(1, 9)):
            prepare(directory, size, 2, prewritten=prewritten)
        for fd in set(self.calls.open_fds) - before:
            self.calls.close(fd)

    def _marker(self) -> None:
        assert self.writer is not None
        self.writer.marker()

    def _rotate(self) -> None:
        assert self.writer is not None
        self.writer.rotate()

    def _end(self) -> None:
        """Nothing came in between: a clean stop, a kill, or a power cut at rest."""
        assert self.writer is not None
        way = self.chance.choice(("clean", "killed", "power cut"))
        if way == "clean":
            self.writer.close()
            self.outcomes["stopped cleanly"] += 1
            for batch in self.batches:
                batch.durable = True
        else:
            self.crashes[f"{way} at rest"] += 1
            self._fall(power=way == "power cut")
        if way == "clean" and self.chance.random() < 0.5:
            self._fall(power=True)

    def _crash(self, end: BaseException) -> None:
        word = "killed" if isinstance(end, Killed) else "power cut"
        self.crashes[f"{word} in {_place(end)}"] += 1
        self._fall(power=isinstance(end, PowerCut))

    def _fall(self, *, power: bool, mood: str | None = None) -> None:
        """The process is gone, and with ``power`` the machine too."""
        self.calls.close_all()
        self.writer = self.recovery = None
        if power:
            self.disk.mood = mood or self.chance.choice((*4 * (MIXED,), WORST, BEST))
            self.disk.power_cut()
            self.power_lost = True
            self._reboot()
        self.disk.restart()

    def _reboot(self) -> None:
        self.boot = self.chance.randbytes(16)


def _outcome(recovery: Recovery) -> str:
    """What a start did."""
    lost = recovery.lost != (0, 0)
    if recovery.created:
        return "created"
    if recovery.cut.extent:
        return "lost tail cut" if lost else "torn block cut"
    return "jumped" if lost else "clean"


def _place(end: BaseException) -> str:
    """Module and function of the journal's code in which the crash came."""
    found = "?"
    for frame, _line in traceback.walk_tb(end.__traceback__):
        name = frame.f_code.co_name
        folder, _, module = frame.f_code.co_filename.rpartition("/")
        if folder.endswith("/core/journal"):
            if name not in HELPERS:
                found = f"{module.removesuffix('.py')}.{name}"
        elif name in ("_append_block", "_sync"):
            found = name.strip("_").replace("_block", "")
    return found
