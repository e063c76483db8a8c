"""Arbitrary bytes where the exchange reads its own files: a reason, never a crash or a wrong book.

Segments and blocks are also given with right checksums and wrong contents, since checksums only
keep accidents out.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.link import CoreFile, read_core_file
from core.crc32c import crc32c, crc32c_without
from core.jit import MODE_NAME
from core.journal import create, witness
from core.journal.appender import append_block
from core.journal.blocks import mix_a, mix_b
from core.journal.errors import JournalConfiguration, JournalRefused
from core.journal.layout import (
    BLOCK,
    BLOCK_HEADER_BYTES,
    EPOCH_START,
    HEADER_CRC_AT,
    KINDS,
    SEGMENT,
    SEGMENT_HEADER_BYTES,
)
from core.journal.recovery import recover
from core.journal.verify import verify
from core.memory import address_of_buffer
from core.wake import BLOCK as BLOCKING
from core.wake import Waiter, open_fifo, sleep
from tests.core.journal.files import (
    CONFIG,
    RELAXED_CONFIG,
    Journal,
    read_all,
    segment,
    small_journal,
)
from tests.faults.specimen import Specimen, judged, relaxed_specimen, sync_specimen
from tools.config import Config, ConfigFaults
from tools.config_layers import keys, load

TIMES = {"release": 1.0, "checked": 0.3, "pure": 0.05}[MODE_NAME]
WORDS = (0, 1, -1, 7, 1 << 31, (1 << 31) - 1, 1 << 62, (1 << 63) - 1, -(1 << 63), 4_096, 511)


def some(count: int) -> int:
    return max(2, int(count * TIMES))


@pytest.fixture(params=["sync", "relaxed"])
def specimen(data: Path, request: pytest.FixtureRequest) -> Iterator[Specimen]:
    make, config = {
        "sync": (sync_specimen, CONFIG),
        "relaxed": (relaxed_specimen, RELAXED_CONFIG),
    }[request.param]
    made = make(data, config)
    made.finish(clean=False)
    yield made
    made.close()


def assert_prefix(specimen: Specimen, whole: bytes) -> None:
    """Refused with a reason, or what is read is the beginning of what was written."""
    if not isinstance(judged(specimen.data), str):
        assert whole.startswith(read_all(specimen.data))


def test_random_bytes_anywhere_in_a_segment_never_give_other_commands(specimen: Specimen) -> None:
    chance = random.Random(71)
    whole = read_all(specimen.data)
    size = len(specimen.raw)
    for _ in range(some(150)):
        length = chance.choice((1, 8, 511, 512, 4_096, 20_000, size))
        start = chance.randrange(0, max(1, min(size - length + 1, specimen.used)))
        specimen.write(start, chance.randbytes(length))
        assert_prefix(specimen, whole)
        specimen.restore(start, length)
    specimen.write(0, b"OUTCRYJ1" + chance.randbytes(size - 8))
    assert specimen.verdict() == "refused HEADER"


def test_a_segment_header_with_any_content_and_a_right_checksum(specimen: Specimen) -> None:
    whole = read_all(specimen.data)
    names = [name for name in SEGMENT.names or () if name != "header_crc32c"]
    for name in names:
        for word in WORDS:
            image = bytearray(specimen.raw[:SEGMENT_HEADER_BYTES])
            row = np.frombuffer(image, SEGMENT, 1)
            row[name] = np.array(word, np.int64).astype(SEGMENT[name].base)
            checksum = crc32c_without(address_of_buffer(image), len(image), HEADER_CRC_AT)
            image[HEADER_CRC_AT : HEADER_CRC_AT + 4] = int(checksum).to_bytes(4, "little")
            specimen.write(0, bytes(image))
            assert_prefix(specimen, whole)
    specimen.restore(0, SEGMENT_HEADER_BYTES)


def test_a_block_header_with_any_content_and_right_checksums(specimen: Specimen) -> None:
    """The chain is right as well, so that every check behind it is reached."""
    whole = read_all(specimen.data)
    own = {"header_crc32c", "chain_a", "chain_b"}
    for block in specimen.blocks:
        for name in (name for name in BLOCK.names or () if name not in own):
            for word in WORDS[:: 2 if MODE_NAME == "release" else 5]:
                image = bytearray(specimen.raw[block.offset : block.offset + BLOCK_HEADER_BYTES])
                row: Any = np.frombuffer(image, BLOCK, 1)
                row[name] = np.array(word, np.int64).astype(BLOCK[name])
                address = address_of_buffer(image)
                row["chain_a"] = mix_a(address, int(row["prev_chain_a"][0]))
                row["chain_b"] = mix_b(address, int(row["prev_chain_b"][0]))
                row["header_crc32c"] = crc32c(address + 8, BLOCK_HEADER_BYTES - 8)
                specimen.write(block.offset, bytes(image))
                assert_prefix(specimen, whole)
                specimen.restore(block.offset, BLOCK_HEADER_BYTES)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_special_block_with_any_payload_is_refused_or_passed_over(data: Path, kind: int) -> None:
    chance = random.Random(kind)
    for number in range(some(24)):
        place = data / str(number)
        journal = Journal(place)
        journal.append((1, 1))
        size = chance.choice((0, 1, 16, 48, 256, 319, 320, 321, 5_000))
        payload = np.frombuffer(chance.randbytes(size + 8), np.uint8).copy()
        if kind == EPOCH_START:
            journal.writer.row.epoch += chance.choice((0, 1))
        append_block(journal.writer.address, kind, int(payload.ctypes.data), size, 1)
        journal.crash()
        whole = b"".join(journal.written)
        try:
            recover(place, CONFIG).lock.close()
        except (JournalConfiguration, JournalRefused):
            continue
        assert read_all(place) == whole


def test_a_genesis_of_any_bytes_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    for number in range(some(20)):
        payload = chance.randbytes(256)
        monkeypatch.setattr(create, "genesis", lambda _limits, payload=payload: payload)
        with pytest.raises(
            (JournalConfiguration, JournalRefused), match=r"limits|GENESIS|SEQUENCE"
        ):
            recover(data / str(number), CONFIG)


def test_a_mark_of_creation_with_any_bytes_is_refused_and_stays(data: Path) -> None:
    chance = random.Random(6)
    texts = [b"", b"\xff" * 36, b"x" * 36, b"../../../../../../../../../../../../", bytes(36)]
    for raw in texts + [chance.randbytes(chance.randrange(80)) for _ in range(some(50))]:
        data.mkdir(exist_ok=True)
        (data / "INIT").write_bytes(raw)
        with pytest.raises(JournalRefused, match="INIT"):
            recover(data, CONFIG)
        assert (data / "INIT").read_bytes() == raw
        assert [path.name for path in data.rglob("*") if path.is_file()] == ["INIT", "LOCK"]


def test_a_witness_of_any_bytes_is_refused(data: Path) -> None:
    small_journal(data).close()
    directory = segment(data).parent
    chance = random.Random(7)
    for size in (0, 1, 511, 512, 1_023, 1_024, 1_025, 100_000):
        (directory / "witness").write_bytes(chance.randbytes(size))
        with pytest.raises(JournalRefused, match="WITNESS"):
            witness.read(directory, bytes(16))
        assert judged(data) == "refused WITNESS"


@given(st.binary(max_size=300))
def test_a_description_of_the_core_of_any_bytes_is_a_fault(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    _read_core(tmp_path_factory, raw)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(CoreFile.__struct_fields__), VALUES))
def test_a_description_of_the_core_with_other_values_is_a_fault(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
) -> None:
    _read_core(tmp_path_factory, json.dumps(fields).encode())


def _read_core(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    run = tmp_path_factory.getbasetemp()
    (run / "core.json").write_bytes(raw)
    try:
        found = read_core_file(run)
    except ValueError:
        return
    assert isinstance(found, CoreFile)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_a_configuration_of_any_bytes_is_told_by_its_faults(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    _load(tmp_path_factory, raw)


TOML_VALUES = st.sampled_from(
    (
        *("", "1", "-1", "1e400", "nan", '""', '"x"', "true", "[]", "[1]", "{}", "9" * 400),
        *('"9999999 TiB"', '"-1 s"', '"\\u0000"', "1979-05-27", '"[::1]:0"', '"host:99999"'),
        *("[[[[]]]]", '"env:NO"'),
    )
)


@given(st.lists(st.tuples(st.sampled_from(sorted(keys())), TOML_VALUES), max_size=6))
def test_any_value_for_any_key_is_taken_or_told(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]]
) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in lines)
    _load(tmp_path_factory, text.encode())


def _load(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "outcry.toml"
    path.write_bytes(raw)
    try:
        found = load(path, {}, {})
    except ConfigFaults:
        return
    assert isinstance(found.config, Config)


def test_whatever_bytes_are_in_a_fifo_they_only_wake(tmp_path: Path) -> None:
    import os

    fd = open_fifo(tmp_path, "core")
    sleeping = np.zeros(1, np.int64)
    waiter = Waiter(fd, int(sleeping.ctypes.data), BLOCKING)
    os.write(fd, random.Random(8).randbytes(10_000))
    woken = 0
    while sleep(waiter.address, 0) == 1:
        woken += 1
    assert 1 <= woken <= 10_000
    assert int(sleeping[0]) == 0
    os.close(fd)


def test_verify_of_a_directory_of_anything_refuses(data: Path) -> None:
    chance = random.Random(9)
    for number in range(some(20)):
        place = data / str(number)
        directory = place / "journal" / "00000000-0000-4000-8000-000000000000"
        directory.mkdir(parents=True)
        for name in ("000000000001.seg", "witness", "000000000002.seg")[: number % 3 + 1]:
            (directory / name).write_bytes(chance.randbytes(chance.choice((0, 7, 1_024, 300_000))))
        with pytest.raises(JournalRefused):
            verify(place)
