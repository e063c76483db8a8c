"""The command: every check once, as a table or one object, and its exit code."""

import json
from pathlib import Path

import pytest

from tests.tools.doctor.ground import ground
from tools.cli import app
from tools.doctor import doctor
from tools.doctor.found import VERDICTS, Found, ok, size_text, time_text, warn
from tools.doctor.running import Running
from tools.doctor.where import Where


def test_development_that_others_reach_fails_with_78_and_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # No outcry.toml there.
    monkeypatch.setenv("OUTCRY__DEV__ENABLED", "true")
    monkeypatch.setenv("OUTCRY__HTTP__LISTEN", "0.0.0.0:0")
    monkeypatch.setenv("OUTCRY__CORE__PIN", "nowhere")
    data = tmp_path / "data"
    assert app(["doctor", "--data", str(data), "--json"], standalone_mode=False) == 78
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    verdicts = {row["name"]: row["verdict"] for row in told["checks"]}
    assert verdicts["bind_address"] == "fail"
    assert verdicts["configuration"] == "fail"
    assert "core.pin: expected off, auto" in told["checks"][0]["found"]
    given = list(verdicts.values())
    assert [told[name] for name in VERDICTS] == [given.count(name) for name in VERDICTS]
    assert {row["group"] for row in told["checks"]} == set(doctor.GROUPS)
    assert not data.exists()


def test_beside_a_live_exchange_it_takes_what_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(doctor, "examine", lambda _: {})
    monkeypatch.setattr(doctor, "be_nice", lambda: asked.append("nice"))
    where = ground(tmp_path)
    doctor.run(where, mend=False, as_json=True)
    assert asked == []
    where.__dict__["running"] = Running({"core": 7}, frozenset({7}))
    doctor.run(where, mend=False, as_json=True)
    assert asked == ["nice"]
    assert capsys.readouterr().out


def test_nothing_failed_is_0_and_a_warning_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ground(tmp_path)
    found = {"one": [ok("good")._replace(name="a"), warn("slow", "mend it")._replace(name="b")]}
    monkeypatch.setattr(doctor, "examine", lambda _: found)
    assert doctor.run(where, mend=False, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "mend: mend it" in shown
    assert shown.endswith("1 ok, 1 warn, 0 fail, 0 skip\n")
    assert doctor.run(where, mend=False, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["warn"] == 1


def test_a_check_that_cannot_look_or_breaks_ends_no_run(tmp_path: Path) -> None:
    where = ground(tmp_path)

    def forbidden(_: Where) -> Found:
        raise PermissionError(13, "Permission denied", "/proc/1/maps")

    def broken(_: Where) -> Found:
        raise ValueError("seven")

    def lacking(_: Where) -> Found:
        raise ModuleNotFoundError("No module named 'numba'")

    assert doctor.one(forbidden, where).verdict == "skip"
    found = doctor.one(broken, where)
    assert (found.name, found.verdict) == ("broken", "fail")
    assert "the check itself broke: ValueError: seven" in found.found
    assert doctor.one(lacking, where).mend == "make setup"


def test_a_package_that_is_missing_spoils_only_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        doctor, "GROUPS", {"no": "tools.doctor.no_such", "machine": "tools.doctor.machine"}
    )
    found = doctor.examine(ground(tmp_path))
    assert [(one.name, one.verdict, one.mend) for one in found["no"]] == [
        ("no", "fail", "make setup")
    ]
    assert {one.verdict for one in found["machine"]} == {"ok"}


def test_every_check_of_every_group_is_run_on_a_good_machine(tmp_path: Path) -> None:
    found = doctor.examine(ground(tmp_path))
    names = [one.name for some in found.values() for one in some]
    assert len(names) == len(set(names)) == 35
    assert not [one for some in found.values() for one in some if one.verdict == "fail"]
    assert doctor.code_of(found) == 0


def test_sizes_and_times_are_for_people() -> None:
    assert [size_text(size) for size in (512, 1 << 20, 1536 << 20)] == ["512 B", "1 MiB", "1.5 GiB"]
    assert [time_text(ns) for ns in (85, 12_345, 3_400_000, 2e9)] == [
        "85 ns",
        "12 us",
        "3.4 ms",
        "2.0 s",
    ]
