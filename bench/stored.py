"""Results of benchmarks as files: saved, found, read, checked against the schema.

A result is one JSON object (docs/benchmarks.md): known members that describe the run, and flat
figures beside them.  What does not follow the schema is named with the file, the place in it, what
was expected and what came; nothing is guessed.
"""

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct, field

from bench.result import SCHEMA, head
from bench.result import spread as of_runs

DIRECTORY: Final = "results"  # Ignored by git; `outcry bench report` looks there by default.
RUNS_FOR_NOISE: Final = 3
NAME_CHARS_MAX: Final = 100

Value = bool | int | float | str | None


class Hiccups(Struct, frozen=True):
    """What a clock reader that did nothing else saw: the machine's own pauses."""

    p50_ns: float
    p99_ns: float
    p99_9_ns: float
    max_ns: float
    samples: int


class Curve(Struct, frozen=True):
    """Values by percentile, both rising."""

    name: str
    points: list[tuple[float, float]]
    unit: str = "ns"


class Step(Struct, frozen=True):
    """One rate of a rate ladder."""

    rate_per_s: float
    achieved_per_s: float
    late: int
    p50_ns: float
    p99_ns: float
    p99_9_ns: float
    max_ns: float
    durability: str = ""


class Stage(Struct, frozen=True):
    """How long commands spent in one stage of the pipeline."""

    stage: str
    p50_ns: float
    p90_ns: float
    p99_ns: float
    p99_9_ns: float
    max_ns: float
    count: int
    durability: str = ""


class Described(Struct, frozen=True):
    """The members of a result that are not flat figures."""

    schema: Literal[1]
    bench: str
    taken: datetime.datetime
    commit: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    hiccups: Hiccups | None = None
    runs: list[dict[str, Value]] = field(default_factory=list)
    noise: dict[str, float | None] = field(default_factory=dict)
    curves: list[Curve] = field(default_factory=list)
    ladder: list[Step] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)


MEMBERS: Final = frozenset(Described.__struct_fields__)


class Result(NamedTuple):
    """A result as it was read; ``flat`` has the figures and facts in their order."""

    path: Path
    about: Described
    flat: dict[str, Value]

    @property
    def bench(self) -> str:
        """The name of the benchmark."""
        return self.about.bench

    def noise(self, name: str) -> float | None:
        """Relative spread (MAD / median) of a figure over the runs; None: not measured."""
        given = self.about.noise.get(name)
        if given is not None:
            return given
        values = [run[name] for run in self.about.runs if name in run]
        return spread([value for value in values if is_number(value)])


class ResultFaults(Exception):
    """Every fault of every file that was read, at least one."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def is_number(value: object) -> bool:
    """Whether a flat value is a figure; yes and no are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def spread(values: Iterable[Any]) -> float | None:
    """MAD / median of at least RUNS_FOR_NOISE values; None when it cannot be said."""
    numbers = [float(value) for value in values]
    if len(numbers) < RUNS_FOR_NOISE:
        return None
    if median(numbers) != 0:
        return of_runs(numbers)
    return 0.0 if median(map(abs, numbers)) == 0 else None  # The distance from 0 is the value.


def read(places: Iterable[Path]) -> list[Result]:
    """The results in files, and in the ``*.json`` of directories; the oldest first.

    Raises ResultFaults with every fault of every file, also when there is nothing to read.
    """
    faults: list[str] = []
    paths: list[Path] = []
    for place in places:
        if place.is_dir():
            found = sorted(place.glob("*.json"))
            if not found:
                faults.append(f"{place}: expected results (*.json, as `--save` writes), got none")
            paths += found
        else:
            paths.append(place)
    results = []
    for path in paths:
        try:
            results.append(parse(path, path.read_bytes()))
        except OSError as fault:
            faults.append(f"{path}: expected a result, got {fault.strerror}")
        except ValueError as fault:
            faults.append(f"{path}: {fault}")
    if faults:
        raise ResultFaults(faults)
    return sorted(results, key=lambda result: (_instant(result.about.taken), str(result.path)))


def parse(path: Path, content: bytes) -> Result:
    """The result in ``content``: one JSON object, or text whose last line is one.

    Raises ValueError that says what was expected, what came and where in the object.
    """
    raw = _object(content)
    if "schema" not in raw:
        raise ValueError(f"$.schema: expected {SCHEMA}, got an object without it")
    try:
        about = msgspec.convert({k: v for k, v in raw.items() if k in MEMBERS}, Described)
    except msgspec.ValidationError as fault:
        what, _, where = str(fault).partition(" - at ")
        place = where.strip("`") or "$"
        what = what.replace("`", "")
        got = _value_at(raw, place)
        shown = "" if got is None else f" ({got!r})"
        raise ValueError(f"{place}: {what[0].lower()}{what[1:]}{shown}") from None
    flat = {name: value for name, value in raw.items() if name not in MEMBERS}
    for name, value in flat.items():
        if isinstance(value, dict | list):
            kind = "an object" if isinstance(value, dict) else "an array"
            raise ValueError(f"$.{name}: expected a number, a text, true or false, got {kind}")
    _check(about)
    return Result(path, about, flat)


def _object(content: bytes) -> dict[str, Any]:
    lines = content.strip().splitlines()
    if not lines:
        raise ValueError("$: expected a JSON object, got an empty file")
    try:
        raw = msgspec.json.decode(content)
    except msgspec.DecodeError as whole:
        try:
            raw = msgspec.json.decode(lines[-1])
        except msgspec.DecodeError:
            raise ValueError(f"$: expected a JSON object, got: {whole}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"$: expected a JSON object, got {type(raw).__name__}")
    return raw


def _value_at(raw: Any, place: str) -> Value:
    """The plain value at a place such as "$.ladder[0].late"; None when it is no plain value."""
    for step in place.removeprefix("$").replace("[", ".[").split(".")[1:]:
        try:
            raw = raw[int(step[1:-1])] if step.startswith("[") else raw[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return raw if isinstance(raw, bool | int | float | str) else None


def _check(about: Described) -> None:
    """What types do not say: percentiles rise, times and spreads are not negative."""
    if not about.bench:
        raise ValueError("$.bench: expected the name of a benchmark, got ''")
    for name, value in about.noise.items():
        if value is not None and value < 0:
            raise ValueError(f"$.noise.{name}: expected at least 0, got {value}")
    for place, curve in enumerate(about.curves):
        before = (0.0, 0.0)
        for index, point in enumerate(curve.points):
            where = f"$.curves[{place}].points[{index}]"
            if not 0 <= point[0] <= 100:
                raise ValueError(f"{where}[0]: expected a percentile of 0 to 100, got {point[0]}")
            if point[0] < before[0] or point[1] < before[1]:
                raise ValueError(f"{where}: expected at least {list(before)}, got {list(point)}")
            before = point
    for name, rows in (("ladder", about.ladder), ("stages", about.stages)):
        for index, row in enumerate(rows):
            for key, value in msgspec.structs.asdict(row).items():
                if is_number(value) and value < 0:
                    raise ValueError(f"$.{name}[{index}].{key}: expected at least 0, got {value}")


def stamped(name: str, options: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """``found`` as a result: members that it does not have yet, then its own."""
    given = {key: value for key, value in options.items() if value not in (None, False, ())}
    return head(name, {key: _plain(value) for key, value in given.items()}) | dict(found)


def as_read(result: Mapping[str, Any]) -> Result:
    """A result that was just taken, as it will be read again; ValueError when it is none."""
    return parse(Path("new"), msgspec.json.encode(result))


def machine_name(result: Result) -> str:
    """A directory name for results of machines that look alike."""
    about = result.about.machine
    words = re.findall(r"[a-z0-9.]+", str(about.get("cpu", "unknown")).lower())
    return "-".join([*words, f"{about.get('cpus', 0)}cpus"])[:NAME_CHARS_MAX]


def save(result: Mapping[str, Any], directory: Path) -> Path:
    """Write a result into ``directory`` under its name and time; never over another one."""
    directory.mkdir(parents=True, exist_ok=True)
    taken = datetime.datetime.fromisoformat(str(result["taken"])).astimezone(datetime.UTC)
    stem = f"{result['bench']}-{taken:%Y%m%dT%H%M%SZ}"
    content = msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"
    for number in range(1, 10_000):
        path = directory / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{directory}: no free name for {stem}")


def _plain(value: Any) -> Any:
    return value.name if isinstance(value, Path) else value


def _instant(taken: datetime.datetime) -> float:
    """For sorting: a time without a zone counts as UTC."""
    aware = taken if taken.tzinfo else taken.replace(tzinfo=datetime.UTC)
    found = aware.timestamp()
    return found if math.isfinite(found) else 0.0
