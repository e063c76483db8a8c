"""Accounts, assets, instruments, deposits and withdrawals: what everything else stands on."""

from typing import Final

from core.book import levels
from core.constants import (
    CLIENT_ORDER_ID_BYTES,
    FEE_PPM_MAX,
    MONEY_MAX,
    PRICE_MAX,
    SCALE_MAX,
    SLOT_BYTES,
    STOP_SIDES,
)
from core.jit import VERIFY, kernel
from core.memory import Record, address_of, copy36, fill, pointer
from core.messages import (
    ACCOUNT_CREATED,
    ASSET_CREATED,
    BINARY,
    CLIENT_ORDER_ID_AT,
    DEPOSIT,
    EVENT_CLIENT_ORDER_ID_AT,
    INSTRUMENT_CREATED,
    INSTRUMENT_TERMS,
    LEDGER,
    MATCHED_HERE,
    MATCHED_OUTSIDE,
    NEW_ACCOUNT,
    NEW_ASSET,
    NEW_INSTRUMENT,
    NEW_INSTRUMENT_SLOT_2,
    PHASE_DELISTED,
    PHASE_OPEN,
    PHASE_PRE_OPEN,
    SPOT,
    STP_DECREMENT,
    WITHDRAW,
)
from core.reasons import Reason
from core.records import SYMBOL_AT
from core.risk import text
from core.risk.accounts import (
    FEES_ACCOUNT,
    OUTSIDE_ACCOUNT,
    available,
    find_balance,
    need_balance,
)
from core.rows import account_row, asset_row, balance_row, instrument_row
from core.sequencer.admit import REPEATED, admit, because, money_at, place_at, reject, reject_new
from core.sequencer.events import bare_event

new_account_at = pointer(NEW_ACCOUNT)
new_asset_at = pointer(NEW_ASSET)
new_instrument_at = pointer(NEW_INSTRUMENT)
new_instrument_2_at = pointer(NEW_INSTRUMENT_SLOT_2)

UNIT_MAX: Final = 1_000_000_000  # Largest tick or lot, in units of its scale.
POWERS: Final = tuple(10**exponent for exponent in range(19))

CAPACITY: Final = Reason.CAPACITY.value
INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
MALFORMED: Final = Reason.MALFORMED.value
NAME_TAKEN: Final = Reason.NAME_TAKEN.value
NOT_SUPPORTED: Final = Reason.NOT_SUPPORTED.value
SUPPLY: Final = Reason.SUPPLY.value
TERMS: Final = Reason.TERMS.value
UNKNOWN_ASSET: Final = Reason.UNKNOWN_ASSET.value


@kernel
def create_account(state: Record, command: int) -> None:
    new = new_account_at(command)
    name = command + CLIENT_ORDER_ID_AT
    reason = 0
    if new.slots != 1 or text.is_empty(name) or new.self_trade > STP_DECREMENT:
        reason = MALFORMED
    elif (new.self_trade | new.roles) != 0 or new.owner != 0:
        reason = NOT_SUPPORTED
    if reason == 0:
        taken = text.find_name(state, text.ACCOUNT_NAMES, name)
        if taken != 0:
            reason = because(state, NAME_TAKEN, taken, 0)
        elif state.accounts_used == state.accounts_max:
            reason = because(state, CAPACITY, state.accounts_max, state.accounts_used)
    if reason != 0:
        reject_new(state, command, reason)
        return
    row = add_account(state, name)
    event = bare_event(state, ACCOUNT_CREATED, place_at(command), name)
    event.order_id = row
    event.account = 0
    event.instrument = 0


@kernel
def add_account(state: Record, name: int) -> int:
    """A new account with the 36 bytes at ``name``; its number."""
    state.accounts_used += 1
    row = state.accounts_used
    account = account_row(state, row)
    copy36(address_of(account), name)
    account.created_ns = state.timestamp_ns
    text.add_name(state, text.ACCOUNT_NAMES, name, row)
    return row  # type: ignore[no-any-return]


@kernel
def create_asset(state: Record, command: int) -> None:
    new = new_asset_at(command)
    name = command + CLIENT_ORDER_ID_AT
    reason = 0
    if new.slots != 1 or text.is_empty(name):
        reason = MALFORMED
    if reason == 0:
        taken = text.find_name(state, text.ASSET_NAMES, name)
        if taken != 0:
            reason = because(state, NAME_TAKEN, taken, 0)
        elif new.scale > SCALE_MAX:
            reason = because(state, TERMS, SCALE_MAX, new.scale)
        elif state.assets_used == state.assets_max:
            reason = because(state, CAPACITY, state.assets_max, state.assets_used)
        elif state.balances_used + 2 > state.balances_max:
            reason = because(state, CAPACITY, state.balances_max, state.balances_used)
    if reason != 0:
        reject_new(state, command, reason)
        return
    state.assets_used += 1
    row = state.assets_used
    asset = asset_row(state, row)
    copy36(address_of(asset), name)
    asset.scale = new.scale
    asset.fees_balance = need_balance(state, FEES_ACCOUNT, row)
    asset.outside_balance = need_balance(state, OUTSIDE_ACCOUNT, row)
    text.add_name(state, text.ASSET_NAMES, name, row)
    event = bare_event(state, ASSET_CREATED, place_at(command), name)
    event.order_id = row
    event.price = new.scale
    event.account = 0
    event.instrument = 0


@kernel
def is_asset(state: Record, asset: int) -> bool:
    return 0 < asset <= state.assets_used


@kernel
def create_instrument(state: Record, command: int) -> None:
    new = new_instrument_at(command)
    symbol = command + CLIENT_ORDER_ID_AT
    reason = instrument_form(command)
    if reason == 0:
        taken = text.find_name(state, text.INSTRUMENT_NAMES, symbol)
        if taken != 0:
            reason = because(state, NAME_TAKEN, taken, 0)
        elif not is_asset(state, new.base_asset) or not is_asset(state, new.quote_asset):
            reason = UNKNOWN_ASSET
    multiplier = 0
    base_per_lot = 0
    if reason == 0:
        reason = TERMS if not sound(command) else 0
    if reason == 0:
        base_scale = asset_row(state, new.base_asset).scale
        quote_scale = asset_row(state, new.quote_asset).scale
        multiplier = scaled(new.tick * new.lot, quote_scale - new.tick_scale - new.lot_scale)
        base_per_lot = scaled(new.lot, base_scale - new.lot_scale)
        if multiplier == 0 or base_per_lot == 0:
            reason = TERMS
        elif state.instruments_used == state.instruments_max:
            reason = because(state, CAPACITY, state.instruments_max, state.instruments_used)
    if reason != 0:
        reject_new(state, command, reason)
        return
    row = add_instrument(state, command, multiplier, base_per_lot)
    write_instrument(state, command, row)


@kernel
def instrument_form(command: int) -> int:
    new = new_instrument_at(command)
    if new.slots != 2 or text.is_empty(command + CLIENT_ORDER_ID_AT):
        return MALFORMED
    if not SPOT <= new.instrument_type <= BINARY:
        return MALFORMED
    if not MATCHED_HERE <= new.matching <= MATCHED_OUTSIDE:
        return MALFORMED
    more = new_instrument_2_at(command + SLOT_BYTES)
    if not PHASE_PRE_OPEN <= more.phase <= PHASE_DELISTED:
        return MALFORMED
    kept = (new.payout | more.price_min) != 0 or (more.price_max | more.max_age_ns) != 0
    if new.instrument_type != SPOT or new.matching != MATCHED_HERE or kept:
        return NOT_SUPPORTED
    return 0 if more.phase == PHASE_OPEN else NOT_SUPPORTED


@kernel
def sound(command: int) -> bool:
    """Do the terms of a new instrument fit their ranges?"""
    new = new_instrument_at(command)
    more = new_instrument_2_at(command + SLOT_BYTES)
    if new.base_asset == new.quote_asset:
        return False
    if not (0 < new.tick <= UNIT_MAX and 0 < new.lot <= UNIT_MAX):
        return False
    if new.tick_scale > SCALE_MAX or new.lot_scale > SCALE_MAX:
        return False
    if not -FEE_PPM_MAX <= new.maker_ppm <= FEE_PPM_MAX:
        return False
    if not -FEE_PPM_MAX <= new.taker_ppm <= FEE_PPM_MAX:
        return False
    return (more.qty_min | more.qty_max | more.notional_min | more.notional_max) >= 0  # type: ignore[no-any-return]


@kernel
def scaled(number: int, exponent: int) -> int:
    """number x 10^exponent, number > 0; 0 where that is no whole number or above MONEY_MAX."""
    if exponent >= len(POWERS) or -exponent >= len(POWERS):
        return 0
    if exponent < 0:
        return number // POWERS[-exponent] if number % POWERS[-exponent] == 0 else 0
    return number * POWERS[exponent] if number <= MONEY_MAX // POWERS[exponent] else 0


@kernel
def add_instrument(state: Record, command: int, multiplier: int, base_per_lot: int) -> int:
    """The row and the empty books of a new instrument; its number."""
    new = new_instrument_at(command)
    more = new_instrument_2_at(command + SLOT_BYTES)
    state.instruments_used += 1
    row = state.instruments_used
    terms = instrument_row(state, row)
    symbol = command + CLIENT_ORDER_ID_AT
    copy36(address_of(terms) + SYMBOL_AT, symbol)
    terms.instrument_type = new.instrument_type
    terms.matching = new.matching
    terms.phase = more.phase
    terms.tick_scale = new.tick_scale
    terms.lot_scale = new.lot_scale
    terms.base_asset = new.base_asset
    terms.quote_asset = new.quote_asset
    terms.maker_ppm = new.maker_ppm
    terms.taker_ppm = new.taker_ppm
    terms.hold_ppm = max(new.maker_ppm, new.taker_ppm, 0)
    terms.multiplier = multiplier
    terms.base_per_lot = base_per_lot
    terms.price_limit = min(PRICE_MAX, MONEY_MAX // multiplier)
    terms.qty_low = max(1, more.qty_min)
    terms.qty_high = MONEY_MAX // base_per_lot
    if more.qty_max != 0:
        terms.qty_high = min(terms.qty_high, more.qty_max)
    terms.notional_min = more.notional_min
    terms.notional_max = more.notional_max
    terms.fees_balance = asset_row(state, new.quote_asset).fees_balance
    terms.tick = new.tick
    terms.lot = new.lot
    terms.qty_min = more.qty_min
    terms.qty_max = more.qty_max
    text.add_name(state, text.INSTRUMENT_NAMES, symbol, row)
    levels.open_bookside(state, 2 * row)
    levels.open_bookside(state, 2 * row + 1)
    levels.open_bookside(state, STOP_SIDES + 2 * row)
    levels.open_bookside(state, STOP_SIDES + 2 * row + 1)
    return row  # type: ignore[no-any-return]


@kernel
def write_instrument(state: Record, command: int, row: int) -> None:
    """INSTRUMENT_CREATED and INSTRUMENT_TERMS."""
    terms = instrument_row(state, row)
    symbol = command + CLIENT_ORDER_ID_AT
    event = bare_event(state, INSTRUMENT_CREATED, place_at(command), symbol)
    event.order_id = row
    event.account = 0
    event.instrument = row
    event.price = terms.multiplier
    event.qty = terms.base_per_lot
    event.leaves = terms.base_asset
    event.cum = terms.quote_asset
    event.cum_notional = terms.instrument_type | (terms.matching << 8) | (terms.phase << 16)
    event = bare_event(state, INSTRUMENT_TERMS, place_at(command), symbol)
    event.order_id = row
    event.account = 0
    event.instrument = row
    event.price = terms.tick
    event.qty = terms.lot
    event.leaves = terms.tick_scale | (terms.lot_scale << 8)
    event.cum = terms.maker_ppm
    event.cum_notional = terms.taker_ppm


@kernel
def move_money(state: Record, command: int) -> None:
    """DEPOSIT and WITHDRAW: between an account and the outside."""
    money = money_at(command)
    reason = MALFORMED if money.slots > 2 or money.amount < 1 else 0
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    if reason == 0:
        reason = check_money(state, money)
    if reason != 0:
        reject(state, command, reason, 0)
        return
    signed = money.amount if money.kind == DEPOSIT else -money.amount
    asset = asset_row(state, money.asset)
    own = balance_row(state, need_balance(state, money.account, money.asset))
    own.available += signed
    asset.issued += signed
    outside = balance_row(state, asset.outside_balance)
    outside.available -= signed
    event = bare_event(state, LEDGER, place_at(command), command + CLIENT_ORDER_ID_AT)
    ledger_terms(event, money.kind, signed, own)
    event.instrument = money.asset
    event = bare_event(state, LEDGER, place_at(command), command + CLIENT_ORDER_ID_AT)
    ledger_terms(event, money.kind, -signed, outside)
    event.instrument = money.asset
    event.session = 0
    event.account = OUTSIDE_ACCOUNT
    fill(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, 0, CLIENT_ORDER_ID_BYTES)
    if VERIFY:
        assert own.available >= 0


@kernel
def ledger_terms(event: Record, kind: int, signed: int, balance: Record) -> None:
    event.price = kind
    event.qty = signed
    event.leaves = balance.available
    event.cum = balance.held


@kernel
def check_money(state: Record, money: Record) -> int:
    if not 0 < money.asset <= state.assets_used:
        return UNKNOWN_ASSET
    if money.kind == WITHDRAW:
        free = available(state, money.account, money.asset)
        if money.amount > free:
            return because(state, INSUFFICIENT_FUNDS, free, money.amount)
        return 0
    issued = asset_row(state, money.asset).issued
    if money.amount > MONEY_MAX - issued:
        return because(state, SUPPLY, MONEY_MAX, issued)
    full = state.balances_used == state.balances_max
    if full and find_balance(state, money.account, money.asset) == 0:
        return because(state, CAPACITY, state.balances_max, state.balances_used)
    return 0
