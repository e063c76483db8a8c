"""The tables of the documents are those of the code."""

from pathlib import Path

import pytest

from core import limits, messages
from core.journal import layout
from core.reasons import Reason
from tools import documents

ROOT = Path(__file__).resolve().parents[2]


def test_every_table_of_the_documents_is_current() -> None:
    assert documents.stale() == []


def test_a_table_that_is_not_current_is_noticed_and_mended(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "journal.md"
    text = (ROOT / "docs" / "journal.md").read_text()
    page.write_text(text.replace("`payload_crc32c`", "`payload_sum`"))
    assert documents.stale(tmp_path) == ["docs/journal.md"]
    assert documents.stale(tmp_path, write=True) == ["docs/journal.md"]
    assert documents.stale(tmp_path) == []


def test_a_layout_shows_where_each_field_lies_and_what_its_line_says() -> None:
    lines = documents.layout("core.journal.layout", "BLOCK")
    assert lines[0] == "| at | type | field | 128 bytes |"
    assert "| 4 | u32 | `header_crc32c` | Of bytes 8-127. |" in lines
    assert len(lines) == 2 + len(layout.BLOCK.names or ())
    place = documents.layout("core.messages", "PLACE", "body")
    assert place[2] == "| 48 | u8[36] | `client_order_id` |  |"
    command = documents.layout("core.messages", "COMMAND")
    assert "| 24 | u32 | `session` | gateway << 24 \\| number. |" in command
    genesis = documents.layout("core.journal.layout", "GENESIS_PAYLOAD")
    assert len(genesis) == 2 + len(limits.LIMITS.names or ())
    assert "| 80 | i64 | `workflows_max` | Kept. |" in genesis


def test_every_reason_and_every_kind_is_told() -> None:
    told = "\n".join(documents.reasons())
    assert all(f"| {int(reason)} | `{reason.word}` |" in told for reason in Reason if reason)
    assert len(documents.kinds("core.messages:COMMAND_NAMES")) == 2 + len(messages.COMMAND_NAMES)


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    assert all(not line.endswith("|  |") for line in documents.configuration())


def test_what_is_refused_has_its_reason() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for name in ("gRPC", "AON resting orders"):
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} | refused |")]
        assert len(line) > 120


def test_an_unknown_table_and_one_without_an_end_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one of layout, kinds"):
        documents.current("<!-- table: colours -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match="a table without"):
        documents.current("<!-- table: reasons -->\n")
