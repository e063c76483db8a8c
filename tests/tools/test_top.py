"""`top` beside a core in this process."""

import os
from pathlib import Path

import pytest

from core.sequencer.sequencer import IDLE_MS, turn
from tests.replay.live import GATEWAY, Live
from tests.replay.market import ALICE, order, scripted
from tools import top
from tools.exits import Stop
from tools.pinning import cpu_text, place_of


def test_levels_and_rates_between_two_looks(tmp_path: Path) -> None:
    live = scripted(tmp_path / "data")
    core = top._core(tmp_path / "data")
    assert core is not None
    watched = top.Watched(core, tmp_path / "data")
    before = watched.look()
    live.send([order(ALICE, f"n-{number}", 1, 1, 5_000) for number in range(20)], at_once=1)
    now = watched.look()
    now["at_ns"] = before["at_ns"] + 2_000_000_000
    (tmp_path / "data/run/restarts.json").write_text('{"http": 2}')
    found = top.figures(core, before, now)
    expected = {
        "epoch": 1,
        "state": "serving",
        "ready": True,
        "durability": "relaxed",
        "sequence": 47,
        "commands_per_s": 10.0,
        "commands_per_s_by_kind": {"PLACE_ORDER": 10},
        "events_per_s": 10.0,
        "trades_per_s": 0.0,
        "open_orders": 22,
        "output_position": 68,
        "segment_no": 1,
        "core_cpus": cpu_text(os.sched_getaffinity(0)),  # The core is in this process.
        "core_nice": os.getpriority(os.PRIO_PROCESS, 0),
        "spares": 0,
        "replayed_lag": None,
        "gateways": {
            GATEWAY: {
                "fill": 0,
                "capacity": 16_384,
                "slots_per_s": 10.0,
                "events_lag": 68,
                "replies_waiting": 0,
                "sleeping": False,
                "incarnation": 1,
            }
        },
    }
    assert {name: found[name] for name in expected} == expected
    assert found["blocks_per_s"] >= 10.0  # Markers are blocks too.
    assert found["slots_per_block"] == round(10.0 / found["blocks_per_s"], 2)
    assert top.restarts(tmp_path / "data") == {"http": 2}
    said = "\n".join(top.text(found))
    assert "commands 10" in said
    assert f"CPU {found['core_cpus']}" in said
    assert f"{GATEWAY:<22}0 of 16,384" in said
    assert len(list(top.tables(found))) == 5
    watched.close()
    live.close()


def test_the_longest_turn_is_kept_and_sleep_is_no_part_of_it(tmp_path: Path) -> None:
    live = scripted(tmp_path / "data")
    for _ in range(6):  # Each sleeps up to 50 ms.
        live.core.step(int(turn(live.core.loop)))
    assert live.core.counters["longest_cycle_ns"] > 0
    assert live.core.row["longest_ns"] == live.core.counters["longest_cycle_ns"]
    assert any(longest_ns(live) < IDLE_MS * 1_000_000 // 2 for _ in range(20))  # Of a busy machine.
    live.close()


def longest_ns(live: Live) -> int:
    """The longest turn of some that all slept."""
    live.core.row["longest_ns"] = live.core.row["longest_1s_ns"] = 0
    for _ in range(2):
        live.core.step(int(turn(live.core.loop)))
    return int(live.core.row["longest_ns"])


def test_without_an_exchange_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="no exchange runs here"):
        top.run(tmp_path, once=True, as_json=True)


def test_a_core_that_has_just_died_runs_nowhere() -> None:
    assert place_of(2**22 + 1) == ("none", 0)  # Above any process id.
