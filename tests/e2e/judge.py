"""Is what clients were told true?  Decided from their history and from what they can see.

Nothing here knows the exchange from inside; ``judge`` is a function of plain data.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from tests.e2e.history import (
    CANCEL,
    FRESH,
    NEVER,
    PLACE,
    REJECTED,
    REPEATED,
    UNKNOWN,
    Command,
    View,
)

GRANTS: Final = {"USD": Decimal(1_000_000), "BTC": Decimal(100), "ETH": Decimal(1_000)}
SAME: Final = ("side", "type", "instrument")
ENDS: Final = ("filled", "canceled", "expired")


def judge(history: Iterable[Command], view: View) -> list[str]:
    """Every contradiction between what was promised and what is, as sentences."""
    commands = list(history)
    found: list[str] = []
    for command in commands:
        found += _of_command(command, view)
    orders = _orders(commands, view)
    found += _of_ids(commands, orders)
    found += _of_time(commands)
    for user in view.balances:
        found += _of_user(user, [o for (u, _), o in orders.items() if u == user], view)
    return found + _of_money(list(orders.values()), view) + _of_book(list(orders.values()), view)


def _of_command(command: Command, view: View) -> list[str]:
    """Exactly once, with one answer; never when told so."""
    name = f"{command.user} {command.kind} {command.cid}"
    executed = _executed(command.seen())
    if executed is None:
        return [f"{name}: executed twice, or answered as a repeat of nothing: {command.seen()}"]
    now = view.looked_up[command.user, command.cid]
    is_there = now.status == 200
    if not is_there and now.body.get("code") not in ("not_seen", "not_found"):
        return [f"{name}: lookup answers {now.status} {now.body.get('code')}"]
    if executed == UNKNOWN:
        return []
    if executed == NEVER:
        return [f"{name}: never executed, yet it is there"] * is_there
    if executed == REJECTED:
        wrong = command.kind == PLACE and now.body.get("order", {}).get("status") != "rejected"
        return [f"{name}: rejected, lookup says otherwise: {now.body}"] * wrong
    if not is_there:
        return [f"{name}: acknowledged, lookup answers {now.status} {now.body.get('code')}"]
    return _of_answers(command, now.body["order"], name)


def _executed(told: list[str]) -> str | None:
    """What is known after these answers: FRESH, REJECTED, NEVER, UNKNOWN; None: contradiction."""
    known = NEVER
    for word in told:
        if word == UNKNOWN and known == NEVER:
            known = UNKNOWN
        elif word == FRESH:
            if known not in (NEVER, UNKNOWN):
                return None
            known = FRESH
        elif word == REPEATED:
            if known not in (FRESH, UNKNOWN):
                return None
            known = FRESH
        elif word == REJECTED:
            if known == FRESH:
                return None
            known = REJECTED
    return known


def _of_answers(command: Command, now: dict[str, Any], name: str) -> list[str]:
    """Every answer of an executed command still fits the order as it is now."""
    found = []
    for attempt in command.answers():
        said = attempt.body["order"]
        if said["order_id"] != now["order_id"]:
            found.append(f"{name}: answered order {said['order_id']}, it is {now['order_id']}")
        found += [
            f"{name}: {field} was {said[field]}, it is {now[field]}"
            for field in SAME
            if said[field] not in (None, now[field])
        ]
        if Decimal(now["filled_qty"]) < Decimal(said["filled_qty"]):
            found.append(f"{name}: filled {said['filled_qty']}, now only {now['filled_qty']}")
        if said["status"] in ENDS and now["status"] != said["status"]:
            found.append(f"{name}: was {said['status']}, is {now['status']}")
        fills = attempt.body.get("fills", [])
        complete = attempt.told == FRESH and not attempt.body.get("fills_truncated")
        filled = sum(Decimal(fill["qty"]) for fill in fills)
        if command.kind == PLACE and complete and filled != Decimal(said["filled_qty"]):
            found.append(f"{name}: fills of {filled}, filled_qty {said['filled_qty']}")
    if command.kind == PLACE:
        wanted, got = command.body, now
        if wanted["side"] != got["side"] or wanted["type"] != got["type"]:
            found.append(f"{name}: asked for {wanted}, got {got}")
    elif command.kind == CANCEL and now["status"] != "canceled":
        found.append(f"{name}: canceled, but it is {now['status']}")
    if command.target and now["order_id"] != command.target:
        found.append(f"{name}: of order {command.target}, changed {now['order_id']}")
    return found


def _orders(commands: list[Command], view: View) -> dict[tuple[str, str], dict[str, Any]]:
    """Orders by user and order id, as they are now."""
    found = {}
    for command in commands:
        now = view.looked_up[command.user, command.cid]
        if now.status == 200 and now.body["order"]["status"] != "rejected":
            order = now.body["order"]
            found[command.user, order["order_id"]] = order
    return found


def _of_ids(commands: list[Command], orders: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
    """One order per client id that placed one, one fill per execution id; replaces add up."""
    found = []
    placed: Counter[str] = Counter()
    executions: Counter[str] = Counter()
    for command in commands:
        now = view_order(command)
        if command.kind == PLACE and now is not None:
            placed[now] += 1
        fresh = [attempt for attempt in command.attempts if attempt.told == FRESH]
        executions.update(
            fill["exec_id"] for attempt in fresh for fill in attempt.body.get("fills", [])
        )
    found += [f"order {order} was placed {n} times" for order, n in placed.items() if n > 1]
    found += [f"execution {one} was told {n} times" for one, n in executions.items() if n > 1]
    of_order: defaultdict[tuple[str, str], list[Command]] = defaultdict(list)
    for command in commands:
        if command.kind != CANCEL:
            for order_id in {command.target, view_order(command)} - {None}:
                of_order[command.user, str(order_id)].append(command)
    for name, order in orders.items():
        found += _of_replaces(of_order[name], order)
    return found


def _of_time(commands: list[Command]) -> list[str]:
    """Sequences follow real time: what was sent after an answer has a higher one than it.

    The ``seq`` of an answer that is no repeat is at or behind that of its command, and was there
    when the answer came; so it also bounds what was told as a repeat, from below.
    """
    told: list[tuple[float, int, str]] = []  # When, sequence, of what.
    asked: list[tuple[float, int, str]] = []
    for command in commands:
        for attempt in command.answers():
            sequence = int(attempt.body.get("seq", 0))
            name = f"{command.user} {command.kind} {command.cid}"
            if sequence and attempt.told_s:
                told.append((attempt.told_s, sequence, name))
                if attempt.told == FRESH:
                    asked.append((attempt.sent_s, sequence, name))
    told.sort(reverse=True)
    found, newest = [], (0, "")
    for sent_s, sequence, name in sorted(asked):
        while told and told[-1][0] < sent_s:
            newest = max(newest, told.pop()[1:])
        if sequence <= newest[0]:
            found.append(f"{name}: sequence {sequence}, sent after {newest[1]} had {newest[0]}")
    return found


def view_order(command: Command) -> str | None:
    """The order id that a command was answered with."""
    answers = command.answers()
    return answers[0].body["order"]["order_id"] if answers else None


def _of_replaces(commands: list[Command], order: dict[str, Any]) -> list[str]:
    """The order has the id and the values of the last command of its client that set them."""
    may_be: dict[str, Command] = {}
    for command in commands:  # One after the other: an order belongs to one client.
        executed = _executed(command.seen())
        if executed == FRESH:
            may_be = {command.cid: command}
        elif executed == UNKNOWN:
            may_be[command.cid] = command
    if not may_be:
        return []
    name = f"{commands[0].user} order {order['order_id']}"
    last = may_be.get(order["client_order_id"])
    if last is None:
        return [f"{name}: last told {sorted(may_be)}, it has {order['client_order_id']}"]
    wanted = {key: last.body[key] for key in ("price", "qty") if key in last.body}
    got = {key: order[key] for key in wanted}
    return [f"{name}: wanted {wanted}, got {got}"] * (wanted != got)


def _of_user(user: str, orders: list[dict[str, Any]], view: View) -> list[str]:
    """Open orders, position and reservations of one user are the sums over the orders."""
    found = []
    listed = [order["order_id"] for order in view.open_orders[user]]
    resting = {o["order_id"] for o in orders if o["status"] in ("open", "partially_filled")}
    if len(listed) != len(set(listed)) or set(listed) != resting:
        odd = sorted(set(listed) ^ resting)
        found.append(f"{user}: open orders differ from the orders that are open: {odd[:5]}")
    position = view.positions[user]
    for side, name in (("buy", "bought_qty"), ("sell", "sold_qty")):
        filled = sum(Decimal(o["filled_qty"]) for o in orders if o["side"] == side)
        if filled != Decimal(position.get(name, 0)):
            found.append(f"{user}: {name} {position.get(name)}, orders say {filled}")
    for asset, row in view.balances[user].items():
        reserved = sum(
            Decimal(o["reserved"]["amount"]) for o in orders if o["reserved"]["asset"] == asset
        )
        if reserved != Decimal(row["reserved"]):
            found.append(f"{user}: {asset} reserved {row['reserved']}, orders say {reserved}")
        if min(Decimal(row["available"]), Decimal(row["reserved"])) < 0:
            found.append(f"{user}: {asset} below zero: {row}")
        if Decimal(row["total"]) != Decimal(row["available"]) + Decimal(row["reserved"]):
            found.append(f"{user}: {asset} does not add up: {row}")
    return found


def _of_money(orders: list[dict[str, Any]], view: View) -> list[str]:
    """What was deposited is there, less the fees that the orders paid; every fill has two sides."""
    found = []
    for asset, grant in GRANTS.items():
        total = sum(Decimal(rows[asset]["total"]) for rows in view.balances.values())
        fees = sum(Decimal(o["fees"]["amount"]) for o in orders if o["fees"]["asset"] == asset)
        if total + fees != grant * len(view.balances):
            found.append(f"{asset}: {total} and fees {fees} are not {grant * len(view.balances)}")
    bought, sold = (
        sum(Decimal(o["filled_qty"]) for o in orders if o["side"] == side)
        for side in ("buy", "sell")
    )
    return [*found, f"bought {bought}, sold {sold}"] if bought != sold else found


def _of_book(orders: list[dict[str, Any]], view: View) -> list[str]:
    """The book is what the open orders are, and not crossed."""
    found = []
    for side, name in (("buy", "bids"), ("sell", "asks")):
        levels: dict[str, Decimal] = {}
        for order in orders:
            if order["side"] == side and order["status"] in ("open", "partially_filled"):
                left = Decimal(order["remaining_qty"])
                levels[order["price"]] = levels.get(order["price"], Decimal()) + left
        shown = {level[0]: Decimal(level[1]) for level in view.book[name]}
        if shown != levels:
            found.append(f"{name}: shown and not so: {sorted(shown.items() ^ levels.items())[:5]}")
    bids, asks = view.book["bids"], view.book["asks"]
    if bids and asks and Decimal(bids[0][0]) >= Decimal(asks[0][0]):
        found.append(f"the book is crossed: {bids[0]} {asks[0]}")
    return found
