"""The start of a core: the newest snapshot, what the journal holds behind it, the judgement.

The journal is read once: every block is checked, applied, and its checkpoints compared, before
anything on the disk is changed.  The events of what was applied are in the output ring then.
(reliability.md 2.4, architecture decision 3)
"""

from collections.abc import Callable
from pathlib import Path

from core.journal.config import JournalConfig
from core.journal.errors import Fault, JournalRefused
from core.journal.layout import CHECKPOINT, GENESIS
from core.journal.recovery import Known, Opening, Recovery, begin, finish, hint
from core.journal.scanner import Commands, Special
from core.journal.segments import inventory, segment_path
from core.journal.verify import base_sequence
from core.limits import base_of, from_genesis
from core.output import OutputRing, create_output, newest_published
from core.sequencer import checkpoint, snapshot
from core.sequencer.engine import apply_batch
from core.sequencer.state import State
from core.shm import prefix, unlink_stale

Progress = Callable[[int, int], None]  # Commands applied, commands in all.


class Start:
    """See the module; raises the errors of ``begin`` and ``finish``."""

    def __init__(
        self,
        data: Path,
        journal: JournalConfig,
        *,
        populate: bool = True,
        progress: Progress | None = None,
    ) -> None:
        opening = begin(data, journal)
        self.bad_snapshots: list[str] = []
        self.commands = 0
        self._populate = populate
        self._progress = progress
        self._directory = opening.directory
        last_sequence, epoch = hint(opening.directory)
        uuid8 = opening.uuid.hex()[:8]
        self._published = newest_published(uuid8)
        unlink_stale(uuid8)
        self.epoch = epoch + 1
        self.output: OutputRing = create_output(prefix(uuid8, self.epoch), self.epoch)
        self._state: State | None = None
        try:
            self.recovery: Recovery = self._recover(opening, last_sequence)
        except BaseException:  # Refused: nobody will attach, and no later life may come to tidy up.
            opening.lock.close()
            self.output.segment.unlink()
            raise
        if self.epoch != self.recovery.epoch + 1:
            self.epoch = self.recovery.epoch + 1
            self.output.segment.rename(f"{prefix(uuid8, self.epoch)}-out", self.epoch)
        self.shm = prefix(uuid8, self.epoch)
        self.state.populated()

    @property
    def state(self) -> State:
        """What was recovered."""
        assert self._state is not None
        return self._state

    def _recover(self, opening: Opening, last_sequence: int) -> Recovery:
        numbers = inventory(opening.directory)
        oldest = numbers[0] if numbers else 1
        base = base_sequence(opening.directory, numbers)
        found = snapshot.newest(
            opening.data, opening.uuid, oldest, self.bad_snapshots, base_sequence=base
        )
        place, known = None, Known()
        if found is not None:
            place, known = found.manifest.place, found.known
            self._use(found.state)
        base = place.sequence if place is not None else 0
        self.output.base_sequence = base
        self._total = last_sequence - base
        published = self._published
        return finish(opening, self._take, start=place, known=known, published=published)

    def _use(self, state: State) -> None:
        out = self.output
        state.use_ring(out.slots, out.capacity - 1, out.position_at, out.claimed_at)
        self._state = state

    def _take(self, item: Commands | Special) -> None:
        if isinstance(item, Commands):
            self.commands += int(apply_batch(self.state.address, item.address, len(item.slots)))
            if self._progress is not None:
                self._progress(self.commands, max(self._total, self.commands))
        elif item.kind == GENESIS and self._state is None:
            limits, id_key = from_genesis(item.payload)
            assert base_of(item.payload).sequence == 0, "a journal that needs its base snapshot"
            self._use(State(limits, id_key, populate=self._populate))
        elif item.kind == CHECKPOINT:
            wrong = checkpoint.difference(self.state, item.payload)
            if wrong:
                path = segment_path(self._directory, item.segment_no)
                raise JournalRefused(Fault.NONDETERMINISM, path, item.offset, wrong)
