"""`outcry bench kernel | managed | peers`: what their options mean."""

import os
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tools import exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.kernel_run import Setting
    from tools.benches import Options

FOLDER: Final = "OUTCRY_FLOWS"
MODES: Final = {"mix": "--mix", "by_kind": "--by-kind", "scaling": "--scaling", "whole": "--all"}
SIZES: Final = {"instruments": "--instruments", "resting": "--resting"}
KINDS_INSTRUMENTS: Final = 1
KINDS_RESTING: Final = 10_000
PEERS_COMMANDS: Final = 20_000  # Behind the prefill: packages in plain Python take microseconds.


def kernel(options: "Options") -> dict[str, Any]:
    """One of the kernel's benchmarks.

    Over flow files: without --flow those made by seed, and those in the folder OUTCRY_FLOWS; the
    fields then begin with the name of the flow.
    """
    mode = _mode(options)
    with _usage("kernel"):
        if mode == "scaling":
            from bench.kernel_rows import scaling

            return scaling(_setting(options))
        if mode == "mix":
            return _mix(options)
        if mode == "by_kind":
            return _by_kind(options)
        measure = _whole if mode == "whole" else _flow
        if options.flow is not None:
            return measure(options.flow, options)
        with tempfile.TemporaryDirectory() as directory:
            paths = _flows(Path(directory))
            return merged({path.stem: measure(path, options) for path in paths})


def managed(options: "Options") -> dict[str, Any]:
    """Orders through one engine and one journal."""
    from bench import bench_managed

    return bench_managed.run(options.commands or bench_managed.ORDERS)


def peers(options: "Options") -> dict[str, Any]:
    """One flow through engines side by side."""
    from bench import bench_peers
    from bench.flow_make import make

    with _usage("peers"), tempfile.TemporaryDirectory() as directory:
        path = options.flow
        if path is None:
            path = make("near", Path(directory), count=options.commands or PEERS_COMMANDS)
        return bench_peers.run(path, options.engine)


RUN: Final[dict[str, Callable[["Options"], dict[str, Any]]]] = {
    "kernel": kernel,
    "managed": managed,
    "peers": peers,
}


def merged(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One result out of those of several flows: fields, noise and curves get the flow's name in
    front, each run says which flow it is of."""
    found: dict[str, Any] = {}
    runs: list[dict[str, Any]] = []
    noise: dict[str, float] = {}
    curves: list[dict[str, Any]] = []
    for flow, result in results.items():
        for name, value in result.items():
            if name == "runs":
                runs += [{"flow": flow, **run} for run in value]
            elif name == "noise":
                noise |= {f"{flow}_{field}": spread for field, spread in value.items()}
            elif name == "curves":
                curves += [{**curve, "name": f"{flow}: {curve['name']}"} for curve in value]
            else:
                found[f"{flow}_{name}"] = value
    lists = {"runs": runs, "noise": noise, "curves": curves}
    return found | {name: value for name, value in lists.items() if value}


def _mode(options: "Options") -> str:
    """Which of MODES was asked for; "" for flow files.  Exit 64 for options that say two things."""
    given = [name for name in MODES if getattr(options, name)]
    if len(given) > 1:
        shown = ", ".join(MODES[name] for name in given)
        raise exits.Stop(exits.USAGE, f"bench kernel: expected one of them, got {shown}")
    mode = given[0] if given else ""
    sizes = [flag for name, flag in SIZES.items() if getattr(options, name)]
    if sizes and mode == "":
        mode = "mix"
    if sizes and mode not in ("mix", "by_kind"):
        raise exits.Stop(exits.USAGE, f"bench kernel: {MODES[mode]} does not take {sizes[0]}")
    if options.commands and mode != "mix":
        raise exits.Stop(exits.USAGE, "bench kernel: --commands is taken with --mix only")
    if options.flow is not None and mode not in ("", "whole"):
        raise exits.Stop(exits.USAGE, f"bench kernel: {MODES[mode]} makes its own flow, not --flow")
    if mode == "whole" and (options.no_risk or options.ids):
        raise exits.Stop(exits.USAGE, "bench kernel: --all measures with and without them already")
    return mode


@contextmanager
def _usage(name: str) -> "Iterator[None]":
    """A flow, mix or engine that is none is wrong usage."""
    try:
        yield
    except ValueError as fault:
        raise exits.Stop(exits.USAGE, f"bench {name}: {fault}") from None


def _setting(options: "Options") -> "Setting":
    from bench.kernel_run import Setting

    return Setting(risk=not options.no_risk, ids=options.ids)


def _flows(directory: Path) -> list[Path]:
    """Flows made into ``directory``, then those of the folder OUTCRY_FLOWS."""
    from bench.flow_make import MADE, make

    folder = os.environ.get(FOLDER, "")
    if folder and not Path(folder).is_dir():
        raise exits.Stop(exits.USAGE, f"{FOLDER}: expected a folder of .flow files, got {folder!r}")
    made = [make(name, directory) for name in MADE]
    return made + (sorted(Path(folder).glob("*.flow")) if folder else [])


def _flow(path: Path, options: "Options") -> dict[str, Any]:
    from bench.bench_kernel import bench

    return bench(path, risk=not options.no_risk, ids=options.ids)


def _whole(path: Path, _options: "Options") -> dict[str, Any]:
    from bench import flow as flows
    from bench.kernel_rows import whole

    return whole(flows.read_flow(path), flows.sidecar(path))


def _mix(options: "Options") -> dict[str, Any]:
    from bench import full_mix
    from bench.bench_kernel import bench_mix
    from bench.flow_spread import Spread

    if options.mix == full_mix.NAME:
        return _full(options)
    spread = Spread()
    given: dict[str, Any] = {
        "mix": options.mix,
        "instruments": options.instruments,
        "resting": options.resting,
        "commands": options.commands,
    }
    spread = spread._replace(**{name: value for name, value in given.items() if value})
    return bench_mix(spread, _setting(options))


def _full(options: "Options") -> dict[str, Any]:
    from bench.full_mix import Size, bench_full

    if options.no_risk or options.ids:
        raise exits.Stop(exits.USAGE, "bench kernel: --mix full is with risk and without ids")
    names = ("instruments", "resting", "commands")
    given = {name: getattr(options, name) for name in names if getattr(options, name)}
    return bench_full(Size(**given))


def _by_kind(options: "Options") -> dict[str, Any]:
    from bench.flow_spread import Spread
    from bench.kernel_rows import kinds

    spread = Spread(options.instruments or KINDS_INSTRUMENTS, options.resting or KINDS_RESTING)
    return kinds(spread, _setting(options))
