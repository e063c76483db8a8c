"""``outcry journal repair``: the terminal of replay/repair.py."""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Final

from core.journal.lock import Lock, acquire
from core.journal.segments import JOURNAL_NAME
from replay import repair
from replay.judge import judge
from replay.plan import lines, make_plan
from tools import exits

SUPERVISOR_LOCK: Final = "supervisor.lock"


def run(data: Path, version: str, *, plan_only: bool, as_json: bool) -> int:
    """Repair, or only show the plan; the exit code: 0, 64, 75, 80."""
    held = hold(data)
    try:
        if plan_only:
            return _plan(data, as_json=as_json)
        return repair.repair(data, version, print, sys.stdin.readline)
    finally:
        held.close()


def _plan(data: Path, *, as_json: bool) -> int:
    found = judge(data)
    if not found.refusals:
        place = found.place
        fields = {"refused": "", "keep_sequence": place.sequence if place else 0}
        print(json.dumps(fields) if as_json else "nothing is wrong: a start goes on")
        return exits.OK
    plan = make_plan(found)
    if as_json:
        print(json.dumps(plan.fields()))
    else:
        print("\n".join(line for line in lines(plan) if not line.startswith("to do this")))
        print(f"see {plan.fields()['runbook']}")
    return exits.JOURNAL_REFUSED


class Held:
    """The locks of a data directory in which nothing runs."""

    def __init__(self, lock: Lock | None, descriptor: int) -> None:
        self._lock = lock
        self._descriptor = descriptor

    def close(self) -> None:
        """Give them up."""
        if self._lock is not None:
            self._lock.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)


def hold(data: Path) -> Held:
    """Take the supervisor's lock and the journal's, as far as there are any; Stop 75 if busy."""
    descriptor = -1
    path = data / "run" / SUPERVISOR_LOCK
    if path.exists():
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise exits.Stop(exits.IN_USE, f"data.dir: {data} is in use; stop it first") from None
    try:
        lock = acquire(data) if (data / JOURNAL_NAME).is_dir() else None
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
        raise
    return Held(lock, descriptor)
