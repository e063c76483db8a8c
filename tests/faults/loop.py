"""A small ext4 on a loop device that can lose its power, in a mount namespace of this process.

FS_IOC_GOINGDOWN without a flush of the log is what a power cut does to a file system: what was
synced is on the device, dirty pages and names that were not synced are gone, later I/O gets EIO.
"""

import ctypes
import errno
import fcntl
import os
import struct
import subprocess
import uuid
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
GOING_DOWN: Final = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH: Final = 2
CLONE_NEWNS: Final = 0x0002_0000
MS_REC_PRIVATE: Final = 0x4000 | 1 << 18
MIB: Final = 1 << 20


class Impossible(Exception):
    """This machine does not permit it; the text says what."""


def own_mounts() -> None:
    """Give this process mounts of its own; raises Impossible."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None)
    if done:
        name = errno.errorcode.get(ctypes.get_errno(), "?")
        raise Impossible(f"a mount namespace of one's own: {name} (needs root)")


def run(*command: str) -> None:
    """Run a tool; raises Impossible with what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Impossible(f"{command[0]}: not installed") from None
    if done.returncode:
        raise Impossible(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


class Disk:
    """One image, mounted at ``place`` while it has power."""

    def __init__(self, folder: Path, name: str, mebibytes: int) -> None:
        """Raises Impossible where images cannot be made or mounted."""
        self.image = folder / f"{name}.img"
        self.place = folder / name
        self._boot = folder / f"{name}.boot"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(mebibytes * MIB)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(self.image))
        self.mount()

    def mount(self, *, is_boot: bool = True) -> None:
        """Power on: the device is there again, and the machine has booted."""
        run("mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.place))
        if is_boot:
            boot(self._boot)

    def cut(self) -> None:
        """Power off: from here on nothing reaches the device."""
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, GOING_DOWN, struct.pack("I", NO_LOG_FLUSH))
        except OSError as error:
            raise Impossible(f"FS_IOC_GOINGDOWN: {error.strerror}") from None
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Take it away; nobody may be using it."""
        run("umount", str(self.place))

    def remove(self) -> None:
        """Unmount, as far as it is mounted, and remove image and place."""
        if os.path.ismount(self.place):
            self.unmount()
        self.image.unlink()
        self.place.rmdir()


def boot(file: Path) -> None:
    """Another boot id for all processes that see our mounts: a cut is a boot, too."""
    if file.exists():
        run("umount", str(BOOT_ID))
    file.write_text(f"{uuid.uuid4()}\n")
    run("mount", "--bind", str(file), str(BOOT_ID))
