"""A disk that forgets: what a power cut leaves of files and directories that were not synced.

The bytes lie in real files under ``disk.root``, so the real reader reads them; this module knows of
each file what was durable, and which writes came after.  ``power_cut`` lets every one of those, by
the seeded chance, be applied, omitted, torn (some of its sectors of 512 bytes) or trashed (a sector
of random bytes), each for itself (SQLite's test6.c).  Names in a directory that was not synced come
back in an older state of that directory.  reliability.md 3.1.
"""

import os
import random
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

SECTOR_BYTES: Final = 512
PAGE_BYTES: Final = 4_096
APPLIED: Final = "applied"
OMITTED: Final = "omitted"
TORN: Final = "torn"
TRASHED: Final = "trashed"
MIXED: Final = "mixed"
WORST: Final = "worst"
BEST: Final = "best"
TEARING: Final = "tearing"


class PowerCut(BaseException):
    """The machine stops here."""


class Killed(BaseException):
    """The process ends here; the machine, and so the page cache, goes on."""


class Write(NamedTuple):
    """Bytes that were written; ``sure``: durable by themselves, what was before them may not be."""

    offset: int
    content: bytes
    sure: bool = False


class Resize(NamedTuple):
    """A new size that is not synced; ``exact``: it may be smaller."""

    size: int
    exact: bool


@dataclass(eq=False)
class File:
    """One file, whatever it is called at the moment; ``side`` is a name that never goes away."""

    side: Path
    durable_size: int = 0
    pending: list[Write | Resize] = field(default_factory=list)
    undo: list[Write] = field(default_factory=list)  # What stood there before each.

    def settle(self) -> None:
        """Everything written so far is durable."""
        if self.pending:
            self.durable_size = os.stat(self.side).st_size
            self.pending.clear()
            self.undo.clear()

    def note(self, fd: int, write: Write) -> None:
        """Remember a write that is about to happen."""
        self.undo.append(Write(write.offset, os.pread(fd, len(write.content), write.offset)))
        self.pending.append(write)

    def make_sure(self) -> None:
        """The newest write was durable when it returned, as O_DSYNC says of it alone."""
        self.pending[-1] = self.pending[-1]._replace(sure=True)  # type: ignore[call-arg]
        if all(isinstance(one, Write) and one.sure for one in self.pending):
            self.settle()


Names = dict[str, "File | Directory"]


@dataclass(eq=False)
class Directory:
    """The names in a directory: as everybody sees them, as last synced, and what came between."""

    names: Names = field(default_factory=dict)
    durable: Names = field(default_factory=dict)
    pending: list[dict[str, "File | Directory | None"]] = field(default_factory=list)

    def change(self, changes: "dict[str, File | Directory | None]") -> None:
        """One operation: each name gets its file, or none."""
        self.pending.append(changes)
        _apply(self.names, changes)

    def settle(self) -> None:
        """The names of now are durable."""
        self.durable = dict(self.names)
        self.pending.clear()


def _apply(names: Names, changes: "dict[str, File | Directory | None]") -> None:
    for name, node in changes.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """Files below ``place/disk``; ``arm`` says after how many operations the next crash comes.

    ``mood``: MIXED chooses for each write alone; WORST loses all that was not synced; BEST nothing;
    TEARING some sectors of each write.
    """

    def __init__(self, place: Path, chance: random.Random, *, trash: bool) -> None:
        self.root = place / "disk"
        self._side = place / "side"
        self._chance = chance
        self._trash = trash
        self.root.mkdir(parents=True)
        self._side.mkdir()
        self._top = Directory()
        self.files: dict[int, File] = {}  # By inode number.
        self.directories: dict[int, Directory] = {os.stat(self.root).st_ino: self._top}
        self.mood = MIXED
        self._made = 0
        self._left = 0
        self._end: type[BaseException] = PowerCut
        self._down: BaseException | None = None
        self.steps = 0
        self.changes = 0  # Operations that a refused start must not do.
        self.trashed = 0
        self.fates = dict.fromkeys((APPLIED, OMITTED, TORN, TRASHED, "undone names"), 0)

    # Crashes.

    def arm(self, steps: int, end: type[BaseException]) -> None:
        """Let the operation number ``steps`` from now be the one in flight; 0: none."""
        self._left, self._end = steps, end

    @contextmanager
    def apart(self, steps: int) -> Iterator[None]:
        """Another process works here, and is killed alone in its operation number ``steps``."""
        armed = (self._left, self._end)
        self.arm(steps, Killed)
        try:
            yield
        except Killed:
            self.restart()
        finally:
            self._left, self._end = armed

    def step(self) -> bool:
        """One operation begins; True: it is the last, and ``stop`` has to follow."""
        if self._down is not None:
            raise self._down
        self.steps += 1
        self._left -= 1
        if self._left != 0:
            return False
        if self._end is Killed and self._chance.random() < 0.5:
            self.stop()
        return True

    def stop(self) -> None:
        """The end, now; nothing is changed any more until ``restart``."""
        self._down = self._end()
        raise self._down

    @property
    def in_kill(self) -> bool:
        """Whether the operation in flight is cut short by the end of the process."""
        return self._end is Killed

    def restart(self) -> None:
        """A new process may begin, after whatever ``power_cut`` has done."""
        self._down = None
        self._left = 0

    # Nodes.

    def file(self, fd: int) -> File | None:
        """The file that is open as ``fd``; None when it is none of this disk."""
        return self.files.get(os.fstat(fd).st_ino)

    def directory(self, path: str | os.PathLike[str], dir_fd: int | None) -> Directory | None:
        """The directory in which ``path`` is a name."""
        if dir_fd is not None:
            return self.directories.get(os.fstat(dir_fd).st_ino)
        parent = os.path.dirname(os.fspath(path)) or "."
        try:
            return self.directories.get(os.stat(parent).st_ino)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def made_file(self, path: str | os.PathLike[str], directory: Directory) -> None:
        """A new empty file stands at ``path``."""
        self._made += 1
        side = self._side / str(self._made)
        _LINK(path, side)
        file = self.files[os.stat(side).st_ino] = File(side)
        directory.change({os.path.basename(os.fspath(path)): file})

    def made_directory(self, ino: int, name: str, parent: Directory) -> None:
        """A new empty directory stands in ``parent``."""
        made = self.directories[ino] = Directory()
        parent.change({name: made})

    # The power cut.

    def power_cut(self) -> None:
        """Lose what was not synced, as the chance will have it."""
        for directory in list(self.directories.values()):
            most = len(directory.pending)
            kept = {WORST: 0, BEST: most}.get(self.mood, self._chance.randint(0, most))
            self.fates["undone names"] += len(directory.pending) - kept
            for changes in directory.pending[:kept]:
                _apply(directory.durable, changes)
            directory.pending.clear()
        self.directories.clear()
        reached: set[File] = set()
        self._lay_out(self.root, self._top, reached)
        for ino, file in list(self.files.items()):
            if file in reached:
                self._lose(file)
            else:
                _UNLINK(file.side)
                del self.files[ino]

    def _lay_out(self, path: Path, directory: Directory, reached: set[File]) -> None:
        """Make the names below ``path`` what is durable."""
        self.directories[os.stat(path).st_ino] = directory
        for name, node in directory.names.items():
            if directory.durable.get(name) is not node:
                _remove(path / name)
        for name, node in directory.durable.items():
            place = path / name
            fresh = directory.names.get(name) is not node
            if isinstance(node, Directory):
                if fresh:
                    _MKDIR(place, 0o700)
                    node.names = {}
                self._lay_out(place, node, reached)
            else:
                reached.add(node)
                if fresh:
                    _LINK(node.side, place)
        directory.names = dict(directory.durable)

    def _lose(self, file: File) -> None:
        if not file.pending:
            return
        fd = _OPEN(file.side, os.O_RDWR)
        try:
            for offset, content, _sure in reversed(file.undo):
                _PWRITE(fd, content, offset)
            _FTRUNCATE(fd, file.durable_size)
            for one in file.pending:
                if isinstance(one, Resize):
                    self._resize(fd, one)
                else:
                    self._write(fd, one)
        finally:
            _CLOSE(fd)
        file.settle()

    def _resize(self, fd: int, one: Resize) -> None:
        applied = {WORST: False, BEST: True}.get(self.mood, self._chance.random() < 0.5)
        self.fates[APPLIED if applied else OMITTED] += 1
        if applied and (one.exact or one.size > os.fstat(fd).st_size):
            _FTRUNCATE(fd, one.size)

    def _write(self, fd: int, one: Write) -> None:
        """Apply, omit, tear or trash one pending write."""
        fates = (APPLIED, OMITTED, TORN, TRASHED)
        fate = self._chance.choices(fates, (35, 20, 25, 20 if self._trash else 0))[0]
        fate = {WORST: OMITTED, BEST: APPLIED, TEARING: TORN}.get(self.mood, fate)
        if one.sure:
            fate = APPLIED
        self.fates[fate] += 1
        if fate == APPLIED:
            _PWRITE(fd, one.content, one.offset)
        if fate in (APPLIED, OMITTED):
            return
        end = one.offset + len(one.content)
        starts = range(one.offset // SECTOR_BYTES * SECTOR_BYTES, end, SECTOR_BYTES)
        bad = self._chance.choice(starts) if fate == TRASHED else -1
        self.trashed += fate == TRASHED
        share = self._chance.choice((0.1, 0.5, 0.9))
        for start in starts:
            first, last = max(start, one.offset), min(start + SECTOR_BYTES, end)
            if start == bad:
                _PWRITE(fd, self._chance.randbytes(last - first), first)
            elif self._chance.random() < share:
                _PWRITE(fd, one.content[first - one.offset : last - one.offset], first)

    def tear_short(self, fd: int, write: Write, before: bytes) -> None:
        """A kill in the middle of a write: only its first pages arrived."""
        pages = len(write.content) // PAGE_BYTES
        if pages < 2 or self._chance.random() < 0.5:
            return
        kept = self._chance.randrange(1, pages) * PAGE_BYTES
        _PWRITE(fd, before[kept:], write.offset + kept)


def _remove(path: Path) -> None:
    try:
        is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_directory:
        _UNLINK(path)
        return
    for name in os.listdir(path):
        _remove(path / name)
    _RMDIR(path)


# The real calls: ``tests.faults.interpose`` puts others into ``os`` while a history runs.
_OPEN: Final = os.open
_CLOSE: Final = os.close
_PWRITE: Final = os.pwrite
_FTRUNCATE: Final = os.ftruncate
_LINK: Final = os.link
_UNLINK: Final = os.unlink
_MKDIR: Final = os.mkdir
_RMDIR: Final = os.rmdir
