"""House rules that ruff and mypy do not know; prints FILE:LINE: error: WHAT, exit 1 if any.

    python -m tools.tidy

Each rule is one function from a file to its faults.  A line that must break a rule says so with
``tidy: allow`` and the reason in a comment on that line.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
FUNCTION_LINES_MAX: Final = 70
FILE_LINES_MAX: Final = 800
ALLOW: Final = "tidy: allow"

NUMBA_IMPORTERS: Final = {
    f"core/{name}.py" for name in ("atomics", "crc32c", "jit", "libc", "linking", "memory")
}
CLOCK: Final = "core/clock.py"
CLOCK_MODULES: Final = {"time", "datetime"}
# What decides must be exact: no float there at all.
EXACT: Final = ("core/book/", "core/risk/", "core/sequencer/", "core/rows.py", "core/messages.py")

# style.md section 5: the word of the house for a name that means the same.
WORDS: Final = {
    "px": "price",
    "seq_id": "sequence",
    "seqno": "sequence",
    "ts": "timestamp_ns",
    "bbo": "top of book",
    "aggressor": "taker",
    "deal": "trade or execution",
    "orderbook": "book",
    "uid": "account",
    "wal": "journal",
    "aof": "journal",
    "amend": "replace",
    "signum": "number",
}
PREFIXES: Final = {"num_": "NAME_count", "nb_": "NAME_count"}

# Split, so that this file does not break its own rule.
PRIVATE: Final = tuple(
    "".join(parts)
    for parts in (
        ("/wo", "rk/"),
        ("/tmp/", "venv"),
        ("/ro", "ot/"),
        ("../sha", "red"),
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("npmjs", ".org"),
        ("debian", ".org"),
    )
)
UNFINISHED: Final = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b(?!\(#\d+\))")
PLACEHOLDER: Final = re.compile(r"\bFIG" r"URE\b")


class Fault(NamedTuple):
    """One broken rule."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: error: {self.message}"


class Source(NamedTuple):
    """A file of the project: its path from the root, its text, its syntax tree if it is Python."""

    path: str
    text: str
    tree: ast.Module | None

    @property
    def is_core(self) -> bool:
        """Whether it belongs to the core."""
        return self.path.startswith("core/")

    def nodes(self) -> Iterator[ast.AST]:
        """Every node of the tree, none for other than Python."""
        return iter(()) if self.tree is None else ast.walk(self.tree)


Found = Iterator[tuple[int, str]]


def numba_is_configured_in_one_place(source: Source) -> Found:
    """Compiled code goes through core.jit.kernel."""
    for node in source.nodes():
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = node.module if isinstance(node, ast.ImportFrom) else None
            modules = [module] if module else names
            if any(name and name.split(".")[0] in ("numba", "llvmlite") for name in modules):
                if source.path not in NUMBA_IMPORTERS:
                    yield node.lineno, "numba is banned here, use core.jit.kernel"
                elif "njit" in names and source.path != "core/jit.py":
                    yield node.lineno, "njit is banned here, use core.jit.kernel"


def no_float_where_it_is_decided(source: Source) -> Found:
    """Integers only: money, prices, quantities."""
    if not source.path.startswith(EXACT) or source.path.endswith("__main__.py"):
        return
    for node in source.nodes():
        if isinstance(node, ast.Name) and node.id == "float":
            yield node.lineno, "float is banned in what decides, use int64"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"the float {node.value} is banned in what decides, use int64"


def time_is_read_in_one_place(source: Source) -> Found:
    """In core only clock.py reads a clock."""
    if not source.is_core or source.path == CLOCK:
        return
    for node in source.nodes():
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            if module in CLOCK_MODULES:
                yield node.lineno, f"{module} is banned in core, use core.clock"


def functions_are_short(source: Source) -> Found:
    """A function fits a screen."""
    for node in source.nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def files_are_short(source: Source) -> Found:
    """A file is one noun."""
    lines = source.text.count("\n")
    if source.tree is not None and lines > FILE_LINES_MAX:
        yield 1, f"{lines} lines, at most {FILE_LINES_MAX}; split it"


def nothing_is_unfinished(source: Source) -> Found:
    """A marker of unfinished work names an issue, and no figure is missing."""
    for number, line in enumerate(source.text.splitlines(), 1):
        found = UNFINISHED.search(line)
        if found:
            yield number, f"{found[1]} is banned, write {found[1]}(#ISSUE)"
        if source.path.endswith(".md") and PLACEHOLDER.search(line):
            yield number, "a figure is missing: measure it and write it down"


def words_are_those_of_the_house(source: Source) -> Found:
    """One word per thing."""
    for node in source.nodes():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        else:
            continue
        line = node.lineno
        if name.lower() in WORDS:
            yield line, f"the name {name} is banned, use {WORDS[name.lower()]}"
        for prefix, better in PREFIXES.items():
            if name.lower().startswith(prefix):
                yield line, f"the name {name} is banned, use {better}"


def errors_are_not_swallowed(source: Source) -> Found:
    """Nothing catches everything and goes on; the core catches nothing broad without raising."""
    for node in source.nodes():
        if not isinstance(node, ast.ExceptHandler) or not _is_broad(node.type):
            continue
        raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        does_nothing = all(isinstance(inner, ast.Pass | ast.Continue) for inner in node.body)
        if node.type is None or does_nothing or (source.is_core and not raises):
            yield node.lineno, "a broad except is banned, name the exceptions or raise again"


def _is_broad(kind: ast.expr | None) -> bool:
    names = [kind, *kind.elts] if isinstance(kind, ast.Tuple) else [kind]
    broad = ("Exception", "BaseException")
    return kind is None or any(isinstance(name, ast.Name) and name.id in broad for name in names)


def reasons_have_a_text(source: Source) -> Found:
    """Every Reason is explained, and no two share a number."""
    if source.path != "core/reasons.py":
        return
    members: dict[str, int] = {}
    numbers: dict[object, str] = {}
    texts: set[str] = set()
    for node in source.nodes():
        if isinstance(node, ast.ClassDef) and node.name == "Reason":
            for item in node.body:
                if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant):
                    name = ast.unparse(item.targets[0])
                    if item.value.value in numbers:
                        yield item.lineno, f"{name} has the number of {numbers[item.value.value]}"
                    members[name] = item.lineno
                    numbers[item.value.value] = name
        if isinstance(node, ast.Dict):
            texts |= {ast.unparse(key).removeprefix("Reason.") for key in node.keys if key}
    for name, line in members.items():
        if name != "NONE" and name not in texts:
            yield line, f"Reason.{name} has no text"


def documents_have_one_title(source: Source) -> Found:
    """A .md begins with its only title."""
    if not source.path.endswith(".md"):
        return
    titles = []
    is_code = False
    for number, line in enumerate(source.text.splitlines(), 1):
        if line.startswith("```"):
            is_code = not is_code
        if line.startswith("# ") and not is_code:
            titles.append(number)
    if len(titles) != 1:
        yield (titles[1] if titles else 1), f"{len(titles)} titles, expected exactly one"


def locks_name_no_place(source: Source) -> Found:
    """The lock says what, never from where."""
    if not Path(source.path).name.startswith("requirements"):
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        if "://" in line or line.lstrip().startswith(("--index", "--extra-index", "--find-links")):
            yield number, "an address is banned in a lock"


def nothing_names_this_machine(source: Source) -> Found:
    """Paths of one machine and hosts of registries do not belong in the project."""
    for number, line in enumerate(source.text.splitlines(), 1):
        for word in PRIVATE:
            if word in line:
                yield number, f"{word} is banned: it is a place of one machine or a registry"


RULES: Final[list[Callable[[Source], Found]]] = [
    numba_is_configured_in_one_place,
    no_float_where_it_is_decided,
    time_is_read_in_one_place,
    functions_are_short,
    files_are_short,
    nothing_is_unfinished,
    words_are_those_of_the_house,
    errors_are_not_swallowed,
    reasons_have_a_text,
    documents_have_one_title,
    locks_name_no_place,
    nothing_names_this_machine,
]


def parse(path: str, text: str) -> Source:
    """A source out of its path and text; SyntaxError if it should be Python and is not."""
    return Source(path, text, ast.parse(text, path) if path.endswith(".py") else None)


def check(source: Source) -> list[Fault]:
    """Every fault of one file, by line."""
    lines = source.text.splitlines()
    faults = [
        Fault(source.path, line, message)
        for rule in RULES
        for line, message in rule(source)
        if ALLOW not in (lines[line - 1] if line <= len(lines) else "")
    ]
    return sorted(faults, key=lambda fault: fault.line)


def project_files(root: Path = ROOT) -> list[str]:
    """The files that belong to the project: those git knows or would add; without git, all."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [name for name in listed.stdout.split("\0") if name]
    else:
        found = [path.relative_to(root).as_posix() for path in root.rglob("*")]
    return sorted(name for name in found if not name.startswith((".venv/", ".git/")))


def check_project(root: Path = ROOT) -> list[Fault]:
    """Every fault of every text file of the project."""
    faults: list[Fault] = []
    for name in project_files(root):
        path = root / name
        if not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            try:
                faults += check(parse(name, data.decode("utf-8")))
            except (SyntaxError, UnicodeDecodeError) as fault:
                faults.append(Fault(name, getattr(fault, "lineno", 1) or 1, str(fault)))
    return faults


def main() -> int:
    """Print every fault; 1 if there is one."""
    faults = check_project()
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
