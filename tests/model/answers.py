"""Rejects and repeats of the twin: what they take over from their command."""

from tests.model.commands import (
    SELL,
    Command,
    Create,
    Keyed,
    Money,
    OtherKind,
    PlaceOrder,
    ReduceOrder,
    ReplaceOrder,
    Targeted,
)
from tests.model.events import GONE, SELL_SIDE, Event, Rejected
from tests.model.settlement import RejectedAccount
from tests.model.state import SLOT_BITS, WORD_MAX, IdRecord
from tests.model.venue_commands import Trade
from tests.model.view import View


class Answers:
    """Events about commands that did nothing, or had done it before."""

    def __init__(self, view: View) -> None:
        self.view = view

    def _asked_id(self, command: Command) -> int:
        if isinstance(command, PlaceOrder):
            return command.sequence << SLOT_BITS
        return command.order_id if isinstance(command, Targeted) else 0

    def reject(self, command: Command, rejected: Rejected, order_id: int = -1) -> Event:
        """ORDER_REJECTED or COMMAND_REJECTED; ``order_id`` -1: of the reject, or as asked."""
        if isinstance(command, OtherKind) or command.schema != 1:
            return self._reject_unread(command, rejected)
        if order_id < 0:
            order_id = rejected.order_id or self._asked_id(command)
        is_place = isinstance(command, PlaceOrder)
        sells = isinstance(command, PlaceOrder) and command.side == SELL
        event = self.taken_over(command)._replace(
            kind="ORDER_REJECTED" if is_place else "COMMAND_REJECTED",
            order_id=order_id,
            leaves=command.kind,
            cum=min(rejected.limit, WORD_MAX),
            cum_notional=min(rejected.value, WORD_MAX),
            reason=rejected.reason,
            flags=SELL_SIDE if sells else 0,
        )
        if isinstance(rejected, RejectedAccount):
            event = event._replace(account=rejected.account)
        return event

    def _reject_unread(self, command: Command, rejected: Rejected) -> Event:
        """Of another kind or schema only the prefix and the place of the id are known."""
        name = command.name if isinstance(command, Create) else ""
        return Event(
            kind="COMMAND_REJECTED",
            session=command.session,
            account=command.account,
            instrument=command.instrument,
            client_order_id=getattr(command, "client_order_id", name),
            leaves=command.kind,
            reason=rejected.reason,
        )

    def taken_over(self, command: Command) -> Event:
        """What an answer takes over from its command."""
        event = Event(
            session=command.session, account=command.account, instrument=command.instrument
        )
        if isinstance(command, Create):
            return event._replace(instrument=0, client_order_id=command.name)
        if isinstance(command, Keyed | Trade):
            event = event._replace(client_order_id=command.client_order_id)
        if isinstance(command, Money):
            return event._replace(instrument=command.asset, qty=command.amount)
        if isinstance(command, PlaceOrder | ReplaceOrder | ReduceOrder):
            return event._replace(price=command.price, qty=command.qty)
        return event

    def repeat(self, command: Keyed, record: IdRecord) -> Event:
        """The answer to a command that came before, with the same id and payload."""
        is_order = isinstance(command, PlaceOrder)
        if isinstance(command, Targeted) and not record.reason:
            is_order = True
        if is_order:
            return self._repeat_order(command, record)
        if record.reason:
            return self.reject(command, Rejected(record.reason), record.order_id)
        return self.taken_over(command)._replace(kind="COMMAND_REPEATED", price=0, qty=0)

    def _repeat_order(self, command: Keyed, record: IdRecord) -> Event:
        event = Event(
            kind="ORDER_REPEATED",
            order_id=record.order_id,
            session=command.session,
            account=command.account,
            client_order_id=command.client_order_id,
        )
        order = self.view.rows.find(record.order_id)
        if order is None:
            return event._replace(instrument=command.instrument, flags=GONE, reason=record.reason)
        return event._replace(
            instrument=order.instrument,
            price=order.price,
            qty=order.qty,
            leaves=order.leaves,
            cum=order.cum,
            cum_notional=order.cum_notional,
            reason=order.reason,
            flags=SELL_SIDE if order.side == SELL else 0,
        )
