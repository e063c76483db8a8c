"""Every interleaving of a few small programs on shared memory, under three memory models.

A program is a row of blocks; a block is the loads, stores and fences of one call, decided by what
the blocks before it have loaded.  All loads of a block are issued together, also those behind a
branch: that is what a processor does that speculates.  A store is never speculative.

Memory is one flat row of words (every processor of today is multi-copy atomic).  The models differ
in which operation of a program may be done before an earlier one that is still open:

    SC     none.
    TSO    a load before an earlier store (x86-64: the store buffer, with forwarding).
    WEAK   any, unless acquire, release, a fence or the same address forbids it (aarch64).

A program may be mortal: killed between any two instructions.  What it had stored before becomes
visible all the same, what comes after never does; then another life of it begins.
"""

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

LOAD: Final = "load"
STORE: Final = "store"
FENCE: Final = "fence"
POST: Final = "post"  # write(2) of a byte: a counter goes up by one.
TAKE: Final = "take"  # poll(2) and read(2): waits until the counter is not 0, and takes all.

ACQUIRE: Final = "acquire"
RELEASE: Final = "release"
FULL: Final = "full"

SC: Final = "sc"
TSO: Final = "tso"
WEAK: Final = "weak"
MODELS: Final = (SC, TSO, WEAK)


class Op(NamedTuple):
    """One operation; ``order`` is acquire, release, full, or nothing."""

    kind: str
    at: str = ""
    value: int = 0
    order: str = ""


def load(at: str, order: str = "") -> Op:
    return Op(LOAD, at, 0, order)


def store(at: str, value: int, order: str = "") -> Op:
    return Op(STORE, at, value, order)


def fence(order: str) -> Op:
    return Op(FENCE, "", 0, order)


Local = Hashable
Values = tuple[int, ...]
Block = tuple[Local, Sequence[Op]]


class Broken(Exception):
    """A program saw what it must never see."""


class Program(Protocol):
    """What one process does.  ``following`` gives the block after the one whose loads gave
    ``values``, or None: the program has ended."""

    start: Local

    def may_die(self, local: Local) -> bool: ...

    def following(self, local: Local, values: Values) -> Block | None: ...

    def reborn(self, local: Local) -> Local:
        """Where the next life begins, of a program that died where it is."""
        ...


class Thread(NamedTuple):
    """A program somewhere in its life."""

    local: Local
    window: tuple[tuple[int, Op], ...]  # What is open of it: place of the result, operation.
    values: Values
    firm: int = 0  # So many at the front were issued before a store that is visible already.
    is_dead: bool = False
    is_over: bool = False


class Result(NamedTuple):
    """What was explored."""

    states: int
    steps: int
    ends: int


class Fault(NamedTuple):
    """The first wrong thing that was met, and the way to it."""

    reason: str
    way: tuple[str, ...]


@lru_cache(None)
def must_wait(model: str, op: Op, earlier: Op) -> bool:
    """May ``op`` not be done while ``earlier`` of the same program is still open?"""
    calls = (POST, TAKE)
    if model == SC or op.kind in calls or earlier.kind in calls:
        return True
    if model == TSO:
        if FENCE in (op.kind, earlier.kind):  # Only the full one is an instruction.
            return FULL in (op.order, earlier.order)
        return not (earlier.kind == STORE and op.kind == LOAD)
    if earlier.kind == FENCE:
        return op.kind != LOAD or earlier.order != RELEASE
    if op.kind == FENCE:
        return earlier.kind == LOAD or op.order != ACQUIRE
    if earlier.order == ACQUIRE or op.order == RELEASE:
        return True
    return op.at == earlier.at and not (earlier.kind == STORE and op.kind == LOAD)


class Machine:
    """Programs over words that are all zero at first."""

    def __init__(
        self,
        model: str,
        words: Sequence[str],
        programs: Sequence[Program],
        open_max: int = 64,
    ) -> None:
        """``open_max``: no block is issued while so many stores of its program are open."""
        self.model, self.open_max = model, open_max
        self.programs = programs
        self.words = list(words)
        self._place = {name: place for place, name in enumerate(words)}
        self._memories: list[tuple[int, ...]] = []
        self._memory_ids: dict[tuple[int, ...], int] = {}
        self._threads: list[list[Thread]] = [[] for _ in programs]
        self._thread_ids: list[dict[Thread, int]] = [{} for _ in programs]
        self._moves: list[list[list[int]]] = [[] for _ in programs]
        self._after: list[dict[tuple[int, int, int], int]] = [{} for _ in programs]
        self._written: dict[tuple[int, int, int], int] = {}

    def explore(self) -> Result | Fault:
        """Go through every reachable state; where nothing can move every program must be over."""
        states: set[tuple[int, ...]] = set()
        way: list[tuple[tuple[int, ...], Iterator[tuple[str, tuple[int, ...]]], str]] = []
        steps = ends = 0
        try:
            first = self._first()
            states.add(first)
            way.append((first, self._steps(first), "start"))
            while way:
                state, moves, _ = way[-1]
                move = next(moves, None)
                if move is None:
                    way.pop()
                    continue
                steps += 1
                name, target = move
                if not name:
                    ends += 1
                    self._judge(state)
                elif target not in states:
                    states.add(target)
                    way.append((target, self._steps(target), name))
        except Broken as broken:
            return Fault(str(broken), tuple(entry[2] for entry in way))
        return Result(len(states), steps, ends)

    def _judge(self, state: tuple[int, ...]) -> None:
        for number, place in enumerate(state[1:]):
            thread = self._threads[number][place]
            if not thread.is_over:
                raise Broken(f"program {number} waits for ever: {thread.local}")

    def _first(self) -> tuple[int, ...]:
        return (
            self._memory((0,) * len(self.words)),
            *(
                self._thread(number, self._advance(number, Thread(program.start, (), ())))
                for number, program in enumerate(self.programs)
            ),
        )

    def _steps(self, state: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Each move from here, by name, with where it leads; ("", here) when there is none."""
        memory, moved = state[0], False
        for number in range(len(self.programs)):
            mine = state[number + 1]
            thread = self._threads[number][mine]
            for place in self._moves[number][mine]:
                if place < 0:
                    moved = True
                    target = self._step(number, mine, place, 0)
                    yield f"{number} dies", _with(state, memory, number, target)
                    continue
                op = thread.window[place][1]
                word = self._seen(thread, place, op, memory)
                if op.kind == TAKE and word == 0:
                    continue
                moved = True
                target = self._step(number, mine, place, word)
                after = self._stored(memory, op, word)
                yield f"{number} {_shown(op, word)}", _with(state, after, number, target)
        if not moved:
            yield "", state

    def _seen(self, thread: Thread, place: int, op: Op, memory: int) -> int:
        """What a load gets: the newest own store that is still open, or what memory holds."""
        if not op.at or op.kind == STORE:
            return 0
        for _, earlier in reversed(thread.window[:place]):
            if earlier.kind == STORE and earlier.at == op.at:
                return earlier.value
        return self._memories[memory][self._place[op.at]]

    def _stored(self, memory: int, op: Op, word: int) -> int:
        if op.kind not in (STORE, POST, TAKE):
            return memory
        value = op.value if op.kind == STORE else min(word + 1, 2) if op.kind == POST else 0
        key = (memory, self._place[op.at], value)
        found = self._written.get(key)
        if found is None:
            words = list(self._memories[memory])
            words[key[1]] = value
            found = self._written[key] = self._memory(tuple(words))
        return found

    def _step(self, number: int, mine: int, place: int, word: int) -> int:
        key = (mine, place, word)
        found = self._after[number].get(key)
        if found is None:
            thread = self._threads[number][mine]
            after = _cut(thread, -1 - place) if place < 0 else self._done(number, thread, *key[1:])
            found = self._thread(number, self._advance(number, after))
            self._after[number][key] = found
        return found

    def _done(self, number: int, thread: Thread, place: int, word: int) -> Thread:
        result, op = thread.window[place]
        values = thread.values
        if op.kind == LOAD:
            values = (*values[:result], word, *values[result + 1 :])
        firm = thread.firm
        if self.programs[number].may_die(thread.local):
            firm = max(firm, place) if op.kind in (STORE, POST) else firm - (place < firm)
        window = thread.window[:place] + thread.window[place + 1 :]
        return thread._replace(window=window, values=values, firm=firm)

    def _advance(self, number: int, thread: Thread) -> Thread:
        """Issue blocks until one of them waits for a load."""
        program = self.programs[number]
        while True:
            thread = self._settled(thread)
            if thread.is_dead:
                if thread.window:
                    return thread
                thread = Thread(program.reborn(thread.local), (), ())
            kinds = [op.kind for _, op in thread.window]
            if thread.is_over or LOAD in kinds or TAKE in kinds:
                return thread
            if kinds.count(STORE) >= self.open_max:
                return thread
            block = program.following(thread.local, thread.values)
            if block is None:
                return thread._replace(values=(), is_over=True)
            local, ops = block
            numbered, loads = [], 0
            for op in ops:
                numbered.append((loads, op))
                loads += op.kind == LOAD
            window = thread.window + tuple(numbered)
            thread = thread._replace(local=local, window=window, values=(0,) * loads)

    def _settled(self, thread: Thread) -> Thread:
        """Without the fences that have nothing left to wait for: a fence done as early as it may
        be forbids nothing that it would allow later."""
        window, firm, place = list(thread.window), thread.firm, 0
        while place < len(window):
            op = window[place][1]
            earlier = (entry[1] for entry in window[:place])
            if op.kind == FENCE and not any(must_wait(self.model, op, one) for one in earlier):
                del window[place]
                firm -= place < firm
            else:
                place += 1
        return thread._replace(window=tuple(window), firm=firm)

    def _thread(self, number: int, thread: Thread) -> int:
        found = self._thread_ids[number].get(thread)
        if found is None:
            found = self._thread_ids[number][thread] = len(self._threads[number])
            self._threads[number].append(thread)
            window = [op for _, op in thread.window]
            moves = [
                place
                for place, op in enumerate(window)
                if not any(must_wait(self.model, op, earlier) for earlier in window[:place])
            ]
            if self.programs[number].may_die(thread.local) and not thread.is_dead:
                moves += [-1 - kept for kept in range(thread.firm, len(window) + 1)]
            self._moves[number].append(moves)
        return found

    def _memory(self, words: tuple[int, ...]) -> int:
        found = self._memory_ids.get(words)
        if found is None:
            found = self._memory_ids[words] = len(self._memories)
            self._memories.append(words)
        return found


def run_alone(program: Program, words: dict[str, int]) -> list[Op]:
    """What a program does when nobody else is there: its operations in order, loads with the
    value they gave; ``words`` is the memory."""
    local, values = program.start, ()  # type: tuple[Local, Values]
    done: list[Op] = []
    while (block := program.following(local, values)) is not None:
        local, loaded = block[0], []
        for op in block[1]:
            if op.kind == STORE:
                words[op.at] = op.value
            elif op.kind == LOAD:
                loaded.append(words.get(op.at, 0))
            done.append(op._replace(value=loaded[-1]) if op.kind == LOAD else op)
        values = tuple(loaded)
    return done


def _cut(thread: Thread, kept: int) -> Thread:
    """Killed when ``kept`` of the open operations had been issued: their stores still come."""
    window = tuple(entry for entry in thread.window[:kept] if entry[1].kind in (STORE, FENCE, POST))
    return Thread(thread.local, window, (), 0, is_dead=True)


def _with(state: tuple[int, ...], memory: int, number: int, thread: int) -> tuple[int, ...]:
    return (memory, *state[1 : number + 1], thread, *state[number + 2 :])


def _shown(op: Op, word: int) -> str:
    value = op.value if op.kind == STORE else word
    return " ".join(filter(None, (op.kind, op.at, "" if op.kind == FENCE else str(value))))
