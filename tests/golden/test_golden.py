"""Journals that older versions wrote are decoded, verified and upgraded for ever, and replayed by
the engine that wrote them.  A test here that fails says that a format changed in silence."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from core import messages
from core.journal import manifest
from core.journal.dump import dump
from core.journal.errors import JournalRefused
from core.journal.layout import DURABILITIES, RELAXED
from core.journal.lock import acquire
from core.journal.verify import locate, verify
from core.limits import SMALL
from core.sequencer.engine import ENGINE_VERSION
from replay import keeping, replay
from replay.snapshots import listed
from replay.snapshots import verify as verify_snapshots
from replay.upgrade import upgrade
from tests.golden.make import BLOCKS, COMPARED, config_of, unpack
from tests.replay.live import Live

ROOT: Final = Path(__file__).parent
VERSIONS: Final = sorted(path.name for path in ROOT.glob("v[0-9]*"))
GOLDEN: Final = [(version, durability) for version in VERSIONS for durability in DURABILITIES]

# Kinds that their engine did not have, and that have a name by now.
LATER_NAMES: Final = {"12": "UPDATE_INSTRUMENT"}

Expected = dict[str, Any]


@pytest.fixture(params=GOLDEN, ids=["-".join(each) for each in GOLDEN])
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Expected]:
    """A data directory as it was, and what it means."""
    version, durability = request.param
    unpack(ROOT / version / durability, tmp_path / "data")
    expected = json.loads((ROOT / version / "expected.json").read_text())[durability]
    return tmp_path / "data", {**expected, "durability": durability}


def test_there_are_journals_of_every_durability_with_every_kind_of_block() -> None:
    assert GOLDEN[:2] == [("v1", "sync"), ("v1", "relaxed")]
    first = json.loads((ROOT / "v1" / "expected.json").read_text())
    commands = {
        *("PLACE_ORDER", "CANCEL_ORDER", "REPLACE_ORDER", "REDUCE_ORDER", "MASS_CANCEL"),
        *("CREATE_ASSET", "CREATE_INSTRUMENT", "CREATE_ACCOUNT", "DEPOSIT", "WITHDRAW"),
    }
    for durability in DURABILITIES:
        assert set(first[durability]["kinds"]) == commands | BLOCKS | {"12"}


def test_newer_journals_have_every_kind_that_their_engine_had() -> None:
    newest = json.loads((ROOT / VERSIONS[-1] / "expected.json").read_text())
    made = newest["sync"]["engine_version"]
    assert made == ENGINE_VERSION, "a new engine version wants golden journals of its own"
    for durability in DURABILITIES:
        assert set(messages.COMMAND_NAMES.values()) | BLOCKS <= set(newest[durability]["kinds"])


def test_every_byte_verifies(golden: tuple[Path, Expected]) -> None:
    data, expected = golden
    found = verify(data)
    assert (found.last_sequence, found.blocks, found.segments, found.tail) == (
        expected["last_sequence"],
        expected["blocks"],
        expected["segments"],
        "CLEAN",
    )
    directory, _ = locate(data)
    lines = manifest.read(directory)
    assert [line["segment"] for line in lines] == list(range(1, expected["segments"]))
    scrubbed = keeping.scrub(directory)
    assert [next(scrubbed) for _ in lines] == [None for _ in lines]


def test_every_field_has_its_name_and_value(golden: tuple[Path, Expected]) -> None:
    data, expected = golden
    rows = list(dump(data))
    named = {LATER_NAMES.get(kind, kind): count for kind, count in expected["kinds"].items()}
    assert Counter(row["kind"] for row in rows) == named
    first = {row["kind"]: row for row in reversed(rows)}
    for said in expected["rows"]:
        kind = LATER_NAMES.get(said["kind"], said["kind"])
        same = {name: value for name, value in said.items() if name not in ("kind", "body")}
        assert {name: first[kind].get(name) for name in same} == same


def test_its_own_engine_replays_it_to_the_hash(golden: tuple[Path, Expected]) -> None:
    data, expected = golden
    if expected["engine_version"] != ENGINE_VERSION:
        with pytest.raises(JournalRefused) as refused:
            replay.run(data)
        assert refused.value.reason == "ENGINE_VERSION"
        return
    for from_snapshot in (False, True):
        found = replay.run(data, from_snapshot=from_snapshot)
        assert {name: found[name] for name in COMPARED} == {
            name: expected[name] for name in COMPARED
        }
    live = Live(data, config_of(expected["durability"]))
    assert live.state_hash == expected["state_hash"]
    live.close()


def test_its_snapshots_can_be_used(golden: tuple[Path, Expected]) -> None:
    data, expected = golden
    assert [row["fault"] for row in verify_snapshots(data)] == ["", ""]
    newest = listed(data)[0]
    assert newest["sequence"] == expected["last_sequence"]
    assert newest["state_hash"] == expected["state_hash"]


def test_another_engine_and_other_limits_go_on_with_it(golden: tuple[Path, Expected]) -> None:
    data, expected = golden
    config = config_of(expected["durability"])._replace(
        engine_version=ENGINE_VERSION + 1, limits=SMALL._replace(pages_max=700, closed_keep=600)
    )
    held = acquire(data)
    done = upgrade(data, config)
    held.close()
    assert (done["changed"], done["sequence"]) == (True, expected["last_sequence"])
    live = Live(data, config)
    assert live.sequence == expected["last_sequence"]
    for name in ("open_orders", "trades", "events"):
        assert live.core.state[name] == expected[name]
    assert live.state_hash == done["state_hash"]
    assert live.core.recovery.header.durability == config.durability
    live.close()
    assert (config.durability == RELAXED) == (expected["durability"] == "relaxed")
