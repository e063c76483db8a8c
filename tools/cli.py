"""The command `outcry`.  Imports stay inside the commands: `outcry --help` loads nothing heavy."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from tools import data as keeping
from tools import exits, inside
from tools.bench_group import RUN, bench_app

if TYPE_CHECKING:
    from tools.config_layers import Loaded

VERSION: Final = "0.1.0"

app = typer.Typer(
    name="outcry",
    help="An exchange that one command starts on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
journal_app = typer.Typer(help="The journal: verify it, read it, repair it.", no_args_is_help=True)
config_app = typer.Typer(help="The configuration: show, check, schema.", no_args_is_help=True)
events_app = typer.Typer(help="The event archive: verify it, read it.", no_args_is_help=True)
app.add_typer(journal_app, name="journal")
app.add_typer(events_app, name="events")
app.add_typer(config_app, name="config")
app.add_typer(bench_app, name="bench")
inside.register(app)
keeping.register(app)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory; else that of the configuration.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; ./outcry.toml if there is one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Options before the command."""
    if debug:
        os.environ["OUTCRY_DEBUG"] = "1"


@app.command()
def up(
    config: ConfigOption = None,
    data: Annotated[str | None, typer.Option("--data", help="Data directory.")] = None,
    http: Annotated[str | None, typer.Option("--http", help="HOST:PORT of HTTP.")] = None,
    fix: Annotated[str, typer.Option("--fix", help="HOST:PORT of FIX, or off.")] = "off",
    durability: Annotated[str | None, typer.Option(help="sync or relaxed.")] = None,
    postgres: Annotated[str, typer.Option(help="embedded, off, or a DSN.")] = "off",
    dev: Annotated[bool, typer.Option("--dev", help="Development on loopback.")] = False,
    pin: Annotated[bool, typer.Option("--pin", help="The core alone on the best CPU.")] = False,
) -> None:
    """Start the exchange; Ctrl-C stops it."""
    for option, value in (("--fix", fix), ("--postgres", postgres)):
        if value != "off":
            _refuse(f"{option}: this version has no such adapter; the only value is off")
    flags = _flags(("data.dir", "--data", data), ("http.listen", "--http", http))
    flags |= _flags(("journal.durability", "--durability", durability))
    if dev:
        flags["dev.enabled"] = ("--dev", "true")
    if pin:
        flags["core.pin"] = ("--pin", "auto")
    loaded = _load(config, flags)
    from tools import config_limits
    from tools import up as exchange

    raise typer.Exit(exchange.run(loaded.config, config_limits.resolve(loaded)))


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("outcry.toml"),
) -> None:
    """Write a commented configuration file."""
    from tools.config_text import initial

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(initial())
    except FileExistsError:
        _refuse(f"{path} exists; nothing was written")
    print(f"wrote {path}")


@config_app.command("show")
def config_show(
    config: ConfigOption = None,
    origin: Annotated[bool, typer.Option("--origin", help="Where each value is from.")] = False,
) -> None:
    """Print what is in force."""
    from tools.config_text import show

    print(show(_load(config, {}), with_origin=origin), end="")


@config_app.command("check")
def config_check(config: ConfigOption = None) -> None:
    """Report every fault of file and environment; exit 78 if there is one."""
    from tools.config_limits import resolve

    resolve(_load(config, {}))
    print("ok")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of outcry.toml, for editors."""
    from tools.config_text import schema

    print(json.dumps(schema(), indent=2))


@app.command()
def version() -> None:
    """Print the version."""
    print(f"outcry {VERSION}")


@app.command("compile")
def compile_kernels() -> None:
    """Compile the core now, so that later starts are quick."""
    from tools.compile import main as compile_main

    raise typer.Exit(compile_main())


@app.command()
def replay(
    data: DataOption = None,
    to: Annotated[int | None, typer.Option("--to", min=1, help="Last sequence.")] = None,
    from_snapshot: Annotated[
        bool, typer.Option("--from-snapshot", help="Begin with the newest.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Check after every command.")] = False,
    check_every: Annotated[
        int | None, typer.Option("--check-every", min=1, help="Whole state after one in N.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the journal through the engine: commands, events, state hash."""
    _compile()
    from replay import replay as replayer
    from replay.check import CHECKED_EVERY

    every = check_every or (CHECKED_EVERY if check else 0)
    where = _directory(data)
    found = replayer.run(where, to=to, check_every=every, from_snapshot=from_snapshot)
    _print(found, as_json=as_json)


@bench_app.command(RUN)
def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="pipeline, kernel, managed, peers, ring, readers, journal, resume, replay, "
            "restart, stages or micro."
        ),
    ],
    flow: Annotated[
        Path | None, typer.Option("--flow", help="Order flow file; else made ones.")
    ] = None,
    no_risk: Annotated[bool, typer.Option("--no-risk", help="The book alone (kernel).")] = False,
    ids: Annotated[bool, typer.Option("--ids", help="With client order ids (kernel).")] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, help="How long (not kernel).")
    ] = None,
    commands: Annotated[
        int | None,
        typer.Option("--commands", min=1, help="How many; managed: how many orders."),
    ] = None,
    mix: Annotated[
        str | None, typer.Option("--mix", help="A large flow (kernel): balanced, cross, cancel …")
    ] = None,
    instruments: Annotated[
        int | None, typer.Option("--instruments", min=1, help="With --mix or --by-kind.")
    ] = None,
    resting: Annotated[
        int | None, typer.Option("--resting", min=1, help="Orders in the book; as --instruments.")
    ] = None,
    by_kind: Annotated[bool, typer.Option("--by-kind", help="Kind by kind (kernel).")] = False,
    scaling: Annotated[bool, typer.Option("--scaling", help="Size by size (kernel).")] = False,
    whole: Annotated[
        bool, typer.Option("--all", help="Part by part, journal and full id table too (kernel).")
    ] = False,
    engine: Annotated[
        list[str] | None,
        typer.Option("--engine", help="'NAME=COMMAND {flow}' beside the others (peers)."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Directory that the result is written into too.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Compare with what is stored there for this machine."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a part: kernel, ring, … (the word run may be left out)."""
    from tools import benches

    options = benches.Options(
        flow,
        no_risk,
        ids,
        seconds,
        commands,
        mix=mix,
        instruments=instruments,
        resting=resting,
        by_kind=by_kind,
        scaling=scaling,
        whole=whole,
        engine=tuple(engine or ()),
    )
    benches.check(name, options)
    _compile()
    found = benches.run(name, options)
    benches.keep(name, options, found, benches.Places(save, against))
    _print(found if as_json else benches.flat(found), as_json=as_json)


@journal_app.command("verify")
def journal_verify(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check every byte; exit 0 and the last sequence, or 80 with file, offset, reason."""
    from core.journal import verify

    _print(verify.run(_directory(data)), as_json=as_json)


@journal_app.command("dump")
def journal_dump(
    data: DataOption = None,
    first: Annotated[int, typer.Option("--from", min=1, help="First sequence.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="Last sequence.")] = None,
    form: Annotated[str, typer.Option("--format", help="text, jsonl or csv.")] = "text",
) -> None:
    """Print commands of the journal."""
    if form not in ("text", "jsonl", "csv"):
        _refuse(f"--format: expected text, jsonl or csv, got {form!r}")
    from tools import journal_dump as dump

    for line in dump.lines(_directory(data), first, last, form):
        print(line)


@events_app.command("verify")
def events_verify(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check every byte; exit 0 and what there is, or 80 with file, offset, reason."""
    from tools import events_dump

    _print(events_dump.verify(_directory(data)), as_json=as_json)


@events_app.command("dump")
def events_show(
    data: DataOption = None,
    first: Annotated[int, typer.Option("--from", min=1, help="First sequence.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="Last sequence.")] = None,
    form: Annotated[str, typer.Option("--format", help="text, jsonl or csv.")] = "text",
) -> None:
    """Print events of the archive."""
    if form not in ("text", "jsonl", "csv"):
        _refuse(f"--format: expected text, jsonl or csv, got {form!r}")
    from tools import events_dump as dump

    for line in dump.lines(_directory(data), first, last, form):
        print(line)


@journal_app.command("repair")
def journal_repair(
    data: DataOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what it would do; no more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Go on from a refused journal: shows what is lost, asks, keeps what it takes away."""
    if as_json and not plan:
        _refuse("--json: only with --plan, because the repair itself asks on the terminal")
    _compile()
    from tools import journal_repair as repair

    code = repair.run(_directory(data), VERSION, plan_only=plan, as_json=as_json)
    raise typer.Exit(code)


@app.command()
def reset(
    data: DataOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
) -> None:
    """Remove everything in the data directory: journal, orders, balances."""
    from tools import reset as resetting

    raise typer.Exit(resetting.run(_directory(data), yes=yes))


def _compile() -> None:
    from tools.up import compile_in_process

    compile_in_process()


def _load(path: Path | None, flags: dict[str, tuple[str, str]]) -> "Loaded":
    from tools.config_layers import load

    return load(path, flags)


def _directory(given: Path | None) -> Path:
    return given or Path(_load(None, {}).config.data.dir)


def _flags(*given: tuple[str, str, str | None]) -> dict[str, tuple[str, str]]:
    return {key: (option, value) for key, option, value in given if value is not None}


def _print(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(fields))
        return
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        print(f"{name:<{width}}  {_shown(value)}")


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else value


def _refuse(message: str) -> NoReturn:
    raise exits.Stop(exits.USAGE, message)


def main() -> NoReturn:
    """Run the command line; every error is one sentence and an exit code of the contract."""
    try:
        code = app(standalone_mode=False) or exits.OK
    except BaseException as error:
        if os.environ.get("OUTCRY_DEBUG") and not isinstance(error, typer.Exit):
            raise
        code = _exit_code(error)
    sys.stdout.flush()
    sys.exit(code)


def _exit_code(error: BaseException) -> int:
    """Say what went wrong in one sentence; the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        return 130
    if isinstance(error, BrokenPipeError):  # The reader of our output has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    if isinstance(error, typer.TyperException):
        _complain(f"{error.format_message().rstrip('.')}; try --help")
        return exits.USAGE
    if type(error).__name__ == "ConfigFaults":
        for fault in error.faults:  # type: ignore[attr-defined]
            _complain(str(fault))
        return exits.CONFIGURATION
    code = getattr(error, "code", None) or getattr(error, "exit_code", None)
    if isinstance(error, Exception) and isinstance(code, int):
        _complain(str(error))
        return code
    if isinstance(error, SystemExit):
        raise error
    _complain(f"{type(error).__name__}: {error}; --debug shows where")
    return exits.FAILED


def _complain(message: str) -> None:
    sys.stderr.write(f"outcry: {message}\n")


if __name__ == "__main__":
    main()
