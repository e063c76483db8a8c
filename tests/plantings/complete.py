"""Plantings in what the engine has beyond plain orders: terms, limits, money, the outside."""

from typing import Final

from tests.plantings.planting import Planting

ENGINE: Final = "tests/core/engine"
PAIRS: Final = f"{ENGINE}/test_rules_pairs.py"
SELF_TRADE: Final = f"{ENGINE}/test_rules_self_trade.py"
STOPS: Final = f"{ENGINE}/test_rules_stops.py"
TERMS: Final = f"{ENGINE}/test_rules_terms.py"

COMPLETE: Final = (
    # Terms.
    Planting(
        "complete: a taker stops where only its own maker should end",
        "core/sequencer/match.py",
        "    if mode == STP_CANCEL_MAKER:\n        expire_open(state, maker_slot, STP)\n"
        "        return GO_ON\n",
        "    if mode == STP_CANCEL_MAKER:\n        expire_open(state, maker_slot, STP)\n"
        "        return STP\n",
        (f"{SELF_TRADE}::test_the_maker_ends_and_the_taker_goes_on",),
    ),
    Planting(
        "complete: fill or kill counts own orders that prevention takes away",
        "core/sequencer/match.py",
        "        if own and cold.self_trade != STP_CANCEL_MAKER:\n",
        "        if own and cold.self_trade == 0:\n",
        (f"{SELF_TRADE}::test_fill_or_kill_counts_what_prevention_leaves",),
    ),
    Planting(
        "complete: a refilled iceberg keeps its place",
        "core/sequencer/match.py",
        "    if level.orders == 1:  # Where it is alone",
        "    if level.orders >= 1:  # Where it is alone",
        (f"{ENGINE}/test_rules_icebergs.py::test_a_refill_goes_to_the_end_of_the_level",),
    ),
    Planting(
        "complete: a refill shows all that is left",
        "core/sequencer/match.py",
        "    shown = min(extra_row(state, order.extra).display_qty, order.leaves)\n    level = ",
        "    shown = order.leaves\n    level = ",
        (f"{ENGINE}/test_rules_icebergs.py::test_a_refill_goes_to_the_end_of_the_level",),
    ),
    Planting(
        "complete: a reduce-only taker goes past its position",
        "core/sequencer/match.py",
        "        fill = min(fill, reducible(state, cold.account, cold.instrument, cold.side))\n",
        "        fill = fill * int(\n"
        "            reducible(state, cold.account, cold.instrument, cold.side) > 0\n        )\n",
        (f"{TERMS}::test_a_reduce_only_taker_stops_where_the_position_is_closed",),
    ),
    Planting(
        "complete: a trade at the stop price does not trigger",
        "core/book/stops.py",
        "        while row.best_key >= key:\n",
        "        while row.best_key > key:\n",
        (f"{STOPS}::test_a_trade_triggers_a_sell_stop_which_is_matched_at_market",),
    ),
    Planting(
        "complete: only the first trade of a sweep triggers",
        "core/sequencer/match.py",
        "        stops.mark(state, instrument, state.last_trade)\n",
        "        pass\n",
        (f"{STOPS}::test_the_first_and_the_last_price_of_a_sweep_count_the_others_do_not",),
    ),
    Planting(
        "complete: a trailing stop follows the price back",
        "core/book/stops.py",
        "    closer = stop < extra.stop_price if cold.side == BUY else stop > extra.stop_price\n",
        "    closer = stop != extra.stop_price\n",
        (f"{STOPS}::test_a_trailing_stop_follows_the_best_price_and_never_back",),
    ),
    Planting(
        "complete: a trade overlooks a trailing stop that came later",
        "core/book/stops.py",
        "    narrow(state, extra)\n",
        "",
        (f"{STOPS}::test_a_trailing_stop_that_comes_later_follows_prices_that_were_before",),
    ),
    Planting(
        "complete: a trailing stop that had no room is forgotten",
        "core/book/stops.py",
        "        is_known = is_known and outcome != NO_PAGE\n",
        "",
        (f"{STOPS}::test_a_trailing_stop_without_room_follows_as_soon_as_there_is_some",),
    ),
    Planting(
        "complete: the partner of an order that ends stays open",
        "core/book/extras.py",
        "        state.orphan = other\n",
        "        state.orphan = 0\n",
        (f"{PAIRS}::test_the_cancel_of_one_is_the_cancel_of_both",),
    ),
    # Limits and the venue.
    Planting(
        "complete: what was filled counts as open against the limits",
        "core/risk/limits.py",
        "    weigh(state, slot, -fill)\n",
        "",
        (
            f"{ENGINE}/test_rules_limits.py::"
            "test_a_position_may_not_grow_past_its_limit_counting_open_orders",
        ),
    ),
    Planting(
        "complete: an order too many in a second passes",
        "core/risk/limits.py",
        "count >= limits.orders_per_second:",
        "count > limits.orders_per_second:",
        (f"{ENGINE}/test_rules_limits.py::test_orders_per_second_are_of_the_calendar_second",),
    ),
    Planting(
        "complete: a session that closes takes the orders of the others along",
        "core/sequencer/mass.py",
        "        if cold_row(state, slot).session == session:\n            cancel_open",
        "        if cold_row(state, slot).session != session:\n            cancel_open",
        (
            f"{ENGINE}/test_rules_sessions.py::"
            "test_a_session_that_closes_takes_its_orders_along_if_asked",
        ),
    ),
    Planting(
        "complete: a day that is over is told as a maximum age",
        "core/sequencer/due.py",
        "        elif time_in_force == DAY:\n            reason = DAY_END\n",
        "",
        (f"{ENGINE}/test_rules_time.py::test_a_day_order_ends_at_the_end_of_the_instruments_day",),
    ),
    # Money.
    Planting(
        "complete: pairs of YES and NO lots that meet are not paid out",
        "core/risk/binary.py",
        "    pairs = min(lots, closable(position, BUY + SELL - side))\n",
        "    pairs = 0\n",
        (f"{ENGINE}/test_rules_binary.py::test_lots_given_back_meet_the_others_and_become_cash",),
    ),
    Planting(
        "complete: the pot keeps what it paid out",
        "core/risk/binary.py",
        "    terms.pot += cost - gain\n",
        "    terms.pot += cost\n",
        (f"{ENGINE}/test_rules_binary.py::test_closing_needs_no_cash_and_brings_it",),
    ),
    Planting(
        "complete: a reduced short sale keeps its short lots",
        "core/risk/short.py",
        "    short = min(less, cold.hold_lots)\n",
        "    short = max(less - (order.leaves - cold.hold_lots), 0)\n",
        (f"{ENGINE}/test_rules_short.py::test_a_reduce_takes_short_lots_first",),
    ),
    Planting(
        "complete: fees that were due are lost in the clearing",
        "core/risk/clearing.py",
        "    fees.available += terms.due_fees\n",
        "",
        (f"{ENGINE}/test_rules_clearing.py::test_at_the_end_of_the_period_only_the_net_moves",),
    ),
    Planting(
        "complete: a bust is told with the fees that were paid, not given back",
        "core/sequencer/trades.py",
        "    tell(state, command, TRADE_BUSTED, -more.buyer_fee, -more.seller_fee)\n",
        "    tell(state, command, TRADE_BUSTED, more.buyer_fee, more.seller_fee)\n",
        (f"{ENGINE}/test_rules_busts.py::test_a_busted_trade_is_as_if_it_had_not_been",),
    ),
    Planting(
        "complete: a transfer does not arrive",
        "core/sequencer/transfer.py",
        "    other.available += money.amount\n",
        "",
        (f"{ENGINE}/test_rules_transfer.py::test_a_transfer_moves_what_is_available",),
    ),
    Planting(
        "complete: what an account bought in all its life wraps",
        "core/risk/settle.py",
        "    if position.bought > WORD_MOST - fill:\n        begin_sums(position)\n",
        "",
        (f"{ENGINE}/test_bounds_named.py::test_sums_over_all_time_never_wrap",),
    ),
    Planting(
        "complete: more than was asked for outside is an ordinary fill",
        "core/sequencer/outside.py",
        "        if said.qty > order_row(state, slot).leaves:\n",
        "        if said.qty < 0:\n",
        (f"{ENGINE}/test_rules_outside.py::test_more_than_was_asked_for_is_booked_on_the_account",),
    ),
)
