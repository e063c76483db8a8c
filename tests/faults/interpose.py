"""The calls of the journal's code, led past the disk that forgets.

Python's calls are caught in ``os``.  The compiled writer makes its own; in plain Python mode those
are caught too (``appender.pwrite``, ``appender.fdatasync``), otherwise a block is taken for durable
when the call returns in ``sync``, and for pending until the next sync in ``relaxed``.
"""

import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from core.jit import PURE
from core.journal import appender, content, contents, create, recovery, verify, writer
from core.journal.appender import BACKGROUND, DIRECT, FDATASYNC
from core.journal.layout import BLOCK_BYTES_MAX
from core.journal.writer import journal_row
from core.memory import view
from tests.faults.disk import Disk, Resize, Write

VERSIONS: Final = b"simulated"
CHANGING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class NoThread:
    """The syncer of ``relaxed`` does not run by itself: the history decides when it syncs."""

    def __init__(self, **_given: Any) -> None:
        """As threading.Thread."""

    def start(self) -> None:
        """Nothing."""

    def join(self) -> None:
        """Nothing."""


class ThreadAtOnce(NoThread):
    """A reader's thread whose work is done when it is started."""

    def __init__(
        self, *, target: Callable[..., None], args: tuple[Any, ...], **_given: Any
    ) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        """Do it."""
        self._target(*self._args)


class Calls:
    """Twins of the calls in ``os`` that change a disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.open_fds: dict[int, int] = {}  # Opened for writing, with their flags.

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        disk = self.disk
        if not flags & CHANGING:
            return OPEN(path, flags & ~os.O_DIRECT, mode, dir_fd=dir_fd)
        plain = flags & ~os.O_DIRECT  # tmpfs has none.
        if flags & os.O_WRONLY:  # What stands there is read before it is written over.
            plain = plain & ~os.O_WRONLY | os.O_RDWR
        directory = disk.directory(path, dir_fd)
        if directory is None:
            return OPEN(path, plain, mode, dir_fd=dir_fd)
        made = bool(flags & os.O_CREAT) and os.path.basename(path) not in directory.names
        cut = disk.step() if made or flags & os.O_TRUNC else False
        old = b""
        if flags & os.O_TRUNC and not made:
            old = _content(path)
        fd = OPEN(path, plain, mode, dir_fd=dir_fd)
        if flags & (os.O_RDWR | os.O_WRONLY):
            self.open_fds[fd] = flags
        if made:
            disk.made_file(path, directory)
        elif flags & os.O_TRUNC and (file := disk.file(fd)) is not None:
            file.undo.append(Write(0, old))
            file.pending.append(Resize(0, exact=True))
        if cut:
            disk.stop()
        return fd

    def close(self, fd: int) -> None:
        self.open_fds.pop(fd, None)
        CLOSE(fd)

    def close_all(self) -> None:
        """What the end of a process closes."""
        for fd in list(self.open_fds):
            self.close(fd)

    def pwrite(self, fd: int, content: Any, offset: int) -> int:
        disk = self.disk
        file = disk.file(fd)
        if file is None:
            return PWRITE(fd, content, offset)
        cut = disk.step()
        disk.changes += 1
        file.note(fd, Write(offset, bytes(content)))
        done = PWRITE(fd, content, offset)
        if cut:
            if disk.in_kill:
                disk.tear_short(fd, Write(offset, bytes(content)), file.undo[-1].content)
            disk.stop()
        if self.open_fds.get(fd, 0) & os.O_DSYNC:
            file.make_sure()
        return done

    def write(self, fd: int, content: Any) -> int:
        if self.disk.file(fd) is None:
            return WRITE(fd, content)
        offset = os.lseek(fd, 0, os.SEEK_CUR)
        done = self.pwrite(fd, content, offset)
        os.lseek(fd, offset + done, os.SEEK_SET)
        return done

    def posix_fallocate(self, fd: int, offset: int, size: int) -> None:
        file = self.disk.file(fd)
        cut = self.disk.step() if file is not None else False
        FALLOCATE(fd, offset, size)
        if file is not None:
            file.pending.append(Resize(offset + size, exact=False))
        if cut:
            self.disk.stop()

    def ftruncate(self, fd: int, size: int) -> None:
        file = self.disk.file(fd)
        if file is None:
            TRUNCATE(fd, size)
            return
        cut = self.disk.step()
        self.disk.changes += 1
        behind = max(os.fstat(fd).st_size - size, 0)
        file.undo.append(Write(size, os.pread(fd, behind, size)))
        file.pending.append(Resize(size, exact=True))
        TRUNCATE(fd, size)
        if cut:
            self.disk.stop()

    def fsync(self, fd: int) -> None:
        disk = self.disk
        ino = os.fstat(fd).st_ino
        node = disk.files.get(ino) or disk.directories.get(ino)
        if node is None:
            return
        if disk.step():
            disk.stop()
        node.settle()

    def _attempt(self, cut: bool, call: Callable[..., None], *given: Any, **more: Any) -> None:
        """The real call; one that fails changes nothing, and may be the last all the same."""
        try:
            call(*given, **more)
        except OSError:
            if cut:
                self.disk.stop()
            raise

    def link(self, source: Any, target: Any) -> None:
        directory = self.disk.directory(target, None)
        if directory is None:
            LINK(source, target)
            return
        cut = self.disk.step()
        self._attempt(cut, LINK, source, target)
        self.disk.changes += 1
        directory.change({os.path.basename(target): self.disk.files[os.stat(target).st_ino]})
        if cut:
            self.disk.stop()

    def rename(self, source: Any, target: Any) -> None:
        directory = self.disk.directory(target, None)
        if directory is None:
            RENAME(source, target)
            return
        assert directory is self.disk.directory(source, None), "renames stay in their directory"
        cut = self.disk.step()
        self._attempt(cut, RENAME, source, target)
        self.disk.changes += 1
        node = directory.names[os.path.basename(source)]
        directory.change({os.path.basename(source): None, os.path.basename(target): node})
        if cut:
            self.disk.stop()

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove(UNLINK, path, dir_fd)

    def rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove(RMDIR, path, dir_fd)

    def _remove(self, call: Callable[..., None], path: Any, dir_fd: int | None) -> None:
        directory = self.disk.directory(path, dir_fd)
        if directory is None:
            call(path, dir_fd=dir_fd)
            return
        cut = self.disk.step()
        self._attempt(cut, call, path, dir_fd=dir_fd)
        self.disk.changes += 1
        directory.change({os.path.basename(path): None})
        if cut:
            self.disk.stop()

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        directory = self.disk.directory(path, dir_fd)
        if directory is None:
            MKDIR(path, mode, dir_fd=dir_fd)
            return
        cut = self.disk.step()
        self._attempt(cut, MKDIR, path, mode, dir_fd=dir_fd)
        ino = os.stat(path, dir_fd=dir_fd).st_ino
        self.disk.made_directory(ino, os.path.basename(os.fspath(path)), directory)
        if cut:
            self.disk.stop()

    # The compiled writer.

    def block(self, kernel: Callable[..., int]) -> Callable[..., int]:
        """``append`` and its kin: one write, which is durable when it returns in ``sync``."""

        def call(address: int, *given: int) -> int:
            row = journal_row(address)
            disk, fd, offset = self.disk, int(row.fd), int(row.offset)
            cut = disk.step()
            file = disk.file(fd)
            assert file is not None
            alone = bool(file.pending) and row.mode == DIRECT  # O_DSYNC syncs no other write.
            noted = cut or alone or row.mode == BACKGROUND
            before = os.pread(fd, BLOCK_BYTES_MAX, offset) if noted else b""
            done = kernel(address, *given)
            size = int(row.offset) - offset
            if size and noted:
                write = Write(offset, os.pread(fd, size, offset))
                file.undo.append(Write(offset, before[:size]))
                file.pending.append(write)
                if cut and disk.in_kill:
                    disk.tear_short(fd, write, before[:size])
            if cut:
                disk.stop()
            if size and alone:
                file.make_sure()
            elif size and row.mode == FDATASYNC:
                file.settle()
            return done

        return kernel if PURE else call

    def address_pwrite(self, fd: int, address: int, count: int, offset: int) -> int:
        """``core.libc.pwrite`` in plain Python mode."""
        return self.pwrite(fd, view(address, np.dtype(np.uint8), count).tobytes(), offset)

    def fdatasync(self, fd: int) -> int:
        """``core.libc.fdatasync`` in plain Python mode."""
        self.fsync(fd)
        return 0


@contextmanager
def interposed(disk: Disk, boot: Callable[[], bytes], direct: bool) -> Iterator[Calls]:
    """Lead every call to ``disk``; ``boot`` says which boot of the machine this is."""
    calls = Calls(disk)
    mode = DIRECT if direct else FDATASYNC
    threads = SimpleNamespace(Thread=NoThread, get_ident=threading.get_ident)
    with ExitStack() as stack:

        def put(owner: Any, **names: Any) -> None:
            for name, twin in names.items():
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, twin)

        names = ("open", "close", "pwrite", "write", "posix_fallocate", "fsync", "link", "rename")
        put(os, **{name: getattr(calls, name) for name in (*names, "unlink", "rmdir", "mkdir")})
        put(os, fdatasync=calls.fsync, ftruncate=calls.ftruncate)
        put(writer, faster_mode=lambda _directory: mode, threading=threads)
        put(writer, versions=lambda: VERSIONS, boot_id=boot)
        put(create, versions=lambda: VERSIONS)
        put(content, mmap=SimpleNamespace(**{**vars(mmap), "mmap": _memory}))
        put(contents, threading=SimpleNamespace(Thread=ThreadAtOnce))
        put(verify, read_ahead=iter)
        put(recovery, boot_id=boot)
        for name in ("append_block", "write_special"):
            put(writer, **{name: calls.block(getattr(writer, name))})
        if PURE:
            put(appender, pwrite=calls.address_pwrite, fdatasync=calls.fdatasync)
            put(appender, nanosleep=lambda _ns: 0)
        yield calls


def _memory(fd: int, size: int, **given: Any) -> mmap.mmap | bytearray:
    """As mmap.mmap; what is no file comes from the heap, whose pages are there already."""
    return mmap.mmap(fd, size, **given) if fd >= 0 else bytearray(size)


def _content(path: Any) -> bytes:
    fd = OPEN(path, os.O_RDONLY)
    try:
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        CLOSE(fd)


OPEN: Final = os.open
CLOSE: Final = os.close
PWRITE: Final = os.pwrite
WRITE: Final = os.write
TRUNCATE: Final = os.ftruncate
FALLOCATE: Final = os.posix_fallocate
LINK: Final = os.link
RENAME: Final = os.rename
UNLINK: Final = os.unlink
RMDIR: Final = os.rmdir
MKDIR: Final = os.mkdir
