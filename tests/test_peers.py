"""Engines side by side: what they give is compared, and a bad one is a row and nothing more."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import bench_peers
from bench import flow as flows
from bench.bench_peers import Engine, engine_of
from bench.flow import NEW, NEW_IOC, NEW_MARKET, REPLACED
from bench.flow_make import Matcher, Op, make
from bench.peers import registry
from bench.peers import run as contract
from bench.peers.adapter import Adapter, Open, Trade, trade_hash
from bench.peers.registry import OWN, PACKAGES, install_command
from core.jit import PURE
from core.limits import SMALL

COUNT = 300

# Prints the sidecar of the flow, as an engine that found it would; argument 2 says what it does.
SCRIPT = """
import json, sys, time
from pathlib import Path
flow, what, *more = sys.argv[1:]
about = json.loads(Path(flow + ".json").read_text())
numbers = about["expected"][str(about["n_ops"])]
found = dict(numbers, ns_per_command=250.0, commands=about["n_ops"] - about["n_prefill"])
if what == "differ":
    found["trade_hash"], found["rejects"] = "0" * 16, found["rejects"] + 1
elif what == "leave out":
    del found["trade_hash"]
elif what == "crash":
    print("engine: no such instrument", file=sys.stderr)
    sys.exit(3)
elif what == "hang":
    time.sleep(60)
elif what == "forget":
    path = Path(more[0])
    found["trades"] += path.exists()
    path.touch()
elif what == "free":
    found["ns_per_command"] = 0
print("warming up")
print("done" if what == "talk" else json.dumps(found))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "engine.py"
    path.write_text(SCRIPT)
    return path


def given(script: Path, what: str, *more: str) -> str:
    """The value of --engine for the fake one."""
    words = " ".join(f"'{word}'" for word in (what, *more))
    return f"fake={sys.executable} {script} {{flow}} {words}"


def row_of(path: Path, text: str, seconds: float = 20.0, rounds: int = 1) -> dict[str, Any]:
    """The row of an engine by command line, judged by the sidecar."""
    engine = engine_of(text)
    for _ in range(rounds):
        engine.round(path, seconds)
    flow = flows.read_flow(path)
    expected = dict(flows.sidecar(path)[str(len(flow.records))])
    expected["commands"] = len(flow.records) - flow.prefill
    return engine.row(expected, 100.0)


def test_an_engine_by_command_line_that_finds_the_same_says_so(
    tmp_path: Path, script: Path
) -> None:
    path = make("stock", tmp_path, count=COUNT)
    row = row_of(path, given(script, "agree"), rounds=2)
    assert row["result"] == "same"
    assert row["ns_per_command"] == 250.0
    assert row["ratio_to_outcry"] == 2.5
    assert row["commands"] == COUNT
    assert "differs_in" not in row


def test_an_engine_that_finds_something_else_is_shown_with_where(
    tmp_path: Path, script: Path
) -> None:
    path = make("stock", tmp_path, count=COUNT)
    row = row_of(path, given(script, "differ"))
    assert row["result"] == "differs"
    assert row["differs_in"] == "rejects, trade_hash"
    assert row["ns_per_command"] == 250.0


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("leave out", "its JSON has no trade_hash"),
        ("crash", "ended with 3: engine: no such instrument"),
        ("talk", "expected one JSON object as the last line, got 'done'"),
        ("free", "ns_per_command: expected a number above 0, got 0"),
    ],
)
def test_an_engine_that_breaks_the_contract_is_a_row_that_says_how(
    tmp_path: Path, script: Path, what: str, said: str
) -> None:
    path = make("stock", tmp_path, count=COUNT)
    row = row_of(path, given(script, what))
    assert row["result"] == "failed"
    assert row["fault"] == said
    assert "ns_per_command" not in row


def test_an_engine_that_hangs_or_is_not_there_or_forgets_is_a_row(
    tmp_path: Path, script: Path
) -> None:
    path = make("stock", tmp_path, count=COUNT)
    assert row_of(path, given(script, "hang"), 0.3)["fault"] == "gave nothing within 0.3 s"
    assert "No such file" in row_of(path, f"fake={tmp_path}/nothing {{flow}}")["fault"]
    forgetful = row_of(path, given(script, "forget", str(tmp_path / "seen")), rounds=2)
    assert forgetful["fault"] == "gave other results in another round"


@pytest.mark.parametrize(
    "text",
    ["", "mine", "mine=engine", "=engine {flow}", "outcry=engine {flow}", "mine=engine '{flow}"],
)
def test_an_engine_without_name_or_flow_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the sentences differ
        engine_of(text)


def test_a_package_that_is_not_installed_is_listed_with_what_installs_it(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_peers, "is_installed", lambda name: False)
    missing = bench_peers.known()[1]
    monkeypatch.setattr(
        bench_peers, "known", lambda: ([engine_of(given(script, "agree"))], missing)
    )
    path = make("stock", tmp_path, count=COUNT)
    found = bench_peers.run(path, (given(script, "differ").replace("fake=", "other="),), 1)
    assert found["fake_result"] == "same"
    assert found["other_result"] == "differs"
    for name, peer in PACKAGES.items():
        assert found[f"{name}_result"] == "not installed"
        assert found[f"{name}_install"] == f"python -m pip install {peer.package}=={peer.version}"
    assert [row["engine"] for row in found["runs"]] == ["fake", "other", *PACKAGES]
    assert json.dumps(found)
    assert set(found["noise"]) == {"fake_ns_per_command", "other_ns_per_command"}


def test_whether_a_package_is_there_is_asked_of_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry.PACKAGES, "obook", PACKAGES["obook"]._replace(package="json"))
    assert registry.is_installed("obook")
    monkeypatch.setitem(registry.PACKAGES, "obook", PACKAGES["obook"]._replace(package="no_such"))
    assert not registry.is_installed("obook")
    assert install_command("obook") == "python -m pip install no_such==0.1.0"


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_has_an_adapter_and_a_version_in_the_extra(name: str) -> None:
    root = Path(bench_peers.__file__).resolve().parents[1]
    assert (root / "bench" / "peers" / f"{name}_peer.py").is_file()
    peer = PACKAGES[name]
    assert f'"{peer.package}=={peer.version}"' in (root / "pyproject.toml").read_text()
    assert peer.package not in (root / "requirements.lock").read_text()


class MatcherPeer(Adapter):
    """The adapter over the obvious matcher, as if that were a package with ids of its own."""

    def __init__(self, trades: list[Trade]) -> None:
        super().__init__(trades)
        self.book = Matcher()
        self.ids: dict[int, int] = {}

    def enter(self, order: Open, kind: int) -> None:
        order.handle = len(self.ids) + 1_000
        self.ids[order.handle] = order.order_id
        before = {number: one.qty for number, one in self.book.open.items()}
        makers = self._best_first(1 - order.side)
        op = Op(kind, order.side, order.user, order.handle, order.price, order.leaves)
        self.book.apply(op)
        for number in makers:
            left = self.book.open.get(number)
            done = before[number] - (left.qty if left else 0)
            if done:
                self.traded(self.ids[number], order, self.prices[number], done)

    def _best_first(self, side: int) -> list[int]:
        levels = self.book.levels[side]
        prices = sorted(levels, reverse=side == 0)
        self.prices = {number: price for price in prices for number in levels[price]}
        return list(self.prices)

    def cancel(self, order: Open) -> None:
        self.book.apply(Op(flows.CANCEL, order.side, order.user, order.handle, 0, 0))

    def reduce(self, order: Open, less: int) -> None:
        self.book.apply(Op(flows.REDUCED, order.side, order.user, order.handle, 0, less))


@pytest.mark.parametrize("name", ["mixed", "stock"])
def test_an_adapter_gives_the_numbers_of_the_sidecar(tmp_path: Path, name: str) -> None:
    path = make(name, tmp_path, seed=3, count=COUNT)
    flow = flows.read_flow(path)
    trades: list[Trade] = []
    adapter = MatcherPeer(trades)
    for op, side, _symbol, user, order_id, price, qty, _aux in flow.records.tolist():
        adapter.apply(op, side, user, order_id, price, qty)
    expected = flows.sidecar(path)[str(len(flow.records))]
    assert trade_hash(trades) == expected["trade_hash"]
    assert len(trades) == expected["trades"]
    assert adapter.rejects == expected["rejects"]
    assert adapter.resting() == (expected["resting_orders"], expected["resting_qty"])


def test_an_adapter_keeps_the_place_of_what_only_gets_smaller() -> None:
    trades: list[Trade] = []
    adapter = MatcherPeer(trades)
    for number in (1, 2, 3):
        adapter.apply(NEW, 0, 0, number, 100, 10)
    adapter.apply(REPLACED, 0, 0, 1, 100, 4)  # Less: keeps its place.
    adapter.apply(REPLACED, 0, 0, 2, 100, 11)  # More: to the end.
    adapter.apply(REPLACED, 0, 0, 3, 100, 0)  # As it is.
    adapter.apply(NEW_IOC, 1, 0, 4, 100, 15)
    adapter.apply(NEW_MARKET, 1, 0, 5, 0, 50)
    assert trades == [(1, 4, 100, 4), (3, 4, 100, 10), (2, 4, 100, 1), (2, 5, 100, 10)]
    assert adapter.resting() == (0, 0)


@pytest.mark.skipif(PURE, reason="the naive kernel is compiled only")
def test_our_own_engines_keep_the_contract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "FLOOR", SMALL)
    path = make("stock", tmp_path, count=COUNT)
    expected = flows.sidecar(path)[str(COUNT + flows.read_flow(path).prefill)]
    for name in OWN:
        assert contract.main([name, str(path)]) == 0
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert found["ns_per_command"] > 0
        assert found["commands"] == COUNT
        assert {one: found[one] for one in expected if one in found} == {
            one: expected[one] for one in expected if one in found
        }
        assert set(bench_peers.REQUIRED) <= set(found)
    assert contract.main(["nobody", str(path)]) == 64
    assert contract.main(["naive", str(tmp_path / "engine.py")]) == 64


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_that_is_here_is_driven_by_its_adapter(tmp_path: Path, name: str) -> None:
    if not registry.is_installed(name):
        pytest.skip(install_command(name))
    path = make("stock", tmp_path, count=COUNT)
    found = contract.package(name, path)
    assert found["commands"] == COUNT
    assert found["trades"] > 0
    assert Engine(name, []).fault == ""
