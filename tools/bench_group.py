"""`outcry bench`: benchmarks by name, and what is done with their results."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

RUN: Final = "run"  # The command that takes the name of a benchmark.


class BenchGroup(TyperGroup):
    """`bench NAME …` is the command ``run`` unless NAME is a command itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``run`` in front of the name of a benchmark."""
        if args and args[0] not in (*self.commands, "--help"):
            args = [RUN, *args]
        return super().parse_args(ctx, args)


bench_app: Final = typer.Typer(
    cls=BenchGroup, help="Measure a part, with a baseline in the same run.", no_args_is_help=True
)


@bench_app.command("report")
def report(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results, or directories of them; else results/.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The page; else report.html beside them.")
    ] = None,
    compare: Annotated[
        list[Path] | None, typer.Option("--compare", help="Older results, file or directory.")
    ] = None,
    fail_on_worse: Annotated[
        bool, typer.Option("--fail-on-worse", help="Exit 70 when a figure is worse beyond noise.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = (
        False
    ),
) -> None:
    """One HTML page out of results; judges against older ones only beyond measured noise."""
    import json

    from rich.console import Console

    from tools import report as reporting

    options = reporting.Options(results or [], output, compare or [], fail_on_worse)
    found = reporting.run(options, Console())
    if as_json:
        print(json.dumps(found))
    else:
        print(f"wrote {found['output']}")
