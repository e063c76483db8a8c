"""The duty cycle: poll, stamp, journal, apply, publish, answer.  One thread, compiled, no GIL.

``turn`` runs until Python has something to do, and says what: a full segment, a checkpoint, a
marker, a state hash that was asked for, or simply that PYTHON_NS have passed (signals are seen
then).  Nothing is applied before ``append`` has put its block where the durability of the process
demands.  (architecture.md, decisions 1, 2, 11-14)
"""

from typing import Final

from core.book.deadlines import next_deadline
from core.clock import monotonic_ns, realtime_ns
from core.constants import (
    BATCH_SLOTS_MAX,
    CHECKPOINT_COMMANDS,
    CHECKPOINT_NS,
    COMMAND_SLOTS_MAX,
    REPLY_BYTES,
    RING_POLL_SLOTS,
    SLOT_BYTES,
)
from core.counters import (
    BLOCK_NS,
    BLOCKS,
    BUSY_CYCLES,
    DURABLE_SEQUENCE,
    DUTY_CYCLES,
    EVENTS_PUBLISHED,
    HEARTBEAT_NS,
    JOURNAL_BYTES,
    KINDS,
    LONGEST_CYCLE_1S_NS,
    LONGEST_CYCLE_NS,
    OPEN_ORDERS,
    QUERIES,
    REJECTS,
    REPLIES_DROPPED,
    RING_FAULTS,
    RING_SLOTS,
    SEGMENT_NO,
    SEQUENCE,
    SESSIONS_NOT_REMEMBERED,
    SLEEPS,
    TRADES,
    WAKE_UPS,
    count,
    gauge,
)
from core.crc32c import record_crc32c
from core.jit import call_entry, inlined, kernel, stay_apart
from core.journal.appender import NO_ROOM, append, journal_at
from core.layout import record
from core.memory import Record, copy, fill, load_i64, pointer, store_i64
from core.messages import COMMAND, QUERY_FIRST, QUERY_STATE, SCHEMA, TIME
from core.ring import at_end, poll, reply_push
from core.rows import state_at
from core.stages import applied, journaled, published, take
from core.wake import idle, wake

LOOP: Final = record(
    "what the duty cycle works with; private memory of the core",
    512,
    [
        ("state", "<i8"),  # Addresses.
        ("journal", "<i8"),
        ("ends", "<i8"),  # i8 per gateway: its inbound ring's end.
        ("replies", "<i8"),  # i8 per gateway: its reply ring's end.
        ("sleeping", "<i8"),  # i8 per gateway: address of its sleeping word.
        ("fifos", "<i8"),  # i8 per gateway: descriptor of its FIFO.
        ("asked", "<i8"),  # i8 per gateway: 1 when it asked something in this turn.
        ("waiter", "<i8"),
        ("counters", "<i8"),
        ("batch", "<i8"),  # BATCH_SLOTS_MAX slots of commands.
        ("staging", "<i8"),  # RING_POLL_SLOTS slots.
        ("queries", "<i8"),  # QUERIES_MAX slots.
        ("answers", "<i8"),  # One answer: REPLIES_MAX reply rows.
        ("gateway_count", "<i8"),
        ("next_gateway", "<i8"),  # The ring that is polled first.
        ("sequence", "<i8"),  # Of the newest command that was stamped.
        ("timestamp_ns", "<i8"),
        ("slots", "<i8"),  # In the batch.
        ("commands", "<i8"),
        ("first_sequence", "<i8"),
        ("is_stamped", "<i8"),  # The batch waits for a segment.
        ("query_count", "<i8"),  # Slots of queries.
        ("query_next", "<i8"),
        ("stop", "<i8"),  # 1: take nothing more from the rings.
        ("idle_from_ns", "<i8"),
        ("owed_ns", "<i8"),  # Since when sleepers are owed a byte; 0: they are not.
        ("checkpoint_ns", "<i8"),  # Of the last one.
        ("checkpoint_commands", "<i8"),  # Applied since.
        ("marker_owed", "<i8"),
        ("apply_entry", "<i8"),  # Where ``apply_batch`` and ``answer`` begin: see core.jit.
        ("answer_entry", "<i8"),
        ("cycle_from_ns", "<i8"),  # End of the last turn, or of the sleep after it; 0: none yet.
        ("longest_ns", "<i8"),  # Turn since the start, and since ``second_from_ns``.
        ("longest_1s_ns", "<i8"),
        ("second_from_ns", "<i8"),
        ("stages", "<i8"),  # The core's end of the side ring; 0: no stamps.
        ("ahead_ns", "<i8"),  # The wall clock of the monotonic one, when ``turn`` began.
        ("reserved", "<i8", (27,)),
    ],
)
loop_at = pointer(LOOP)
command_at = pointer(COMMAND)

QUERIES_MAX: Final = 256

# What ``turn`` returns.  Negative: minus errno of the journal; the process has to end.
LOOK: Final = 0  # Nothing special: let Python see its signals.
ROTATE: Final = 1  # The segment is full; the batch is kept.
CHECKPOINT_DUE: Final = 2
MARKER_DUE: Final = 3
STATE_ASKED: Final = 4  # The query at ``query_next`` wants the state hash.

MILLISECOND_NS: Final = 1_000_000
FAR_NS: Final = 1 << 62
ENGINE_FAILED: Final = -1_000_000  # An invariant broke in checked mode.

PYTHON_NS: Final = 50_000_000
IDLE_MS: Final = 50
MARKER_IDLE_NS: Final = 5_000_000
MARKER_IDLE_MS: Final = 5
OWED_NS: Final = 1_000_000
OWED_MS: Final = 1
SECOND_NS: Final = 1_000_000_000
EINTR: Final = 4


@kernel
def turn(loop_address: int) -> int:
    """Work until there is something for Python; what it is."""
    loop = loop_at(loop_address)
    wall_ns = realtime_ns()
    begun_ns = monotonic_ns()
    loop.ahead_ns = wall_ns - begun_ns  # Constant, unless somebody sets the clock.
    now_ns = begun_ns
    gauge(loop.counters, HEARTBEAT_NS, begun_ns)  # A turn lasts PYTHON_NS at the most.
    # In ``relaxed`` the syncer is later than the batch, and the next batch may never come.
    gauge(loop.counters, DURABLE_SEQUENCE, journal_at(loop.journal).durable_sequence)
    while now_ns - begun_ns < PYTHON_NS:
        if loop.is_stamped == 0 and loop.query_count == 0 and loop.stop == 0:
            gather(loop)
        busy = loop.commands > 0 or loop.query_count > 0
        if loop.commands > 0:
            done = journal_and_apply(loop)
            if done != 0:
                return ROTATE if done == NO_ROOM else done
        now_ns = monotonic_ns()
        if loop.stages != 0:
            applied(loop.stages, now_ns)
        if loop.query_count > 0 and not answer_queries(loop):
            return STATE_ASKED
        count(loop.counters, DUTY_CYCLES, 1)
        measure(loop, now_ns)
        woken = wake_sleepers(loop, now_ns)
        if loop.stages != 0:
            published(loop.stages, woken)
        if busy:
            loop.idle_from_ns = 0  # Before what is due: a marker is due when nothing came for long.
            count(loop.counters, BUSY_CYCLES, 1)
        due = due_for_python(loop, now_ns)
        if due != LOOK:
            return due
        if busy:
            continue
        if rest(loop, now_ns) != 0:
            return LOOK
    return LOOK


@inlined
def measure(loop: Record, now_ns: int) -> None:
    """The length of the turn that ends now.  What Python did since the one before is part of it."""
    longest = now_ns - loop.cycle_from_ns if loop.cycle_from_ns != 0 else 0
    loop.cycle_from_ns = now_ns
    if longest > loop.longest_1s_ns:
        loop.longest_1s_ns = longest
        if longest > loop.longest_ns:
            loop.longest_ns = longest
            gauge(loop.counters, LONGEST_CYCLE_NS, longest)
    if now_ns - loop.second_from_ns >= SECOND_NS:
        gauge(loop.counters, LONGEST_CYCLE_1S_NS, loop.longest_1s_ns)
        loop.longest_1s_ns = 0
        loop.second_from_ns = now_ns


@inlined
def gather(loop: Record) -> None:
    """What is due in the state, or what came in the rings."""
    if loop.slots == 0 and until_due_ns(loop) == 0:
        take_time(loop)
    else:
        collect(loop)


@inlined
def until_due_ns(loop: Record) -> int:
    """How long until something in the state is due; 0: it is due; FAR_NS: nothing ever is."""
    due_ns = next_deadline(state_at(loop.state))
    if due_ns == 0:
        return FAR_NS
    return max(due_ns - realtime_ns(), 0)


@kernel
def take_time(loop: Record) -> None:
    """A TIME command, alone in its block: what comes next meets nothing that was due before it,
    but for what became due in the microseconds between."""
    stay_apart()
    fill(loop.batch, 0, SLOT_BYTES)
    command = command_at(loop.batch)
    command.kind = TIME
    command.schema = SCHEMA
    command.slots = 1
    loop.slots = 1
    loop.commands = 1


@kernel
def collect(loop: Record) -> None:
    """Commands into the batch, queries beside it: what waits in the rings, a part of each in turn,
    until they are empty or the batch is full."""
    gateways = loop.gateway_count
    more = True
    while more:
        more = False
        for step in range(gateways):
            gateway = (loop.next_gateway + step) % gateways
            room = min(BATCH_SLOTS_MAX - loop.slots, QUERIES_MAX - loop.query_count)
            if room < COMMAND_SLOTS_MAX:
                loop.next_gateway = gateway
                return
            end = load_i64(loop.ends + gateway * 8)
            taken = poll(end, loop.staging, min(room, RING_POLL_SLOTS))
            if taken > 0:
                store_i64(loop.asked + gateway * 8, 1)
                count(loop.counters, RING_SLOTS + gateway + 1, taken)
                sort_out(loop, taken)
            if taken > RING_POLL_SLOTS - COMMAND_SLOTS_MAX:
                more = True  # As much as fits one poll: there may be more behind it.


@kernel
def sort_out(loop: Record, taken: int) -> None:
    """Commands and queries out of what one ring gave, each in its order."""
    place = 0
    while place < taken:
        source = loop.staging + place * SLOT_BYTES
        command = command_at(source)
        slots = command.slots
        if command.kind >= QUERY_FIRST:
            copy(loop.queries + loop.query_count * SLOT_BYTES, source, slots * SLOT_BYTES)
            loop.query_count += slots
        else:
            copy(loop.batch + loop.slots * SLOT_BYTES, source, slots * SLOT_BYTES)
            loop.slots += slots
            loop.commands += 1
        place += slots


@kernel
def stamp(loop: Record) -> None:
    """Give every command of the batch its sequence, its time and its checksum, whatever its
    producer left in those fields."""
    now_ns = realtime_ns()
    loop.first_sequence = loop.sequence + 1
    if loop.stages != 0:
        sequenced_ns = now_ns - loop.ahead_ns
        take(loop.stages, loop.batch, loop.slots, loop.first_sequence, loop.commands, sequenced_ns)
    loop.timestamp_ns = max(loop.timestamp_ns + 1, now_ns)
    place = 0
    while place < loop.slots:
        address = loop.batch + place * SLOT_BYTES
        command = command_at(address)
        loop.sequence += 1
        command.sequence = loop.sequence
        command.timestamp_ns = loop.timestamp_ns
        loop.timestamp_ns += 1
        command.crc32c = record_crc32c(address, command.slots)
        count(loop.counters, KINDS + (command.kind & 127), 1)
        place += command.slots
    loop.timestamp_ns -= 1
    loop.is_stamped = 1


@kernel
def journal_and_apply(loop: Record) -> int:
    """The batch into the journal, then into the state.  0, NO_ROOM (call again after the
    rotation), or minus errno."""
    if loop.is_stamped == 0:
        stamp(loop)
    done = append(
        loop.journal,
        loop.batch,
        loop.slots,
        loop.commands,
        loop.first_sequence,
        loop.sequence,
        loop.timestamp_ns,
    )
    if done != 0:
        return done
    if loop.stages != 0:
        journaled(loop.stages)
    if call_entry(loop.apply_entry, loop.state, loop.batch, loop.slots) < 0:
        return ENGINE_FAILED
    loop.checkpoint_commands += loop.commands
    loop.slots = 0
    loop.commands = 0
    loop.is_stamped = 0
    loop.marker_owed = 1
    show(loop)
    return 0


@kernel
def show(loop: Record) -> None:
    """The counters after a batch."""
    state = state_at(loop.state)
    journal = journal_at(loop.journal)
    words = loop.counters
    gauge(words, SEQUENCE, state.sequence)
    gauge(words, DURABLE_SEQUENCE, journal.durable_sequence)
    gauge(words, EVENTS_PUBLISHED, state.cursor)
    gauge(words, REJECTS, state.rejects)
    gauge(words, JOURNAL_BYTES, journal.bytes)
    gauge(words, BLOCKS, journal.blocks)
    gauge(words, OPEN_ORDERS, state.open_orders)
    gauge(words, TRADES, state.trades)
    gauge(words, SESSIONS_NOT_REMEMBERED, state.sessions_refused)
    gauge(words, SEGMENT_NO, journal.segment_no)
    count(words, BLOCK_NS, journal.write_ns)
    faults = 0
    for gateway in range(loop.gateway_count):
        faults += at_end(load_i64(loop.ends + gateway * 8)).faults
    gauge(words, RING_FAULTS, faults)


@kernel
def show_state(loop_address: int) -> None:
    """``show``, for Python."""
    show(loop_at(loop_address))


@kernel
def answer_queries(loop: Record) -> bool:
    """Answer what was asked, in order.  False: the next one wants the state hash, from Python."""
    while loop.query_next < loop.query_count:
        query = loop.queries + loop.query_next * SLOT_BYTES
        if command_at(query).kind == QUERY_STATE:
            return False
        rows = call_entry(loop.answer_entry, loop.state, query, loop.answers)
        if rows > 0:
            reply(loop, command_at(query).gateway, rows)
        loop.query_next += command_at(query).slots
    loop.query_count = 0
    loop.query_next = 0
    return True


@kernel
def reply(loop: Record, gateway: int, rows: int) -> None:
    """The answer at ``answers`` into the reply ring of a gateway (numbered from 1)."""
    count(loop.counters, QUERIES, 1)
    if reply_push(load_i64(loop.replies + (gateway - 1) * 8), loop.answers, rows) == 0:
        count(loop.counters, REPLIES_DROPPED, 1)


@kernel
def push_answer(loop_address: int, rows: int) -> None:
    """Python answered the query at ``query_next``: send it, and go on with the one after."""
    loop = loop_at(loop_address)
    query = command_at(loop.queries + loop.query_next * SLOT_BYTES)
    reply(loop, query.gateway, rows)
    loop.query_next += query.slots


@kernel
def wake_sleepers(loop: Record, now_ns: int) -> int:
    """A byte at once to who asked, how many; to the others at most one a millisecond."""
    any_asked = False
    woken = 0
    for gateway in range(loop.gateway_count):
        if load_i64(loop.asked + gateway * 8) != 0:
            store_i64(loop.asked + gateway * 8, 0)
            any_asked = True
            woken += wake_one(loop, gateway)
    if any_asked and loop.gateway_count > 1 and loop.owed_ns == 0:
        loop.owed_ns = now_ns
    if loop.owed_ns != 0 and now_ns - loop.owed_ns >= OWED_NS:
        wake_all(loop)
    return woken


@kernel
def wake_one(loop: Record, gateway: int) -> int:
    sleeping = load_i64(loop.sleeping + gateway * 8)
    woken = wake(sleeping, load_i64(loop.fifos + gateway * 8))
    count(loop.counters, WAKE_UPS, woken)
    return woken


@kernel
def wake_all(loop: Record) -> None:
    for gateway in range(loop.gateway_count):
        wake_one(loop, gateway)
    loop.owed_ns = 0


@kernel
def due_for_python(loop: Record, now_ns: int) -> int:
    """Is it time for a checkpoint or a marker?"""
    if loop.checkpoint_commands >= CHECKPOINT_COMMANDS:
        return CHECKPOINT_DUE
    if loop.checkpoint_commands > 0 and now_ns - loop.checkpoint_ns >= CHECKPOINT_NS:
        return CHECKPOINT_DUE
    quiet = loop.idle_from_ns != 0 and now_ns - loop.idle_from_ns >= MARKER_IDLE_NS
    return MARKER_DUE if loop.marker_owed != 0 and quiet else LOOK


@kernel
def rest(loop: Record, now_ns: int) -> int:
    """A turn without work: spin or sleep.  Not 0: Python should look (a signal, or an error that
    it will see itself)."""
    if loop.idle_from_ns == 0:
        loop.idle_from_ns = now_ns
    if loop.owed_ns != 0 and now_ns - loop.idle_from_ns > OWED_NS // 8:
        wake_all(loop)
    if loop.stop != 0:
        return 1
    timeout_ms = MARKER_IDLE_MS if loop.marker_owed != 0 else IDLE_MS
    if loop.owed_ns != 0:  # Whoever is owed a byte gets it within a millisecond, asleep or not.
        timeout_ms = OWED_MS
    timeout_ms = min(timeout_ms, until_due_ns(loop) // MILLISECOND_NS + 1)
    idle_ns = now_ns - loop.idle_from_ns
    slept = idle(loop.waiter, loop.ends, loop.gateway_count, idle_ns, timeout_ms)
    if slept != 0:
        loop.cycle_from_ns = monotonic_ns()
    if slept > 0:
        count(loop.counters, SLEEPS, 1)
    return 1 if slept < 0 else 0


assert QUERIES_MAX >= RING_POLL_SLOTS and REPLY_BYTES == 2 * SLOT_BYTES
