"""Checks: the data directory: who has it, how it was left, whether it fits, how long a start is."""

import contextlib
from collections.abc import Mapping
from typing import Final

from core.journal.config import boot_id
from core.journal.errors import RUNBOOK, JournalRefused
from core.journal.layout import RELAXED
from core.journal.tail import LOST, TORN
from core.limits import from_genesis
from tools.doctor.found import Found, fail, ok, size_text, skip, time_text, warn
from tools.doctor.journal import Look
from tools.doctor.running import UNKNOWN, command_line
from tools.doctor.where import Where

NOT_COMPILED: Final = "the kernels are not compiled, and reading would compile them first"
NOTHING: Final = "there is no journal; the first start makes one"
LIVE: Final = "an exchange runs here, and reads its journal itself"
BASE_NS: Final = 800_000_000  # A start of all processes without a journal, kernels compiled.
COMPILE_NS: Final = 70_000_000_000
COMMAND_NS: Final = 250  # Apply one, without reading it.
BYTE_NS: Final = 2.0  # Read and check the journal, or load a snapshot, past the page cache.
LONG_NS: Final = 10_000_000_000


def in_use(where: Where) -> Found:
    """No process of another or of a killed exchange holds the data directory."""
    running = where.running
    if not running.holders:
        return ok("free")
    supervisor = running.pids.get("supervisor")
    if supervisor is not None:
        return ok(f"an exchange runs here: outcry up is process {supervisor}")
    held = sorted(running.holders - {UNKNOWN})
    by = ", ".join(f"process {pid} ({command_line(where.root, pid)[:60]})" for pid in held)
    names = " ".join(map(str, held)) or "$(fuser …)"
    return warn(
        f"held by {by or 'a process that is not shown'}, and no outcry up is there: it would exit "
        "75",
        f"wait for it (a backup, a repair), or kill {names}",
    )


def last_stop(where: Where) -> Found:
    """The last life of the core stopped cleanly."""
    look, unseen = _seen(where)
    if unseen is not None:
        return unseen
    if look.known is None:
        return skip("the end of the journal was not read: see next_start")
    if look.known.closed and not look.tail_bytes:
        return ok(f"cleanly, at sequence {look.last_sequence:,}")
    detail = f"not cleanly; the journal ends with sequence {look.last_sequence:,}"
    if look.tail in (TORN, LOST):
        detail += f", {look.tail_bytes:,} bytes behind it go to quarantine ({look.tail})"
    rebooted = look.known.boot_id != boot_id()
    if look.newest is not None and look.newest.durability == RELAXED and rebooted:
        detail += "; the machine restarted since: the last ms may be lost (relaxed), and sequences "
        detail += "go on 2^26 further"
    return warn(detail, "nothing to do: outcry up recovers; stop it with SIGTERM next time")


def journal(where: Where) -> Found:
    """Segments are all there, their headers whole, and what a start reads is in order."""
    refusal = where.look.refused if where.is_warm else None
    if refusal is not None:
        return fail(str(refusal), _mend_of(refusal))
    look, unseen = _seen(where, is_live_enough=True)
    if unseen is not None:
        return unseen
    size = look.newest.segment_bytes if look.newest else 0
    text = f"{look.segments} segments of {size_text(size)}, headers whole"
    if look.known is not None:
        text += f", {look.commands_behind:,} commands at the end read and checked"
    return ok(f"{text} (all of it: outcry journal verify)")


def _mend_of(refusal: Exception) -> str:
    if isinstance(refusal, JournalRefused):
        return f"{RUNBOOK}#{refusal.fault.lower()}; outcry journal repair --plan changes nothing"
    return "outcry snapshot verify"


def snapshots(where: Where) -> Found:
    """There is one that can be used, and the journal goes on behind it."""
    look, unseen = _seen(where, is_live_enough=True)
    if unseen is not None:
        return unseen
    bad = "; ".join(look.bad_snapshots)
    newest = look.snapshot
    if newest is None:
        if look.needs_snapshot:
            return fail(
                f"none can be used, and the journal needs one: {bad or 'there is none'}",
                "outcry restore BACKUP, or put the snapshot back",
            )
        if bad:
            return warn(f"none can be used: {bad}", "outcry snapshot make")
        return ok("none yet; a start runs the journal from its beginning")
    text = f"{len(look.snapshots)}, the newest at sequence {newest.sequence:,}"
    if bad:
        return warn(f"{text}; not usable: {bad}", "outcry snapshot verify; rm -r the bad one")
    return ok(f"{text} (loaded and compared: outcry snapshot verify)")


def fits(where: Where) -> Found:
    """Limits and engine version of the configuration are those of the journal."""
    look, unseen = _seen(where, is_live_enough=True)
    if unseen is not None:
        return unseen
    from core.sequencer.engine import ENGINE_VERSION

    newest, genesis = look.newest, _genesis(look)
    if newest is not None and newest.engine_version != ENGINE_VERSION:
        return fail(
            f"the journal is of engine version {newest.engine_version}, this is {ENGINE_VERSION}: "
            "a start would exit 80",
            "outcry upgrade",
        )
    if not genesis or where.limits is None:
        return skip("the limits of the journal were not read")
    was, _ = from_genesis(genesis)
    changed = _differences(was._asdict(), where.limits._asdict())
    if changed and not where.is_live:
        return fail(
            f"{changed}: a start would exit 78", "put the old value back, or outcry upgrade"
        )
    return ok(f"engine version {ENGINE_VERSION}, and the limits of the journal")


def _genesis(look: Look) -> bytes:
    if look.snapshot is not None:
        return bytes.fromhex(look.snapshot.genesis)
    return look.known.genesis if look.known is not None else b""


def _differences(was: Mapping[str, int], now: Mapping[str, int]) -> str:
    return ", ".join(
        f"limits.{name}: the journal has {old:,}, the configuration {now[name]:,}"
        for name, old in was.items()
        if now[name] != old
    )


def next_start(where: Where) -> Found:
    """How long the next start takes."""
    cold_ns = 0 if where.is_warm else COMPILE_NS
    if cold_ns:
        return warn(
            f"about {time_text(BASE_NS + cold_ns)}, most of it compiling once", "outcry compile"
        )
    look, unseen = _seen(where, is_live_enough=True)
    if unseen is not None:
        return ok(f"about {time_text(BASE_NS)}") if look.refused is None else unseen
    state_bytes = look.snapshot.state_bytes if look.snapshot else 0
    commands = _commands(where, look)
    reading_ns = look.walk_ns or look.bytes_behind * BYTE_NS
    total_ns = BASE_NS + state_bytes * BYTE_NS + reading_ns + commands * COMMAND_NS
    behind = f"the snapshot of {look.snapshot.sequence:,}" if look.snapshot else "the beginning"
    text = f"about {time_text(total_ns)}: {commands:,} commands behind {behind}"
    if not where.config.replayer.enabled:
        return warn(
            f"{text}, and more each day: without the replayer there are no snapshots",
            "replayer.enabled = true, or outcry snapshot make from time to time",
        )
    if total_ns > LONG_NS and not where.is_live:
        return warn(text, "outcry snapshot make before it")
    return ok(text)


def _commands(where: Where, look: Look) -> int:
    """Commands that a start would run; of a live exchange by its counters."""
    if not where.is_live:
        return look.commands_behind
    from adapters.link import read_core_file
    from core.counters import attach_counters
    from core.shm import SegmentError

    newest = look.last_sequence
    with contextlib.suppress(SegmentError, ValueError):  # It is starting or going.
        core = read_core_file(where.data / "run")
        if core is not None:
            counters = attach_counters(core.shm, core.epoch)
            newest = counters["sequence"]
            counters.close()
    return max(newest - (look.snapshot.sequence if look.snapshot else 0), 0)


def _seen(where: Where, *, is_live_enough: bool = False) -> tuple[Look, Found | None]:
    """The look, and what to say instead when there is nothing to see."""
    if not where.data.is_dir() or not any(where.data.iterdir()):
        return Look(), skip(NOTHING)
    if not where.is_warm:
        return Look(), skip(NOT_COMPILED)
    look = where.look
    if look.directory is None and look.refused is None:
        return look, skip(NOTHING)
    if look.refused is not None:
        return look, skip("the journal is refused")
    if where.is_live and not is_live_enough:
        return look, skip(LIVE)
    return look, None


CHECKS: Final = (
    in_use,
    last_stop,
    journal,
    snapshots,
    fits,
    next_start,
)
