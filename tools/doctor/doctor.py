"""``outcry doctor``: runs every check, shows what was found, mends what ``--mend`` may mend."""

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tools import exits
from tools.doctor.found import FAIL, SKIP, VERDICTS, Found, fail, skip
from tools.doctor.where import Where

Check = Callable[[Where], Found]

# Each has a tuple CHECKS.  The machine comes last, so that it is seen for as long as can be.
GROUPS: Final = {
    "set-up": "tools.doctor.toolchain",
    "storage": "tools.doctor.storage",
    "network": "tools.doctor.network",
    "data": "tools.doctor.data",
    "machine": "tools.doctor.machine",
}
SET_UP: Final = "make setup"
COLORS: Final = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}
NICE: Final = 19
FILE_WIDTH: Final = 120  # Of a table that does not go to a terminal.


def examine(where: Where) -> dict[str, list[Found]]:
    """Every check, by group."""
    return {group: list(_group(module, group, where)) for group, module in GROUPS.items()}


def _group(module: str, group: str, where: Where) -> Iterator[Found]:
    try:
        checks: tuple[Check, ...] = importlib.import_module(module).CHECKS
    except ImportError as error:  # A package is missing, and with it what these checks call.
        yield fail(f"cannot be looked at: {error}", SET_UP)._replace(name=group)
        return
    for check in checks:
        yield one(check, where)


def one(check: Check, where: Where) -> Found:
    """One check; one that cannot look says so, and one that breaks is a fault of ours."""
    try:
        found = check(where)
    except PermissionError as error:
        found = skip(f"{error.filename or ''} cannot be read by user {os.geteuid()}")
    except ImportError as error:
        found = fail(f"cannot be looked at: {error}", SET_UP)
    except Exception as error:
        detail = f"the check itself broke: {type(error).__name__}: {error}"
        found = fail(detail, "report it, with outcry doctor --json")
    return found._replace(name=check.__name__)


def fields(found: dict[str, list[Found]]) -> dict[str, Any]:
    """For ``--json``."""
    rows = [
        {"group": group, "name": one.name, "verdict": one.verdict}
        | {"found": one.found, "mend": one.mend}
        for group, some in found.items()
        for one in some
    ]
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    return {"checks": rows, **counts}


def code_of(found: dict[str, list[Found]]) -> int:
    """Exit code: 78 when anything failed."""
    failed = any(one.verdict == FAIL for some in found.values() for one in some)
    return exits.CONFIGURATION if failed else exits.OK


def run(where: Where, *, mend: bool, as_json: bool) -> int:
    """Look, and show it; the exit code."""
    if where.is_live:
        be_nice()
    said = mend_all(where) if mend else []
    found = examine(where)
    if as_json:
        print(json.dumps({**fields(found), "mended": said}))
    else:
        show(found, said)
    return code_of(found)


def be_nice() -> None:
    """Take only what is left over beside a live exchange."""
    os.nice(NICE)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def mend_all(where: Where) -> list[str]:
    """Remove what dead exchanges on other data directories left in /dev/shm; what was done."""
    from tools.doctor import leftovers

    return [
        f"removed {where.shm / name}"
        for life in leftovers.dead(where.root, where.shm, where.data)[1]
        for name in leftovers.remove(life)
    ]


def show(found: dict[str, list[Found]], said: list[str]) -> None:
    """A table for people: what was found, and under it how to mend it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)
    for line in said:
        console.print(line, markup=False)
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for group, some in found.items():
        table.add_row("", Text(group, style="bold"), "")
        for one in some:
            text = Text(one.found, style="dim" if one.verdict == SKIP else "")
            if one.mend:
                text.append(f"\nmend: {one.mend}", style="cyan")
            table.add_row(Text(one.verdict, style=COLORS[one.verdict]), one.name, text)
    console.print(table)
    counts = fields(found)
    console.print(", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS))


def where_of(config: Path | None, data_directory: Path | None) -> Where:
    """What a start with these options would see."""
    from tools.config_layers import read

    loaded, faults = read(config, {})
    return Where(loaded, faults, data_directory or Path(loaded.config.data.dir))
