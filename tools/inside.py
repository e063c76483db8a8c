"""Commands that look inside an exchange, running or not, without disturbing it.

Registered by ``tools.cli``.  Imports stay inside the commands.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tools import exits

NICE: Final = 19

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory; else that of the configuration.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]
AtOption = Annotated[
    int | None, typer.Option("--at", min=1, help="The state after this sequence; else the newest.")
]
ring_app = typer.Typer(help="Rings in shared memory: what is still in them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(explain)
    app.command()(book)
    app.command()(account)
    app.command()(top)
    app.command()(doctor)
    ring_app.command("dump")(ring_dump)
    app.add_typer(ring_app, name="ring")


def explain(
    order: Annotated[str, typer.Argument(help="Order id or client order id.", metavar="ID")],
    account: Annotated[str | None, typer.Option("--account", help="Whose client id.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything that happened to an order, and why it is not filled."""
    directory = _quietly(data)
    from replay.explain import explain as find
    from tools.explain import tell

    told = tell(find(directory, order, account))
    _say(told.lines, told.fields, as_json=as_json)


def book(
    instrument: Annotated[str, typer.Argument(help="Symbol.", metavar="INSTRUMENT")],
    at: AtOption = None,
    depth: Annotated[int, typer.Option("--depth", min=1, max=100_000, help="Levels.")] = 10,
    orders: Annotated[bool, typer.Option("--orders", help="Each order, oldest first.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """The book of an instrument, as it is or as it was."""
    directory = _quietly(data)
    from core.constants import SEQUENCE_MAX
    from replay.history import History
    from tools import states

    told = states.book(
        History(directory, at or SEQUENCE_MAX).to(at), instrument, depth, with_orders=orders
    )
    _say(told.lines, told.fields, as_json=as_json)


def account(
    name: Annotated[str, typer.Argument(help="Name of the account.", metavar="NAME")],
    at: AtOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Balances, positions and open orders of an account, as they are or as they were."""
    directory = _quietly(data)
    from core.constants import SEQUENCE_MAX
    from replay.history import History
    from tools import states

    told = states.account(History(directory, at or SEQUENCE_MAX).to(at), name)
    _say(told.lines, told.fields, as_json=as_json)


def top(
    data: DataOption = None,
    once: Annotated[bool, typer.Option("--once", help="One look over a second.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Watch a running exchange: rates, rings, journal, duty cycles, readers."""
    from tools import top as view

    view.run(_directory(data), once=once or as_json, as_json=as_json)


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration file; else ./outcry.toml.")
    ] = None,
    data: DataOption = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="Remove what dead exchanges left in /dev/shm.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What is missing, wrong or slow on this machine, and the command that mends it."""
    from tools.doctor import doctor as checks

    raise typer.Exit(checks.run(checks.where_of(config, data), mend=mend, as_json=as_json))


def ring_dump(
    ring: Annotated[str, typer.Option("--ring", help="out, in-GATEWAY, reply-GATEWAY.")] = "out",
    last: Annotated[int, typer.Option("--last", min=1, help="How many of the newest.")] = 20,
    form: Annotated[str, typer.Option("--format", help="text, jsonl or csv.")] = "text",
    data: DataOption = None,
) -> None:
    """What is still in a ring of a running or crashed exchange."""
    if form not in ("text", "jsonl", "csv"):
        raise exits.Stop(exits.USAGE, f"--format: expected text, jsonl or csv, got {form!r}")
    from tools import ring_dump as dump

    for line in dump.lines(_directory(data), ring, last, form):
        print(line)


def _quietly(data: Path | None) -> Path:
    """The data directory; beside a live exchange this process takes only what is left over."""
    from core.journal.lock import is_held
    from tools.up import compile_in_process

    directory = _directory(data)
    if is_held(directory):
        os.nice(NICE)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    compile_in_process()
    return directory


def _directory(given: Path | None) -> Path:
    from tools.config_layers import load

    return given or Path(load(None, {}).config.data.dir)


def _say(lines: list[str], fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(fields))
        return
    sys.stdout.write("".join(f"{line}\n" for line in lines))
