"""drain: own commands whole and with totals, public events once, nothing from a cut beginning."""

import secrets
from collections.abc import Iterator

import numpy as np
import pytest

from core.constants import FILLS_ANSWERED_MAX
from core.drain import CHUNK_EVENTS, PUBLIC_EVENTS, EventReader
from core.memory import view
from core.messages import (
    EVENT,
    FILL,
    LAST,
    LEDGER,
    MAKER,
    MASS_CANCELED,
    ORDER_ACCEPTED,
    ORDER_CANCELED,
    ORDER_RESTED,
    TRADE_BUSTED,
    TRADE_CORRECTED,
)
from core.output import LAPPED, attach_output, claim, create_output, event_slot, publish
from core.shm import prefix

GATEWAY = 3
OURS = GATEWAY << 24 | 1
THEIRS = 4 << 24 | 1
ALL = range(126)


class Feed:
    """A writer of events and one reader for gateway 3."""

    def __init__(self, capacity: int = 16_384) -> None:
        shm = prefix(secrets.token_hex(4), 1)
        self.writer = create_output(shm, 1, capacity)
        self.writer.segment.publish()
        self.output = attach_output(shm, 1)
        self.reader = EventReader(self.output, GATEWAY, 0)
        self.sequence = 100

    def write(self, events: "list[dict[str, int]]", *, start: int = 0, last: bool = True) -> None:
        """Publish the events of one command, or the part of them from index ``start`` on."""
        if start == 0:
            self.sequence += 1
        for number, fields in enumerate(events):
            claim(self.writer.end, 1)
            row = view(event_slot(self.writer.end, 0), EVENT, 1)
            row[:] = np.zeros(1, EVENT)
            row["sequence"], row["index"] = self.sequence, start + number
            for field, value in fields.items():
                row[field] = value
            if last and number == len(events) - 1:
                row["flags"] |= LAST
            publish(self.writer.end, 1)

    def drain(self) -> list[tuple[int, list[int]]]:
        """(request id, kinds) of every own command until nothing is left."""
        found = []
        while self.reader.drain() > 0:
            found += [
                (group.request_id, events["kind"].tolist())
                for group, events in self.reader.groups()
            ]
        return found

    def close(self) -> None:
        self.output.close()
        self.writer.segment.unlink()
        self.writer.close()


@pytest.fixture
def feed() -> Iterator[Feed]:
    made = Feed()
    yield made
    made.close()


def accepted(session: int, request_id: int, account: int = 10) -> dict[str, int]:
    return {"kind": ORDER_ACCEPTED, "session": session, "fee": request_id, "account": account}


def fills(count: int, fee: int = 7, qty: int = 2, maker: int = THEIRS) -> list[dict[str, int]]:
    pair = [
        {"kind": FILL, "session": OURS, "fee": fee, "qty": qty, "account": 10},
        {"kind": FILL, "session": maker, "fee": 1, "qty": qty, "account": 20, "flags": MAKER},
    ]
    return [dict(event) for _ in range(count) for event in pair]


def test_own_commands_come_whole_and_foreign_ones_do_not_come(feed: Feed) -> None:
    feed.write([accepted(OURS, 1)])
    feed.write([accepted(THEIRS, 2), *fills(1)])
    feed.write([accepted(OURS, 3), *fills(1), {"kind": ORDER_RESTED, "session": OURS}])

    assert feed.drain() == [
        (1, [ORDER_ACCEPTED]),
        (3, [ORDER_ACCEPTED, FILL, ORDER_RESTED]),
    ]


def test_the_last_event_always_comes(feed: Feed) -> None:
    """Here it is the fill of a maker of another gateway."""
    feed.write([accepted(OURS, 1), *fills(2)])

    feed.reader.drain()
    ((group, events),) = feed.reader.groups()

    assert events["kind"].tolist() == [ORDER_ACCEPTED, FILL, FILL, FILL]
    assert events["flags"].tolist() == [0, 0, 0, MAKER | LAST]
    assert (group.fill_count, int(group.filled_qty), int(group.fees)) == (2, 4, 14)
    assert group.truncated == 0


def test_what_happens_to_the_account_in_other_sessions_comes_too(feed: Feed) -> None:
    feed.write(
        [
            {"kind": MASS_CANCELED, "session": OURS, "fee": 5, "account": 10},
            {"kind": ORDER_CANCELED, "session": THEIRS, "account": 10},
            {"kind": ORDER_CANCELED, "session": THEIRS, "account": 10},
        ]
    )

    assert feed.drain() == [(5, [MASS_CANCELED, ORDER_CANCELED, ORDER_CANCELED])]


def test_both_sides_of_a_trade_that_is_corrected_come_and_what_outside_bears(feed: Feed) -> None:
    feed.write(
        [
            {"kind": TRADE_BUSTED, "session": OURS, "fee": 5, "account": 10},
            {"kind": TRADE_BUSTED, "account": 20},
            {"kind": LEDGER, "account": 2},
            {"kind": LEDGER, "session": THEIRS, "account": 20},
            {"kind": TRADE_CORRECTED, "account": 10},
            {"kind": TRADE_CORRECTED, "account": 20},
        ]
    )

    kinds = [TRADE_BUSTED, TRADE_BUSTED, LEDGER, TRADE_CORRECTED, TRADE_CORRECTED]
    assert feed.drain() == [(5, kinds)]


def test_a_group_may_span_drains(feed: Feed) -> None:
    feed.write([accepted(OURS, 8), *fills(1)], last=False)
    assert feed.drain() == []

    feed.write([{"kind": ORDER_RESTED, "session": OURS}], start=3)

    assert feed.drain() == [(8, [ORDER_ACCEPTED, FILL, ORDER_RESTED])]


def test_a_group_whose_beginning_was_not_seen_is_skipped(feed: Feed) -> None:
    feed.write([accepted(OURS, 8), *fills(1)], last=False)
    feed.reader.skip_to_end()
    feed.write([{"kind": ORDER_RESTED, "session": OURS}], start=3)
    feed.write([accepted(OURS, 9)])

    assert feed.drain() == [(9, [ORDER_ACCEPTED])]


def test_a_group_with_a_hole_is_skipped(feed: Feed) -> None:
    feed.write([accepted(OURS, 8)], last=False)
    feed.write([{"kind": ORDER_RESTED, "session": OURS}], start=2)
    feed.write([accepted(OURS, 9)])

    assert feed.drain() == [(9, [ORDER_ACCEPTED])]


def test_a_large_sweep_is_truncated_but_its_totals_are_not(feed: Feed) -> None:
    count = FILLS_ANSWERED_MAX + 500
    feed.write([accepted(OURS, 1), *fills(count), {"kind": ORDER_RESTED, "session": OURS}])
    view(event_slot(feed.writer.end, -3), EVENT, 1)["fee"] = 70  # The taker's last fill.

    groups = []
    while feed.reader.drain() > 0:
        groups += feed.reader.groups()
    ((group, events),) = groups

    assert group.truncated == 1
    assert group.fill_count == count
    assert group.filled_qty == 2 * count
    assert group.fees == 7 * (count - 1) + 70
    assert events["kind"].tolist() == [
        ORDER_ACCEPTED,
        *[FILL] * FILLS_ANSWERED_MAX,
        FILL,
        ORDER_RESTED,
    ]
    assert int(events[-2]["fee"]) == 70
    assert int(events[-1]["flags"]) == LAST


def test_a_large_mass_cancel_is_cut_and_says_so(feed: Feed) -> None:
    canceled = [
        {"kind": ORDER_CANCELED, "session": OURS, "account": 10, "order_id": k}
        for k in range(3_000)
    ]
    feed.write([{"kind": MASS_CANCELED, "session": OURS, "fee": 5, "account": 10}, *canceled])

    groups = []
    while feed.reader.drain() > 0:
        groups += feed.reader.groups()
    ((group, events),) = groups

    assert group.truncated == 1
    assert events["order_id"].tolist()[-1] == 2_999
    assert 2_000 < len(events) < 2_100


def test_many_answers_wait_for_room_and_none_is_lost(feed: Feed) -> None:
    """Groups of 3 kept events each: the buffer of 4,096 events is full before the groups are."""
    for number in range(3_000):
        feed.write([accepted(OURS, number), *fills(1, maker=OURS)])

    assert [request_id for request_id, _ in feed.drain()] == list(range(3_000))


def test_public_events_are_those_of_the_kinds_asked_for(feed: Feed) -> None:
    feed.reader.want({FILL, 70})
    feed.write([accepted(THEIRS, 2), *fills(1)])
    feed.write([{"kind": 70, "session": THEIRS}])

    feed.reader.drain()

    assert feed.reader.public()["kind"].tolist() == [FILL, FILL, 70]


def test_all_events_are_public_in_order_across_chunks(feed: Feed) -> None:
    feed.reader.want(ALL)
    count = 3 * CHUNK_EVENTS + 17
    for number in range(count):
        feed.write([accepted(THEIRS, number)])

    found: list[int] = []
    while feed.reader.drain() > 0:
        found += feed.reader.public()["fee"].tolist()

    assert found == list(range(count))


def test_public_events_wait_until_they_are_taken_and_none_is_lost(feed: Feed) -> None:
    feed.reader.want(ALL)
    for number in range(PUBLIC_EVENTS + CHUNK_EVENTS):
        feed.write([accepted(OURS, number)])

    answered = feed.drain()
    assert feed.reader.public_count == len(answered) == PUBLIC_EVENTS
    taken = feed.reader.public()["fee"].tolist()
    assert feed.reader.public_count == 0
    answered += feed.drain()
    taken += feed.reader.public()["fee"].tolist()

    assert taken == list(range(PUBLIC_EVENTS + CHUNK_EVENTS))
    assert [request_id for request_id, _ in answered] == taken


def test_public_events_that_were_delivered_before_do_not_come_again(feed: Feed) -> None:
    feed.reader.want(ALL)
    feed.reader.skip_seen(101, 1)
    feed.write([accepted(OURS, 1), *fills(1)])
    feed.write([accepted(OURS, 2)])

    assert feed.drain() == [(1, [ORDER_ACCEPTED, FILL, FILL]), (2, [ORDER_ACCEPTED])]
    public = feed.reader.public()
    assert list(zip(public["sequence"].tolist(), public["index"].tolist(), strict=True)) == [
        (101, 2),
        (102, 0),
    ]


def test_a_lapped_reader_knows_it_and_goes_on_at_the_end() -> None:
    feed = Feed(capacity=64)
    for number in range(80):
        feed.write([accepted(OURS, number)])

    assert feed.reader.drain() == LAPPED
    feed.reader.skip_to_end()
    feed.write([accepted(OURS, 80)])
    assert feed.drain() == [(80, [ORDER_ACCEPTED])]
    feed.close()
