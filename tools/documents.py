"""Tables of docs/*.md that come out of the code, so that they cannot grow old.

    python -m tools.documents [--check]

A document holds ``<!-- table: NAME ARGUMENT... -->`` and ``<!-- end -->`` on lines of their own;
what stands between them is written here.  ``--check`` changes nothing and exits 1 when a document
is not current.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
BEGIN: Final = "<!-- table: "
END: Final = "<!-- end -->"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table."""
    line = "| {} |".format
    return [line(" | ".join(row)) for row in (head, ("---",) * len(head), *rows)]


def layout(module_name: str, name: str, *options: str) -> list[str]:
    """Fields of a record: offset, type, name, and the comment of its line; ``body``: without the
    prefix that all commands share."""
    module = importlib.import_module(module_name)
    dtype = getattr(module, name)
    said = field_comments(module, name)
    rows = []
    shared = importlib.import_module("core.messages").COMMAND if "body" in options else None
    for field in dtype.names:
        kind, offset = dtype.fields[field][:2]
        if shared is None or field not in shared.names or field == "body":
            rows.append((str(offset), type_word(kind), f"`{field}`", said.get(field, "")))
    return table(("at", "type", "field", f"{dtype.itemsize} bytes"), rows)


def type_word(kind: Any) -> str:
    """``i64``, ``u8[36]``: of numpy's type."""
    base = kind.base
    return f"{base.kind}{base.itemsize * 8}" + "".join(f"[{size}]" for size in kind.shape)


def field_comments(module: ModuleType, name: str) -> dict[str, str]:
    """The comments beside the fields of the record ``name``, by field; spliced lists included.

    A record that is another's by assignment, or imported, has the comments of that one.
    """
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    lines = source.splitlines()
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return field_comments(importlib.import_module(str(node.module)), name)
        if not isinstance(node, ast.AnnAssign) or ast.unparse(node.target) != name:
            continue
        if isinstance(node.value, ast.Name):
            return field_comments(module, node.value.id)
        for part in ast.walk(node):
            if isinstance(part, ast.Starred):
                found |= field_comments(module, ast.unparse(part.value))
            elif isinstance(part, ast.Tuple) and isinstance(part.elts[0], ast.Constant):
                found[str(part.elts[0].value)] = comment(lines[part.lineno - 1])
    return found


def comment(line: str) -> str:
    """What stands behind the ``#`` of a line, fit for a table."""
    return line.partition("  # ")[2].replace("|", "\\|")


def kinds(names_at: str) -> list[str]:
    """Numbers and names out of a dictionary, given as module:NAME."""
    module, _, name = names_at.partition(":")
    found = getattr(importlib.import_module(module), name)
    return table(
        ("number", "kind"), [(str(number), word) for number, word in sorted(found.items())]
    )


def words(enum_at: str) -> list[str]:
    """Members of an enumeration with the comment of their line, given as module:NAME."""
    module_name, _, name = enum_at.partition(":")
    module = importlib.import_module(module_name)
    lines = Path(str(module.__file__)).read_text(encoding="utf-8").splitlines()
    members: type[Enum] = getattr(module, name)
    rows = []
    for member in members:
        line = next(line for line in lines if line.strip().startswith(f"{member.name} = "))
        rows.append((f"`{member.name}`", comment(line)))
    return table(("reason", "what is wrong"), rows)


def reasons() -> list[str]:
    """Why a command is rejected or an order ended."""
    from core.reasons import TEXT, Reason

    rows = [(str(int(reason)), f"`{reason.word}`", TEXT[reason]) for reason in Reason if reason]
    return table(("number", "word", "meaning"), rows)


def limits() -> list[str]:
    """Rows per table, by profile."""
    from core.limits import DEFAULT
    from tools.config_limits import PROFILES

    names = sorted(PROFILES, key=lambda name: name != "default")
    rows = [
        (f"`limits.{key}`", *(f"{getattr(PROFILES[name], key):,}" for name in names))
        for key in DEFAULT._fields
    ]
    return table(("key", *names), rows)


def configuration() -> list[str]:
    """Every key with its default and meaning."""
    from tools.config import Config
    from tools.config_text import COMMENTS, described

    rows = [
        (f"`{key}`", f"`{value}`", COMMENTS.get(key, ""))
        for key, value in described(Config())
        if not (key.startswith("limits.") and key not in COMMENTS)
    ]
    return table(("key", "default", "meaning"), rows)


TABLES: Final[dict[str, Callable[..., list[str]]]] = {
    "layout": layout,
    "kinds": kinds,
    "words": words,
    "reasons": reasons,
    "limits": limits,
    "configuration": configuration,
}


def current(text: str) -> str:
    """``text`` with every table as it has to be.  ValueError for a table that is not known."""
    return "".join(f"{line}\n" for line in _lines(text.splitlines()))


def _lines(lines: list[str]) -> Iterator[str]:
    is_table = False
    for line in lines:
        if line == END:
            is_table = False
        if not is_table:
            yield line
        if line.startswith(BEGIN):
            is_table = True
            name, *arguments = line.removeprefix(BEGIN).removesuffix(" -->").split()
            if name not in TABLES:
                raise ValueError(f"{line}: expected one of {', '.join(TABLES)}")
            yield from TABLES[name](*arguments)
    if is_table:
        raise ValueError(f"a table without {END}")


def stale(root: Path = ROOT, *, write: bool = False) -> list[str]:
    """The documents that are not current, from ``root``; ``write`` makes them so."""
    found = []
    for path in sorted(root.glob("docs/*.md")):
        text = path.read_text(encoding="utf-8")
        made = current(text)
        if made != text:
            found.append(path.relative_to(root).as_posix())
            if write:
                path.write_text(made, encoding="utf-8")
    return found


def main() -> int:
    """Write, or check; 1 when something was not current and nothing was written."""
    is_check = "--check" in sys.argv[1:]
    found = stale(write=not is_check)
    for name in found:
        print(f"{name}: {'not current, run: make docs' if is_check else 'written'}")
    return 1 if found and is_check else 0


if __name__ == "__main__":
    sys.exit(main())
