"""Make the golden journals of this format anew: ``python -m tests.golden.make DIRECTORY``.

Never run by tests.  A golden journal is what an older version wrote, and stays as it is for ever:
run this only for a new format or engine version, into a new directory (``tests/golden/v2``), and
commit what it writes.  Every file is compressed by itself (.xz), ``expected.json`` says what it
has to mean.
"""

import json
import lzma
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from core import messages
from core.clock import realtime_ns
from core.journal import witness
from core.journal.config import JournalConfig
from core.journal.dump import dump
from core.journal.layout import DURABILITIES
from core.journal.verify import locate, open_walk, verify
from core.limits import SMALL
from core.sequencer.engine import ENGINE_VERSION
from replay import keeping, replay, views
from replay.snapshots import make as make_snapshot
from tests.golden import venue
from tests.model.commands import Command, MassCancel, OtherKind, Withdraw
from tests.model.flows import command_of, made, set_up
from tests.replay.live import Live

SEED: Final = 20_261_121
SYMBOLS: Final = 2
OPERATIONS: Final = 90
SEGMENT_BYTES: Final = 256 << 10
BLOCKS: Final = {"GENESIS", "EPOCH_START", "CHECKPOINT", "MARKER", "SEAL"}
COMPARED: Final = ("state_hash", "event_hash", "events", "trades", "open_orders")


def config_of(durability: str) -> JournalConfig:
    """What the golden journals were written with."""
    return JournalConfig(
        DURABILITIES[durability],
        SMALL,
        engine_version=ENGINE_VERSION,
        segment_bytes=SEGMENT_BYTES,
        allow_volatile=True,
    )


def commands() -> list[Command]:
    """A flow as version 1 had it, some of it rejected; always the same."""
    found = set_up(SYMBOLS)
    flow = made(SEED, OPERATIONS, SYMBOLS)
    begin = len(found) + 1
    found += [command_of(op, begin + at) for at, op in enumerate(flow.ops)]
    found += [
        Withdraw(account=4, asset=1, amount=12_345),
        Withdraw(account=5, asset=1, amount=1 << 60),
        OtherKind(number=60, account=3),
        MassCancel(account=3),
    ]
    return found


def parts() -> list[list[Command]]:
    """What is sent in the two lives; deadlines that the second one sets come between its halves."""
    sent = commands()
    half = len(sent) // 2
    return [sent[:half], [*sent[half:], *venue.instruments(), *venue.orders()]]


def order_of(live: Live, client_order_id: str) -> int:
    """The order with this id; 0 when there is none."""
    state = live.core.state
    names = [messages.text(row["client_order_id"]) for row in views.cold(state)]
    slot = names.index(client_order_id) if client_order_id in names else 0
    return int(views.orders(state)[slot]["order_id"]) if slot else 0


def write(data: Path, durability: str) -> dict[str, Any]:
    """Write one journal with the real core: two lives, segments, two snapshots; what it means."""
    for number, part in enumerate(parts()):
        live = Live(data, config_of(durability))
        live.send(part[:10])
        live.checkpoint()
        live.core.writer.rotate()
        live.send(part[10:])
        if number:
            time.sleep(1.5)  # TIME is journaled where something is due.
            live.send(venue.ends([order_of(live, name) for name in ("w-1", "w-2")]))
        live.checkpoint()
        live.close()
        make_snapshot(data)
    directory, uuid = locate(data)
    walk = open_walk(data)
    for _ in walk:
        pass
    witness.write(directory, uuid, walk.place.sequence, walk.place.chain, realtime_ns())
    keeping.note_sealed(directory)
    for spare in walk.spares:
        (directory / f"{spare:012d}.seg").unlink()
    return meaning(data)


def meaning(data: Path) -> dict[str, Any]:
    """What ``expected.json`` says of a journal."""
    rows = list(dump(data))
    judged, run = verify(data), replay.run(data)
    counts = Counter(row["kind"] for row in rows)
    first = {row["kind"]: row for row in reversed(rows)}
    assert set(messages.COMMAND_NAMES.values()) | BLOCKS <= set(counts), counts
    return {
        "engine_version": ENGINE_VERSION,
        "last_sequence": judged.last_sequence,
        "blocks": judged.blocks,
        "segments": judged.segments,
        **{name: run[name] for name in COMPARED},
        "kinds": dict(sorted(counts.items())),
        "rows": [first[kind] for kind in sorted(first)],
    }


def pack(data: Path, target: Path) -> None:
    """Journal and snapshots, each file compressed."""
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data)
        if path.is_file() and name.parts[0] in ("journal", "snapshots") and path.name != "LOCK":
            packed = target / f"{name}.xz"
            packed.parent.mkdir(parents=True, exist_ok=True)
            packed.write_bytes(lzma.compress(path.read_bytes(), preset=9))


def unpack(source: Path, data: Path) -> None:
    """The data directory again, as ``pack`` found it; for its owner only."""
    data.mkdir(mode=0o700)
    for packed in sorted(source.rglob("*.xz")):
        path = data / packed.relative_to(source).with_suffix("")
        for parent in reversed(path.relative_to(data).parents):
            (data / parent).mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(lzma.decompress(packed.read_bytes()))


def main(target: Path) -> None:
    """Make all of it; the directory must be new."""
    target.mkdir(parents=True)
    expected = {}
    for durability in sorted(DURABILITIES):
        room = Path(tempfile.mkdtemp())
        expected[durability] = write(room / "data", durability)
        pack(room / "data", target / durability)
        shutil.rmtree(room)
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
