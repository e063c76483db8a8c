"""What the processes of the concurrency tests do: kernels that write and check patterns."""

import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.constants import EVENT_BYTES, SLOT_BYTES
from core.jit import PURE, kernel
from core.memory import load_i64, load_u8, store_i64, wrap_mul
from core.messages import COMMAND, PLACE_ORDER, SLOTS_AT
from core.output import LAPPED, attach_output, claim, event_slot, oldest, position, publish, read
from core.ring import attach_inbound, offer, poll
from core.wake import BLOCK, Waiter, end_sleep, open_fifo, prepare_sleep, sleep, wake

ODD: Final = 0x1E37_79B9_7F4A_7C15
WORDS: Final = 16
READ_EVENTS: Final = 64
TOTAL: Final = 3_000 if PURE else int(os.environ.get("OUTCRY_RING_EVENTS", "1000000"))


@kernel
def write_pattern(address: int, number: int) -> None:
    """16 words, each of which says which event it belongs to and where in it it lies."""
    for word in range(WORDS):
        store_i64(address + word * 8, wrap_mul(number + 1, ODD + 2 * word))


def pattern(number: int, word: int) -> int:
    """What ``write_pattern`` puts there."""
    found = (number + 1) * (ODD + 2 * word) & (1 << 64) - 1
    return found - (1 << 64) if found >> 63 else found


@kernel
def is_torn(address: int, number: int) -> int:
    """1 when a word is not that of event ``number``."""
    for word in range(WORDS):
        if load_i64(address + word * 8) != wrap_mul(number + 1, ODD + 2 * word):
            return 1
    return 0


@kernel
def write_events(end: int, total: int) -> None:
    """Publish events in batches of 1-16, as fast as it goes; nobody is waited for."""
    number = 0
    batch = 1
    while number < total:
        claim(end, batch)
        for ahead in range(batch):
            write_pattern(event_slot(end, ahead), number + ahead)
        publish(end, batch)
        number += batch
        batch = min(1 + (number * 7 & 15), total - number)


@kernel
def read_events(end: int, total: int, out: int, found: int) -> None:
    """Read until event ``total``; words at ``found``: events read, laps, torn events.

    After a lap it goes on at the oldest event that is left: where the writer is about to write.
    """
    cursor = 0
    seen = 0
    laps = 0
    torn = 0
    while cursor < total:
        count = read(end, cursor, out, READ_EVENTS)
        if count == LAPPED:
            laps += 1
            cursor = min(oldest(end), position(end))
            continue
        for place in range(count):
            torn += is_torn(out + place * EVENT_BYTES, cursor + place)
        cursor += count
        seen += count
    store_i64(found, seen)
    store_i64(found + 8, laps)
    store_i64(found + 16, torn)


@kernel
def offer_commands(end: int, total: int, buffer: int) -> None:
    """Offer ``total`` commands of 1-4 slots; when there is no room try again."""
    for number in range(total):
        slots = 1 + (number * 5 & 3)
        for place in range(slots):
            write_pattern(buffer + place * SLOT_BYTES, number)
        prefix(buffer, slots)
        while offer(end, buffer, slots, number & 1) == 0:
            pass


@kernel
def prefix(buffer: int, slots: int) -> None:
    """Words 3-5 of slot 1 hold what the ring looks at: session, gateway, kind, slot count."""
    store_i64(buffer + 24, 0)
    store_i64(buffer + 32, 0)
    store_i64(buffer + 40, PLACE_ORDER << 16 | 1 << 24 | slots << 32)


@kernel
def poll_commands(end: int, total: int, out: int) -> int:
    """Take ``total`` commands; how many were lost, doubled, torn or of the wrong length."""
    wrong = 0
    number = 0
    while number < total:
        count = poll(end, out, 64)
        place = 0
        while place < count:
            address = out + place * SLOT_BYTES
            slots = load_u8(address + SLOTS_AT)
            if slots != 1 + (number * 5 & 3):
                wrong += 1
            for word in range(WORDS):
                expected = wrap_mul(number + 1, ODD + 2 * word)
                if (word < 3 or word > 5) and load_i64(address + word * 8) != expected:
                    wrong += 1
            for other in range(1, slots):
                wrong += is_torn(address + other * SLOT_BYTES, number)
            place += slots
            number += 1
    return wrong


def offering(shm: str, total: int) -> None:
    """Process: the producer of an inbound ring."""
    ring = attach_inbound(shm, "test", 1, 1)
    buffer = np.zeros(4, COMMAND)
    offer_commands(ring.end, total, int(buffer.ctypes.data))
    ring.close()


def reading(shm: str, total: int, found: Any) -> None:
    """Process: a reader of the output ring; ``found`` gets events read, laps, torn events."""
    ring = attach_output(shm, 1)
    out, words = np.zeros(READ_EVENTS * EVENT_BYTES, np.uint8), np.zeros(3, np.int64)
    found[3] = 1  # Attached.
    read_events(ring.end, total, int(out.ctypes.data), int(words.ctypes.data))
    for place in range(3):
        found[place] = int(words[place])
    ring.close()


def answering(shm: str, run: str, there_at: str, trips: int) -> None:
    """Process: sleeps until a command comes, answers by an event, ``trips`` times."""
    ring = attach_inbound(shm, "test", 1, 1)
    output = attach_output(shm, 1)
    path = Path(run)
    own, other = open_fifo(path, "test"), open_fifo(path, "core")
    waiter = Waiter(own, ring.sleeping_at, BLOCK)
    slots = np.zeros(1, COMMAND)
    slots["slots"], slots["kind"] = 1, PLACE_ORDER
    (path / there_at).touch()
    for number in range(trips):
        while output.position <= number:
            idle_on_output(waiter, ring.sleeping_at, output.end, number)
        offer(ring.end, int(slots.ctypes.data), 1, 0)
        wake(output.sleeping_at, other)
    ring.close()
    output.close()


def idle_on_output(waiter: Waiter, sleeping_at: int, end: int, cursor: int) -> None:
    """Sleep until the output ring has an event past ``cursor``; a lost wake-up costs 30 s."""
    prepare_sleep(sleeping_at)
    if position(end) <= cursor:
        assert sleep(waiter.address, 30_000) == 1, "nobody woke this process"
    end_sleep(sleeping_at)
