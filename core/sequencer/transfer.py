"""TRANSFER: from one account to another."""

from typing import Final

from core.jit import kernel, stay_apart
from core.memory import Record
from core.messages import CLIENT_ORDER_ID_AT, LEDGER
from core.reasons import Reason
from core.risk.accounts import available, find_balance, is_trader, need_balance
from core.rows import balance_row
from core.sequencer.admit import REPEATED, admit, because, money_at, place_at, reject
from core.sequencer.events import bare_event
from core.sequencer.reference import ledger_terms

CAPACITY: Final = Reason.CAPACITY.value
INSUFFICIENT_FUNDS: Final = Reason.INSUFFICIENT_FUNDS.value
MALFORMED: Final = Reason.MALFORMED.value
UNKNOWN_ACCOUNT: Final = Reason.UNKNOWN_ACCOUNT.value
UNKNOWN_ASSET: Final = Reason.UNKNOWN_ASSET.value


@kernel
def transfer(state: Record, command: int) -> None:
    stay_apart()
    money = money_at(command)
    reason = 0
    if money.slots > 2 or money.amount < 1 or money.counter_account == money.account:
        reason = MALFORMED
    elif not is_trader(state, money.counter_account):
        reason = UNKNOWN_ACCOUNT
    if reason == 0:
        reason = admit(state, command)
    if reason == REPEATED:
        return
    if reason == 0:
        reason = check_transfer(state, money)
    if reason != 0:
        reject(state, command, reason, 0)
        return
    own = balance_row(state, need_balance(state, money.account, money.asset))
    other = balance_row(state, need_balance(state, money.counter_account, money.asset))
    own.available -= money.amount
    other.available += money.amount
    event = bare_event(state, LEDGER, place_at(command), command + CLIENT_ORDER_ID_AT)
    ledger_terms(event, money.kind, -money.amount, own)
    event.instrument = money.asset
    event = bare_event(state, LEDGER, place_at(command), command + CLIENT_ORDER_ID_AT)
    ledger_terms(event, money.kind, money.amount, other)
    event.instrument = money.asset
    event.session = 0
    event.account = money.counter_account


@kernel
def check_transfer(state: Record, money: Record) -> int:
    if not 0 < money.asset <= state.assets_used:
        return UNKNOWN_ASSET
    free = available(state, money.account, money.asset)
    if money.amount > free:
        return because(state, INSUFFICIENT_FUNDS, free, money.amount)
    full = state.balances_used == state.balances_max
    if full and find_balance(state, money.counter_account, money.asset) == 0:
        return because(state, CAPACITY, state.balances_max, state.balances_used)
    return 0
