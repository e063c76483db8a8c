"""Checks: shared memory, and the disk under the journal."""

import errno
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from core.constants import EVENT_BYTES, INBOUND_SLOTS, OUTPUT_EVENTS, REPLY_BYTES, REPLY_SLOTS
from core.constants import SLOT_BYTES as SLOT
from core.shm import HEADER_BYTES
from tools.doctor import leftovers
from tools.doctor.found import Found, fail, ok, size_text, skip, time_text, warn
from tools.doctor.where import Where, is_writable
from tools.up import gateway_names

VOLATILE: Final = ("tmpfs", "ramfs", "devtmpfs")
REMOTE: Final = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "lustre")
LAYERED: Final = ("overlay", "aufs")
FREE_FEW: Final = 1 << 30
SLOW_P50_NS: Final = 2_000_000
SLOW_P99_NS: Final = 10_000_000
TOO_FAST_NS: Final = 12_000  # No medium that keeps anything answers a flush so soon.


class Mount(NamedTuple):
    """What a directory lies on."""

    device: str
    kind: str
    options: str


def shared_memory(where: Where) -> Found:
    """There is room for the rings, and for those of the next life of a core beside them."""
    need = ring_bytes(len(gateway_names(where.config)))
    try:
        room = os.statvfs(where.shm)
    except OSError as error:
        return fail(f"{where.shm}: {error.strerror}", f"mount -t tmpfs tmpfs {where.shm}")
    free = room.f_bavail * room.f_frsize
    text = f"{size_text(free)} free of {size_text(room.f_blocks * room.f_frsize)}"
    text += f", the rings take {size_text(need)}"
    mend = f"mount -o remount,size={2 * need >> 20}M {where.shm}"
    mend += f"; docker run --shm-size={2 * need >> 20}m"
    if not is_writable(where.shm):
        return fail(f"{where.shm} cannot be written", f"chmod 1777 {where.shm}")
    if free < need and not where.is_live:
        return fail(text, mend)
    if free < 2 * need and not where.is_live:
        return warn(f"{text}; a restarted core needs them twice for a moment", mend)
    return ok(text)


def ring_bytes(gateways: int) -> int:
    """Bytes of all segments of one life of a core."""
    each = 2 * HEADER_BYTES + INBOUND_SLOTS * SLOT + REPLY_SLOTS * REPLY_BYTES
    return OUTPUT_EVENTS * EVENT_BYTES + 3 * HEADER_BYTES + 2 * HEADER_BYTES + gateways * each


def dead_runs(where: Where) -> Found:
    """Nothing of exchanges that were killed takes memory in /dev/shm."""
    own, foreign = leftovers.dead(where.root, where.shm, where.data)
    if foreign:
        names = ", ".join(f"outcry-{life.uuid8}-{life.epoch}-*" for life in foreign)
        size = size_text(sum(life.size for life in foreign))
        return warn(
            f"{size} of killed exchanges that nobody has mapped: {names}",
            "outcry doctor --mend (or start and stop them on their data directories)",
        )
    if own:
        return ok(f"{len(own)} of this data directory; the next start takes it away")
    live = len(leftovers.lives(where.shm))
    return ok(f"nothing; {live} in use" if live else "nothing")


def data_directory(where: Where) -> Found:
    """The data directory is there, or can be made, and is nobody else's."""
    data = where.data
    if data.exists() and not data.is_dir():
        return fail(f"{data} is no directory", "--data DIR")
    place = where.nearest(data)
    if not is_writable(place):
        return fail(
            f"{place} cannot be written by user {os.geteuid()}",
            f"chown {os.geteuid()} {place}, or --data DIR",
        )
    if not data.exists():
        return ok(f"{data} is made at the first start")
    return ok(str(data.absolute()))


def file_system(where: Where) -> Found:
    """The journal is on a disk of this machine, on a file system that keeps what it says."""
    mount = mount_of(where, where.journal_place)
    if mount is None:
        return skip("/proc/self/mountinfo cannot be read")
    journal = where.config.journal
    text = f"{mount.kind} on {mount.device}"
    if mount.kind in VOLATILE:
        if journal.durability == "sync" and not journal.allow_volatile:
            return fail(
                f"{text}: sync is refused there, because nothing outlives a power cut",
                "--data DIR on a disk, or --durability relaxed",
            )
        return warn(f"{text}: gone when the machine restarts", "--data DIR on a disk")
    if mount.kind in REMOTE:
        return warn(
            f"{text}: each write goes over a network, and locks are only as good as its server",
            "--data DIR on a disk of this machine",
        )
    if mount.kind in LAYERED:
        return warn(
            f"{text}: a layer of a container; the journal goes when the container does",
            "docker run -v DIR:/data, and --data /data",
        )
    if re.search(r"(^|,)ro(,|$)", mount.options):
        return fail(f"{text}: read-only", f"mount -o remount,rw (dmesg says why) {mount.device}")
    return ok(text)


def mount_of(where: Where, place: Path) -> Mount | None:
    """The mount that ``place`` lies on, by the longest mount point above it."""
    best: tuple[int, Mount] | None = None
    path = str(place.resolve())
    for line in (where.text("proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        words, rest = before.split(), after.split()
        if len(words) < 6 or len(rest) < 2:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4])
        if path == point or path.startswith(point.rstrip("/") + "/"):
            options = ",".join([words[5], *rest[2:3]])
            if best is None or len(point) >= best[0]:
                best = len(point), Mount(rest[1], rest[0], options)
    return best[1] if best else None


def free_space(where: Where) -> Found:
    """There is room for the segments that are made ahead, and for a while."""
    journal = where.config.journal
    room = os.statvfs(where.journal_place)
    free = room.f_bavail * room.f_frsize
    need = (journal.spares + 1) * journal.segment_bytes
    text = f"{size_text(free)} free of {size_text(room.f_blocks * room.f_frsize)}"
    if free < need and not where.is_live:
        return fail(
            f"{text}; the first segments take {size_text(need)}",
            "free some, --data DIR elsewhere, or a smaller journal.segment_bytes",
        )
    if room.f_files and room.f_favail < 1_000:
        return warn(f"{text}, but names for {room.f_favail} more files only", "remove files")
    if free < 2 * need + FREE_FEW:
        return warn(
            f"{text}: the exchange ends (exit 70) when it is used up",
            "free some; journal.keep_bytes and events.keep_bytes set a limit",
        )
    return ok(text)


def sync_time(where: Where) -> Found:
    """How long one order waits for the disk in ``sync``."""
    if where.is_live:
        return live_sync_time(where)
    try:
        synced = where.synced
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            return skip("not measured: no nameless files here; outcry bench journal measures it")
        return fail(f"a write with sync fails: {error}", "dmesg; another disk")
    text = (
        f"{synced.mode} of 4 KiB: p50 {time_text(synced.p50_ns)}, p99 {time_text(synced.p99_ns)}"
        f" ({synced.writes} writes)"
    )
    if where.config.journal.durability == "relaxed":
        return ok(f"{text}; relaxed does not wait for it")
    if synced.p50_ns > SLOW_P50_NS or synced.p99_ns > SLOW_P99_NS:
        return warn(
            f"{text}: each order waits so long",
            "a disk with power-loss protection (NVMe), nothing else on it, or "
            "--durability relaxed (may lose the last ms at a power cut)",
        )
    return ok(text)


def live_sync_time(where: Where) -> Found:
    """Beside a live exchange nothing is written to its disk: what it has measured itself."""
    from adapters.link import read_core_file
    from core.counters import attach_counters
    from core.shm import SegmentError

    try:
        core = read_core_file(where.data / "run")
        if core is None:
            return skip("not measured: somebody works on the data directory")
        counters = attach_counters(core.shm, core.epoch)
    except (SegmentError, ValueError) as error:
        return skip(f"not measured beside a live exchange: {error}")
    try:
        blocks, taken_ns = counters["blocks"], counters["block_ns"]
    finally:
        counters.close()
    if not blocks:
        return skip("not measured beside a live exchange, which has written no block yet")
    mean_ns = taken_ns / blocks
    text = f"{core.durability}: {time_text(mean_ns)} a block, the mean of {blocks:,} (outcry top)"
    if core.durability == "sync" and mean_ns > SLOW_P50_NS:
        return warn(text, "a faster disk, nothing else on it, or --durability relaxed")
    return ok(text)


def power_loss(where: Where) -> Found:
    """What a sync is worth when the power goes: the part that a program can see."""
    mount = mount_of(where, where.journal_place)
    if mount is None or mount.kind in VOLATILE:
        return skip("no disk under the journal")
    is_sync = where.config.journal.durability == "sync"
    if re.search(r"(^|,)(nobarrier|barrier=0|data=writeback)(,|$)", mount.options):
        option = re.sub(r".*?(nobarrier|barrier=0|data=writeback).*", r"\1", mount.options)
        say = fail if is_sync else warn
        return say(
            f"mounted with {option}: what was synced may be lost with the power",
            "remount without it (/etc/fstab)",
        )
    if is_sync and not where.is_live and _is_too_fast(where):
        return warn(
            f"a sync takes {time_text(where.synced.p50_ns)}: no disk is that fast; something "
            "between says yes before it has written",
            "the host's cache mode of this disk (not `unsafe`), the controller's write cache",
        )
    cache = _write_cache(where, mount.device)
    if cache == "write back":
        return ok(f"{mount.device} caches writes and is told to flush; trust its maker, or pull it")
    if cache == "write through":
        return ok(f"{mount.device} keeps what it has said yes to, by its own word")
    return ok(f"{mount.device}: what a flush means is not shown; pull the plug once before trust")


def _is_too_fast(where: Where) -> bool:
    try:
        return where.synced.p50_ns < TOO_FAST_NS
    except OSError:  # ``sync_time`` says it.
        return False


def _write_cache(where: Where, device: str) -> str | None:
    """How the disk under a partition says that it caches; None: not shown."""
    name = Path(device).name
    for path in (f"sys/class/block/{name}", f"sys/class/block/{name}/.."):
        found = where.text(f"{path}/queue/write_cache")
        if found is not None:
            return found
    return None


CHECKS: Final = (
    shared_memory,
    dead_runs,
    data_directory,
    file_system,
    free_space,
    sync_time,
    power_loss,
)
