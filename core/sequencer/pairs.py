"""The LEDGER event of lots that an order of a BINARY gave back and that became cash."""

from core.constants import CLIENT_ORDER_ID_BYTES
from core.jit import kernel, seldom
from core.memory import Record, address_of, copy36, fill
from core.messages import EVENT_CLIENT_ORDER_ID_AT, LEDGER
from core.records import COLD_CLIENT_ORDER_ID_AT
from core.rows import balance_row, cold_row, instrument_row, position_row
from core.sequencer.events import new_event, reserve


@kernel
def tell_pairs(state: Record, slot: int) -> None:
    """After an order's own event, where ``state.paired`` is not 0."""
    seldom()
    reserve(state)
    cold = cold_row(state, slot)
    quote = balance_row(state, position_row(state, cold.position).quote_balance)
    event = new_event(state, LEDGER, 0)
    event.order_id = 0
    event.price = state.kind
    event.qty = state.paired
    event.leaves = quote.available
    event.cum = quote.held
    event.cum_notional = 0
    event.session = cold.session
    event.account = cold.account
    event.instrument = instrument_row(state, cold.instrument).quote_asset
    copy36(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, address_of(cold) + COLD_CLIENT_ORDER_ID_AT)
    state.paired = 0


@kernel
def money_event(state: Record, kind: int, account: int, instrument: int) -> Record:
    """An event about an account's money that no command asked for: session 0, no text, and zero
    in all the rest."""
    reserve(state)
    event = new_event(state, kind, 0)
    event.order_id = 0
    event.price = 0
    event.qty = 0
    event.leaves = 0
    event.cum = 0
    event.cum_notional = 0
    event.session = 0
    event.account = account
    event.instrument = instrument
    fill(address_of(event) + EVENT_CLIENT_ORDER_ID_AT, 0, CLIENT_ORDER_ID_BYTES)
    return event
