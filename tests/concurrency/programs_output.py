"""The output ring and the wake-up, operation by operation, as programs for ``machine``.

tests/concurrency/test_programs.py runs the real kernels beside these and compares every access to
shared memory, so that a change of the code is a failing test until it is modeled here.

``wrong`` names a fault to build in: the model has to find each of them.  A slot is two words; word
w of event k holds ``2 * k + w + 1``, so that a torn, old or foreign slot is seen at once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tests.concurrency.machine import (
    ACQUIRE,
    FULL,
    POST,
    RELEASE,
    TAKE,
    Block,
    Broken,
    Local,
    Op,
    Values,
    fence,
    load,
    store,
)

PARTS: Final = 2  # Words of a slot.
POSITION: Final = "position"
CLAIMED: Final = "claimed"
SLEEPING: Final = "sleeping"
FIFO: Final = "fifo"


def slots(capacity: int, name: str = "slot") -> list[str]:
    """The words of a ring's slots."""
    return [f"{name}{place}.{part}" for place in range(capacity) for part in range(PARTS)]


def content(number: int, part: int) -> int:
    """What a word of event ``number`` holds."""
    return PARTS * number + part + 1


def slot_loads(first: int, count: int, capacity: int, name: str = "slot") -> list[Op]:
    """The copy of ``count`` slots from cursor ``first`` on."""
    return [
        load(f"{name}{(first + ahead) % capacity}.{part}")
        for ahead in range(count)
        for part in range(PARTS)
    ]


class Immortal:
    """A program that is not killed."""

    def may_die(self, local: Local) -> bool:
        return False

    def reborn(self, local: Local) -> Local:
        raise AssertionError("nobody killed it")


class Written(NamedTuple):
    """Where a writer is."""

    batch: int = 0
    position: int = 0
    claimed: int = 0


class OutputWriter(Immortal):
    """``claim``, the stores, ``publish`` of core.output, for batches of given sizes."""

    start: Local = Written()

    def __init__(self, capacity: int, step: int, batches: Sequence[int], wrong: str = "") -> None:
        self.capacity, self.step, self.batches, self.wrong = capacity, step, batches, wrong

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Written)
        if local.batch == len(self.batches):
            return None
        count, ops = self.batches[local.batch], []
        position, claimed = local.position, local.claimed
        if position + count > claimed:
            claimed = position + count + self.step
            if self.wrong != "no claim":
                ops.append(store(CLAIMED, claimed, RELEASE))
            if self.wrong != "no fence after the claim":
                ops.append(fence(RELEASE))
        for number in range(position, position + count):
            for part in range(PARTS):
                at = f"slot{number % self.capacity}.{part}"
                ops.append(store(at, content(number, part)))
        order = "" if self.wrong == "publish without release" else RELEASE
        published = store(POSITION, position + count, order)
        if self.wrong == "publish before the stores":
            ops.insert(len(ops) - PARTS * count, published)
        else:
            ops.append(published)
        return Written(local.batch + 1, position + count, claimed), ops


class Told(NamedTuple):
    """Where the engine is with its events."""

    command: int = 0
    cursor: int = 0
    claimed: int = 0
    hashed: int = 0


class EngineWriter(Immortal):
    """``reserve``, ``new_event``, ``mark_last``, ``publish`` of core.sequencer.events.

    A command is a row of parts of at most ``reserved`` events, each after a ``reserve``; all
    commands are one batch.  ``mark_last`` stores into the last event once more.
    """

    start: Local = Told()

    def __init__(
        self,
        capacity: int,
        sizes: tuple[int, int, int],
        commands: Sequence[Sequence[int]],
        wrong: str = "",
    ) -> None:
        """``sizes``: events claimed ahead, events reserved, events after which a long command is
        published on the way."""
        self.capacity, self.commands, self.wrong = capacity, commands, wrong
        self.ahead, self.reserved, self.sweep = sizes

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Told)
        if local.command > len(self.commands):
            return None
        if local.command == len(self.commands):
            return local._replace(command=local.command + 1), [
                store(POSITION, local.cursor, RELEASE)
            ]
        ops: list[Op] = []
        cursor, claimed, hashed = local.cursor, local.claimed, local.hashed
        for count in self.commands[local.command]:
            if claimed < cursor + self.reserved:
                if cursor - hashed >= self.sweep:
                    hashed = cursor
                    ops.append(store(POSITION, cursor, RELEASE))
                claimed = cursor + self.ahead
                ops.append(store(CLAIMED, claimed, RELEASE))
                if self.wrong != "no fence after the claim":
                    ops.append(fence(RELEASE))
            for number in range(cursor, cursor + count):
                ops += [self._part(number, part) for part in range(PARTS)]
            cursor += count
        ops[-1] = ops[-1]._replace(value=-1)  # Not marked as the last event yet.
        ops.append(self._part(cursor - 1, PARTS - 1))
        return Told(local.command + 1, cursor, claimed, hashed), ops

    def _part(self, number: int, part: int) -> Op:
        return store(f"slot{number % self.capacity}.{part}", content(number, part))


class Reading(NamedTuple):
    """Where a reader is."""

    cursor: int = 0
    is_lapped: bool = False
    is_first: bool = True


class OutputReader(Immortal):
    """``read`` of core.output; after LAPPED it goes on at the oldest event that is left."""

    start: Local = Reading()

    def __init__(self, capacity: int, total: int, events_max: int, wrong: str = "") -> None:
        self.capacity, self.total, self.events_max = capacity, total, events_max
        self.wrong = wrong

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Reading)
        now = local if local.is_first else self._done(local, values)
        now = now._replace(is_first=False)
        if now.cursor == self.total:
            return None
        if now.is_lapped:
            return now, [load(CLAIMED, ACQUIRE), load(POSITION, ACQUIRE)]
        copies = slot_loads(now.cursor, self.events_max, self.capacity)
        ops = [load(POSITION, "" if self.wrong == "position without acquire" else ACQUIRE)]
        claimed = load(CLAIMED, ACQUIRE)
        if self.wrong == "claimed before the copy":
            return now, [*ops, claimed, *copies]
        if self.wrong == "no fence after the copy":
            return now, [*ops, *copies, claimed]
        return now, [*ops, *copies, fence(ACQUIRE), claimed]

    def _done(self, local: Reading, values: Values) -> Reading:
        if local.is_lapped:
            claimed, position = values
            cursor = min(max(0, claimed - self.capacity), position)
            if cursor <= local.cursor:
                raise Broken(f"lapped at {local.cursor}, but {cursor} is the oldest")
            return Reading(cursor)
        copies = values[1:-1]
        claimed = values[-1]
        if self.wrong == "claimed before the copy":
            claimed, copies = values[1], values[2:]
        count = accepted(self.capacity, local.cursor, values[0], claimed, self.events_max)
        if count < 0:
            return local._replace(is_lapped=True)
        for place, word in enumerate(copies[: PARTS * count]):
            expected = content(local.cursor, place)  # Parts of following events go on.
            if word != expected:
                raise Broken(f"torn: event {local.cursor}, word {place}: {word}, not {expected}")
        return Reading(local.cursor + count)


def accepted(capacity: int, cursor: int, position: int, claimed: int, events_max: int) -> int:
    """How many events ``read`` gives, or -1: LAPPED."""
    behind = position - cursor
    if behind == 0:
        return 0
    if behind < 0 or behind > capacity or claimed - cursor > capacity:
        return -1
    return min(behind, events_max)


class Waking(NamedTuple):
    """How many items a waker has offered, or a sleeper has taken."""

    items: int = 0
    phase: str = "look"


class Waker(Immortal):
    """Offers items, each by one store of its cursor, and calls ``wake`` after each."""

    start: Local = Waking(phase="offer")

    def __init__(self, items: int, ring: str, wrong: str = "") -> None:
        self.items, self.ring, self.wrong = items, ring, wrong

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Waking)
        if local.phase == "wake":
            ops = [Op(POST, FIFO)] if values[0] != 0 else []
            return Waking(local.items, "offer"), ops
        if local.items == self.items:
            return None
        order = "" if self.wrong == "offer without release" else RELEASE
        ops = [store(self.ring, local.items + 1, order), fence(FULL), load(SLEEPING, ACQUIRE)]
        if self.wrong == "no fence before the word is read":
            del ops[1]
        return Waking(local.items + 1, "wake"), ops


class Sleeper(Immortal):
    """A duty cycle that takes what there is and calls ``idle`` (strategy block) when there is
    nothing; its sleep has no timeout here, so a lost wake-up is for ever."""

    start: Local = Waking(phase="begin")

    def __init__(self, items: int, rings: Sequence[str], wrong: str = "") -> None:
        self.items, self.rings, self.wrong = items, rings, wrong

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Waking)
        looks = [load(ring, ACQUIRE) for ring in self.rings]
        if local.phase == "poll":
            if sum(values) > local.items:
                local = Waking(sum(values), "begin")
            else:
                return Waking(local.items, "look"), self._prepare(looks)
        elif local.phase == "look":
            if sum(values) > local.items:
                return Waking(local.items, "begin"), [store(SLEEPING, 0, RELEASE)]
            return Waking(local.items, "begin"), [Op(TAKE, FIFO), store(SLEEPING, 0, RELEASE)]
        if local.items == self.items:
            return None
        return Waking(local.items, "poll"), looks

    def _prepare(self, looks: list[Op]) -> list[Op]:
        if self.wrong == "looks before it says that it sleeps":
            return [*looks, store(SLEEPING, 1, RELEASE), fence(FULL)]
        if self.wrong == "no fence before the last look":
            return [store(SLEEPING, 1, RELEASE), *looks]
        return [store(SLEEPING, 1, RELEASE), fence(FULL), *looks]
