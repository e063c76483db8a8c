"""``outcry explain`` in words and decimals."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from adapters.instruments import Instrument
from core.messages import (
    BUY,
    STATUS_CANCELED,
    STATUS_EXPIRED,
    STATUS_FILLED,
    STATUS_PENDING,
    STATUS_ROUTED,
)
from core.reasons import TEXT, Reason
from replay.explain import Explanation
from replay.steps import Step
from tools.terms import Terms, order_fields, time_text
from tools.words import MONEY_COMMANDS, command_text, event_text, reason_text

Row = dict[str, Any]

QUEUE_STEPS_TOLD: Final = 3  # Of a run of steps that only move the queue.


class Told(NamedTuple):
    """An explanation as text lines and as plain fields."""

    lines: list[str]
    fields: Row


def tell(found: Explanation) -> Told:
    """Text for people and fields for machines."""
    terms = Terms(found.state)
    steps = [_step(terms, step) for step in found.steps]
    said = verdict(terms, found)
    order = order_fields(terms, found.order) if found.order else None
    fields = {
        "order": order,
        "verdict": said,
        "sequence": found.sequence,
        "other_orders": found.others,
        "now": _after(terms, found.order) if found.order else None,
        "steps": steps,
    }
    return Told(list(_lines(fields)), fields)


# Why it is as it is.


def verdict(terms: Terms, found: Explanation) -> str:
    """Why the order is filled, unfilled or rejected, in one sentence."""
    order = found.order
    if not order:
        step = found.steps[-1]
        if step.events and step.events[-1]["reason"]:
            return f"rejected: {reason_text(terms, step.events[-1], step.command)}"
        return f"no order: {step.command['kind']} was done at sequence {step.sequence}"
    instrument = terms.instruments[order["instrument"]]
    status = order["status"]
    total = order["leaves"] + order["cum"]
    average = (
        f" at {instrument.average_price(order['cum_notional'], order['cum'])} on average"
        if order["cum"]
        else ""
    )
    if status == STATUS_FILLED:
        fees = f"{instrument.quote.text(order['fees'])} {instrument.quote.name}"
        return f"filled: {instrument.qty_text(order['cum'])}{average}, fees {fees}"
    done = f"; {instrument.qty_text(order['cum'])} was filled{average}" if order["cum"] else ""
    if status == STATUS_EXPIRED:
        return f"expired: {_expired(instrument, order)}{done}"
    if status == STATUS_PENDING:
        return f"waiting: {_waiting(instrument, order)}"
    if status == STATUS_ROUTED:
        return "asked for outside, not acknowledged yet"
    if status == STATUS_CANCELED:
        return f"canceled at sequence {found.ended_at}: {_canceled(order)}{done}"
    words = "open outside"
    if order["queue"]:
        words = f"resting: {_resting(instrument, order)}"
    if order["cum"]:
        of = f"{instrument.qty_text(order['cum'])} of {instrument.qty_text(total)}"
        return f"partly filled, {of}{average}; {words}"
    return words


def _expired(instrument: Instrument, order: Row) -> str:
    best, cum, reason = order["best_other"], order["cum"], order["end_reason"]
    if reason not in (Reason.MARKET_REMAINDER, Reason.IOC_REMAINDER):
        return TEXT.get(reason, f"reason {reason}")
    side = "ask" if order["side"] == BUY else "bid"
    if reason == Reason.MARKET_REMAINDER:
        if best is None:
            return f"market order, there are no {side}s left"
        if order.get("protection_price"):
            return f"market order, the best {side} is beyond its protection price"
        return "market order, the cash of the account pays for no more"
    near = "at or below" if order["side"] == BUY else "at or above"
    if cum:
        limit = instrument.price_text(order["price"])
        return f"IOC, the book had only {instrument.qty_text(cum)} {near} the limit {limit}"
    return f"IOC, {_out_of_reach(instrument, order)}"


def _waiting(instrument: Instrument, order: Row) -> str:
    where = "or above" if order["side"] == BUY else "or below"
    return f"a trade at {where} {instrument.price_text(order['stop_price'])} triggers it"


def _out_of_reach(instrument: Instrument, order: Row) -> str:
    side, where = ("ask", "above") if order["side"] == BUY else ("bid", "below")
    if order["best_other"] is None:
        return f"there is no {side}"
    best, limit = (instrument.price_text(order[name]) for name in ("best_other", "price"))
    return f"the best {side} {best} is {where} the limit {limit}"


def _canceled(order: Row) -> str:
    reason = order["end_reason"]
    if reason == Reason.CANCELED_BY_USER:
        return "by its owner"
    return TEXT.get(reason, f"reason {reason}")


def _resting(instrument: Instrument, order: Row) -> str:
    return f"{_out_of_reach(instrument, order)}; {_queue_text(instrument, order)}"


def _queue_text(instrument: Instrument, order: Row) -> str:
    queue = order["queue"]
    count = queue["orders_ahead"]
    ahead = "first in the queue"
    if count:
        qty = instrument.qty_text(queue["qty_ahead"])
        ahead = f"{count} order{'s' if count > 1 else ''}, {qty} ahead in the queue"
    if not queue["levels_better"]:
        return f"{ahead} at the best price"
    away = instrument.price_text(abs(order["best_own"] - order["price"]))
    better = queue["levels_better"]
    return f"{ahead}, {away} behind the best price ({better} level{'s' if better > 1 else ''})"


# Steps.


def _step(terms: Terms, step: Step) -> Row:
    command = step.command
    order = step.after
    number = order["instrument"] if order else int(command.get("instrument", 0))
    instrument = terms.instruments.get(number)
    return {
        "sequence": step.sequence,
        "time": time_text(step.timestamp_ns),
        "relation": step.relation,
        "command": {
            "kind": command["kind"],
            "account": terms.account(command["account"]),
            "client_order_id": command.get("client_order_id", ""),
            "text": command_text(terms, instrument, command),
        },
        "events": [_event(terms, instrument, event, command) for event in step.events],
        "after": _after(terms, order) if order else None,
    }


def _after(terms: Terms, order: Row) -> Row:
    fields = order_fields(terms, order)
    instrument = terms.instruments[order["instrument"]]
    after = {name: fields[name] for name in ("status", "price", "leaves_qty", "filled_qty", "hold")}
    after["fees"] = fields["fees"]
    for side in ("best_own", "best_other"):
        best = order[side]
        after[side] = None if best is None else instrument.price_text(best)
    queue = order["queue"]
    after["queue"] = None
    if queue:
        after["queue"] = {
            "orders_ahead": queue["orders_ahead"],
            "qty_ahead": instrument.qty_text(queue["qty_ahead"]),
            "orders_at_level": queue["level_orders"],
            "qty_at_level": instrument.qty_text(queue["level_qty"]),
            "levels_better": queue["levels_better"],
            "from_best": instrument.price_text(abs(order["best_own"] - order["price"])),
            "text": _queue_text(instrument, order),
        }
    return after


def _event(terms: Terms, instrument: Instrument | None, event: Row, command: Row) -> Row:
    """An event with its amounts as text, and in words."""
    row: Row = {
        "id": f"{event['sequence']}.{event['index']}",
        "kind": event["kind"],
        "order_id": event["order_id"],
        "account": terms.account(event["account"]),
        "client_order_id": event["client_order_id"],
        "flags": event["flags"],
    }
    if event["reason"]:
        reason = event["reason"]
        known = reason in Reason._value2member_map_
        row["reason"] = Reason(reason).word if known else str(reason)
        row["reason_text"] = reason_text(terms, event, command)
    if instrument is not None and command["kind"] not in MONEY_COMMANDS:
        row["price"] = instrument.price_text(event["price"])
        for name in ("qty", "leaves", "cum"):
            if name in event:
                row[name] = instrument.qty_text(event[name])
    if instrument is not None and event["kind"] == "FILL":
        row["fee"] = f"{instrument.quote.text(event['fee'])} {instrument.quote.name}"
        row["other_order_id"] = event["other_order_id"]
        row["other_account"] = terms.account(event["other_account"])
    row["text"] = event_text(row, event)
    return row


# Text.


def _lines(fields: Row) -> Iterator[str]:
    order = fields["order"]
    if order:
        price = f" at {order['price']}" if order["price"] else ""
        yield (
            f"order {order['order_id']} {order['client_order_id']} of {order['account']}: "
            f"{order['side']} {order['instrument']} {order['type']} {order['time_in_force']}{price}"
        )
    yield fields["verdict"]
    if fields["other_orders"]:
        others = ", ".join(map(str, fields["other_orders"]))
        yield f"the id was also that of {others}: explain these by their order id"
    yield ""
    run: list[Row] = []
    for step in [*fields["steps"], None]:
        if step is not None and step["relation"] == "moves the queue":
            run.append(step)
            continue
        yield from _queue_run(run)
        run = []
        if step is not None:
            yield from _step_lines(step)
    if order and order["status"] in ("open", "pending", "routed"):
        yield f"{'now':>12}  {_after_text(fields['now'])}"
    yield f"looked up to sequence {fields['sequence']:,}"


def _queue_run(run: list[Row]) -> Iterator[str]:
    for step in run if len(run) <= QUEUE_STEPS_TOLD else (run[0], run[-1]):
        if step is run[-1] and len(run) > QUEUE_STEPS_TOLD:
            yield f"{'...':>12}  {len(run) - 2:,} more changes of the queue"
        command = step["command"]
        queue = step["after"]["queue"]["text"]
        yield f"{step['sequence']:>12}  {command['kind']} of {command['account']}: {queue}"


def _step_lines(step: Row) -> Iterator[str]:
    command = step["command"]
    own_id = f" {command['client_order_id']}" if command["client_order_id"] else ""
    said = f": {command['text']}" if command["text"] else ""
    head = f"{command['kind']}{own_id} of {command['account']}{said}"
    yield f"{step['sequence']:>12}  {head}  ({step['time']}, {step['relation']})"
    for event in step["events"]:
        yield f"{'':14}{event['id']} {event['text']}"
    if step["after"]:
        yield f"{'':14}then {_after_text(step['after'])}"


def _after_text(after: Row) -> str:
    text = (
        f"{after['status']}, {after['leaves_qty']} open, {after['filled_qty']} filled, "
        f"holds {after['hold']}"
    )
    return f"{text}; {after['queue']['text']}" if after["queue"] else text
