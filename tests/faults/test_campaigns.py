"""The campaigns with real processes, small; `make faults` runs them whole.

Each runs as a user would run it.  One that this machine does not permit is skipped by name.

OUTCRY_FAULTS_KILLS, _CUTS, _INJECTIONS, _ENDS  how many kills, power cuts, failing calls, and
                                                disks that end (0: every call)
OUTCRY_FAULTS_REPLAYER_KILLS                    how many kills of the replayer alone
OUTCRY_FAULTS_STOP_S                            how long each process is stopped, in seconds
OUTCRY_FAULTS_KEEP                              where the directories of broken cases are kept
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.exchange import CHECKOUT, environment
from tests.faults.report import EXIT_IMPOSSIBLE

TIMEOUT_S = 6 * 3_600


def run(name: str, *more: str) -> dict[str, Any]:
    """Run a campaign; what it found.  Skips where it is not possible."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.faults.{name}", "--json", *more],
        env=environment({}),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode == EXIT_IMPOSSIBLE:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.stdout, done.stderr
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    assert found["broken"] == 0, "\n".join([*found["first"], str(found), done.stderr])
    return found


def count(name: str, few: str) -> str:
    return os.environ.get(f"OUTCRY_FAULTS_{name}", few)


def test_no_kill_of_any_process_loses_or_doubles_an_order() -> None:
    kills = count("KILLS", "2")
    found = run("kills", "--count", kills, "--seed", "1")
    assert found["kills"] == int(kills)
    assert found["told_fresh"] > found["kills"]


def test_a_process_that_stands_still_for_a_while_loses_nothing() -> None:
    found = run("stops", "--count", "1", "--seconds", count("STOP_S", "0.5"))
    assert found["stops_core"] == found["stops_http"] == 1


def test_a_system_call_that_fails_ends_the_core_and_nothing_that_was_answered_is_lost() -> None:
    found = run("injection", "--count", count("INJECTIONS", "4"))
    assert found["injected"] >= found["cases"] // 2


def test_a_power_cut_loses_nothing_that_was_durable() -> None:
    cuts = count("CUTS", "4")
    found = run("power", "--count", cuts, "--seed", "5")
    assert found["cuts"] == int(cuts)
    assert found["answered"] > 0


def test_a_disk_that_ends_ends_the_core_and_nothing_that_was_answered_is_lost() -> None:
    ends = count("ENDS", "2")
    assert run("space", "--count", ends)["cases"] == int(ends)


def test_a_replayer_whose_system_call_fails_or_that_is_killed_leaves_nothing_wrong() -> None:
    cases = count("INJECTIONS", "3")
    found = run("shadowed", "--count", cases, "--kills", count("REPLAYER_KILLS", "3"))
    assert found["injected"] >= found["cases"] // 2
    assert found["snapshots_good"] > 0
    assert found["archive_events"] > 0
