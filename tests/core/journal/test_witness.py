"""The witness file: two slots in turn; a torn one leaves the older; damage refuses."""

from pathlib import Path

import pytest

from core.journal import witness
from core.journal.errors import JournalRefused
from core.journal.segments import WITNESS_NAME
from core.journal.verify import verify
from tests.core.journal.files import directory_of, flip, refusal, small_journal, walk_of

UUID = bytes(range(16))


def test_without_a_file_nothing_is_witnessed(tmp_path: Path) -> None:
    assert witness.read(tmp_path, UUID) == (0, (0, 0), 0)


def test_the_newest_of_two_slots_counts(tmp_path: Path) -> None:
    for sequence in (10, 20, 30, 40):
        witness.write(tmp_path, UUID, sequence, (sequence, -sequence), 1)
        assert witness.read(tmp_path, UUID)[:2] == (sequence, (sequence, -sequence))
    assert (tmp_path / WITNESS_NAME).stat().st_size == 1_024


@pytest.mark.parametrize("newest", [0, 1])
def test_a_torn_write_leaves_the_older_slot(tmp_path: Path, newest: int) -> None:
    for sequence in (10, 20, 30)[: 2 + newest]:
        witness.write(tmp_path, UUID, sequence, (1, 2), 1)
    found = witness.read(tmp_path, UUID)
    path = tmp_path / WITNESS_NAME
    raw = bytearray(path.read_bytes())
    start = found.generation % 2 * 512
    raw[start + 200 : start + 512] = bytes(312)
    path.write_bytes(raw)
    assert witness.read(tmp_path, UUID).sequence == found.sequence - 10


def test_a_damaged_or_foreign_file_refuses(tmp_path: Path) -> None:
    witness.write(tmp_path, UUID, 10, (1, 2), 1)
    path = tmp_path / WITNESS_NAME
    raw = path.read_bytes()
    for damaged in (b"", raw[:-1], raw + b"\0", bytes(1_024), raw[:700] + b"\1" + raw[701:]):
        path.write_bytes(damaged)
        with pytest.raises(JournalRefused, match="WITNESS"):
            witness.read(tmp_path, UUID)
    path.write_bytes(raw)
    with pytest.raises(JournalRefused, match="WITNESS"):
        witness.read(tmp_path, bytes(16))


def test_any_flipped_bit_of_a_slot_makes_it_invalid(tmp_path: Path) -> None:
    witness.write(tmp_path, UUID, 10, (1, 2), 1)
    path = tmp_path / WITNESS_NAME
    for bit in range(512 * 8, 1_024 * 8, 41):
        flip(path, bit)
        with pytest.raises(JournalRefused):
            witness.read(tmp_path, UUID)
        flip(path, bit)
    assert witness.read(tmp_path, UUID).sequence == 10


def test_recovery_and_verify_believe_the_witness(data: Path) -> None:
    """Behind the journal: fine.  Ahead, another chain, or in the middle of a block: refused."""
    small_journal(data).close()
    directory = directory_of(data)
    uuid = bytes.fromhex(directory.name.replace("-", ""))
    chains = {}
    for sequence in (3, 43, 45):
        walk = walk_of(data, watch=sequence)
        for _ in walk:
            pass
        chains[sequence] = (int(walk.state.watch_a), int(walk.state.watch_b))
    assert len(set(chains.values())) == 3
    for sequence, chain, reason in (
        (3, chains[3], ""),
        (43, chains[43], ""),
        (45, chains[45], ""),
        (45, chains[43], "WITNESS"),
        (44, chains[45], "WITNESS"),
        (46, chains[45], "LOST_ACKED"),
    ):
        witness.write(directory, uuid, sequence, chain, 1)
        assert refusal(data) == reason
        if reason:
            with pytest.raises(JournalRefused, match=reason):
                verify(data)
        else:
            assert verify(data).last_sequence == 45
