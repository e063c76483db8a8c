"""Commands that keep an exchange: snapshots, backup and restore, upgrade.

Registered by ``tools.cli``.  Imports stay inside the commands.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools import exits

if TYPE_CHECKING:
    from core.journal.config import JournalConfig

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory; else that of the configuration.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; ./outcry.toml if there is one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]
snapshot_app = typer.Typer(help="Snapshots: make, list, verify.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    snapshot_app.command("make")(snapshot_make)
    snapshot_app.command("list")(snapshot_list)
    snapshot_app.command("verify")(snapshot_verify)
    app.add_typer(snapshot_app, name="snapshot")
    app.command()(backup)
    app.command()(restore)
    app.command()(upgrade)


def snapshot_make(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Make one at the newest sequence, beside a live exchange too; loaded again and compared."""
    directory = _compiled(data)
    from replay import snapshots

    found = snapshots.make(directory)
    names = ("sequence", "state_hash", "open_orders", "state_bytes", "engine_version")
    _say({name: getattr(found, name) for name in names}, as_json=as_json)


def snapshot_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """What there is, newest first."""
    from replay import snapshots

    _say_rows(snapshots.listed(_directory(data)), as_json=as_json)


def snapshot_verify(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Load each, compare its hash, find its place in the journal; exit 80 if one is no good."""
    directory = _compiled(data)
    from replay import snapshots

    rows = snapshots.verify(directory)
    _say_rows(rows, as_json=as_json)
    bad = [row for row in rows if row["fault"]]
    if bad:
        raise exits.Stop(
            exits.JOURNAL_REFUSED,
            f"{len(bad)} of {len(rows)} snapshots cannot be used; the newest of them is of "
            f"sequence {bad[0]['sequence']}: {bad[0]['fault']}",
        )


def backup(
    target: Annotated[Path, typer.Argument(help="Directory to make.", metavar="TARGET")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy everything that the exchange needs to come back, beside a live exchange too."""
    directory = _compiled(data)
    from replay import backup as backups

    _say(backups.fields(backups.backup(directory, target)), as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="What backup has made.", metavar="BACKUP")],
    data: DataOption = None,
    newest_seen: Annotated[
        int, typer.Option("--newest-seen", min=0, help="Newest sequence that anybody has seen.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Make a data directory out of a backup: every byte compared, the state run and compared."""
    from tools.journal_repair import hold

    hold(_directory(data)).close()  # Exit 75 where somebody runs.
    directory = _compiled(data)
    from replay.restore import restore as bring_back

    found = bring_back(source, directory, newest_seen=newest_seen)
    _say(found, as_json=as_json)


def upgrade(
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Begin a new journal generation: for this version of the engine, and changed limits."""
    from tools.journal_repair import hold

    journal, directory = _journal(config, data)
    held = hold(directory)
    try:
        _compile()
        from replay.upgrade import upgrade as begin_generation

        found = begin_generation(directory, journal)
    finally:
        held.close()
    _say(found, as_json=as_json)
    if not as_json and not found["changed"]:
        print("nothing to upgrade: the journal has this engine version and these limits")


def _journal(config: Path | None, data: Path | None) -> "tuple[JournalConfig, Path]":
    """What a start would be given, and where."""
    from core.journal.config import JournalConfig
    from core.journal.layout import DURABILITIES
    from core.sequencer.engine import ENGINE_VERSION
    from tools.config_layers import load
    from tools.config_limits import resolve

    loaded = load(config, {})
    journal = loaded.config.journal
    found = JournalConfig(
        durability=DURABILITIES[journal.durability],
        limits=resolve(loaded),
        engine_version=ENGINE_VERSION,
        segment_bytes=journal.segment_bytes,
        spares=journal.spares,
        allow_volatile=journal.allow_volatile,
    )
    return found, data or Path(loaded.config.data.dir)


def _directory(given: Path | None) -> Path:
    from tools.config_layers import load

    return given or Path(load(None, {}).config.data.dir)


def _compiled(given: Path | None) -> Path:
    """The data directory, once the kernels are compiled."""
    directory = _directory(given)
    _compile()
    return directory


def _compile() -> None:
    from tools.up import compile_in_process

    compile_in_process()


def _say(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(fields))
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        print(f"{name:<{width}}  {_shown(value)}")


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else value


def _say_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"snapshots": rows}))
        return
    for row in rows:
        if "state_hash" not in row:
            print(f"{row['sequence']:>16,}  cannot be read: {row['fault']}")
            continue
        made = datetime.fromtimestamp(row["created_ns"] // 10**9, UTC).strftime("%F %T")
        said = f"  cannot be used: {row['fault']}" if row["fault"] else ""
        print(
            f"{row['sequence']:>16,}  {row['state_hash']}  {made}  {row['bytes']:,} bytes  "
            f"{row['open_orders']:,} open orders  segment {row['segment']}{said}"
        )
    if not rows:
        print("no snapshot")
