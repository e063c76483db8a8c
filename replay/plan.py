"""What to do about a refused journal: what stays, what goes, what is lost by it.  Read only.

``make_plan`` turns a judgement into a plan; ``lines`` shows it to people, ``fields`` to others.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.journal import header as headers
from core.journal.content import Content, is_all_zero
from core.journal.dump import command_row
from core.journal.errors import RUNBOOK, Fault, JournalRefused
from core.journal.layout import SEGMENT_HEADER_BYTES
from core.journal.repair import Extent, extent_behind, jump_beyond, possible_commands
from core.journal.salvage import LISTED_MAX, Salvage
from core.journal.segments import (
    MANIFEST_NAME,
    SEGMENT_NAME,
    TRUNCATION_NAME,
    UPGRADE_NAME,
    WITNESS_NAME,
    segment_path,
)
from core.journal.snapshots import directories
from replay.judge import NEVER_CUT, End, Judgement, all_segments

SHOWN_MAX: Final = 20
ARCHIVE_NAME: Final = "events"

ADVICE: Final = {
    Fault.MISSING: "there is nothing to repair: bring the journal back from a backup, or give the "
    "right --data",
    Fault.NOT_EMPTY: "there is nothing to repair: give a directory of its own with --data, or move "
    "away what does not belong",
    Fault.FORMAT: "checksums are right, so another version wrote this: start that version",
    Fault.ENGINE_VERSION: "nothing is damaged: check out the version that wrote it, or run "
    "'outcry upgrade'",
    Fault.NONDETERMINISM: "never repaired, because no cut can make it right: keep everything, try "
    "'outcry replay --check' on another machine, and report it",
}
NOTHING_KEPT: Final = (
    "not even the first block can be kept: bring the files back from a backup; to begin anew "
    "without them: 'outcry reset'"
)

NO_SNAPSHOT: Final = (
    "the older segments are gone, so the journal needs a snapshot: bring one back from a backup"
)


@dataclass
class Plan:
    """What is wrong, what stays, what goes; ``advice`` is set when this tool must not touch it."""

    refusals: list[JournalRefused]
    place: End | None = None
    advice: str = ""
    notes: list[str] = field(default_factory=list)
    extent: Extent | None = None
    moves: list[Path] = field(default_factory=list)
    spares: list[Path] = field(default_factory=list)
    salvage: Salvage = field(default_factory=lambda: Salvage(0))
    lost: list[bytes] = field(default_factory=list)
    unreadable_commands_max: int = 0
    witness_sequence: int = 0
    snapshot_sequence: int = 0
    durable_sequence: int = 0
    next_sequence: int = 0
    lost_last: int = 0  # The newest sequence of which there is a trace; place.sequence: none.

    def fields(self) -> dict[str, Any]:
        """As flat values, for --json and the quarantine."""
        first = self.refusals[0]
        found: dict[str, Any] = {
            "refused": first.reason,
            "file": str(first.path),
            "offset": first.offset,
            "sentences": [str(refusal) for refusal in self.refusals],
            "runbook": f"{RUNBOOK}#{first.fault.lower()}",
            "repairable": not self.advice,
            "advice": self.advice,
            "notes": self.notes,
        }
        return found if self.place is None else {**found, **self._kept(self.place), **self._gone()}

    def _kept(self, place: End) -> dict[str, Any]:
        return {
            "keep_sequence": place.sequence,
            "keep_segment": place.segment_no,
            "keep_offset": place.offset,
            "keep_chain": "".join(f"{lane & (2**64 - 1):016x}" for lane in place.chain),
            "keep_state_hash": place.state_hash,
            "next_sequence": self.next_sequence,
        }

    def _gone(self) -> dict[str, Any]:
        salvage = self.salvage
        first, last = self.place.sequence + 1 if self.place else 0, self.lost_last
        return {
            "lost_first": first if last >= first else 0,
            "lost_last": last if last >= first else 0,
            "lost_commands_read": salvage.commands,
            "lost_kinds": dict(salvage.kinds.most_common()),
            "lost_account_count": len(salvage.accounts),
            "lost_accounts": sorted(salvage.accounts)[:LISTED_MAX],
            "lost_client_order_id_count": salvage.client_order_id_count,
            "lost_client_order_ids": salvage.client_order_ids,
            "lost_order_id_count": salvage.order_id_count,
            "lost_order_ids": salvage.order_ids,
            "lost_blocks_read": salvage.blocks,
            "lost_blocks_damaged": salvage.damaged_blocks,
            "unreadable_commands_max": self.unreadable_commands_max,
            "witness_sequence": self.witness_sequence,
            "snapshot_sequence": self.snapshot_sequence,
            "durable_sequence": self.durable_sequence,
            "cut_file": str(self.extent.path) if self.extent else "",
            "cut_offset": self.extent.offset if self.extent else 0,
            "cut_bytes": self.extent.size if self.extent else 0,
            "moved_files": [str(path) for path in self.moves],
            "removed_empty_segments": [str(path) for path in self.spares],
        }


def make_plan(found: Judgement) -> Plan:
    """What to do about the refusals of a judgement; changes nothing."""
    plan = Plan(found.refusals, found.place)
    never = [refusal for refusal in found.refusals if refusal.fault in NEVER_CUT]
    if never:
        plan.advice = ADVICE.get(never[0].fault, never[0].hint)
        return plan
    if (found.data / UPGRADE_NAME).exists():
        plan.advice = found.refusals[0].hint
        return plan
    if found.directory is None:
        plan.advice = "more than one journal: move the one away that does not belong here"
        return plan
    if found.place is None:
        no_snapshot = found.refusals[0].fault == Fault.SNAPSHOT
        plan.advice = NO_SNAPSHOT if no_snapshot else NOTHING_KEPT
        plan.notes = _misplaced(found.directory)
        return plan
    plan.notes = [*_misplaced(found.directory), *found.unused_snapshots]
    _choose(plan, found, found.place)
    _measure(plan, found, found.place)
    return plan


def _choose(plan: Plan, found: Judgement, place: End) -> None:
    """Which bytes and files go."""
    directory = place.path.parent
    plan.moves = list(found.foreign)
    is_cut = found.walk_failed or found.missing is not None
    is_cut = is_cut or _says(found, Fault.LOST_ACKED)
    if is_cut and not found.behind_seal:
        _choose_segments(plan, directory, place)
    if is_cut and (not place.sealed or found.behind_seal):
        content = Content(place.path, direct=True)
        plan.extent = extent_behind(content, place.segment_no, place.offset)
    _choose_beside(plan, found, place)


def _choose_beside(plan: Plan, found: Judgement, place: End) -> None:
    """What speaks of sequences that are gone, or is damaged itself."""
    directory = place.path.parent
    witness_path, note = directory / WITNESS_NAME, directory / TRUNCATION_NAME
    ahead = found.witness.sequence > place.sequence and not found.behind_seal
    if ahead or found.bad_witness or _says(found, Fault.WITNESS):
        plan.moves.append(witness_path)
    ahead = not found.behind_seal
    known = directories(found.data)
    plan.moves += [
        path
        for path in known
        if path in found.bad_snapshots or (ahead and int(path.name) > place.sequence)
    ]
    if found.bad_note:
        plan.moves.append(note)
    is_less = plan.extent is not None or any(map(_is_segment, plan.moves))
    if (directory / MANIFEST_NAME).exists() and is_less and not found.behind_seal:
        plan.moves.append(directory / MANIFEST_NAME)


def _choose_segments(plan: Plan, directory: Path, place: End) -> None:
    """Segments behind the place: the newest first, so that no gap comes to be on the way.

    Empty ones may stay only where they still follow: behind a gap they would be refused.
    """
    numbers = [number for number in all_segments(directory) if number > place.segment_no]
    paths = [segment_path(directory, number) for number in sorted(numbers, reverse=True)]
    used = [path for path in paths if not is_all_zero(path)]
    if not used:
        contiguous = place.segment_no + 1 in numbers and max(numbers) - min(numbers) + 1 == len(
            numbers
        )
        plan.spares = [] if contiguous else paths
        return
    plan.spares = [path for path in paths if path not in used]
    plan.moves += used


def _measure(plan: Plan, found: Judgement, place: End) -> None:
    """What is lost, as far as it can be read, and the sequence that follows."""
    plan.witness_sequence = found.witness.sequence
    plan.lost_last = place.sequence
    plan.salvage = Salvage(place.sequence, lambda kind, slots: _record(plan, kind, slots))
    unread = 0
    if plan.extent is not None and not found.behind_seal:
        content = Content(place.path, direct=True)
        plan.salvage.take(content, place.offset, place.salt)
        unread += plan.extent.size
    for path in reversed([path for path in plan.moves if _is_segment(path)]):
        content = Content(path, direct=True)
        if content.size > SEGMENT_HEADER_BYTES and _is_ours(content, found.uuid):
            plan.salvage.take(content, SEGMENT_HEADER_BYTES, None)
        unread += content.size
    plan.durable_sequence = max(found.tail_durable, plan.salvage.durable_sequence)
    if found.behind_seal or not (unread or _needs_jump(found)):
        return
    plan.snapshot_sequence = found.snapshot_sequence
    traces = (
        *(found.witness.sequence, found.snapshot_sequence),
        *(plan.durable_sequence, plan.salvage.last_sequence),
    )
    plan.lost_last = max(place.sequence, *traces)
    plan.unreadable_commands_max = max(0, possible_commands(unread) - plan.salvage.commands)
    possible = plan.lost_last + plan.unreadable_commands_max
    plan.next_sequence = jump_beyond(place.next_sequence, possible)
    archive = found.data / ARCHIVE_NAME  # A cache: the replayer writes it again, without the loss.
    plan.moves += [archive] if archive.is_dir() and any(archive.iterdir()) else []


def _needs_jump(found: Judgement) -> bool:
    """Whether commands may be lost though no byte of them is there to be seen."""
    gone = (Fault.LOST_ACKED, Fault.WITNESS, Fault.SNAPSHOT)
    return found.missing is not None or any(_says(found, fault) for fault in gone)


def _says(found: Judgement, fault: Fault) -> bool:
    return any(refusal.fault == fault for refusal in found.refusals)


def _is_segment(path: Path) -> bool:
    return SEGMENT_NAME.fullmatch(path.name) is not None and path.is_file()


def _is_ours(content: Content, uuid: bytes) -> bool:
    """False for a segment whose own header, in good order, names another journal."""
    header = headers.read_any(bytearray(content.array[:SEGMENT_HEADER_BYTES].tobytes()))
    return header is None or header[0] == uuid


def _record(plan: Plan, kind: int, slots: Any) -> None:
    plan.lost.append(json.dumps(command_row(slots, kind)).encode("utf-8") + b"\n")


def _misplaced(directory: Path) -> list[str]:
    """Segments whose header, in good order, names another place than the one they lie in."""
    notes = []
    for number in all_segments(directory):
        path = segment_path(directory, number)
        with path.open("rb") as file:
            image = bytearray(file.read(SEGMENT_HEADER_BYTES))
        header = headers.read_any(image)
        if header is None:
            continue
        uuid, segment_no = header
        if uuid.hex() != directory.name.replace("-", ""):
            notes.append(f"{path.name} says that it belongs to journal {uuid.hex()}")
        elif segment_no != number:
            notes.append(f"{path.name} says that it is segment {segment_no}: rename it")
    return notes


def lines(plan: Plan) -> list[str]:
    """The plan for people."""
    said = [str(refusal) for refusal in plan.refusals]
    said += [f"note: {note}" for note in plan.notes]
    if plan.advice:
        return [*said, f"nothing was changed: {plan.advice}"]
    fields = plan.fields()
    names = [name for name in fields if name.startswith(("keep_", "lost_", "cut_"))]
    names += ["unreadable_commands_max", "witness_sequence", "snapshot_sequence"]
    names += ["durable_sequence", "next_sequence"]
    width = max(map(len, names))
    for name in names:
        said.append(f"  {name:<{width}}  {_shown(fields[name])}".rstrip())
    said += [f"  to the quarantine: {path}" for path in plan.moves]
    said += [f"  removed, nothing but zeros: {path}" for path in plan.spares]
    assert plan.place is not None
    said.append(_loss(plan, plan.place.sequence))
    said.append(f"to do this, type the last sequence that stays, {plan.place.sequence}:")
    return said


def _shown(value: object) -> str:
    if isinstance(value, list):
        shown = " ".join(map(str, value[:SHOWN_MAX]))
        return f"{shown} ... (all in --plan --json)" if len(value) > SHOWN_MAX else shown
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return str(value)


def _loss(plan: Plan, kept: int) -> str:
    if plan.next_sequence == 0:
        return "no command is lost by this"
    proof = max(plan.witness_sequence, plan.snapshot_sequence, plan.durable_sequence)
    if proof > kept:
        return f"LOST: durable up to {proof}, so clients have answers for what this gives up"
    if plan.lost_last > kept:
        return f"LOST: {kept + 1} to {plan.lost_last}; clients may have answers for them"
    return "no trace of a lost command was found; sequences are skipped all the same"
