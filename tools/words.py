"""Commands, events and reasons in words and decimals."""

from typing import Any, Final

from adapters import bounds
from adapters.instruments import Instrument
from core import messages
from core.reasons import TEXT, Reason
from tools.terms import (
    ORDER_FLAGS,
    ORDER_TYPES,
    SELF_TRADES,
    SIDES,
    TIMES_IN_FORCE,
    Terms,
    time_text,
)

Row = dict[str, Any]

AVAILABLE: Final = (Reason.INSUFFICIENT_FUNDS, Reason.INSUFFICIENT_POSITION)
AT_LEAST: Final = (Reason.QTY_TOO_SMALL, Reason.NOTIONAL_TOO_SMALL)
ON_STEP: Final = (Reason.PRICE_OFF_TICK,)
MONEY_COMMANDS: Final = ("DEPOSIT", "WITHDRAW", "TRANSFER")
TARGETED: Final = ("CANCEL_ORDER", "REPLACE_ORDER", "REDUCE_ORDER")
PRICES: Final = {"stop_price": "stop", "protection_price": "not beyond", "trail": "trailing by"}
REQUESTS: Final = {1: "place", 2: "cancel", 3: "replace"}
OUTCOMES: Final = (
    "applied",
    "unknown order",
    "late: the order had ended",
    "more than was open",
    "before the acknowledgement",
    "nothing to do",
)
PHASES: Final = {
    3: "open",
    4: "halted",
    5: "cancel_only",
    6: "post_only",
    7: "closed",
    8: "settled",
    9: "delisted",
}
CHANGES: Final = {
    getattr(messages, name): name.removeprefix("CHANGE_").lower()
    for name in dir(messages)
    if name.startswith("CHANGE_") and name not in ("CHANGE_STATUS", "CHANGE_SELF_TRADE")
}


def reason_text(terms: Terms, event: Row, command: Row) -> str:
    """A reason with the limit and the value that broke it."""
    number = event["reason"]
    words = TEXT.get(number, f"reason {number}")
    limit, value = event.get("limit", 0), event.get("value", 0)
    if not (limit or value):
        return words
    low, high = _shown(terms, event, command, limit), _shown(terms, event, command, value)
    if number in AVAILABLE:
        return f"{words}: {low} available, {high} needed"
    if number == Reason.TOO_LATE:
        return f"{words}: {low} filled, {high} asked"
    if number == Reason.CAPACITY:
        return f"{words}: it has {limit} rows, {value} are used"
    if number in ON_STEP:
        return f"{words}: a multiple of {low}, got {high}"
    most = "at least" if number in AT_LEAST else "at most"
    if number in (Reason.STOP_PRICE, Reason.POST_ONLY_WOULD_TAKE, Reason.REDUCE_ONLY):
        most = {
            Reason.STOP_PRICE: "last trade",
            Reason.POST_ONLY_WOULD_TAKE: "the best price is",
            Reason.REDUCE_ONLY: "the position is",
        }[Reason(number)]
    return f"{words}: {most} {low}" + (f", got {high}" if value else "")


def _shown(terms: Terms, event: Row, command: Row, amount: int) -> str:
    number = event["reason"]
    if number in bounds.TIMES:
        return time_text(amount)
    if command["kind"] in MONEY_COMMANDS:
        asset = terms.assets.get(event["instrument"])
        return f"{asset.text(amount)} {asset.name}" if asset else str(amount)
    instrument = terms.instruments.get(event["instrument"])
    if instrument is None or number in bounds.COUNTS:
        return str(amount)
    if number in bounds.PRICES:
        return instrument.price_text(amount)
    if number in bounds.QUANTITIES or number == Reason.TOO_LATE:
        return instrument.qty_text(amount)
    base = instrument.base if number == Reason.INSUFFICIENT_POSITION else None
    asset = base or instrument.quote
    return f"{asset.text(amount)} {asset.name}"


def command_text(terms: Terms, instrument: Instrument | None, command: Row) -> str:
    """What a command asks for."""
    kind = command["kind"]
    if kind == "PLACE_ORDER":
        words = _place_words(instrument, command)
    elif kind in MONEY_COMMANDS:
        asset = terms.assets.get(command["asset"])
        words = [f"{asset.text(command['amount'])} {asset.name}" if asset else "unknown asset"]
        words += [f"to {terms.account(command['counter_account'])}"] if kind == "TRANSFER" else []
    elif kind == "REPLACE_ORDER":
        words = [f"price {_price(instrument, command['price'])}"] if command["price"] else []
        basis = "open" if command["qty_basis"] else "total"
        words += [f"qty {_qty(instrument, command['qty'])} {basis}"] if command["qty"] else []
        words += _shown_words(instrument, command)
        words += _price_words(instrument, command)
    elif kind == "REDUCE_ORDER":
        words = [f"by {_qty(instrument, command['qty'])}"]
    elif kind == "MASS_CANCEL":
        words = _filter_words(instrument, command)
    elif kind.startswith("OUTSIDE_"):
        words = _outside_words(instrument, command)
    else:
        words = _admin_words(instrument, command)
    if kind in TARGETED:
        words.insert(0, command.get("original_client_order_id", "") or str(command["order_id"]))
    return " ".join(words)


def _place_words(instrument: Instrument | None, command: Row) -> list[str]:
    words = [SIDES.get(command["side"], "?"), _qty(instrument, command["qty"])]
    words += [ORDER_TYPES.get(command["order_type"], str(command["order_type"]))]
    words += [TIMES_IN_FORCE.get(command["time_in_force"], str(command["time_in_force"]))]
    words += [f"at {_price(instrument, command['price'])}"] if command["price"] else []
    words += _price_words(instrument, command)
    words += _shown_words(instrument, command)
    if command.get("min_qty"):
        words.append(f"at least {_qty(instrument, command['min_qty'])}")
    if command.get("max_cost"):
        quote = instrument.quote.text(command["max_cost"]) if instrument else command["max_cost"]
        words.append(f"for at most {quote}")
    flags = command["flags"]
    words += [word for bit, word in ORDER_FLAGS.items() if flags & bit]
    words += [SELF_TRADES[command["self_trade"]]] if command["self_trade"] in SELF_TRADES else []
    words += [f"until {time_text(command['expire_ns'])}"] if command["expire_ns"] else []
    words += [f"pair of {command['oco']}"] if command.get("oco") else []
    words += [f"tag {command['tag']}"] if command.get("tag") else []
    words += [instrument.symbol] if instrument else []
    return words


def _price_words(instrument: Instrument | None, command: Row) -> list[str]:
    words = []
    for name, word in PRICES.items():
        value = command.get(name)
        if value and name == "trail" and command["flags"] & messages.TRAIL_BPS:
            words.append(f"{word} {value} bps")
        elif value:
            words.append(f"{word} {_price(instrument, value)}")
    return words


def _shown_words(instrument: Instrument | None, command: Row) -> list[str]:
    shown = command.get("display_qty")
    return [f"showing {_qty(instrument, shown)}"] if shown else []


def _filter_words(instrument: Instrument | None, command: Row) -> list[str]:
    words = [instrument.symbol] if instrument and command["instrument"] else []
    words += [SIDES[command["side"]]] if command["side"] in SIDES else []
    if command["filter_session"]:
        words.append(f"session {command['filter_session'] & 0xFFFFFFFF}")
    return words + ([f"tag {command['tag']}"] if command.get("tag") else [])


def _outside_words(instrument: Instrument | None, command: Row) -> list[str]:
    words = [f"{command.get('source', '')} {command.get('reference', '')}".strip()]
    words += [f"order {command['order_id']}"] if command["order_id"] else []
    words += [_qty(instrument, command["qty"])] if command["qty"] else []
    words += [f"at {_price(instrument, command['price'])}"] if command["price"] else []
    if command.get("new_qty"):
        now = f"{_qty(instrument, command['new_qty'])} at"
        words.append(f"now {now} {_price(instrument, command['new_price'])}")
    return words


def _admin_words(instrument: Instrument | None, command: Row) -> list[str]:
    kind = command["kind"]
    words = [instrument.symbol] if instrument and command["instrument"] else []
    if kind == "UPDATE_INSTRUMENT":
        changes = [word for bit, word in sorted(CHANGES.items()) if command["changes"] & bit]
        if command["changes"] & messages.CHANGE_PHASE:
            changes[changes.index("phase")] = f"phase {PHASES.get(command['phase'], '?')}"
        words.append(", ".join(changes))
    elif kind == "SETTLE_INSTRUMENT":
        words.append(f"at {_price(instrument, command['price'])}")
    elif kind == "KILL_SWITCH":
        words.append("on" if command["is_on"] else "off")
    elif kind == "DEAD_MAN":
        ms = command["timeout_ns"] // 1_000_000
        words.append(f"in {ms:,} ms" if ms else "off")
    elif kind in ("BUST_TRADE", "CORRECT_TRADE"):
        words += [_qty(instrument, command["qty"]), f"at {_price(instrument, command['price'])}"]
        if command["new_qty"]:
            now = f"{_qty(instrument, command['new_qty'])} at"
            words.append(f"now {now} {_price(instrument, command['new_price'])}")
    return words


def _price(instrument: Instrument | None, ticks: int) -> str:
    return instrument.price_text(ticks) if instrument else f"{ticks} ticks"


def _qty(instrument: Instrument | None, lots: int) -> str:
    return instrument.qty_text(lots) if instrument else f"{lots} lots"


def event_text(row: Row, event: Row) -> str:
    """What an event says; ``row`` has its amounts as text."""
    kind = row["kind"]
    if "reason_text" in row and kind.endswith("REJECTED"):
        return f"rejected: {row['reason_text']}"
    if kind == "FILL":
        role = "maker" if "maker" in row["flags"] else "taker"
        against = f"against order {row['other_order_id']} of {row['other_account']}"
        if not row["other_order_id"]:
            against = "outside"
        return f"filled {row['qty']} at {row['price']} as {role}, fee {row['fee']}, {against}"
    if kind in ("ORDER_CANCELED", "ORDER_EXPIRED"):
        return f"{kind[6:].lower()} {row['qty']}: {row['reason_text']}"
    if kind == "ORDER_REPLACED":
        kept = "kept" if "priority_kept" in row["flags"] else "lost"
        return f"replaced: {row['qty']} at {row['price']}, {row['leaves']} open, priority {kept}"
    if kind == "ORDER_REDUCED":
        why = f": {row['reason_text']}" if "reason_text" in row else ""
        return f"reduced by {row['qty']} to {row['leaves']} open{why}"
    if kind == "ORDER_ROUTE_REQUESTED":
        what = REQUESTS.get(event["request"], str(event["request"]))
        return f"asked outside, request {event['route']}: {what} {row['qty']} at {row['price']}"
    if kind == "EXEC_RECORDED":
        outcome = event["outcome"]
        said = OUTCOMES[outcome] if outcome < len(OUTCOMES) else str(outcome)
        name = messages.COMMAND_NAMES.get(event["command"], str(event["command"]))
        return f"{name.lower().replace('_', ' ')} {event['client_order_id']}: {said}"
    plain = {
        "ORDER_ACCEPTED": "accepted: {qty} at {price}",
        "ORDER_RESTED": "rests: {qty} at {price}",
        "ORDER_REFILLED": "shows {qty} again at {price}, at the end of its level",
        "ORDER_TRIGGERED": "triggered: {leaves} to be matched",
        "TRADE_BUSTED": "busted: {qty} at {price}",
        "TRADE_CORRECTED": "corrected: {qty} at {price}",
        "REPLACED_FROM": "was: {qty} at {price}",
        "CANCEL_ACCEPTED": "cancel accepted",
        "ORDER_REPEATED": "the same id and payload again: nothing was done",
    }
    words = plain.get(kind, str(kind).lower().replace("_", " "))
    return words.format_map({**event, **row})
