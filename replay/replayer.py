"""The replayer: a process beside the live core that runs the journal through the same engine.

    python -m replay.replayer --data DIR ...

It compares itself with every CHECKPOINT, writes the witness, the event archive, snapshots and the
manifest of sealed segments, reads sealed segments again, and deletes what may go.  It holds no
truth: killed at any instant it harms nobody, and goes on from its newest snapshot.
(architecture decisions 3, 12, 24, 25)
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from core.archive.writer import ArchiveWriter
from core.clock import monotonic_ns, realtime_ns
from core.counters import (
    ARCHIVED_SEQUENCE,
    JOURNAL_OVER_BYTES,
    REPLAY_DIFFERENCES,
    REPLAYED_SEQUENCE,
    REPLAYER_NS,
    SCRUB_FAULTS,
    SCRUBBED_SEGMENTS,
    SNAPSHOT_FAULTS,
    SNAPSHOT_NS,
    SNAPSHOT_SEQUENCE,
    WITNESS_LAG_NS,
    WITNESS_SEQUENCE,
)
from core.journal import witness
from core.journal.errors import EXIT_FAILED, EXIT_REFUSED, Fault, JournalError, JournalRefused
from core.journal.follow import EVERYTHING
from core.journal.lock import is_held
from core.journal.prepare import be_idle, end_with_parent
from core.journal.segments import (
    inventory,
    newest_in_use,
    segment_path,
    sync_file,
)
from core.journal.snapshots import (
    Manifest,
    SnapshotBad,
    directories,
    remove,
    remove_unfinished,
)
from core.journal.verify import locate
from core.sequencer import snapshot
from replay import keeping
from replay.check import Broken
from replay.live import LiveCore
from replay.replay import from_base, genesis_of
from replay.shadow import Shadow
from replay.snapshots import write_checked

EVENTS_NAME: Final = "events"
IDLE_S: Final = 0.05
STEP_COMMANDS: Final = 65_536
WITNESS_NS: Final = 50_000_000
LAG_ALARM_NS: Final = 2_000_000_000
HOUSEKEEPING_NS: Final = 1_000_000_000
EXIT_USAGE: Final = 64


class Settings(NamedTuple):
    """What the replayer is started with; times in ns."""

    data: Path
    snapshot_every_ns: int = 60_000_000_000
    snapshot_bytes: int = 256 << 20
    events_keep_bytes: int = 4 << 30
    scrub_every_ns: int = 60_000_000_000
    rules: keeping.Rules = keeping.Rules()
    stop_at_difference: bool = False


def say(line: str) -> None:
    """One line to standard error."""
    sys.stderr.write(f"replayer: {line}\n")
    sys.stderr.flush()


class Replayer:
    """One life of the process; ``turn`` does what is due."""

    def __init__(self, settings: Settings, live: LiveCore) -> None:
        """Load the newest snapshot that the archive reaches; JournalRefused when none can be."""
        self.settings = settings
        self.directory, self.uuid = locate(settings.data)
        self.live = live
        for failed in remove_unfinished(settings.data):
            say(f"an unfinished snapshot could not be removed: {failed}")
        self.archive = ArchiveWriter(settings.data / EVENTS_NAME, self.uuid)
        loaded = self._choose()
        if loaded is not None:  # Nothing happens where the archive has these events.
            self.archive.gap(loaded.manifest.sequence)
        self.shadow = Shadow(self.directory, self.uuid, loaded, self.archive)
        self._unreadable: set[str] = set()  # What was said of snapshots is said once.
        known = self._readable()
        self._snapshot_sequence = known[0].sequence if known else 0
        self._snapshot_ns = self._scrub_ns = self._housekeeping_ns = monotonic_ns()
        self._snapshot_at = self._bytes()
        self._witnessed = witness.read(self.directory, self.uuid).sequence
        self._witness_ns = 0
        self._behind_since_ns = 0
        self._lag_said = False
        self._scrubber = keeping.scrub(self.directory)
        self.difference: JournalRefused | None = None

    def _choose(self) -> snapshot.Loaded | None:
        """The newest snapshot that the archive reaches; else genesis; else the oldest snapshot."""
        reached = self.archive.last[0]
        places = directories(self.settings.data)
        for directory in places:
            if int(directory.name) <= reached and (found := self._load(directory)):
                return found
        first = inventory(self.directory)[0]
        if first == 1 and from_base(genesis_of(self.directory)) == 0:
            return None
        for directory in reversed(places):
            if found := self._load(directory):
                return found
        raise JournalRefused(
            Fault.SNAPSHOT, self.settings.data, 0, "the journal needs a snapshot, none can be used"
        )

    def _readable(self) -> list[Manifest]:
        """The manifests of the snapshots that are there; one that cannot be read is an alarm."""

        def say_once(line: str) -> None:
            if line not in self._unreadable:
                self._unreadable.add(line)
                self.live.count(SNAPSHOT_FAULTS)
                say(f"ALARM: {line}")

        return keeping.readable(self.settings.data, self.directory, say_once)

    def _load(self, directory: Path) -> snapshot.Loaded | None:
        try:
            found = snapshot.load(directory)
            if found.manifest.journal_uuid != self.directory.name:
                raise SnapshotBad(directory, f"of another journal, {found.manifest.journal_uuid}")
            return found
        except (SnapshotBad, OSError) as error:
            self.live.count(SNAPSHOT_FAULTS)
            say(str(error))
            return None

    def turn(self, durable: int) -> int:
        """Follow up to ``durable``, then do what is due; how many commands were applied."""
        done = 0
        if self.difference is None:
            try:
                done = self.shadow.step(durable, STEP_COMMANDS)
            except JournalRefused as refused:
                self._differ(refused)
        self._show(durable)
        now_ns = monotonic_ns()
        if now_ns - self._witness_ns >= WITNESS_NS:
            self._witness(now_ns, durable)
        if self.difference is None and self._snapshot_due(now_ns):
            self.snapshot()
        if now_ns - self._housekeeping_ns >= HOUSEKEEPING_NS:
            self._housekeeping_ns = now_ns
            self._housekeep(now_ns)
        return done

    def _differ(self, refused: JournalRefused) -> None:
        """The live run and this one are not the same, or the journal cannot be read any more."""
        self.difference = refused
        self.live.count(REPLAY_DIFFERENCES)
        say(f"ALARM: {refused}; no snapshot and no event is written from here on")

    def _show(self, durable: int) -> None:
        live = self.live
        live.show(REPLAYED_SEQUENCE, self.shadow.sequence)
        live.show(ARCHIVED_SEQUENCE, self.archive.last[0])
        live.show(SNAPSHOT_SEQUENCE, self._snapshot_sequence)
        live.show(WITNESS_SEQUENCE, self._witnessed)
        live.show(REPLAYER_NS, monotonic_ns())

    def _witness(self, now_ns: int, durable: int) -> None:
        """Write how far the journal was durable; see how old what is not written is."""
        self._witness_ns = now_ns
        place = self.shadow.place
        if place.segment_no and place.sequence > self._witnessed:
            witness.write(self.directory, self.uuid, place.sequence, place.chain, realtime_ns())
            self._witnessed = place.sequence
        if durable <= self._witnessed:
            self._behind_since_ns = 0
        elif not self._behind_since_ns:
            self._behind_since_ns = now_ns
        lag = now_ns - self._behind_since_ns if self._behind_since_ns else 0
        self.live.show(WITNESS_LAG_NS, lag)
        late = lag > LAG_ALARM_NS
        if late != self._lag_said:
            self._lag_said = late
            behind = f"behind for {lag / 1e9:.1f} s" if late else "up to date again"
            say(f"the witness is {behind}")

    def _bytes(self) -> int:
        """How far the shadow is in the journal."""
        follower = self.shadow.follower
        size = follower.header.segment_bytes if follower.header is not None else 0
        return follower.segment_no * size + int(follower.state.offset)

    def _snapshot_due(self, now_ns: int) -> bool:
        if self.shadow.sequence <= self._snapshot_sequence:
            return False
        grown = self._bytes() - self._snapshot_at
        aged = now_ns - self._snapshot_ns >= self.settings.snapshot_every_ns
        return aged or grown >= self.settings.snapshot_bytes

    def snapshot(self) -> None:
        """Write a snapshot where the shadow is, unless there is one; then drop what may go."""
        shadow, data = self.shadow, self.settings.data
        self._snapshot_ns, self._snapshot_at = monotonic_ns(), self._bytes()
        replay = shadow.replay
        if replay is None or not shadow.place.segment_no:
            return
        try:
            self.archive.sync()
            replay.check()
            write_checked(data, self.uuid, replay.state, shadow.place, shadow.known)
        except Broken as broken:
            self._differ(JournalRefused(Fault.NONDETERMINISM, self.directory, 0, str(broken)))
            return
        except SnapshotBad as bad:
            self.live.count(SNAPSHOT_FAULTS)
            say(f"ALARM: {bad}")
            remove(data / "snapshots" / f"{shadow.sequence:016d}")
            return
        except OSError as error:
            self.live.count(SNAPSHOT_FAULTS)
            say(f"no snapshot could be written: {error}")
            return
        self._snapshot_sequence = shadow.sequence
        self.live.show(SNAPSHOT_SEQUENCE, shadow.sequence)
        self.live.show(SNAPSHOT_NS, realtime_ns())
        keeping.drop_snapshots(data, self.settings.rules.snapshots, say)

    def _housekeep(self, now_ns: int) -> None:
        """Manifest, retention and scrub; an error is said, and tried again."""
        settings = self.settings
        try:
            keeping.note_sealed(self.directory)
            needed = keeping.needed_from(self._readable()) if settings.rules.keep_bytes else 0
            over = keeping.drop_segments(self.directory, needed, settings.rules, say)
            self.live.show(JOURNAL_OVER_BYTES, over)
            for path in self.archive.trim(settings.events_keep_bytes):
                say(f"removed {path.name} of the event archive: above events.keep_bytes")
            if now_ns - self._scrub_ns >= settings.scrub_every_ns:
                self._scrub_ns = now_ns
                self._scrub()
        except (OSError, JournalRefused) as error:
            say(f"housekeeping: {error}")

    def _scrub(self) -> None:
        try:
            found = next(self._scrubber)
        except (OSError, JournalRefused):
            self._scrubber = keeping.scrub(self.directory)  # One that raised has no next step.
            raise
        if found is None:
            self.live.count(SCRUBBED_SEGMENTS)
        else:
            self.live.count(SCRUB_FAULTS)
            say(f"ALARM: {found}")

    def finish(self) -> None:
        """The core has ended: follow to the end of the journal, and leave a snapshot there."""
        if is_held(self.settings.data) or self.difference is not None:
            return
        newest = newest_in_use(self.directory)
        for number in (newest - 1, newest):
            path = segment_path(self.directory, number)
            if path.exists():
                sync_file(path)
        while self.turn(EVERYTHING):
            pass
        if self.difference is None and self.shadow.sequence > self._snapshot_sequence:
            self.snapshot()
        self._witness_ns = 0
        self._witness(monotonic_ns(), 0)

    def close(self) -> None:
        """Give everything back."""
        self.shadow.close()
        self.archive.close()


class Stopping:
    """Set by a signal, looked at between two turns.

    No threading.Event: the handler may interrupt its ``wait`` where that holds the Event's lock,
    and ``set`` would wait for it forever.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self, *_: object) -> None:
        """The handler."""
        self._is_set = True

    def is_set(self) -> bool:
        """Did the signal come?"""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleep; did the signal come?"""
        time.sleep(seconds)
        return self._is_set


def serve(settings: Settings, stopping: Stopping) -> int:
    """Wait for a core, follow its journal until ``stopping``; the exit code."""
    live = LiveCore(settings.data)
    while not live.look() and not live.epoch:
        if stopping.wait(IDLE_S):
            return 0
    replayer = Replayer(settings, live)
    try:
        while not stopping.is_set():
            if not replayer.turn(live.look()):
                stopping.wait(IDLE_S)
            if replayer.difference is not None and settings.stop_at_difference:
                return EXIT_REFUSED
        replayer.finish()
    finally:
        replayer.close()
    return 0


class Parser(argparse.ArgumentParser):
    """Usage errors exit 64, as everywhere in Outcry."""

    def error(self, message: str) -> NoReturn:
        say(message)
        sys.exit(EXIT_USAGE)


def arguments(argv: list[str]) -> Settings:
    """The command line."""
    parser = Parser(prog="replayer", description=__doc__, allow_abbrev=False)
    default = Settings(Path())
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--snapshot-every-ms", type=int, default=60_000)
    parser.add_argument("--snapshot-bytes", type=int, default=default.snapshot_bytes)
    parser.add_argument("--snapshots", type=int, default=default.rules.snapshots)
    parser.add_argument("--events-keep-bytes", type=int, default=default.events_keep_bytes)
    parser.add_argument("--scrub-every-ms", type=int, default=60_000)
    parser.add_argument("--keep-bytes", type=int, default=default.rules.keep_bytes)
    parser.add_argument("--copy-to", type=Path)
    parser.add_argument("--on-difference", choices=("alarm", "stop"), default="alarm")
    given = parser.parse_args(argv)
    return Settings(
        given.data,
        given.snapshot_every_ms * 1_000_000,
        given.snapshot_bytes,
        given.events_keep_bytes,
        given.scrub_every_ms * 1_000_000,
        keeping.Rules(given.snapshots, given.keep_bytes, given.copy_to),
        given.on_difference == "stop",
    )


def main(argv: list[str]) -> int:
    """Run the process; its exit code."""
    parent_pid = os.getppid()
    settings = arguments(argv)
    end_with_parent(parent_pid)
    os.umask(0o077)
    be_idle()
    stopping = Stopping()
    signal.signal(signal.SIGTERM, stopping.set)
    try:
        return serve(settings, stopping)
    except JournalError as error:
        say(str(error))
        return EXIT_REFUSED if settings.stop_at_difference else error.exit_code
    except OSError as error:
        say(f"failed: {error}")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
