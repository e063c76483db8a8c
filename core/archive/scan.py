"""Compiled parts of the event archive: write blocks, check blocks, pick events out of them."""

from core.archive.layout import (
    BAD_COUNT,
    BAD_HEADER,
    BAD_LINK,
    BAD_MAGIC,
    BAD_ORDER,
    BAD_PAYLOAD,
    BAD_PLACE,
    BLOCK_EVENTS_MAX,
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    CURSOR,
    EVENT_BLOCK,
    WRITER,
)
from core.constants import EVENT_BYTES
from core.crc32c import crc32c
from core.jit import kernel
from core.libc import pwrite
from core.memory import copy, copy128, fill, pointer
from core.messages import (
    EVENT,
    FILL,
    LAST,
    MAKER,
    ORDER_CANCELED,
    ORDER_EXPIRED,
    ORDER_REJECTED,
)

_at_block = pointer(EVENT_BLOCK)
_at_cursor = pointer(CURSOR)
_at_event = pointer(EVENT)
_at_writer = pointer(WRITER)


@kernel
def in_order(address: int, count: int, sequence: int, index: int, ended: int) -> int:
    """How many of the events at ``address`` follow one by one from (sequence, index).

    ``ended``: that event was the last one of its command.
    """
    for number in range(count):
        event = _at_event(address + number * EVENT_BYTES)
        if ended != 0:
            if event.sequence <= sequence or event.index != 0:
                return number
        elif event.sequence != sequence or event.index != index + 1:
            return number
        sequence = event.sequence
        index = event.index
        ended = event.flags & LAST
    return count


@kernel
def append(writer: int, address: int, count: int, event_hash: int) -> int:
    """Write events, which are in order, as blocks; how many fit the segment, or minus errno.

    After an error the newest block is the last one that was written whole.
    """
    state = _at_writer(writer)
    done = 0
    while done < count:
        room = (state.segment_bytes - state.offset - BLOCK_HEADER_BYTES) // EVENT_BYTES
        events = min(count - done, BLOCK_EVENTS_MAX, room)
        if events <= 0:
            break
        is_whole = done + events == count
        found = _write_block(
            writer, address + done * EVENT_BYTES, events, event_hash if is_whole else 0
        )
        if found < 0:
            return found
        done += events
    return done


@kernel
def _write_block(writer: int, address: int, events: int, event_hash: int) -> int:
    state = _at_writer(writer)
    size = events * EVENT_BYTES
    block = _at_block(state.staging)
    fill(state.staging, 0, BLOCK_HEADER_BYTES)
    copy(state.staging + BLOCK_HEADER_BYTES, address, size)
    first = _at_event(address)
    last = _at_event(address + size - EVENT_BYTES)
    block.magic = BLOCK_MAGIC
    block.payload_crc32c = crc32c(state.staging + BLOCK_HEADER_BYTES, size)
    block.count = events
    block.salt = state.salt
    block.segment_no = state.segment_no
    block.offset = state.offset
    block.block_no = state.block_no
    block.first_sequence = first.sequence
    block.first_index = first.index
    block.last_sequence = last.sequence
    block.last_index = last.index
    block.hash_before = state.event_hash
    block.hash_after = event_hash
    block.prev_crc32c = state.prev_crc32c
    crc = crc32c(state.staging + 8, BLOCK_HEADER_BYTES - 8)
    block.header_crc32c = crc
    written = 0
    while written < size + BLOCK_HEADER_BYTES:
        found = pwrite(
            state.fd,
            state.staging + written,
            size + BLOCK_HEADER_BYTES - written,
            state.offset + written,
        )
        if found <= 0:
            return min(found, -1)
        written += found
    state.offset += written
    state.block_no += 1
    state.prev_crc32c = crc
    state.event_hash = event_hash
    state.sequence = last.sequence
    state.index = last.index
    state.ended = last.flags & LAST
    return events


@kernel
def next_block(cursor: int) -> int:
    """Check the block at ``place``: 1 good, 0 not all of it is in the window, or what is wrong.

    A good one becomes the current one: its events are at ``place``, ``left`` of them.
    """
    state = _at_cursor(cursor)
    size = state.filled - state.place
    if size < BLOCK_HEADER_BYTES:
        return 0
    address = state.window + state.place
    fault = _header_fault(cursor, address)
    if fault != 0:
        return fault
    block = _at_block(address)
    payload = address + BLOCK_HEADER_BYTES
    count = block.count
    if size < BLOCK_HEADER_BYTES + count * EVENT_BYTES:
        return 0
    if crc32c(payload, count * EVENT_BYTES) != block.payload_crc32c:
        return BAD_PAYLOAD
    if in_order(payload, count, state.sequence, state.index, state.ended) != count:
        return BAD_ORDER
    first = _at_event(payload)
    last = _at_event(payload + (count - 1) * EVENT_BYTES)
    if first.sequence != block.first_sequence or first.index != block.first_index:
        return BAD_ORDER
    if last.sequence != block.last_sequence or last.index != block.last_index:
        return BAD_ORDER
    state.sequence = last.sequence
    state.index = last.index
    state.ended = last.flags & LAST
    state.event_hash = block.hash_after
    state.prev_crc32c = block.header_crc32c
    state.block_no += 1
    state.offset += BLOCK_HEADER_BYTES + count * EVENT_BYTES
    state.place += BLOCK_HEADER_BYTES
    state.left = count
    _skip(cursor)
    return 1


@kernel
def _header_fault(cursor: int, address: int) -> int:
    state = _at_cursor(cursor)
    block = _at_block(address)
    if block.magic != BLOCK_MAGIC:
        return BAD_MAGIC
    if crc32c(address + 8, BLOCK_HEADER_BYTES - 8) != block.header_crc32c:
        return BAD_HEADER
    if block.count < 1 or block.count > BLOCK_EVENTS_MAX:
        return BAD_COUNT
    if block.salt != state.salt or block.segment_no != state.segment_no:
        return BAD_PLACE
    if block.offset != state.offset or block.block_no != state.block_no:
        return BAD_PLACE
    if block.prev_crc32c != state.prev_crc32c:
        return BAD_LINK
    if state.event_hash != 0 and block.hash_before != state.event_hash:
        return BAD_LINK
    return 0


@kernel
def _skip(cursor: int) -> None:
    """Pass over the events of the current block that are not wanted."""
    state = _at_cursor(cursor)
    while state.left > 0:
        event = _at_event(state.window + state.place)
        if event.sequence > state.skip_sequence or (
            event.sequence == state.skip_sequence and event.index > state.skip_index
        ):
            return
        state.place += EVENT_BYTES
        state.left -= 1


@kernel
def take(cursor: int, out: int, events_max: int) -> int:
    """Copy the next events out of the window; fewer than ``events_max``: ``status`` says why."""
    state = _at_cursor(cursor)
    done = 0
    state.status = 1
    while done < events_max:
        if state.left == 0:
            state.status = next_block(cursor)
            if state.status <= 0:
                break
            continue
        events = min(state.left, events_max - done)
        copy(out + done * EVENT_BYTES, state.window + state.place, events * EVENT_BYTES)
        state.place += events * EVENT_BYTES
        state.left -= events
        done += events
    return done


@kernel
def header_behind(window: int, size: int, offset: int, salt: int, segment_no: int) -> int:
    """Offset in the file of the first block header that lies whole in the window; -1: none.

    The window begins at ``offset`` of the file, where headers lie at multiples of 128.
    """
    for place in range(0, size - BLOCK_HEADER_BYTES + 1, BLOCK_HEADER_BYTES):
        block = _at_block(window + place)
        if (
            block.magic == BLOCK_MAGIC
            and block.salt == salt
            and block.segment_no == segment_no
            and block.offset == offset + place
            and crc32c(window + place + 8, BLOCK_HEADER_BYTES - 8) == block.header_crc32c
        ):
            return offset + place
    return -1


@kernel
def pick_order(address: int, count: int, order_id: int, out: int) -> int:
    """Copy the events of one order to ``out`` up to its end; how many, or -1 - how many: ended."""
    found = 0
    for number in range(count):
        event = _at_event(address + number * EVENT_BYTES)
        if event.order_id != order_id:
            continue
        copy128(out + found * EVENT_BYTES, address + number * EVENT_BYTES)
        found += 1
        kind = event.kind
        if kind == FILL:
            is_end = event.leaves == 0
        else:
            is_end = kind in (ORDER_CANCELED, ORDER_EXPIRED, ORDER_REJECTED)
        if is_end:
            return -1 - found
    return found


@kernel
def pick_takers(address: int, count: int, out: int) -> int:
    """Copy the FILL events of takers to ``out``; how many."""
    found = 0
    for number in range(count):
        event = _at_event(address + number * EVENT_BYTES)
        if event.kind == FILL and event.flags & MAKER == 0:
            copy128(out + found * EVENT_BYTES, address + number * EVENT_BYTES)
            found += 1
    return found
