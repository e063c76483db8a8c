"""The benchmarks of the kernel: their flows are what they say, their results are judged."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import bench_managed, kernel_rows
from bench import flow as flows
from bench.bench_kernel import bench_mix, judged
from bench.chase import LINE_BYTES, Chase, chase
from bench.flow_make import Matcher, Op
from bench.flow_spread import MIXES, Spread, spread_flow
from bench.kernel_run import Setting
from bench.kinds import KINDS, by_kind
from bench.market import limits_for
from bench.naive_many import counts
from bench.paper_journal import PaperJournal
from core.constants import BATCH_SLOTS_MAX, SLOT_BYTES
from core.jit import PURE
from core.journal.segments import inventory
from core.limits import DEFAULT, SMALL
from tests import test_flows
from tests.model import flows as model
from tools import exits, kernel_benches
from tools.benches import Options, check

pytestmark = pytest.mark.skipif(PURE, reason="the naive kernel is compiled only")
CHASE_BYTES = 1 << 16
BOOK = Setting(risk=False, floor=SMALL)
NUMBERS = ("trades", "traded_qty", "notional", "rejects", "resting_orders", "resting_qty")
NOTHING = Options(None, no_risk=False, ids=False, seconds=None)


def ops_of(flow: flows.Flow) -> list[tuple[int, Op]]:
    """The records with their instruments, as the obvious matcher takes them."""
    return [(row[2], Op(*row[:2], *row[3:7])) for row in flow.records.tolist()]


def matched(flow: flows.Flow) -> dict[str, Any]:
    """What the obvious matcher counts over all instruments."""
    books: dict[int, Matcher] = {}
    for symbol, op in ops_of(flow):
        books.setdefault(symbol, Matcher()).apply(op)
    found = [book.numbers() for book in books.values()]
    sums: dict[str, Any] = {name: sum(int(one[name]) for one in found) for name in NUMBERS}
    return sums | ({"trade_hash": found[0]["trade_hash"]} if len(found) == 1 else {})


@pytest.mark.parametrize("mix", sorted(MIXES))
@pytest.mark.parametrize("instruments", [1, 3])
def test_the_dice_know_what_the_obvious_matcher_finds(mix: str, instruments: int) -> None:
    flow, expected = spread_flow(Spread(instruments, 200, 2_000, mix, users=20, seed=5))
    numbers = expected[str(len(flow.records))]
    found = matched(flow)
    assert {name: numbers[name] for name in found} == found
    assert int(numbers["trades"]) > 0
    assert int(numbers["rejects"]) > 0 or mix not in ("balanced", "cancel")
    kept = int(numbers["resting_orders"])
    assert kept > 1_000 if mix == "rest" else 180 < kept < 220


def test_a_mix_is_mostly_of_what_it_is_named_after() -> None:
    share = {}
    for mix in MIXES:
        flow, _expected = spread_flow(Spread(3, 200, 4_000, mix, users=20))
        op = flow.records["op"][flow.prefill :]
        share[mix] = {kind: float((op == kind).mean()) for kind in range(1, 7)}
    assert share["rest"][flows.NEW] > 0.85
    assert share["replace"][flows.REPLACED] > 0.75
    assert share["cancel"][flows.CANCEL] > 0.45
    takers = flow_takers(share)
    assert takers["cross"] > 3 * max(takers[mix] for mix in takers if mix != "cross")


def flow_takers(share: dict[str, dict[int, float]]) -> dict[str, float]:
    """Share of IOC and MARKET orders by mix."""
    return {mix: kinds[flows.NEW_IOC] + kinds[flows.NEW_MARKET] for mix, kinds in share.items()}


def test_the_same_seed_gives_the_same_flow_and_another_one_another() -> None:
    one, _ = spread_flow(Spread(3, 50, 300, users=9, seed=1))
    again, _ = spread_flow(Spread(3, 50, 300, users=9, seed=1))
    other, _ = spread_flow(Spread(3, 50, 300, users=9, seed=2))
    assert one.records.tobytes() == again.records.tobytes() != other.records.tobytes()


def test_the_engine_and_the_twin_give_the_same_book_for_a_flow_of_many_instruments() -> None:
    flow, expected = spread_flow(Spread(3, 60, 600, "managed", users=9, seed=4))
    ops = [model.Op(*row) for row in flow.records.tolist()]
    as_model = model.Flow(model.with_owners(ops), 3, {})
    twin = test_flows.run(test_flows.Twin(risk=True), as_model, upto=len(ops))[len(ops)]
    prepared, found = judged(flow, expected, Setting(floor=SMALL))
    assert found == twin
    assert prepared.counted == 600


def test_the_naive_kernel_counts_many_instruments_one_by_one() -> None:
    flow, expected = spread_flow(Spread(5, 100, 1_000, "cross", users=9))
    numbers = expected[str(len(flow.records))]
    found = counts(flow)
    assert found is not None
    assert found == {name: numbers[name] for name in found}
    wide = flow.records.copy()
    wide["price"][0] = 1 << 20
    assert counts(flow._replace(records=wide)) is None


@pytest.mark.parametrize("field", ["trades", "trade_hash", "resting_qty"])
def test_a_result_that_is_not_the_expected_one_stops_the_benchmark(field: str) -> None:
    flow, expected = spread_flow(Spread(2, 40, 200, users=9))
    expected[str(len(flow.records))][field] = 1
    with pytest.raises(AssertionError, match=rf"balanced-2x40 at 240: expected .*'{field}': 1"):
        judged(flow, expected, BOOK)


def test_a_timed_run_with_other_events_stops_the_benchmark() -> None:
    flow, expected = spread_flow(Spread(1, 40, 200, users=9))
    prepared, _found = judged(flow, expected, BOOK)
    assert prepared.timed() > 0
    prepared.commands["qty"][prepared.commands["qty"] > 1] -= 1
    with pytest.raises(AssertionError, match="other events"):
        prepared.timed()


def test_limits_have_room_for_every_page_of_prices() -> None:
    flow, _expected = spread_flow(Spread(40, 2_000, 100, users=9))
    records = flow.records
    pages = {(row["symbol"], row["side"], row["price"] >> 6) for row in records if row["price"] > 0}
    assert limits_for(flow, 9, SMALL).pages_max >= len(pages) > SMALL.pages_max // 4
    assert limits_for(flow, 9).pages_max == DEFAULT.pages_max


def test_limits_have_room_for_a_position_of_every_account_in_every_instrument() -> None:
    flow, _expected = spread_flow(Spread(40, 2_000, 100, users=9))
    pairs = {(row["user"], row["symbol"]) for row in flow.records}
    assert limits_for(flow, 9, SMALL).positions_max >= len(pairs) > 2 * 9 + 64


def test_a_part_of_a_flow_by_kind_is_of_that_kind_only() -> None:
    made = by_kind(Spread(2, 50, users=9), rounds=2, count=64)
    books = [Matcher(), Matcher()]
    ops = ops_of(made.flow)
    for symbol, op in ops[: made.flow.prefill]:
        books[symbol].apply(op)
    assert [kind for kind, _first, _end in made.parts] == [*KINDS, *KINDS]
    assert made.parts[0][1] == made.flow.prefill
    assert made.parts[-1][2] == len(ops)
    assert all(end == first for (_, _, end), (_, first, _) in pairwise(made.parts))
    for kind, first, end in made.parts:
        for symbol, op in ops[first:end]:
            book = books[symbol]
            trades, resting = book.trades, len(book.open)
            before = book.open.get(op.order_id)
            old = None if before is None else (before.price, before.qty)
            book.apply(op)
            is_open = op.order_id in book.open
            assert (book.trades - trades) == (kind == "cross")
            assert len(book.open) - resting == {"cross": -1, "cancel": -1}.get(
                kind, kind.startswith("rest")
            )
            assert is_open == (kind not in ("cross", "cancel"))
            assert (old is None) == (kind in ("rest", "rest_at_touch", "cross"))
            if kind == "replace_less":
                assert old == (op.price, op.qty + 1)
    assert sum(book.rejects for book in books) == 0
    assert sum(len(book.open) for book in books) == 50
    assert sum(book.trades for book in books) == made.expected["trades"] == 128


def test_the_chase_goes_through_every_line_once() -> None:
    made = Chase(CHASE_BYTES)
    lines = CHASE_BYTES // LINE_BYTES
    start = place = int(chase(made._place, 0))
    seen = set()
    for _ in range(lines):
        seen.add(place)
        place = int(chase(place, 1))
    assert place == start
    assert len(seen) == lines
    assert max(seen) - min(seen) == CHASE_BYTES - LINE_BYTES
    assert all(here % LINE_BYTES == start % LINE_BYTES for here in seen)
    assert made.timed(1_000) > 0
    assert 0 <= made.huge_bytes <= CHASE_BYTES * 64


def test_a_large_flow_is_measured_against_one_access_to_memory() -> None:
    found = bench_mix(Spread(3, 100, 1_000, users=20), BOOK, 1, CHASE_BYTES)
    assert found["commands"] == 1_000
    assert found["dram_access_ns"] > 0
    assert found["ratio"] == pytest.approx(
        found["ns_per_command"] / found["dram_access_ns"], rel=0.1, abs=0.01
    )
    assert 0 < found["p50_ns"] <= found["p99_ns"] <= found["max_ns"]


def test_one_instrument_is_measured_against_the_naive_kernel() -> None:
    found = bench_mix(Spread(1, 100, 1_000, users=20), BOOK, 2, CHASE_BYTES)
    assert found["baseline_ns_per_command"] > 0
    assert "dram_access_ns" not in found
    assert len(found["runs"]) == 2


def test_kinds_have_their_own_figures() -> None:
    found = kernel_rows.kinds(Spread(1, 100, users=20), BOOK, 2, 64, CHASE_BYTES)
    for kind in KINDS:
        assert found[f"{kind}_ns_per_command"] > 0
        assert found[f"{kind}_ratio"] > 0
    many = kernel_rows.kinds(Spread(3, 100, users=20), BOOK, 1, 64, CHASE_BYTES)
    assert many["cross_ns_per_command"] > 0
    assert "cross_ratio" not in many


def test_sizes_are_compared_by_growth() -> None:
    found = kernel_rows.scaling(BOOK, 1, 5_000, CHASE_BYTES)
    for name in ("resting_1000", "resting_1000000", "instruments_1", "instruments_10000"):
        assert found[f"{name}_ns_per_command"] > 0
        assert found[f"{name}_ratio_to_dram"] > 0
    growth = found["resting_1000000_ns_per_command"] / found["resting_1000_ns_per_command"]
    assert found["resting_growth"] == pytest.approx(growth, rel=0.01)
    growth = found["instruments_10000_ns_per_command"] / found["instruments_1_ns_per_command"]
    assert found["instruments_growth"] == pytest.approx(growth, rel=0.01)


def test_all_of_it_is_measured_part_by_part() -> None:
    flow, expected = spread_flow(Spread(1, 60, 600, users=20))
    found = kernel_rows.whole(flow, expected, 1, 5_000, SMALL)
    for part in ("book", "risk", "ids", "all"):
        assert found[f"{part}_ns_per_command"] > 0
    assert found["ids_remembered"] == 5_000
    assert found["ratio"] > 0


def test_all_of_it_begins_with_a_table_of_ids_that_is_full() -> None:
    flow, expected = spread_flow(Spread(1, 60, 600, users=20))
    setting = Setting(ids=True, remembered=5_000, floor=SMALL)
    prepared, _found = judged(flow, expected, setting)
    state, _ring = prepared.fresh()
    assert state["ids_count"] == state["ids_max"] == 5_000
    assert state["open_orders"] == 0
    assert 0.4 < kernel_rows.ids_share(prepared) < 0.7
    assert kernel_rows.ids_share(judged(flow, expected, BOOK)[0]) == 0.0


def test_the_paper_journal_makes_blocks_that_a_reader_takes() -> None:
    flow, expected = spread_flow(Spread(1, 60, 600, users=20))
    prepared, _found = judged(flow, expected, BOOK)
    paper = PaperJournal()
    assert paper.fault() != 0
    assert prepared.timed_with_journal(paper) > 0
    assert paper.blocks == -(-600 // BATCH_SLOTS_MAX)
    assert paper.fault() == 0
    first = int(prepared.commands.ctypes.data)
    paper.run(0, 0, first, first + 10 * SLOT_BYTES, 4)
    assert paper.blocks == -(-600 // BATCH_SLOTS_MAX) + 3
    with pytest.raises(ValueError, match="expected 1 to 256 commands, got 257"):
        paper.run(0, 0, first, first, BATCH_SLOTS_MAX + 1)


MANAGED = Spread(2, 100, 1_000, "managed", users=20)


def test_managed_orders_are_counted_and_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    found = bench_managed.run(1_000, tmp_path, MANAGED, 50, SMALL)
    assert found["orders"] >= 1_000
    assert found["rounds"] == len(found["runs"]) >= 3
    assert found["commands"] > found["orders"]
    for when in ("start", "end"):
        assert 0 < found[f"{when}_p50_ns"] <= found[f"{when}_p99_ns"] <= found[f"{when}_max_ns"]
        assert found[f"{when}_private_bytes"] > 0
    assert found["end_ids_remembered"] > found["start_ids_remembered"]
    assert list(tmp_path.iterdir()) == []


def test_a_round_keeps_the_newest_segment_and_refuses_other_counts(tmp_path: Path) -> None:
    managed = bench_managed.Managed(tmp_path / "data", MANAGED, SMALL)
    first = managed.round(20)
    managed.writer.rotate()
    second = managed.round()
    assert len(first.samples) == 20
    assert len(second.samples) == 0
    assert inventory(managed.writer.directory) == [2]
    managed.expected["traded_qty"] = 1
    with pytest.raises(AssertionError, match=r"round 2: expected .*'traded_qty': 1"):
        managed.round()
    managed.close()


def test_results_of_several_flows_become_one_with_their_names() -> None:
    curve = {"name": "one command", "unit": "ns", "points": [[50.0, 90]]}
    one = {"ns": 7.5, "runs": [{"ns": 7}, {"ns": 8}], "noise": {"ns": 0.1}, "curves": [curve]}
    assert kernel_benches.merged({"w1": one, "w2": {"ns": 9.0}}) == {
        "w1_ns": 7.5,
        "w2_ns": 9.0,
        "runs": [{"flow": "w1", "ns": 7}, {"flow": "w1", "ns": 8}],
        "noise": {"w1_ns": 0.1},
        "curves": [{**curve, "name": "w1: one command"}],
    }


def test_a_leak_and_a_drift_show() -> None:
    samples = np.full(10, 1_000)
    rounds = [
        bench_managed.Round(100.0 * turn, samples * turn, 10**9 + 50_000 * turn, 7, turn)
        for turn in (1, 2, 3)
    ]
    found = bench_managed._growth(rounds, orders=100_000)
    assert found == {
        "private_bytes_per_million_orders": 500_000,
        "p50_growth": 3.0,
        "ns_per_command_growth": 3.0,
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"by_kind": True, "scaling": True}, "expected one of them, got --by-kind, --scaling"),
        ({"whole": True, "ids": True}, "--all measures with and without them already"),
        ({"scaling": True, "resting": 7}, "--scaling does not take --resting"),
        ({"by_kind": True, "commands": 7}, "--commands is taken with --mix only"),
        ({"mix": "wide"}, "mix: expected one of balanced, rest, cross"),
        ({"instruments": 40_000}, "instruments: expected 1 to 32000, got 40000"),
        ({"mix": "rest", "flow": Path(__file__)}, "--mix makes its own flow, not --flow"),
        ({"flow": Path(__file__)}, "--flow|no order flow|magic"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(given: dict[str, Any], said: str) -> None:
    with pytest.raises(exits.Stop, match=said) as stopped:
        kernel_benches.kernel(NOTHING._replace(**given))
    assert stopped.value.code == exits.USAGE


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("ring", {"whole": True}, "bench ring: does not take --all"),
        ("managed", {"mix": "rest"}, "bench managed: does not take --mix"),
        ("peers", {"by_kind": True}, "bench peers: does not take --by-kind"),
        ("kernel", {"engine": ("a=b",)}, "bench kernel: does not take --engine"),
        ("kernels", {}, "did you mean kernel"),
    ],
)
def test_a_benchmark_says_which_option_it_does_not_take(
    name: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(exits.Stop, match=said) as stopped:
        check(name, NOTHING._replace(**given))
    assert stopped.value.code == exits.USAGE
