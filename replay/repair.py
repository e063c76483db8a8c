"""``outcry journal repair``: the operator's way on from a journal that a start refuses.

It shows what would be lost, wants the last sequence that stays typed back, keeps every byte that
goes in ``quarantine``, and writes the audit.  It never runs beside an exchange, and the server has
no flag for it.  reliability.md 2.4; docs/runbook.md has a section for each reason.
"""

import os
import platform
import pwd
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from core.clock import realtime_ns
from core.journal import audit
from core.journal.errors import EXIT_REFUSED
from core.journal.repair import Surgery, perform
from core.journal.segments import QUARANTINE_NAME
from replay.judge import Judgement, judge
from replay.plan import Plan, lines, make_plan

EXIT_OK: Final = 0
EXIT_USAGE: Final = 64
ROUNDS_MAX: Final = 20  # One fault may hide another.

Say = Callable[[str], None]


def surgery_of(plan: Plan, name: str) -> Surgery:
    """The plan as paths and bytes."""
    assert plan.place is not None
    return Surgery(
        directory=plan.place.path.parent,
        name=name,
        plan=plan.fields(),
        extent=plan.extent,
        moves=tuple(plan.moves),
        spares=tuple(plan.spares),
        lost=tuple(plan.lost),
        keep_sequence=plan.place.sequence,
        next_sequence=plan.next_sequence,
    )


def audit_record(plan: Plan, version: str) -> audit.Record:
    """Who does what, for the audit; both of its lines carry it."""
    fields = plan.fields()
    names = (
        *("file", "offset", "keep_sequence", "keep_state_hash", "lost_first", "lost_last"),
        *("lost_commands_read", "next_sequence", "witness_sequence", "durable_sequence"),
    )
    return {
        "time_ns": int(realtime_ns()),
        "reason": plan.refusals[0].reason,
        "sentence": str(plan.refusals[0]),
        **{name: fields[name] for name in names},
        "operator": operator(),
        "host": platform.node(),
        "version": version,
    }


def operator() -> str:
    """Who runs this: the user, and who became that user by sudo."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    before = os.environ.get("SUDO_USER", "")
    return f"{before} as {name}" if before else name


def quarantine_name(reason: str, now_ns: int) -> str:
    """``20260102T030405.123456789Z-REASON``."""
    second = datetime.fromtimestamp(now_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{second}.{now_ns % 10**9:09d}Z-{reason}"


def repair(data: Path, version: str, say: Say, ask: Callable[[], str]) -> int:
    """Judge, show, ask and repair until nothing is wrong; the exit code.

    ``say`` gets lines for people; ``ask`` gives what the operator typed.  The caller holds the
    lock.  Raises OSError.
    """
    for _ in range(ROUNDS_MAX):
        found = judge(data)
        if not found.refusals:
            _finish(found, say)
            return EXIT_OK
        plan = make_plan(found)
        for line in lines(plan):
            say(line)
        if plan.advice:
            return EXIT_REFUSED
        assert plan.place is not None
        if ask().strip() != str(plan.place.sequence):
            say(f"expected {plan.place.sequence}; nothing was changed")
            return EXIT_USAGE
        record = audit_record(plan, version)
        name = quarantine_name(plan.refusals[0].reason, record["time_ns"])
        size = perform(surgery_of(plan, name), record)
        say(f"done; {size} bytes are kept in {plan.place.path.parent / QUARANTINE_NAME / name}")
    say(f"something is still refused after {ROUNDS_MAX} rounds; look at the audit")
    return EXIT_REFUSED


def _finish(found: Judgement, say: Say) -> None:
    """Nothing is wrong: say so, and end the audit of a run that was killed."""
    if found.place is None or found.directory is None:
        say("nothing is wrong: there is no journal yet, a start makes one")
        return
    records, fault = audit.read(found.directory)
    if fault:
        say(f"the audit was changed: {fault}")
    if records and records[-1]["step"] == "begin":
        ended = {**records[-1], "time_ns": int(realtime_ns()), "step": "done after a kill"}
        audit.append(found.directory, ended)
        say("the run before this one was killed after its work; the audit says so now")
    say(f"nothing is wrong: a start goes on behind sequence {found.place.sequence}")
