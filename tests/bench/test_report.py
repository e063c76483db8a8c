"""`outcry bench report`, `--compare`, `--against`, `bench micro`: files, tables, exit codes."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench import bench_micro, stored
from bench.compare import compare
from tests.bench.examples import MACHINE, pipeline, read, result, write
from tools import benches, exits, report
from tools.cli import app

OLD = "2026-11-19T10:00:00+00:00"


def _quiet(value: float, **more: Any) -> dict[str, Any]:
    return result(p50_ns=value, noise={"p50_ns": 0.0}, **more)


def _run(*words: str) -> tuple[str, BaseException | None]:
    """What was printed, and what ended the command."""
    done = CliRunner().invoke(app, ["bench", *words], standalone_mode=False)
    return done.stdout, done.exception


def _stop(*words: str) -> exits.Stop:
    ended = _run(*words)[1]
    assert isinstance(ended, exits.Stop)
    return ended


def _console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=150), text


def test_the_page_is_written_beside_the_results_or_where_it_is_wanted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "kernel.json",
        result("ring", ratio=2.1)
        | {"bench": "replay", "commands_per_s": 7e6, "archived_commands_per_s": 1},
    )
    printed, ended = _run("report", str(tmp_path), "--json")
    assert ended is None
    page = tmp_path / "report.html"
    assert json.loads(printed.splitlines()[-1]) == {
        "output": str(page),
        "results": 1,
        "bars_reached": 1,
        "bars_missed": 1,
    }
    assert page.read_text().startswith("<!doctype html>")
    other = tmp_path / "new" / "page.html"
    assert _run("report", str(path), "--output", str(other)) == (f"wrote {other}\n", None)
    assert other.read_text() == page.read_text()


def test_results_are_looked_for_in_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _stop("report").code == exits.USAGE
    write(tmp_path / "results" / "a.json", result(p50_ns=3))
    assert _run("report")[1] is None
    assert "3 ns" in (tmp_path / "results" / "report.html").read_text()


def test_a_bad_result_exits_64_and_writes_nothing(tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", result())
    bad = write(tmp_path / "bad.json", result(runs=5))
    stop = _stop("report", str(tmp_path))
    assert stop.code == exits.USAGE
    assert str(stop) == f"bench report: {bad}: $.runs: expected array, got int (5)"
    assert not (tmp_path / "report.html").exists()
    assert _stop("report", str(good), "--compare", str(bad)).code == exits.USAGE
    assert _stop("report", str(good), "--output", str(good / "x.html")).code == exits.USAGE


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (100, 90, "better"),
        (100, 110, "worse"),
        (100, 101, "within_noise"),
    ],
)
def test_compare_judges_each_figure(tmp_path: Path, old: int, new: int, verdict: str) -> None:
    before = write(tmp_path / "old" / "a.json", _quiet(old, taken=OLD))
    after = write(tmp_path / "new" / "a.json", _quiet(new))
    printed, ended = _run("report", str(after), "--compare", str(before), "--json")
    assert ended is None
    assert verdict.replace("_", " ") in printed
    found = json.loads(printed.splitlines()[-1])
    names = ("better", "worse", "within_noise", "not_comparable")
    assert {name: found[name] for name in names} == dict.fromkeys(names, 0) | {verdict: 1}


def test_worse_fails_only_when_it_was_asked_and_never_for_a_baseline(tmp_path: Path) -> None:
    noise = {"p50_ns": 0.0, "baseline_p50_ns": 0.0}
    before = write(tmp_path / "a.json", result(p50_ns=9, baseline_p50_ns=9, noise=noise, taken=OLD))
    after = write(tmp_path / "b.json", result(p50_ns=9, baseline_p50_ns=99, noise=noise))
    words = ("report", str(after), "--compare", str(before))
    assert _run(*words, "--fail-on-worse")[1] is None
    write(after, result(p50_ns=99, baseline_p50_ns=9, noise=noise))
    assert _run(*words)[1] is None
    stop = _stop(*words, "--fail-on-worse")
    assert (stop.code, str(stop)) == (70, "bench report: worse beyond noise: kernel p50_ns")
    assert (tmp_path / "report.html").exists()


def test_the_first_result_of_a_machine_is_what_later_ones_are_compared_with(
    tmp_path: Path,
) -> None:
    console, text = _console()
    report.against(_quiet(100, taken=OLD), tmp_path, console)
    assert [path.parent.name for path in tmp_path.rglob("*.json")] == ["example-cpu-2cpus"]
    assert text.getvalue().startswith("stored for later comparison: ")
    report.against(_quiet(90), tmp_path, console)
    assert "better" in text.getvalue()
    assert len(list(tmp_path.rglob("*.json"))) == 1
    for other in (
        _quiet(50, machine=MACHINE | {"cpu": "Another"}),
        _quiet(50, options={}),
        pipeline(),
    ):
        report.against(other, tmp_path, console)
    assert len(list(tmp_path.rglob("*.json"))) == 4
    assert text.getvalue().count("stored for later") == 4


def test_a_result_is_kept_with_what_the_benchmark_does_not_say(tmp_path: Path) -> None:
    options = benches.Options(None, no_risk=False, ids=False, seconds=0.5)
    places = benches.Places(tmp_path / "kept", tmp_path / "stored")
    benches.keep("ring", options, {"hop_ns": 80.5}, places)
    found = stored.read([tmp_path / "kept"])
    assert [(item.bench, item.about.options, item.flat) for item in found] == [
        ("ring", {"seconds": 0.5}, {"hop_ns": 80.5})
    ]
    assert len(list((tmp_path / "stored").rglob("ring-*.json"))) == 1
    with pytest.raises(ValueError, match=r"\$\.runs: expected array, got int"):
        benches.keep("ring", options, {"runs": 5}, places)
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_a_comparison_says_why_it_judges_nothing() -> None:
    console, text = _console()
    new = read(p50_ns=1, machine=MACHINE | {"cpus": 4})
    report.show(compare([read(p50_ns=1)], [new]), console)
    assert "not comparable: other machine: cpus 2, now 4" in text.getvalue()


def test_micro_gives_medians_in_nanoseconds_and_the_noise_of_its_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = iter([90.04, 100.0, 110.0, 120.0, 100.0])
    monkeypatch.setattr(bench_micro, "one", lambda _seconds: {"dump_line_ns": next(found)})
    made = bench_micro.run(1.0)
    assert made["dump_line_ns"] == 100.0
    assert made["noise"] == {"dump_line_ns": 0.0996}
    assert [run["dump_line_ns"] for run in made["runs"]] == [90.04, 100.0, 110.0, 120.0, 100.0]


def test_micro_times_tests_by_name(tmp_path: Path) -> None:
    path = tmp_path / "test_one.py"
    path.write_text("def test_add_one(benchmark):\n    assert benchmark(lambda: 1 + 1) == 2\n")
    found = bench_micro.one(0.01, str(path))
    assert list(found) == ["add_one_ns"]
    assert found["add_one_ns"] > 0


def test_micro_fails_when_a_result_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess(["pytest"], 1, "assert 2 == 3", "")
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_more: failed)
    with pytest.raises(AssertionError, match="tests/micro: assert 2 == 3"):
        bench_micro.one(0.01)


def test_the_name_of_a_benchmark_may_come_after_an_option() -> None:
    stop = _stop("--json", "kernal")
    assert (stop.code, "did you mean kernel?" in str(stop)) == (64, True)
    assert "did you mean kernel?" in str(_stop("run", "kernal"))
