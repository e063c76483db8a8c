"""Accounts, assets, deposits and withdrawals: what everything else stands on."""

from typing import Final

from core.constants import CLIENT_ORDER_ID_BYTES, MONEY_MAX, SCALE_MAX
from core.jit import VERIFY, kernel
from core.memory import Record, address_of, copy36, fill, pointer
from core.messages import (
    ACCOUNT_CREATED,
    ASSET_CREATED,
    CLIENT_ORDER_ID_AT,
    DEPOSIT,
    EVENT_CLIENT_ORDER_ID_AT,
    LEDGER,
    NEW_ACCOUNT,
    NEW_ASSET,
    STP_DECREMENT,
    WITHDRAW,
)
from core.reasons import Reason
from core.records import SPECIAL_SELF_TRADE
from core.risk import text
from core.risk.accounts import (
    FEES_ACCOUNT,
    OUTSIDE_ACCOUNT,
    available,
    find_balance,
    need_balance,
)
from core.rows import account_row, asset_row, balance_row
from core.sequencer.admit import REPEATED, admit, because, money_at, place_at, reject, reject_new
from core.sequencer.events import bare_event

new_account_at = pointer(NEW_ACCOUNT)
new_asset_at = pointer(NEW_ASSET)

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
    elif new.roles != 0 or new.owner != 0:
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
    account_row(state, row).self_trade = new.self_trade
    if new.self_trade != 0:
        account_row(state, row).special = SPECIAL_SELF_TRADE
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
