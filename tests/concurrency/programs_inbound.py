"""The inbound and the reply ring, operation by operation, as programs for ``machine``.

See ``programs_output``.  A word says whose it is: life of the producer, number of its command,
place of the slot in the command, part of the slot.
"""

from typing import Final, NamedTuple

from tests.concurrency.machine import (
    ACQUIRE,
    RELEASE,
    Block,
    Broken,
    Local,
    Op,
    Values,
    load,
    store,
)
from tests.concurrency.programs_output import PARTS, Immortal, slot_loads

PRODUCED: Final = "produced"
CONSUMED: Final = "consumed"
INCARNATION: Final = "incarnation"
OWN_SLEEPING: Final = "sleeping"
DONE: Final = "done"  # Of the test: the last life has offered everything.
NONSENSE: Final = (-3, 1 << 40)


class Ring(NamedTuple):
    """A small ring, and what goes through it: slots per command, in each life of the producer."""

    capacity: int
    counts: tuple[int, ...]
    lives: int = 1
    lane: int = 0  # Slots for commands that are no cancels; 0: no lane.
    is_reply: bool = False

    def words(self) -> list[str]:
        names = [PRODUCED, CONSUMED, INCARNATION, OWN_SLEEPING, DONE]
        return names + [f"slot{n}.{part}" for n in range(self.capacity) for part in range(PARTS)]


class Offering(NamedTuple):
    """Where a producer is."""

    life: int = 0
    number: int = 0
    produced: int = 0
    consumed: int = 0
    phase: str = "offer"
    is_fresh: bool = False  # The consumer's cursor was read for this command.


def content(life: int, number: int, place: int, part: int) -> int:
    return ((life * 64 + number) * 4 + place) * PARTS + part + 1


class Producer:
    """``offer`` of core.ring (a full ring: tried again), or ``reply_push``; killed in all lives but
    the last, and then ``attach_inbound``."""

    start: Local = Offering()

    def __init__(self, ring: Ring, wrong: str = "", *, scribbles: bool = False) -> None:
        self.ring, self.wrong, self.scribbles = ring, wrong, scribbles

    def may_die(self, local: Local) -> bool:
        assert isinstance(local, Offering)
        return local.life < self.ring.lives - 1

    def reborn(self, local: Local) -> Local:
        assert isinstance(local, Offering)
        return Offering(life=local.life + 1, phase="attach")

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Offering)
        ops: list[Op] = []
        if local.phase == "over":
            return None
        if local.phase == "attach":
            return local._replace(phase="attached"), [
                load(PRODUCED, ACQUIRE),
                load(CONSUMED, ACQUIRE),
            ]
        if local.phase == "attached":
            produced, consumed = values
            if not 0 <= produced - consumed <= self.ring.capacity:
                raise Broken(f"the next life finds {produced} produced, {consumed} consumed")
            local = Offering(local.life, 0, produced, consumed)
            ops = [store(INCARNATION, local.life + 1, RELEASE), store(OWN_SLEEPING, 0, RELEASE)]
        elif local.phase == "refresh":
            local = self._believed(local, values[0])
        if local.number == len(self.ring.counts):
            is_last = local.life == self.ring.lives - 1
            return local._replace(phase="over"), [store(DONE, 1, RELEASE)] if is_last else []
        if self._must_refresh(local):
            return local._replace(phase="refresh"), [*ops, load(CONSUMED, ACQUIRE)]
        return self._offer(local, ops)

    def _believed(self, local: Offering, consumed: int) -> Offering:
        sound = local.consumed <= consumed <= local.produced
        if not sound and consumed not in NONSENSE:
            raise Broken(f"a sound cursor is refused: {consumed} after {local.consumed}")
        return local._replace(
            consumed=consumed if sound else local.consumed, phase="offer", is_fresh=True
        )

    def _must_refresh(self, local: Offering) -> bool:
        """Also again and again while there is no room: the caller tries again."""
        if self.wrong == "never looks whether there is room":
            return False
        filled = local.produced + self.ring.counts[local.number] - local.consumed
        limit = self.ring.capacity
        if self.ring.lane and local.number % 2 == 0:  # Every other command is a cancel.
            limit = self.ring.lane
        return filled > limit or (self.ring.is_reply and not local.is_fresh)

    def _offer(self, local: Offering, ops: list[Op]) -> Block:
        count = self.ring.counts[local.number]
        produced = local.produced + count
        order = "" if self.wrong == "publish without release" else RELEASE
        if self.scribbles:
            ops += [store(PRODUCED, word) for word in NONSENSE]
            ops.append(store(PRODUCED, local.produced))
        if self.wrong == "publish before the stores":
            ops.append(store(PRODUCED, produced, order))
        for place in range(count):
            at = (local.produced + place) % self.ring.capacity
            for part in range(PARTS):
                word = content(local.life, local.number, place, part)
                ops.append(store(f"slot{at}.{part}", word))
            if self.wrong == "a store of the cursor for each slot":
                ops.append(store(PRODUCED, local.produced + place + 1, order))
        if self.wrong != "publish before the stores":
            ops.append(store(PRODUCED, produced, order))
        after = local._replace(
            number=local.number + 1, produced=produced, phase="offer", is_fresh=False
        )
        return after, ops


class Taking(NamedTuple):
    """Where a consumer is: its cursor, and the slot that it expects."""

    consumed: int = 0
    life: int = 0
    number: int = 0
    place: int = 0
    phase: str = "look"


class Consumer(Immortal):
    """``poll`` of core.ring, whole commands; or ``take`` of a reply ring, slot by slot."""

    start: Local = Taking()

    def __init__(
        self, ring: Ring, slots_max: int, wrong: str = "", *, scribbles: bool = False
    ) -> None:
        self.ring, self.slots_max, self.wrong, self.scribbles = ring, slots_max, wrong, scribbles

    def following(self, local: Local, values: Values) -> Block | None:
        assert isinstance(local, Taking)
        ops: list[Op] = []
        if local.phase == "looked":
            done, produced, *copies = values
            available = produced - local.consumed
            if done and available == 0:
                self._must_be_all(local)
                return None
            if 0 <= available <= self.ring.capacity:
                after = self._taken(local, available, tuple(copies))
                if available > 0 or self.ring.is_reply:
                    ops = self.acknowledge(after.consumed)
                local = after
            elif produced not in NONSENSE:
                raise Broken(f"a sound cursor is refused: {produced} at {local.consumed}")
        return local._replace(phase="looked"), [*ops, *self.look(local)]

    def look(self, local: Taking) -> list[Op]:
        order = "" if self.wrong == "produced without acquire" else ACQUIRE
        copies = slot_loads(local.consumed, self.slots_max, self.ring.capacity)
        return [load(DONE, ACQUIRE), load(PRODUCED, order), *copies]

    def acknowledge(self, consumed: int) -> list[Op]:
        nonsense = [store(CONSUMED, word) for word in NONSENSE] if self.scribbles else []
        ahead = consumed + (1 if self.wrong == "acknowledges one slot too many" else 0)
        return [*nonsense, store(CONSUMED, ahead, RELEASE)]

    def _taken(self, local: Taking, available: int, copies: Values) -> Taking:
        taken = 0
        while taken < min(available, self.slots_max):
            local = self._expected(local, copies[PARTS * taken])
            count = 1 if self.ring.is_reply else self.ring.counts[local.number]
            if count > available - taken:
                raise Broken(f"command {local.number} of {count} slots is visible in part")
            if taken + count > self.slots_max:
                break
            for place in range(taken, taken + count):
                words = copies[PARTS * place : PARTS * (place + 1)]
                expected = [content(*local[1:4], part) for part in range(PARTS)]
                if list(words) != expected:
                    raise Broken(f"torn: {words}, not {expected}, at {local}")
                local = self._next(local)
            taken += count
        return local

    def _expected(self, local: Taking, word: int) -> Taking:
        """The next slot, or the first one of a later life when this one has ended."""
        life = max(word - 1, 0) // (64 * 4 * PARTS)
        if local.life < life < self.ring.lives and local.place == 0:
            return local._replace(life=life, number=0)
        if local.number == len(self.ring.counts):
            raise Broken(f"nothing follows, but {word} came")
        return local

    def _next(self, local: Taking) -> Taking:
        consumed = local.consumed + 1
        if local.place + 1 < self.ring.counts[local.number]:
            return local._replace(consumed=consumed, place=local.place + 1)
        return local._replace(consumed=consumed, number=local.number + 1, place=0)

    def _must_be_all(self, local: Taking) -> None:
        if (local.life, local.number) != (self.ring.lives - 1, len(self.ring.counts)):
            raise Broken(f"not everything came: {local}")
