"""Loading the configuration: three layers, all their faults, the origin of every value."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from tools.config import Config, ConfigFaults, Fault, parse_quantity, relations

DEFAULT_FILE: Final = "outcry.toml"
ENVIRONMENT_PREFIX: Final = "OUTCRY__"
DEFAULT_ORIGIN: Final = "default"


class Loaded(NamedTuple):
    """A configuration without faults, and where each key's value came from."""

    config: Config
    origins: dict[str, str]


class Given(NamedTuple):
    """One value that somebody set; text of the environment and flags is not yet typed."""

    key: str
    value: object
    origin: str
    is_text: bool


def keys(struct: type[Struct] = Config) -> dict[str, Any]:
    """Every key ("journal.spares") with its annotated type."""
    found: dict[str, Any] = {}
    for section, section_type in get_type_hints(struct, include_extras=True).items():
        for name, kind in get_type_hints(section_type, include_extras=True).items():
            found[f"{section}.{name}"] = kind
    return found


def extra(kind: object) -> dict[str, Any]:
    """What the annotation of a key says beside its type: its unit, or that it is a secret."""
    found: dict[str, Any] = {}
    if get_origin(kind) is Annotated:
        for meta in get_args(kind)[1:]:
            if isinstance(meta, Meta) and meta.extra:
                found |= meta.extra
    return found


def load(
    path: Path | None,
    flags: Mapping[str, tuple[str, str]],
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """The configuration out of ``path`` (default: ./outcry.toml if there is one), variables, flags.

    ``flags`` maps a key to (the flag's name, its text).  Raises ConfigFaults with all faults.
    """
    loaded, faults = read(path, flags, environment)
    return _refuse(loaded, faults)


def read(
    path: Path | None,
    flags: Mapping[str, tuple[str, str]],
    environment: Mapping[str, str] | None = None,
) -> tuple[Loaded, list[Fault]]:
    """As ``load``, with every fault beside what can be read: a key that cannot has its default."""
    variables = os.environ if environment is None else environment
    given, faults = _from_file(path)
    given += _from_environment(variables)
    given += [Given(key, text, name, is_text=True) for key, (name, text) in flags.items()]
    return collect(Config, given, faults)


def decode(struct: type[Config], given: list[Given], faults: list[Fault]) -> Loaded:
    """Type every given value, later ones first in rank; raises ConfigFaults with all faults."""
    return _refuse(*collect(struct, given, faults))


def _refuse(loaded: Loaded, faults: list[Fault]) -> Loaded:
    if faults:
        raise ConfigFaults(faults)
    return loaded


def collect(
    struct: type[Config], given: list[Given], faults: list[Fault]
) -> tuple[Loaded, list[Fault]]:
    """As ``decode``, with all faults beside it."""
    known = keys(struct)
    values: dict[str, object] = {}
    origins = dict.fromkeys(known, DEFAULT_ORIGIN)
    faults = list(faults)
    for item in given:
        if item.key not in known:
            faults.append(Fault(item.origin, item.key, _unknown(item.key, known)))
            continue
        try:
            values[item.key] = _typed(item, known[item.key])
        except ValueError as fault:
            faults.append(Fault(item.origin, item.key, str(fault)))
        else:
            origins[item.key] = item.origin
    config = _assemble(struct, values)
    faults += [Fault(origins[key], key, message) for key, message in relations(config)]
    return Loaded(config, origins), faults


def _assemble(struct: type[Config], values: dict[str, object]) -> Config:
    sections: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        section, name = key.split(".")
        sections.setdefault(section, {})[name] = value
    types = get_type_hints(struct)
    return struct(**{name: types[name](**fields) for name, fields in sections.items()})


def _typed(item: Given, kind: object) -> object:
    """The value as its key wants it; ValueError says what was expected."""
    value = item.value
    annotations = extra(kind)
    if "unit" in annotations and isinstance(value, str):
        value = parse_quantity(value, annotations["unit"])
    elif annotations.get("unit") == "ns":
        raise ValueError(f'expected a text with a unit, such as "250ms", got {value!r}')
    try:
        return msgspec.convert(value, kind, strict=not item.is_text)
    except msgspec.ValidationError as fault:
        if get_origin(kind) is Literal:
            expected = f"expected one of {', '.join(get_args(kind))}"
        else:
            expected = str(fault).partition(", got")[0].replace("`", "").replace(" | null", "")
            expected = "e" + expected[1:]
        raise ValueError(f"{expected}, got {item.value!r}") from None


def _unknown(key: str, known: Mapping[str, object]) -> str:
    section, _, _ = key.partition(".")
    sections = sorted({name.partition(".")[0] for name in known})
    if section not in sections:
        near = difflib.get_close_matches(section, sections, 1)
        hint = f"did you mean [{near[0]}]?" if near else f"sections are {', '.join(sections)}"
        return f"no such section; {hint}"
    candidates = [name for name in known if name.startswith(section + ".")]
    near = difflib.get_close_matches(key, candidates, 1, 0.5)
    if near:
        return f"no such key; did you mean {near[0]}?"
    return f"no such key; keys are {', '.join(candidates)}"


def _from_file(path: Path | None) -> tuple[list[Given], list[Fault]]:
    name = str(path or DEFAULT_FILE)
    try:
        text = Path(name).read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        return [], ([] if path is None else [Fault(name, "file", "no such file")])
    except (OSError, UnicodeDecodeError) as fault:
        return [], [Fault(name, "file", f"cannot be read: {fault}")]
    except tomllib.TOMLDecodeError as fault:
        return [], [Fault(name, "file", f"is no TOML: {fault}")]
    lines = dict(_lines(text))
    given: list[Given] = []
    faults: list[Fault] = []
    for section, content in document.items():
        if not isinstance(content, dict):
            origin = f"{name}:{lines.get(section, 1)}"
            faults.append(Fault(origin, section, f"expected a section [{section}], got a value"))
            continue
        if not content and section not in {key.partition(".")[0] for key in keys()}:
            origin = f"{name}:{lines.get(section, 1)}"
            faults.append(Fault(origin, section, _unknown(section, keys())))
        for key, value in content.items():
            full = f"{section}.{key}"
            origin = f"{name}:{lines.get(full, 1)}"
            given.append(Given(full, value, origin, is_text=False))
    return given, faults


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Every key and section of a TOML text with the number of its line, for messages only."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([\w.-]+)\s*\]", line)
        assignment = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[.=]", line)
        if header:
            section = header[1]
            yield section, number
        elif assignment:
            yield (f"{section}.{assignment[1]}" if section else assignment[1]), number


def _from_environment(variables: Mapping[str, str]) -> list[Given]:
    found = []
    for name in sorted(variables):
        if name.startswith(ENVIRONMENT_PREFIX):
            key = name[len(ENVIRONMENT_PREFIX) :].lower().replace("__", ".", 1)
            found.append(Given(key, variables[name], name, is_text=True))
    return found
