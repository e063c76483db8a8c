"""One writer per data directory: an exclusive lock that dies with its process."""

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from core.journal.errors import JournalBusy
from core.journal.segments import DIRECTORY_MODE, JOURNAL_NAME, LOCK_NAME, open_file

# struct flock { short l_type, l_whence; off_t l_start, l_len; pid_t l_pid; } on 64-bit Linux.
_FLOCK: Final = struct.Struct("hhqqi4x")
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS})


class Lock:
    """The held lock; ``close`` or the end of the process releases it."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    def close(self) -> None:
        """Release; again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def lock_path(data: Path) -> Path:
    """Where the lock of a data directory lies."""
    return data / JOURNAL_NAME / LOCK_NAME


def acquire(data: Path) -> Lock:
    """Take the lock without waiting; raises JournalBusy when another process holds it."""
    path = lock_path(data)
    path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    fd = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise JournalBusy(f"data directory in use: another process holds {path}") from error
        raise
    return Lock(path, fd)


def is_held(data: Path) -> bool:
    """Whether a process holds the lock now; takes nothing."""
    try:
        fd = open_file(lock_path(data), os.O_RDWR)
    except (FileNotFoundError, PermissionError):
        return False
    try:
        wish = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, wish)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(fd)
