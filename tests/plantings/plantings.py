"""The plantings: one small change each that makes the exchange wrong, and who must notice.

Every ``old`` stands exactly once in its file (tests/plantings/test_plantings.py), so the list
cannot go stale in silence.  The tests named are quick ones in plain Python mode; the random
comparison with the twin catches most of these too.
"""

from typing import Final

from tests.plantings.complete import COMPLETE
from tests.plantings.planting import Planting

ENGINE: Final = "tests/core/engine"
JOURNAL: Final = "tests/core/journal"
SIMULATED: Final = "tests/faults/test_simulated.py"
FORMAT: Final = "tests/faults/test_format.py"


PLANTINGS: Final = (
    # Matching.
    Planting(
        "a trade at the taker's price",
        "core/sequencer/fill.py",
        "    price = maker.price\n    notional = price",
        "    price = taker.price\n    notional = price",
        (f"{ENGINE}/test_rules_place.py::test_a_sell_takes_the_highest_bid_first",),
    ),
    Planting(
        "the youngest order of a level trades first",
        "core/book/orders.py",
        "return slot_of_unit(state, level.next)",
        "return slot_of_unit(state, level.prev)",
        (
            f"{ENGINE}/test_rules_place.py::"
            "test_better_price_fills_first_then_the_older_order_at_the_makers_price",
        ),
    ),
    Planting(
        "an order does not trade at its own limit",
        "core/sequencer/sweep.py",
        "    while taker.leaves > 0 and side.best_key >= worst:\n",
        "    while taker.leaves > 0 and side.best_key > worst:\n",
        (f"{ENGINE}/test_rules_place.py::test_an_ioc_order_that_fills_ends_filled",),
    ),
    Planting(
        "an order that trades at its limit is said to rest",
        "core/book/orders.py",
        "return bookside_row(state, bookside).best_key >= worst",
        "return bookside_row(state, bookside).best_key > worst",
        (
            f"{ENGINE}/test_rules_place.py::test_an_ioc_order_that_fills_ends_filled",
            f"{ENGINE}/test_random.py::test_random_lives_give_the_twins_events_and_state",
        ),
    ),
    Planting(
        "a replace to more quantity keeps its priority",
        "core/sequencer/replace.py",
        "return price == order.price and leaves <= order.leaves",
        "return price == order.price",
        (f"{ENGINE}/test_rules_change.py::test_more_quantity_goes_to_the_end_of_the_level",),
    ),
    Planting(
        "REPLACED_FROM tells the new quantity as the old one",
        "core/sequencer/replace.py",
        "    event = replaced_from(state, slot, old_shown, held)\n"
        "    event.qty = old_leaves + order.cum\n",
        "    event = replaced_from(state, slot, old_shown, held)\n"
        "    event.qty = leaves + order.cum\n",
        (f"{ENGINE}/test_rules_change.py::test_less_quantity_at_the_same_price_keeps_priority",),
    ),
    # Money.
    Planting(
        "the fee part of a canceled order's hold leaks",
        "core/risk/holds.py",
        "move(state, position, BUY, shared - (principal + cold.hold_fee))",
        "move(state, position, BUY, shared - principal)",
        (f"{ENGINE}/test_rules_change.py::test_a_cancel_ends_the_order_and_releases_its_hold",),
    ),
    Planting(
        "nobody pays a fee",
        "core/risk/settle.py",
        "    fee = ppm_up(notional, ppm)\n",
        "    fee = 0\n",
        (
            f"{ENGINE}/test_rules_place.py::"
            "test_the_fee_of_a_buy_never_exceeds_the_fee_part_of_its_hold",
            f"{ENGINE}/test_rules_place.py::test_a_rebate_is_paid_out_of_the_fee_of_the_other_side",
        ),
    ),
    Planting(
        "a rebate of more than the fees account has",
        "core/risk/settle.py",
        "amount = min(ppm_down(notional, -ppm), fees.available)",
        "amount = ppm_down(notional, -ppm)",
        (f"{ENGINE}/test_rules_place.py::test_a_rebate_ends_where_the_fees_account_is_empty",),
    ),
    Planting(
        "a closed long takes its whole cost along",
        "core/risk/settle.py",
        "out = share(position.cost, closed, position.net)",
        "out = position.cost",
        (
            f"{ENGINE}/test_rules_place.py::"
            "test_a_position_remembers_average_cost_and_realized_profit",
        ),
    ),
    # Ids and events.
    Planting(
        "a client order id is not looked for",
        "core/sequencer/admit.py",
        "    if record != 0:\n        if id_record_row",
        "    if record < 0:\n        if id_record_row",
        (
            f"{ENGINE}/test_rules.py::test_the_same_order_again_is_told_as_it_is_now",
            f"{ENGINE}/test_rules.py::test_another_kind_with_the_same_id_is_rejected",
        ),
    ),
    Planting(
        "another payload under the same id passes as a repeat",
        "core/sequencer/admit.py",
        "if id_record_row(state, record).payload != ids.payload_hash(state, command):",
        "if id_record_row(state, record).payload == 0:",
        (f"{ENGINE}/test_rules.py::test_another_kind_with_the_same_id_is_rejected",),
    ),
    Planting(
        "the id of an open order is forgotten when the table is full",
        "core/risk/ids.py",
        "return is_open and cold.id_record == row",
        "return is_open and cold.id_record != row",
        (f"{ENGINE}/test_rules.py::test_the_oldest_id_leaves_but_never_that_of_an_open_order",),
    ),
    Planting(
        "an id that was spilled from a full bucket is not found once another has left it",
        "core/risk/ids.py",
        "                    refill(state, number)\n",
        "                    pass\n",
        (f"{ENGINE}/test_id_table.py::test_what_left_leaves_no_trace_in_the_buckets",),
    ),
    Planting(
        "the last event of a command does not say so",
        "core/sequencer/events.py",
        "    event.flags |= LAST\n",
        "    event.flags |= 0\n",
        (f"{ENGINE}/test_random.py::test_random_lives_give_the_twins_events_and_state",),
    ),
    # Sequencer.
    Planting(
        "a batch is applied before it is journaled",
        "core/sequencer/sequencer.py",
        "        stamp(loop)\n    done = append(\n",
        "        stamp(loop)\n"
        "    call_entry(loop.apply_entry, loop.state, loop.batch, loop.slots)\n"
        "    done = append(\n",
        (
            "tests/core/test_duty_cycle.py::"
            "test_a_command_whose_block_cannot_be_written_is_neither_applied_nor_told",
        ),
    ),
    Planting(
        "a batch is applied before it is durable",
        "core/journal/appender.py",
        "    if row.mode == FDATASYNC:\n        done = fdatasync(row.fd)\n",
        "    if row.mode == BACKGROUND:\n        done = fdatasync(row.fd)\n",
        ("tests/core/test_duty_cycle.py::test_a_block_is_written_then_synced_then_applied",),
    ),
    Planting(
        "queries are answered before the commands that came first",
        "core/sequencer/sequencer.py",
        "        if loop.commands > 0:\n            done = journal_and_apply(loop)\n",
        "        answer_queries(loop)\n"
        "        if loop.commands > 0:\n            done = journal_and_apply(loop)\n",
        ("tests/core/test_duty_cycle.py::test_a_query_sees_the_commands_that_came_before_it",),
    ),
    # Journal.
    Planting(
        "a block need not follow from the one before",
        "core/journal/scan.py",
        "    if block.prev_chain_a != scan.chain_a or block.prev_chain_b != scan.chain_b:\n"
        "        return BAD_CHAIN\n"
        "    if block.chain_a != mix_a(image, scan.chain_a) "
        "or block.chain_b != mix_b(image, scan.chain_b):\n"
        "        return BAD_CHAIN\n",
        "",
        (f"{JOURNAL}/test_tail.py::test_the_block_of_another_history_is_a_broken_chain",),
    ),
    Planting(
        "the stamps of a block's sectors are not looked at",
        "core/journal/blocks.py",
        "            return BAD_STAMP\n",
        "            continue\n",
        (f"{JOURNAL}/test_blocks.py::test_each_fault_has_its_name",),
    ),
    Planting(
        "a sequence that a client may have seen is given again",
        "core/journal/recovery.py",
        "    if tail.kind == LOST:\n        return far\n",
        "",
        (
            f"{JOURNAL}/test_relaxed.py::"
            "test_everything_behind_the_first_invalid_block_is_lost_and_never_numbered_again",
        ),
    ),
    # The disk that forgets.
    Planting(
        "a block is acknowledged before it is synced",
        "core/journal/appender.py",
        "    if row.mode == BACKGROUND:\n        done = pwrite(",
        "    if row.mode != DIRECT:\n        done = pwrite(",
        (f"{SIMULATED}::test_a_block_is_durable_when_append_returns",),
    ),
    Planting(
        "the names above a new journal are not synced",
        "core/journal/create.py",
        "(directory, directory.parent, data, *_holders(data))",
        "(directory, directory.parent, data)",
        (f"{SIMULATED}::test_a_new_journal_survives_the_worst_power_cut",),
    ),
    Planting(
        "the mark of a creation may come back",
        "core/journal/create.py",
        "        sync_directory(data)  # Who removed the mark",
        "        # Who removed the mark",
        (f"{SIMULATED}::test_a_mark_of_creation_that_comes_back_is_not_believed",),
    ),
    Planting(
        "a start believes the page cache",
        "core/journal/recovery.py",
        "        segments.sync_file(segments.segment_path(directory, number))\n",
        "        pass\n",
        (f"{SIMULATED}::test_what_a_start_has_read_is_durable",),
    ),
    Planting(
        "the block of a new epoch is not synced",
        "core/journal/writer.py",
        "        self._put(EPOCH_START, payload.tobytes())\n        os.fdatasync(self.row.fd)\n",
        "        self._put(EPOCH_START, payload.tobytes())\n",
        (f"{SIMULATED}::test_after_a_loss_sequences_jump_whatever_happens_to_the_start",),
    ),
    Planting(
        "the name of a segment is not synced before it is used",
        "core/journal/writer.py",
        "        sync_directory(self.directory)\n        row.segment_no = segment_no\n",
        "        row.segment_no = segment_no\n",
        (f"{SIMULATED}::test_a_spare_whose_maker_was_killed_is_durable_once_it_is_used",),
    ),
    Planting(
        "a cut that a start has noted is forgotten",
        "core/journal/recovery.py",
        "    if noted is not None and fits and noted.next_sequence > seen.next_sequence:\n",
        "    if noted is not None and fits and noted.next_sequence < 0:\n",
        (f"{SIMULATED}::test_a_cut_that_was_noted_is_remembered_until_the_epoch_stands",),
    ),
    Planting(
        "the newest segment alone says whether answers were early",
        "core/journal/recovery.py",
        "    return RELAXED in (header.durability, last)\n",
        "    return header.durability == RELAXED\n",
        (f"{SIMULATED}::test_after_a_loss_sequences_jump_also_when_the_next_start_is_in_sync",),
    ),
    Planting(
        "a seal undoes a clean stop",
        "core/journal/recovery.py",
        "item.kind == SEAL:",
        "item.kind == 0:",
        (f"{SIMULATED}::test_after_a_clean_stop_no_start_in_sync_jumps",),
    ),
    Planting(
        "a spare is thrown away before another stands in its place",
        "core/journal/writer.py",
        "            prewrite(path)",
        "            path.unlink()",
        (f"{SIMULATED}::test_a_start_in_sync_on_spares_of_relaxed_may_end_anywhere",),
    ),
    # The format.
    Planting(
        "whatever stands behind the last valid block is cut away",
        "core/journal/tail.py",
        "    _refuse_hole(content, scan, used)\n    extent = _torn_extent(content, scan, used)\n",
        "    extent = -(-used // ALIGN_SYNC) * ALIGN_SYNC\n",
        (f"{FORMAT}::test_every_sector_or_page_zeroed_before_the_last_block_refuses",),
    ),
    Planting(
        "a sector with a wrong stamp passes for a tear",
        "core/journal/tail.py",
        "np.flatnonzero(~zero & (stamps != expected))",
        "np.flatnonzero(zero & ~zero)",
        (f"{FORMAT}::test_every_sector_of_the_last_block_trashed_refuses",),
    ),
    Planting(
        "the witness is not believed",
        "core/journal/witness.py",
        "    return max(valid, key=lambda witness: witness.generation)\n",
        "    return NOTHING\n",
        (f"{FORMAT}::test_an_older_copy_of_the_active_segment_is_told_by_the_witness",),
    ),
    Planting(
        "a later header that says durable is not believed",
        "core/journal/tail.py",
        "        durable = max(durable, int(block.durable_sequence))\n",
        "",
        (f"{JOURNAL}/test_relaxed.py::test_a_later_header_that_says_durable_refuses",),
    ),
    Planting(
        "sequences after a jump are given again when its block is damaged",
        "core/journal/tail.py",
        "block.first_sequence >= jumped and block.kind != EPOCH_START",
        "block.first_sequence < 0",
        (f"{FORMAT}::test_a_jump_that_was_durable_is_never_taken_back",),
    ),
    Planting(
        "the note of a cut has no checksum",
        "core/journal/truncation.py",
        "if row.crc32c != int(",
        "if row.crc32c < 0 * int(",
        (f"{FORMAT}::test_no_flipped_bit_and_no_other_length_of_the_note_of_a_cut_is_used",),
    ),
    # Rings and adapters.
    Planting(
        "orders fill the lane for cancels",
        "core/ring.py",
        "limit = ring.capacity if canceling != 0 else ring.lane",
        "limit = ring.capacity",
        ("tests/core/test_ring.py::test_the_last_eighth_is_for_cancels",),
    ),
    Planting(
        "a reader that is overtaken while it copies is not told",
        "core/output.py",
        "    if load_acquire(ring.claimed_at) - cursor > ring.capacity:\n        return LAPPED\n",
        "",
        ("tests/core/test_output.py::test_a_claim_alone_laps_the_readers_of_the_slots_it_covers",),
    ),
    Planting(
        "slots are overwritten before the readers are warned",
        "core/output.py",
        "        fence_release()  # Readers that see a new slot's bytes see the claim.\n",
        "",
        ("tests/concurrency/test_programs.py::test_claim_and_publish",),
    ),
    Planting(
        "the engine warns readers without a fence",
        "core/sequencer/events.py",
        "    store_release(state.ring_claimed, state.claimed)\n    fence_release()\n",
        "    store_release(state.ring_claimed, state.claimed)\n",
        ("tests/concurrency/test_programs.py::test_the_engine_writes_its_events",),
    ),
    Planting(
        "a reader looks whether it was overtaken before it has copied",
        "core/output.py",
        "    fence_acquire()\n    if load_acquire(ring.claimed_at) - cursor > ring.capacity:\n",
        "    if load_acquire(ring.claimed_at) - cursor > ring.capacity:\n",
        ("tests/concurrency/test_programs.py::test_read",),
    ),
    Planting(
        "a command becomes visible slot by slot",
        "core/ring.py",
        "        copy128(target, slots + number * SLOT_BYTES)\n",
        "        copy128(target, slots + number * SLOT_BYTES)\n"
        "        store_release(ring.produced_at, produced + number + 1)\n",
        ("tests/concurrency/test_programs.py::test_offer_and_poll",),
    ),
    Planting(
        "who has offered something does not wait for it to be seen",
        "core/wake.py",
        "    fence()\n    if load_acquire(sleeping_at) == 0:\n",
        "    if load_acquire(sleeping_at) == 0:\n",
        ("tests/concurrency/test_programs.py::test_wake_and_idle",),
    ),
    Planting(
        "the core believes any cursor of a consumer",
        "core/ring.py",
        "    if consumed < ring.consumed or consumed > ring.produced:\n",
        "    if consumed > ring.produced:\n",
        (
            "tests/core/test_ring_hostile.py::"
            "test_replies_never_leave_their_ring_whatever_the_adapter_says_it_took",
        ),
    ),
    Planting(
        "an adapter may speak for another one",
        "core/ring.py",
        "        command.gateway = ring.gateway\n",
        "",
        (
            "tests/core/test_ring_hostile.py::"
            "test_a_poll_takes_what_the_rules_allow_whatever_is_in_the_ring",
        ),
    ),
    Planting(
        "the memory of another life of the core is attached to",
        "core/shm.py",
        '    if header["epoch"] != epoch',
        '    if header["epoch"] < 0',
        (
            "tests/core/test_ring.py::test_a_ring_of_another_epoch_is_refused",
            "tests/core/test_output.py::test_another_epoch_is_refused",
        ),
    ),
    Planting(
        "who goes to sleep does not look once more",
        "core/wake.py",
        "    if any_work(ends, end_count) != 0:\n"
        "        end_sleep(row.sleeping_at)\n"
        "        return 0\n",
        "",
        ("tests/core/test_wake.py::test_nobody_sleeps_while_there_is_work",),
    ),
    Planting(
        "a journaled command is told never to have been executed",
        "adapters/channel.py",
        "        self.waiting.fail_sequenced(before, last)\n",
        "",
        (
            "tests/adapters/test_gateway.py::"
            "test_a_journaled_request_whose_events_are_gone_is_known_to_be_sequenced",
        ),
    ),
    Planting(
        "a restart of the core tells public events twice",
        "adapters/channel.py",
        "            link.reader.skip_seen(*old.reader.seen)\n",
        "",
        ("tests/adapters/test_gateway.py::test_public_events_come_once_across_a_restart",),
    ),
    *COMPLETE,
)
