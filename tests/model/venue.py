"""UPDATE_INSTRUMENT of the twin: all checks, then all changes, then what ends by it."""

from tests.model.commands import BINARY, CLOSED, DAY, DELISTED, SETTLED
from tests.model.events import Event, Rejected
from tests.model.life import Life
from tests.model.money import Position
from tests.model.reference import check_kind, check_settings, terms_of
from tests.model.state import Instrument, Statistics
from tests.model.terms import PPM_MAX, multipliers, need_terms, tick_table
from tests.model.venue_commands import (
    CHANGE_BAND,
    CHANGE_CLEARING,
    CHANGE_DAY_END,
    CHANGE_FEES,
    CHANGE_LOT,
    CHANGE_MAX_AGE,
    CHANGE_NOTIONAL,
    CHANGE_PHASE,
    CHANGE_PRICES,
    CHANGE_QTY,
    CHANGE_SHORT,
    CHANGE_TICK,
    CHANGE_TICK_TABLE,
    UpdateInstrument,
)
from tests.model.view import View

FIELDS = {
    CHANGE_PHASE: ("phase",),
    CHANGE_FEES: ("maker_ppm", "taker_ppm"),
    CHANGE_QTY: ("qty_min", "qty_max"),
    CHANGE_NOTIONAL: ("notional_min", "notional_max"),
    CHANGE_PRICES: ("price_min", "price_max"),
    CHANGE_BAND: ("band_ppm", "reference_price"),
    CHANGE_MAX_AGE: ("max_age_ns",),
    CHANGE_DAY_END: ("day_end_ns",),
    CHANGE_TICK: ("tick", "tick_scale"),
    CHANGE_LOT: ("lot", "lot_scale"),
    CHANGE_SHORT: ("short_ppm",),
    CHANGE_CLEARING: ("clearing_ns",),
}


class Venue:
    """Changes instruments."""

    def __init__(self, view: View, life: Life) -> None:
        self.view = view
        self.life = life

    def update(self, command: UpdateInstrument) -> None:
        """Change what ``changes`` names; nothing is half done."""
        row = self.view.instruments.get(command.instrument)
        if row is None:
            raise Rejected("UNKNOWN_INSTRUMENT")
        changes = command.changes
        is_final = row.phase in (SETTLED, DELISTED)
        if changes & CHANGE_PHASE and (command.phase == SETTLED or is_final):
            raise Rejected("PHASE")
        orders = self.view.orders_in(row.number)
        self._check_empty(row, changes, len(orders))
        changed = self._changed(row, command, has_orders=bool(orders))
        old_phase, count = row.phase, len(orders)
        self.view.instruments[row.number] = changed
        self.view.events.append(
            Event(
                kind="INSTRUMENT_UPDATED",
                session=command.session,
                order_id=row.number,
                instrument=row.number,
                client_order_id=row.symbol,
                price=changes,
                qty=changed.phase,
                leaves=old_phase,
                cum=count,
            )
        )
        self.view.events.append(terms_of(changed, command.session))
        if changes & CHANGE_PHASE and changed.phase == CLOSED and not row.is_outside:
            for order in orders:
                if order.is_live and order.time_in_force == DAY:
                    self.life.expire(order, "DAY_END")
        if changes & CHANGE_PHASE and changed.phase == DELISTED:
            self.life.take_down_all(self.life.may_take_down(orders), "HALT")

    def _check_empty(self, row: Instrument, changes: int, orders: int) -> None:
        """BOOK_NOT_EMPTY where a change needs an empty book, or no positions too."""
        if changes & CHANGE_FEES and orders:
            raise Rejected("BOOK_NOT_EMPTY", 0, orders)
        if changes & (CHANGE_TICK | CHANGE_LOT):
            positions = self.view.ledger.of_instrument(row.number)
            orders += sum(_is_used(position) for _, position in positions)
            if orders:
                raise Rejected("BOOK_NOT_EMPTY", 0, orders)

    def _changed(
        self, row: Instrument, command: UpdateInstrument, *, has_orders: bool
    ) -> Instrument:
        """The row as it will be; TERMS."""
        values = {name: getattr(row, name) for name in row.__slots__}
        changes = command.changes
        if changes & (CHANGE_TICK | CHANGE_LOT):
            for name in ("last_price", "reference_price", "band_ppm", "price_min", "price_max"):
                values[name] = 0
            values["tick_table"] = []
            values["stats"] = Statistics()
        if changes & CHANGE_LOT:
            values["qty_min"] = values["qty_max"] = 0
        for bit, names in FIELDS.items():
            if changes & bit:
                values |= {name: getattr(command, name) for name in names}
        if changes & CHANGE_TICK_TABLE:
            values["tick_table"] = tick_table(command.start, command.step)
        changed = Instrument(**values)
        need_terms(max(abs(changed.maker_ppm), abs(changed.taker_ppm)) <= PPM_MAX)
        if changes & (CHANGE_TICK | CHANGE_LOT):
            self._set_multipliers(changed)
        check_settings(changed)
        check_kind(changed)
        if changes & CHANGE_CLEARING:
            positions = [p for _, p in self.view.ledger.of_instrument(row.number)]
            need_terms(not has_orders and not any(p.is_due for p in positions))
            need_terms(command.clearing_ns == 0 or not any(p.short for p in positions))
        return changed

    def _set_multipliers(self, row: Instrument) -> None:
        base_scale = None
        if row.instrument_type != BINARY:
            base_scale = self.view.assets[row.base].scale
        quote_scale = self.view.assets[row.quote].scale
        ticks, lots = (row.tick, row.tick_scale), (row.lot, row.lot_scale)
        row.mult, row.base_per_lot = multipliers(ticks, lots, base_scale, quote_scale)


def _is_used(position: Position) -> bool:
    """Whether the lots of a position must not become other lots."""
    return bool(position.net or position.is_due or position.short or position.settled)
