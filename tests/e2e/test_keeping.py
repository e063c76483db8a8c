"""What an operator does with the data: snapshots, a backup, bringing it back, an upgrade.

One data directory goes through this file from top to bottom, as it would in front of somebody.
"""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.exchange import Ended, Exchange, outcry

JUMP = 1 << 26
ORDER = {"instrument": "BTC-USD", "side": "buy", "type": "limit", "price": "70000", "qty": "0.1"}
MORE_PAGES = {"limits.pages_max": "5000", "limits.closed_keep": "50000"}


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with Exchange(tmp_path_factory.mktemp("keeping") / "data") as exchange:
        yield exchange


def place(exchange: Exchange, name: str) -> dict[str, Any]:
    reply = exchange.request("POST", "/v1/orders", "alice", {**ORDER, "client_order_id": name})
    assert reply.status == 201, reply
    return dict(reply.body["order"])


def command(exchange: Exchange, *words: str) -> Ended:
    return outcry(*words, "--data", str(exchange.data), "--json", settings=exchange.settings)


def answer(done: Ended) -> dict[str, Any]:
    assert done.code == 0, done
    return dict(json.loads(done.out.splitlines()[-1]))


def sequence_of(order: dict[str, Any]) -> int:
    return int(order["order_id"]) >> 22


def test_snapshots_are_made_and_verified_beside_the_live_exchange(
    exchange: Exchange,
) -> None:
    exchange.start()
    place(exchange, "one")
    live = exchange.state()
    made = answer(command(exchange, "snapshot", "make"))
    assert (made["sequence"], made["state_hash"]) == (live["sequence"], live["state_hash"])
    rows = answer(command(exchange, "snapshot", "verify"))["snapshots"]
    assert rows[0]["sequence"] == live["sequence"]
    assert [row["fault"] for row in rows] == [""] * len(rows)


def test_a_live_backup_comes_back_elsewhere_and_gives_no_id_twice(exchange: Exchange) -> None:
    copy, back = exchange.data.parent / "copy", exchange.data.parent / "back"
    live = exchange.state()
    made = answer(command(exchange, "backup", str(copy)))
    assert (made["sequence"], made["state_hash"]) == (live["sequence"], live["state_hash"])
    lost = place(exchange, "lost")
    busy = command(exchange, "restore", str(copy))
    assert (busy.code, busy.out) == (75, "")
    with Exchange(back) as other:
        found = answer(command(other, "restore", str(copy)))
        assert found["state_hash"] == live["state_hash"]
        other.start()
        assert sequence_of(lost) < found["next_sequence"] <= sequence_of(place(other, "new"))
        assert found["next_sequence"] == live["sequence"] + JUMP
        gone = other.request("GET", "/v1/orders/by-client-id/lost", "alice")
        assert gone.status == 404
        assert other.stop() == 0
        assert other.replay()["sequence"] >= found["next_sequence"]


def test_a_bad_snapshot_exits_80(exchange: Exchange) -> None:
    rows = answer(command(exchange, "snapshot", "list"))["snapshots"]
    newest = exchange.data / "snapshots" / f"{rows[0]['sequence']:016d}"
    raw = (newest / "state").read_bytes()
    (newest / "state").write_bytes(raw[:-1])
    done = command(exchange, "snapshot", "verify")
    assert done.code == 80
    assert f"is of sequence {rows[0]['sequence']}: expected {len(raw)} bytes" in done.err
    shutil.rmtree(newest)


def test_an_upgrade_to_other_limits_goes_on_with_every_order(exchange: Exchange) -> None:
    order = place(exchange, "kept")
    busy = command(exchange, "upgrade")
    assert (busy.code, busy.out) == (75, "")
    before = exchange.state()
    assert exchange.stop() == 0
    old = next(path.name for path in (exchange.data / "journal").glob("*-*"))
    exchange.settings.update(MORE_PAGES)
    done = answer(command(exchange, "upgrade"))
    assert (done["sequence"], done["generation"]) == (before["sequence"], 1)
    assert (exchange.data / "generations" / f"0-{old}" / "journal" / old).is_dir()
    exchange.start()
    now = exchange.state()
    assert (now["sequence"], now["state_hash"]) == (done["sequence"], done["state_hash"])
    found = exchange.request("GET", "/v1/orders/by-client-id/kept", "alice").body["order"]
    assert {**found, "seq": None} == {**order, "seq": None}
    assert sequence_of(place(exchange, "next")) == before["sequence"] + 1
    again = exchange.request("POST", "/v1/orders", "alice", {**ORDER, "client_order_id": "kept"})
    assert again.body["order"]["order_id"] == order["order_id"]
    assert exchange.stop() == 0


def test_reset_takes_generations_along(exchange: Exchange) -> None:
    done = outcry("reset", "--yes", "--data", str(exchange.data), settings=exchange.settings)
    assert done.code == 0, done
    assert list(exchange.data.iterdir()) == []
