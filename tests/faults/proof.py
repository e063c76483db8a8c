"""Was it all true?  A feeder's history against the journal, the engine and the naive twin.

Every command that was answered is in the journal once, with its bytes and with the events that the
client saw; none was executed twice; the invariants hold; the live hash is the replayed one.
"""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.journal.layout import EPOCH_PAYLOAD, EPOCH_START, GENESIS
from core.journal.scanner import Commands, Special
from core.journal.verify import open_walk
from core.limits import from_genesis
from core.messages import (
    COMMAND,
    COMMAND_REJECTED,
    COMMAND_REPEATED,
    EVENT,
    ORDER_REJECTED,
    ORDER_REPEATED,
)
from core.sequencer.runner import Runner
from replay.replay import run as replay
from tests.faults.feeder import NUMBER_MASK, Feeder
from tests.faults.load import COMMAND_BYTES, LIMITS, SETUP
from tests.model.exchange import Exchange
from tests.model.state import Sizes
from tests.model.translate import events_of

RING_EVENTS: Final = 1 << 18
CHECK_EVERY: Final = 1_000
TWIN_MAX: Final = 3_000  # Commands of the journal that the twin runs, too.
REPEATS: Final = frozenset({ORDER_REPEATED, COMMAND_REPEATED})
REJECTS: Final = frozenset({ORDER_REJECTED, COMMAND_REJECTED})
SHOWN: Final = 5
Array = np.ndarray[Any, Any]


class Journal:
    """What a directory holds: the commands by sequence, their events, and the lost ranges."""

    def __init__(self, data: Path) -> None:
        self.commands: dict[int, bytes] = {}
        self.events: dict[tuple[int, int], bytes] = {}
        self.rows: list[Array] = []
        self.epochs: list[Any] = []
        runner: Runner | None = None
        for item in open_walk(data):
            if isinstance(item, Commands):
                assert runner is not None
                self._keep(item.slots)
                runner.apply(item.slots)
                rows = runner.events()
                self.rows.append(rows)
                raw, places = (
                    rows.tobytes(),
                    zip(rows["sequence"].tolist(), rows["index"].tolist(), strict=True),
                )
                for place, key in enumerate(places):
                    self.events[key] = raw[place * 128 : place * 128 + 128]
            elif item.kind == GENESIS:
                limits, key_ = from_genesis(item.payload)
                runner = Runner(limits, key_, ring_events=RING_EVENTS)
            elif item.kind == EPOCH_START:
                self._note(item)
        if runner is not None:
            runner.check()

    def _keep(self, slots: Array) -> None:
        place = 0
        while place < len(slots):
            prefix = slots[place].view(COMMAND)[0]
            size = int(prefix["slots"])
            self.commands[int(prefix["sequence"])] = slots[place : place + size].tobytes()
            place += size

    def _note(self, item: Special) -> None:
        self.epochs.append(np.frombuffer(item.payload, EPOCH_PAYLOAD)[0])


def prove(data: Path, feeder: Feeder, live: tuple[int, str]) -> list[str]:
    """Every contradiction, as sentences; the core has been stopped."""
    found = list(feeder.broken)
    journal = Journal(data)
    found += _of_answers(journal, feeder)
    found += _of_executions(journal, feeder)
    found += _of_events(journal, feeder)
    found += _of_epochs(journal)
    replayed = replay(data, check_every=CHECK_EVERY)
    if (replayed["sequence"], replayed["state_hash"]) != live:
        found.append(f"live {live}, replayed {replayed['sequence']} {replayed['state_hash']}")
    if len(journal.commands) <= TWIN_MAX:
        found += _of_twin(journal, feeder)
    return found


def _bare(row: Array, sequenced: bytes) -> tuple[bytes, bytes]:
    """Sent and journaled slots without what sequencer and ring fill in."""
    cleaned = []
    for raw in (row.tobytes()[: len(sequenced)], sequenced):
        copied = np.frombuffer(bytearray(raw.ljust(COMMAND_BYTES, b"\0")), np.uint8)
        prefix = copied[:128].view(COMMAND)
        for name in ("sequence", "timestamp_ns", "request_id", "session", "gateway", "crc32c"):
            prefix[name] = 0
        cleaned.append(copied.tobytes())
    return cleaned[0], cleaned[1]


def _number(raw: bytes) -> int:
    return int(np.frombuffer(raw[:128], COMMAND)["request_id"][0]) & NUMBER_MASK


def _of_answers(journal: Journal, feeder: Feeder) -> list[str]:
    """Each answered command is in the journal where it was said to be; nothing else is in it."""
    found = []
    for number, answer in enumerate(feeder.answers):
        raw = journal.commands.get(answer.sequence)
        if raw is None:
            found.append(f"command {number}: acknowledged as {answer.sequence}, not there")
        elif _number(raw) != number:
            found.append(f"command {number}: {answer.sequence} is command {_number(raw)}")
    for sequence, raw in journal.commands.items():
        number = _number(raw)
        if number >= feeder.ever_sent:
            found.append(f"sequence {sequence}: command {number} was never sent")
            continue
        sent, kept = _bare(feeder.load.row(number), raw)
        if sent != kept:
            found.append(f"sequence {sequence}: command {number} has other bytes than were sent")
    requests = Counter(
        np.frombuffer(raw[:128], COMMAND)["request_id"][0] for raw in journal.commands.values()
    )
    twice = [int(request) for request, count in requests.items() if count > 1]
    return [*found[:SHOWN], *(f"request {request:#x} is there twice" for request in twice[:SHOWN])]


def _of_executions(journal: Journal, feeder: Feeder) -> list[str]:
    """Each command was executed at most once, each answered one once or rejected."""
    fresh: Counter[int] = Counter()
    said_no: Counter[int] = Counter()
    for sequence, raw in journal.commands.items():
        first = journal.events.get((sequence, 0))
        kind = _kind(first) if first else 0
        fresh[_number(raw)] += kind not in REPEATS | REJECTS
        said_no[_number(raw)] += kind in REJECTS
    found = [f"command {number} was executed {n} times" for number, n in fresh.items() if n > 1]
    for number in range(len(SETUP), len(feeder.answers)):
        if bool(fresh[number]) == bool(said_no[number]):
            counts = f"{fresh[number]} times executed, {said_no[number]} times rejected"
            found.append(f"command {number}: answered, but {counts}")
    return found[:SHOWN]


def _kind(event: bytes) -> int:
    return int(np.frombuffer(event, EVENT)["kind"][0])


def _of_events(journal: Journal, feeder: Feeder) -> list[str]:
    """What the client saw is what the journal gives."""
    wrong = [key for key, raw in feeder.seen.items() if journal.events.get(key) != raw]
    return [f"event {key}: seen, but the journal gives another or none" for key in wrong[:SHOWN]]


def _of_epochs(journal: Journal) -> list[str]:
    """A sequence jumps only where EPOCH_START says so."""
    lost = [(int(e["lost_first"]), int(e["lost_last"])) for e in journal.epochs if e["lost_first"]]
    order = sorted(journal.commands)
    jumps = [(a + 1, b - 1) for a, b in itertools.pairwise(order) if b != a + 1]
    unsaid = [jump for jump in jumps if not any(a >= jump[0] and b <= jump[1] for a, b in lost)]
    return [f"sequences {first} to {last} are missing, unsaid" for first, last in unsaid]


def _of_twin(journal: Journal, feeder: Feeder) -> list[str]:
    """The naive exchange gives the same events for the same journal."""
    sizes = Sizes(*(getattr(LIMITS, name) for name in Sizes._fields))
    twin, expected = Exchange(sizes), []
    for sequence, raw in sorted(journal.commands.items()):
        prefix = np.frombuffer(raw[:128], COMMAND)[0]
        fields = ("timestamp_ns", "request_id", "session", "gateway")
        stamped: dict[str, Any] = {name: int(prefix[name]) for name in fields}
        command = feeder.load.command(_number(raw))
        expected += twin.apply(replace(command, sequence=sequence, **stamped))
    got = events_of(np.concatenate(journal.rows)) if journal.rows else []
    if got == expected:
        return []
    differs = next(
        (i for i, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b),
        min(len(expected), len(got)),
    )
    return [f"the twin differs at event {differs}: {expected[differs:][:1]}, {got[differs:][:1]}"]
