"""Opening a journal: what goes on, what refuses, and with which exit code."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.crc32c import crc32c_without
from core.journal import witness
from core.journal.config import JournalConfig
from core.journal.errors import (
    JournalBusy,
    JournalConfiguration,
    JournalError,
    JournalRefused,
)
from core.journal.layout import (
    CHECKPOINT_PAYLOAD,
    EPOCH_PAYLOAD,
    EPOCH_START,
    HEADER_CRC_AT,
    KINDS,
    SYNC,
)
from core.journal.recovery import recover
from core.journal.scanner import Commands, Special
from core.journal.segments import make_segment, segment_path
from core.journal.verify import open_walk, verify
from tests.core.journal.files import (
    CONFIG,
    RELAXED_CONFIG,
    SEGMENT_BYTES,
    Journal,
    directory_of,
    flip,
    patch,
    read_all,
    refusal,
    segment,
    small_journal,
    walk_of,
)


def kinds(data: Path) -> list[str]:
    """The blocks in order; DATA blocks side by side as one."""
    return ["DATA" if isinstance(item, Commands) else KINDS[item.kind] for item in open_walk(data)]


def epochs(data: Path) -> list[Any]:
    """The EPOCH_START payloads."""
    return [
        np.frombuffer(item.payload, EPOCH_PAYLOAD)[0]
        for item in open_walk(data)
        if isinstance(item, Special) and item.kind == EPOCH_START
    ]


def long_journal(data: Path) -> Path:
    """Three segments, all of them with commands; the directory."""
    journal = Journal(data)
    while journal.writer.row.segment_no < 3 or journal.writer.row.segment_blocks < 3:
        journal.append((1,) * 200)
    journal.close()
    return journal.directory


def test_a_new_journal_is_genesis_then_an_epoch(data: Path) -> None:
    journal = Journal(data)
    assert journal.recovery.created
    assert (journal.recovery.last_sequence, journal.recovery.next_sequence) == (0, 1)
    journal.close()
    assert kinds(data) == ["GENESIS", "EPOCH_START", "MARKER"]


def test_commands_come_back_byte_for_byte_over_restarts_and_segments(data: Path) -> None:
    written = []
    for turn in range(4):
        journal = Journal(data)
        assert journal.recovery.epoch == turn
        for block in range(20):
            journal.append((1, 2, 3, 4) * (block + 1))
        written += journal.written
        if turn % 2:
            journal.crash()
        else:
            journal.close()
    assert read_all(data) == b"".join(written)
    assert verify(data).segments > 3
    assert [int(epoch["next_sequence"]) for epoch in epochs(data)] == [1, 841, 1_681, 2_521]


def test_genesis_comes_back_with_the_same_id_key(data: Path) -> None:
    first = Journal(data)
    first.close()
    second = Journal(data)
    second.close()
    assert first.recovery.genesis == second.recovery.genesis
    assert len(first.recovery.genesis) == 256


def test_a_second_process_is_told_that_the_directory_is_in_use(data: Path) -> None:
    journal = Journal(data)
    with pytest.raises(JournalBusy, match="in use") as caught:
        recover(data, CONFIG)
    assert caught.value.exit_code == 75
    journal.close()
    Journal(data).close()


def test_other_limits_name_the_upgrade_and_change_nothing(data: Path) -> None:
    small_journal(data).close()
    before = segment(data).read_bytes()
    limits = CONFIG.limits._replace(orders_max=1_999, ids_max=3_999)
    with pytest.raises(JournalConfiguration) as caught:
        recover(data, CONFIG._replace(limits=limits))
    assert caught.value.exit_code == 78
    assert "limits.orders_max: the journal has 2000, the configuration 1999" in str(caught.value)
    assert "limits.ids_max" in str(caught.value)
    assert "outcry upgrade" in str(caught.value)
    assert segment(data).read_bytes() == before
    assert refusal(data) == ""


def test_another_engine_version_names_the_upgrade_and_changes_nothing(data: Path) -> None:
    small_journal(data).close()
    before = segment(data).read_bytes()
    with pytest.raises(JournalRefused, match="outcry upgrade") as caught:
        recover(data, CONFIG._replace(engine_version=CONFIG.engine_version + 1))
    assert (caught.value.exit_code, caught.value.reason) == (80, "ENGINE_VERSION")
    assert segment(data).read_bytes() == before


def test_an_unknown_format_refuses(data: Path) -> None:
    small_journal(data).close()
    image = np.frombuffer(segment(data).read_bytes()[:4096], np.uint8).copy()
    image[8] = 9
    checksum = int(crc32c_without(image.ctypes.data, 4096, HEADER_CRC_AT))
    patch(segment(data), 0, image.tobytes())
    patch(segment(data), HEADER_CRC_AT, checksum.to_bytes(4, "little"))
    assert refusal(data) == "FORMAT"


def test_any_flipped_bit_of_a_segment_header_refuses(data: Path) -> None:
    small_journal(data).close()
    for bit in [*range(0, 384 * 8, 53), *range(384 * 8, 4096 * 8, 997)]:
        flip(segment(data), bit)
        assert refusal(data) == "HEADER"
        flip(segment(data), bit)


def test_a_segment_that_is_missing_refuses(data: Path) -> None:
    directory = long_journal(data)
    for number in (1, 2):
        path = segment_path(directory, number)
        hidden = path.with_name("hidden")
        path.rename(data / "hidden")
        assert refusal(data) == "INVENTORY"
        (data / "hidden").rename(path)
        assert not hidden.exists()
    assert refusal(data) == ""


def test_the_newest_segment_missing_is_seen_by_the_witness_only(data: Path) -> None:
    directory = long_journal(data)
    walk = open_walk(data)
    for _ in walk:
        pass
    last = int(walk.state.last_sequence)
    walk = walk_of(data, watch=last)
    for _ in walk:
        pass
    uuid = bytes.fromhex(directory.name.replace("-", ""))
    chain = (int(walk.state.watch_a), int(walk.state.watch_b))
    witness.write(directory, uuid, last, chain, 1)
    assert refusal(data) == ""
    segment_path(directory, 3).unlink()
    assert refusal(data) == "LOST_ACKED"


def test_segments_swapped_refuse(data: Path) -> None:
    directory = long_journal(data)
    one, two = segment_path(directory, 1), segment_path(directory, 2)
    one.rename(data / "x")
    two.rename(one)
    (data / "x").rename(two)
    assert refusal(data) == "INVENTORY"


def test_a_segment_of_another_journal_refuses(data: Path) -> None:
    directory = long_journal(data)
    other = long_journal(data.parent / "other")
    shutil.copy(segment_path(other, 2), segment_path(directory, 2))
    assert refusal(data) == "INVENTORY"


def test_two_journals_in_one_directory_refuse(data: Path) -> None:
    long_journal(data)
    other = long_journal(data.parent / "other")
    shutil.copytree(other, data / "journal" / other.name)
    assert refusal(data) == "INVENTORY"


def test_a_renamed_journal_refuses(data: Path) -> None:
    directory = long_journal(data)
    directory.rename(directory.with_name("00000000-0000-4000-8000-000000000000"))
    assert refusal(data) == "INVENTORY"


def test_a_file_that_does_not_belong_refuses(data: Path) -> None:
    directory = long_journal(data)
    for name in ("000000000001.seg.bak", "notes.txt", "1.seg"):
        (directory / name).touch(0o600)
        assert refusal(data) == "INVENTORY"
        (directory / name).unlink()
    (data / "journal" / "notes.txt").touch(0o600)
    assert refusal(data) == "INVENTORY"


def test_a_draft_of_a_dead_process_is_removed(data: Path) -> None:
    directory = long_journal(data)
    (directory / "000000000009.seg.1.abcd.tmp").write_bytes(b"half")
    assert refusal(data) == ""
    assert not list(directory.glob("*.tmp"))


@pytest.mark.parametrize("place", [4096, 8192, 100_000, 200_000])
def test_damage_in_a_sealed_segment_refuses(data: Path, place: int) -> None:
    directory = long_journal(data)
    flip(segment_path(directory, 1), place * 8 + 3)
    assert refusal(data) == "CORRUPT_SEALED"


def test_zeros_in_a_sealed_segment_refuse(data: Path) -> None:
    directory = long_journal(data)
    patch(segment_path(directory, 2), 4096, bytes(SEGMENT_BYTES - 4096))
    assert refusal(data) == "CORRUPT_SEALED"


def test_a_seal_that_is_gone_refuses(data: Path) -> None:
    directory = long_journal(data)
    path = segment_path(directory, 1)
    raw = path.read_bytes().rstrip(b"\0")
    end = -(-len(raw) // 4096) * 4096
    patch(path, end - 4096, bytes(4096))
    assert refusal(data) == "CORRUPT_SEALED"


def test_a_byte_behind_a_seal_refuses(data: Path) -> None:
    directory = long_journal(data)
    path = segment_path(directory, 1)
    patch(path, SEGMENT_BYTES - 8, b"\1")
    assert refusal(data) == "CORRUPT_SEALED"


def test_a_segment_of_another_size_refuses(data: Path) -> None:
    directory = long_journal(data)
    os.truncate(segment_path(directory, 3), SEGMENT_BYTES + 4096)
    assert refusal(data) == "INVENTORY"


def test_empty_spares_are_kept_and_used(data: Path) -> None:
    directory = long_journal(data)
    for number in (4, 5):
        make_segment(directory, number, SEGMENT_BYTES, prewritten=True)
    journal = Journal(data)
    assert journal.recovery.spares == [4, 5]
    while journal.writer.row.segment_no < 6:
        journal.append((1,) * 200)
    assert journal.writer.row.rotations_without_spare == 1
    journal.close()
    assert verify(data).segments == 6


def test_a_spare_that_is_not_empty_refuses(data: Path) -> None:
    directory = long_journal(data)
    for number in (4, 5):
        make_segment(directory, number, SEGMENT_BYTES, prewritten=True)
    for number, place in ((4, 0), (4, 4096), (4, SEGMENT_BYTES - 1), (5, 0), (5, 70_000)):
        path = segment_path(directory, number)
        patch(path, place, b"\1")
        assert refusal(data) in ("SPARE", "CORRUPT_SEALED")
        patch(path, place, b"\0")
    assert refusal(data) == ""


def test_a_header_that_was_being_written_is_a_spare(data: Path) -> None:
    directory = long_journal(data)
    header = segment_path(directory, 3).read_bytes()[:4096]
    block_3 = segment_path(directory, 3)
    # As if the power had gone while segment 3 was being activated: nothing behind its header.
    for kept in (b"\0" * 512 + header[512:], header[:512] + bytes(3584), header[:4000] + bytes(96)):
        torn = bytearray(kept)
        torn[3584:] = bytes(512)
        block_3.write_bytes(bytes(torn) + bytes(SEGMENT_BYTES - 4096))
        journal = recover(data, CONFIG)
        journal.lock.close()
        assert journal.spares == [3]
        assert journal.sealed
    Journal(data).close()
    assert verify(data).segments == 3


def test_a_header_with_a_bad_sector_refuses(data: Path) -> None:
    directory = long_journal(data)
    path = segment_path(directory, 3)
    header = bytearray(path.read_bytes()[:4096])
    header[512:1024] = bytes(512)
    header[1024:1536] = b"\7" * 512
    path.write_bytes(bytes(header) + bytes(SEGMENT_BYTES - 4096))
    assert refusal(data) == "HEADER"


def test_files_that_others_may_write_refuse(data: Path) -> None:
    small_journal(data).close()
    for path in (segment(data), directory_of(data), data / "journal"):
        mode = path.stat().st_mode
        path.chmod(mode | 0o020)
        assert refusal(data) == "PERMISSIONS"
        path.chmod(mode)
    assert refusal(data) == ""


def test_a_segment_that_is_a_link_is_not_followed(data: Path) -> None:
    small_journal(data).close()
    path = segment(data)
    path.rename(data / "elsewhere")
    path.symlink_to(data / "elsewhere")
    assert refusal(data) in ("PERMISSIONS", "INVENTORY")


def test_a_start_in_the_other_durability_seals_and_begins_a_new_segment(data: Path) -> None:
    journal = small_journal(data)
    written = list(journal.written)
    journal.close()
    for config, number in ((RELAXED_CONFIG, 2), (CONFIG, 3), (CONFIG, 3), (RELAXED_CONFIG, 4)):
        journal = Journal(data, config)
        journal.append((1, 2))
        assert journal.writer.row.segment_no == number
        written += journal.written
        journal.close()
    assert read_all(data) == b"".join(written)
    assert [int(epoch["durability"]) for epoch in epochs(data)] == [1, 2, 1, 1, 2]


def test_a_killed_relaxed_journal_may_be_continued_in_sync(data: Path) -> None:
    journal = small_journal(data, RELAXED_CONFIG)
    journal.crash()
    again = Journal(data)
    assert again.recovery.last_sequence == 45
    assert again.recovery.next_sequence == 46
    again.close()
    assert read_all(data) == b"".join(journal.written)


def test_a_crash_between_seal_and_the_next_segment_is_no_loss(data: Path) -> None:
    journal = small_journal(data)
    journal.writer._seal(1)
    journal.crash()
    again = Journal(data)
    assert again.recovery.sealed
    again.append((1,))
    again.close()
    assert verify(data).last_sequence == 46
    assert verify(data).segments == 2


def test_sync_on_a_file_system_that_forgets_is_a_fault_of_the_configuration(data: Path) -> None:
    if not str(data).startswith("/dev/shm"):
        pytest.skip("no tmpfs here")
    with pytest.raises(JournalConfiguration, match="tmpfs") as caught:
        recover(data, CONFIG._replace(allow_volatile=False))
    assert caught.value.exit_code == 78
    assert not data.exists()
    recover(data, RELAXED_CONFIG._replace(allow_volatile=False)).lock.close()


@pytest.mark.parametrize("size", [0, 4096, SEGMENT_BYTES + 1, 1 << 40])
def test_a_segment_size_that_cannot_be_is_a_fault_of_the_configuration(
    data: Path, size: int
) -> None:
    with pytest.raises(JournalConfiguration, match=r"journal\.segment_bytes"):
        recover(data, CONFIG._replace(segment_bytes=size))


def test_a_failed_read_is_no_refusal(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(data).close()

    def fail(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("core.journal.recovery._settle", fail)
    with pytest.raises(JournalError, match="Input/output error") as caught:
        recover(data, CONFIG)
    assert caught.value.exit_code == 70


def test_checkpoints_and_markers_come_back_in_their_places(data: Path) -> None:
    journal = small_journal(data)
    row = np.zeros(1, CHECKPOINT_PAYLOAD)
    row["sequence"], row["event_hash"] = 45, (7, 8)
    journal.writer.checkpoint(row.tobytes())
    journal.append((1,))
    journal.writer.marker()
    journal.crash()
    assert kinds(data) == ["GENESIS", "EPOCH_START", "DATA", "CHECKPOINT", "DATA", "MARKER"]
    (found,) = (item for item in open_walk(data) if isinstance(item, Special) and item.kind == 4)
    assert found.payload == row.tobytes()


def test_the_newest_time_of_the_journal_is_known_after_recovery(data: Path) -> None:
    journal = small_journal(data)
    newest = int(journal.writer.row.timestamp_ns)
    journal.crash()
    recovery = recover(data, CONFIG)
    recovery.lock.close()
    assert recovery.timestamp_ns == newest


def test_the_default_configuration_is_sync() -> None:
    assert JournalConfig().durability == SYNC
    assert JournalConfig().durability_name == "sync"
