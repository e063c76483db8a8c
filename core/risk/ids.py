"""Client order ids that were used: exactly once for the newest ``ids_max`` of them.

A record holds the id itself, a hash of the payload and what became of it.  It is found through
64-byte buckets of eight 8-byte entries (31-bit tag, 32-bit record): one cache line a look-up.  A
bucket that is full spills into the next one.  What leaves a full bucket is replaced from behind it,
so that a look-up is never longer than if the ids that left had never been there; the bucket where
an entry belongs is in its tag, so closing a gap reads no record.  The rules of leaving:
docs/engine.md.
"""

from typing import Final

from core.constants import ORDER_SLOT_BITS, ORDER_SLOT_MASK, SLOT_BYTES
from core.jit import VERIFY, inlined, kernel, stay_apart
from core.memory import (
    Record,
    address_of,
    copy36,
    load_i32,
    load_i64,
    load_u8,
    mul_fold,
    prefetch_write,
    shift_right,
    store_i64,
    wrap_add,
)
from core.messages import (
    BODY_AT,
    BUST_TRADE,
    INSTRUMENT_AT,
    KIND_AT,
    SLOTS_AT,
    STATUS_OPEN,
    STATUS_PENDING,
    STATUS_ROUTED,
)
from core.records import ID_KEY_AT
from core.risk.text import same_text, text_hash
from core.rows import cold_row, id_record_row, order_row

BUCKET_SHIFT: Final = 6
AHEAD_BYTES: Final = 8 * 64  # Records are asked for eight ahead.
BUCKET_ENTRIES: Final = 8
BUCKET_LAST: Final = BUCKET_ENTRIES - 1
ROW_MASK: Final = (1 << 32) - 1


@inlined
def bucket_of(state: Record, digest: int) -> int:
    return bucket_at(state, tag_of(digest))


@inlined
def bucket_at(state: Record, number: int) -> int:
    """Address of a bucket; they are numbered round and round."""
    return state.id_buckets + ((number & state.bucket_mask) << BUCKET_SHIFT)  # type: ignore[no-any-return]


@inlined
def tag_of(digest: int) -> int:
    """The top 31 bits, of which the lowest are the number of the bucket."""
    return shift_right(digest, 33)


@inlined
def find_id(state: Record, account: int, address: int) -> int:
    """Record of (account, the 36 bytes at ``address``), or 0."""
    return find_hashed(state, text_hash(state, account, address), account, address)


@kernel
def find_hashed(state: Record, digest: int, account: int, address: int) -> int:
    """``find_id`` where the hash of the id is known."""
    stay_apart()
    tag = tag_of(digest)
    for number in range(tag, tag + state.bucket_mask + 1):
        bucket = bucket_at(state, number)
        for place in range(BUCKET_ENTRIES):
            entry = load_i64(bucket + (place << 3))
            if entry == 0:
                return 0
            if entry >> 32 == tag:
                row = entry & ROW_MASK
                record = id_record_row(state, row)
                if record.account == account and same_text(address_of(record), address):
                    return row
    return 0


@kernel
def payload_hash(state: Record, command: int) -> int:
    """Hash of all that the client set, but expire_after_ns."""
    key = address_of(state) + ID_KEY_AT
    first = load_i64(key)
    second = load_i64(key + 8)
    slots = load_u8(command + SLOTS_AT)
    kinds = shift_right(load_i64(command + KIND_AT - 2), 16)  # kind, schema, slots, flags.
    head = mul_fold(kinds ^ first, load_i32(command + INSTRUMENT_AT) ^ second)
    terms = mul_fold(load_i32(command + 84) ^ second, load_i64(command + 88) ^ first)
    amounts = mul_fold(load_i64(command + 96) ^ first, load_i64(command + 112) ^ second)
    digest = mul_fold(wrap_add(head, terms) ^ second, wrap_add(amounts, 1) ^ first)
    digest = mul_fold(wrap_add(digest, load_i64(command + 120)) ^ second, head ^ first)
    if load_u8(command + KIND_AT) >= BUST_TRADE:  # It has another field where others expire.
        digest = mul_fold(wrap_add(digest, load_i64(command + 104)) ^ second, digest ^ first)
    for word in range(SLOT_BYTES, slots * SLOT_BYTES, 8):
        digest = mul_fold(wrap_add(digest, load_i64(command + word)) ^ second, digest ^ first)
    return digest


@kernel
def remember(state: Record, digest: int, command: int, account: int, kind: int) -> int:
    """Put in the id of a command, which is not there; its record, or 0 when none can leave.

    ``digest``: hash of the id.
    """
    stay_apart()
    row = take_record(state)
    if row == 0:
        return 0
    record = id_record_row(state, row)
    copy36(address_of(record), command + BODY_AT)
    record.account = account
    record.payload = payload_hash(state, command)
    record.order_id = 0
    record.next = 0
    record.reason = 0
    record.passed = 0
    record.kind = kind
    enter(state, digest, row)
    if state.ids_last == 0:
        state.ids_first = row
    else:
        id_record_row(state, state.ids_last).next = row
    state.ids_last = row
    state.ids_count += 1
    return row


@kernel
def enter(state: Record, digest: int, row: int) -> None:
    tag = tag_of(digest)
    for number in range(tag, tag + state.bucket_mask + 1):
        bucket = bucket_at(state, number)
        for place in range(BUCKET_ENTRIES):
            if load_i64(bucket + (place << 3)) == 0:
                store_i64(bucket + (place << 3), (tag << 32) | row)
                return


@kernel
def leave(state: Record, row: int) -> None:
    """Take a record out of the buckets and free it."""
    record = id_record_row(state, row)
    tag = tag_of(text_hash(state, record.account, address_of(record)))
    wanted = (tag << 32) | row
    for number in range(tag, tag + state.bucket_mask + 1):
        bucket = bucket_at(state, number)
        for place in range(BUCKET_ENTRIES):
            if load_i64(bucket + (place << 3)) == wanted:
                if close_gap(bucket, place) == BUCKET_LAST:
                    refill(state, number)
                state.remembered_from = max(
                    state.remembered_from, (record.order_id >> ORDER_SLOT_BITS) + 1
                )
                record.next = state.ids_free
                record.account = 0
                state.ids_free = row
                state.ids_count -= 1
                return
    if VERIFY:
        assert row == 0, "an id record was not in its bucket"


@inlined
def close_gap(bucket: int, place: int) -> int:
    """The last entry of the bucket takes the place of the one that leaves; the place that is empty
    now."""
    last = BUCKET_LAST
    while load_i64(bucket + (last << 3)) == 0:
        last -= 1
    store_i64(bucket + (place << 3), load_i64(bucket + (last << 3)))
    store_i64(bucket + (last << 3), 0)
    return last


@kernel
def refill(state: Record, number: int) -> None:
    """Bucket ``number`` was full and has lost an entry: one that was spilled from it, or over it,
    comes back, and so on where that one stood."""
    stay_apart()
    probe = number
    while probe - number <= state.bucket_mask:
        probe += 1
        bucket = bucket_at(state, probe)
        place = spilled(state, bucket, probe, probe - number)
        if place >= 0:
            gap = bucket_at(state, number) + (BUCKET_LAST << 3)
            store_i64(gap, load_i64(bucket + (place << 3)))
            if close_gap(bucket, place) != BUCKET_LAST:
                return
            number = probe
        elif load_i64(bucket + (BUCKET_LAST << 3)) == 0:
            return


@kernel
def spilled(state: Record, bucket: int, number: int, distance: int) -> int:
    """Place in bucket ``number`` of an entry that belongs ``distance`` buckets before it or
    farther, or -1."""
    for place in range(BUCKET_ENTRIES):
        entry = load_i64(bucket + (place << 3))
        if entry == 0:
            return -1
        if ((number - (entry >> 32)) & state.bucket_mask) >= distance:
            return place
    return -1


@kernel
def take_record(state: Record) -> int:
    """A free record; when the table is full, the id whose turn it is leaves.  0: none can."""
    if state.ids_count == state.ids_max:
        oldest = whose_turn(state)
        if oldest == 0:
            return 0
        leave(state, oldest)
    row = state.ids_free
    if row != 0:
        state.ids_free = id_record_row(state, row).next
        return row  # type: ignore[no-any-return]
    state.ids_used += 1
    prefetch_write(address_of(id_record_row(state, state.ids_used)) + AHEAD_BYTES)
    return state.ids_used  # type: ignore[no-any-return]


@kernel
def whose_turn(state: Record) -> int:
    """The record that leaves next, taken out of its line; 0 when every id is current."""
    row = state.overdue_first
    if row != 0:
        state.overdue_first = id_record_row(state, row).next
        if state.overdue_first == 0:
            state.overdue_last = 0
        return row  # type: ignore[no-any-return]
    row = state.ids_first
    while row != 0:
        record = id_record_row(state, row)
        state.ids_first = record.next
        if state.ids_first == 0:
            state.ids_last = 0
        record.next = 0
        if not is_current(state, row):
            return row  # type: ignore[no-any-return]
        record.passed = 1
        row = state.ids_first
    return 0


@inlined
def is_current(state: Record, row: int) -> bool:
    """Is this the current id of an open order?"""
    order_id = id_record_row(state, row).order_id
    slot = order_id & ORDER_SLOT_MASK
    if slot == 0 or order_row(state, slot).order_id != order_id:
        return False
    cold = cold_row(state, slot)
    is_open = cold.status in (STATUS_OPEN, STATUS_PENDING, STATUS_ROUTED)
    return is_open and cold.id_record == row  # type: ignore[no-any-return]


@inlined
def no_longer_current(state: Record, row: int) -> None:
    """The order of this id ended, or has another id now: if its turn has passed, it is overdue."""
    if row == 0:
        return
    record = id_record_row(state, row)
    if record.passed == 0:
        return
    record.passed = 0
    record.next = 0
    if state.overdue_last == 0:
        state.overdue_first = row
    else:
        id_record_row(state, state.overdue_last).next = row
    state.overdue_last = row
