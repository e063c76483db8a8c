"""Two lives of the core: each makes an output ring of its own, publishes it, then its events; the
first one may be killed anywhere.  A reader goes over to the next ring as soon as it is there.

See ``programs_output``.  The words of epoch e begin with ``e``.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tests.concurrency.machine import (
    ACQUIRE,
    RELEASE,
    Block,
    Broken,
    Local,
    Op,
    Values,
    fence,
    load,
    store,
)
from tests.concurrency.programs_output import (
    CLAIMED,
    PARTS,
    POSITION,
    Immortal,
    OutputWriter,
    Written,
    accepted,
    slot_loads,
    slots,
)

HEADER: Final = ("epoch", "capacity")  # Stands for every word of line 0 behind the version.
VERSION: Final = "version"
EPOCHS: Final = (1, 2)
OFFSET: Final = 1_000  # Between the words of two epochs.


def epoch_words(capacity: int) -> list[str]:
    names = [VERSION, *HEADER, POSITION, CLAIMED, *slots(capacity)]
    return [f"{epoch}{name}" for epoch in EPOCHS for name in names]


class Living(NamedTuple):
    """Where the core is: its epoch, and in it its output ring."""

    epoch: int = 1
    written: Written | None = None  # None: the segment is not there.


class EpochWriter:
    """``create_output``, ``Segment.publish`` and what ``OutputWriter`` does, in two epochs."""

    start: Local = Living()

    def __init__(self, capacity: int, batches: Sequence[int], wrong: str = "") -> None:
        self.capacity, self.wrong = capacity, wrong
        self.writer = OutputWriter(capacity, 0, batches)

    def may_die(self, local: Local) -> bool:
        assert isinstance(local, Living)
        return local.epoch == 1

    def reborn(self, local: Local) -> Local:
        return Living(2)

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Living)
        epoch = local.epoch
        if local.written is None:
            header = [
                store(f"{epoch}epoch", epoch, RELEASE),
                store(f"{epoch}capacity", self.capacity, RELEASE),
            ]
            version = store(f"{epoch}{VERSION}", 1, RELEASE)
            made = [version, *header] if self.wrong == "version first" else [*header, version]
            return Living(epoch, Written()), made
        block = self.writer.following(local.written, ())
        if block is None:
            return None
        written, ops = block
        assert isinstance(written, Written)
        return Living(epoch, written), [_of_epoch(op, epoch) for op in ops]


def _of_epoch(op: Op, epoch: int) -> Op:
    value = op.value + (OFFSET * epoch if op.at.startswith("slot") else 0)
    return op._replace(at=f"{epoch}{op.at}" if op.at else "", value=value)


class Following(NamedTuple):
    """Where a reader is; epoch 0: it has not attached yet."""

    epoch: int = 0
    cursor: int = 0
    phase: str = "begin"


class EpochReader(Immortal):
    """Attaches to the epoch that core.json names, reads, and goes over to the next one."""

    start: Local = Following()

    def __init__(self, capacity: int, total: int, wrong: str = "") -> None:
        self.capacity, self.total, self.wrong = capacity, total, wrong

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Following)
        if local.phase == "look":
            ahead = len(values) - (1 + len(HEADER)) if local.epoch < EPOCHS[-1] else len(values)
            if ahead:
                local = self._read(local, values[:ahead])
            local = self._attached(local, values[ahead:])
        if local.epoch == EPOCHS[-1] and local.cursor == self.total:
            return None
        return local._replace(phase="look"), self._look(local)

    def _attached(self, local: Following, header: Values) -> Following:
        if not header or header[0] == 0:
            return local
        if header[1:] != (local.epoch + 1, self.capacity):
            raise Broken(f"attached to a ring of epoch {header[1]}, capacity {header[2]}")
        return Following(local.epoch + 1)

    def _look(self, local: Following) -> list[Op]:
        """Events of this ring, then the header of the next one."""
        ops: list[Op] = []
        if local.epoch != 0:
            copies = slot_loads(local.cursor, 1, self.capacity)
            ops = [load(POSITION, ACQUIRE), *copies, fence(ACQUIRE), load(CLAIMED, ACQUIRE)]
            epoch = 3 - local.epoch if self.wrong == "reads the other epoch" else local.epoch
            ops = [op._replace(at=f"{epoch}{op.at}" if op.at else "") for op in ops]
        if local.epoch < EPOCHS[-1]:
            header = [load(f"{local.epoch + 1}{name}", ACQUIRE) for name in (VERSION, *HEADER)]
            if self.wrong == "version without acquire":
                header[0] = header[0]._replace(order="")
            ops += header
        return ops

    def _read(self, local: Following, values: Values) -> Following:
        position, *copies, claimed = values
        count = accepted(self.capacity, local.cursor, position, claimed, 1)
        if count < 0:  # LAPPED: at least this one is gone.
            return local._replace(cursor=local.cursor + 1)
        for place, word in enumerate(copies[: PARTS * count]):
            expected = OFFSET * local.epoch + PARTS * local.cursor + place + 1
            if word != expected:
                raise Broken(f"epoch {local.epoch}, event {local.cursor}: {word}, not {expected}")
        return local._replace(cursor=local.cursor + count)
