"""The operator's tool: it names what is lost, keeps what it takes, and can be killed anywhere."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.constants import SEQUENCE_JUMP
from core.journal import audit
from core.journal import repair as surgery
from core.journal.errors import JournalError, JournalRefused
from core.journal.layout import DATA
from core.journal.verify import verify
from replay import repair, snapshots
from replay.judge import judge
from replay.plan import make_plan
from replay.replay import run as replay
from tests.core.journal.files import directory_of, flip
from tests.replay import faults
from tests.replay.faults import FAULTS, files, segment, start, traded
from tests.replay.live import Live, some_commands

NEVER = ("FORMAT", "PERMISSIONS", "NOT_EMPTY", "MISSING", "ENGINE_VERSION", "NONDETERMINISM")
CUT = tuple(name for name in FAULTS if name not in NEVER)
MORE: dict[str, Callable[[Path], None]] = {
    **{name: FAULTS[name] for name in CUT},
    "WITNESS other history": faults.other_history,
    "INVENTORY foreign file": faults.foreign_file,
    "INVENTORY snapshot ahead": faults.snapshot_ahead,
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal in good order; copied by whoever breaks it."""
    data = tmp_path_factory.mktemp("good") / "data"
    traded(data)
    return data


@pytest.fixture(scope="module")
def newest(good: Path) -> int:
    """Its last sequence."""
    return faults.last_sequence(good)


@pytest.fixture
def data(good: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(good, copy)
    return copy


def fields_of(data: Path) -> dict[str, Any]:
    return make_plan(judge(data)).fields()


def mend(data: Path, typed: str | None = None) -> tuple[int, str]:
    """Run the tool, typing what it wants, or ``typed``; exit code and what it said."""
    said: list[str] = []

    def ask() -> str:
        return f"{fields_of(data)['keep_sequence']}\n" if typed is None else typed

    return repair.repair(data, "0.0.0", said.append, ask), "\n".join(said)


def quarantined(data: Path) -> dict[str, bytes]:
    root = directory_of(data) / "quarantine"
    return {path.name: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_journal_in_good_order_is_left_as_it_is(data: Path, newest: int) -> None:
    before = files(data)
    code, said = mend(data)
    assert (code, said) == (0, f"nothing is wrong: a start goes on behind sequence {newest}")
    assert files(data) == before


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_refused_for_its_reason_by_a_start_and_by_the_tool(
    data: Path, name: str
) -> None:
    FAULTS[name](data)
    refusal = start(data)
    assert isinstance(refusal, JournalRefused)
    assert refusal.reason == name
    found = judge(data)
    assert str(found.refusals[0]) == str(refusal)
    assert f"docs/runbook.md#{name.lower()}" in str(refusal)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_after_the_repair_a_start_goes_on_and_its_epoch_names_what_was_lost(
    good: Path, data: Path, name: str
) -> None:
    MORE[name](data)
    fields = fields_of(data)
    assert fields["refused"] == name.split()[0]
    kept, following = fields["keep_sequence"], fields["next_sequence"]
    assert fields["keep_state_hash"] == replay(good, to=kept)["state_hash"]
    code, said = mend(data)
    assert code == 0, said
    assert verify(data).last_sequence == kept
    live = start(data)
    assert isinstance(live, Live)
    assert live.state_hash == fields["keep_state_hash"]
    epoch = faults.epochs(data)[-1]
    lost = (int(epoch["lost_first"]), int(epoch["lost_last"]))
    assert int(epoch["last_sequence"]) == kept
    if name == "INVENTORY foreign file":
        assert (following, lost) == (0, (0, 0))
    else:
        assert following == kept + SEQUENCE_JUMP == int(epoch["next_sequence"])
        assert lost == (kept + 1, following - 1)
    live.send(some_commands(faults.COUNT, seed=2)[-3:])
    live.close()
    again = start(data)
    assert isinstance(again, Live)
    again.close()


def test_what_is_lost_is_named_command_by_command(data: Path, newest: int) -> None:
    FAULTS["CORRUPT_SEALED"](data)
    fields = fields_of(data)
    kept = fields["keep_sequence"]
    assert (fields["lost_first"], fields["lost_last"]) == (kept + 1, newest)
    # All but the commands of the one block that the flipped bit is in.
    assert fields["lost_commands_read"] == newest - kept - fields["lost_blocks_damaged"]
    assert fields["lost_blocks_damaged"] == 1
    assert fields["lost_account_count"] == len(fields["lost_accounts"]) > 1
    ids = fields["lost_client_order_ids"]
    assert len(ids) == min(fields["lost_client_order_id_count"], 100) > 10
    assert sum(n for kind, n in fields["lost_kinds"].items() if kind == "PLACE_ORDER") > 10
    assert fields["durable_sequence"] > kept
    mend(data)
    rows = [json.loads(line) for line in quarantined(data)["commands.jsonl"].splitlines()]
    assert len(rows) == fields["lost_commands_read"]
    assert [row["client_order_id"] for row in rows if row.get("client_order_id")][:100] == ids


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_every_byte_that_goes_is_in_the_quarantine(data: Path, name: str) -> None:
    MORE[name](data)
    before = files(data)
    fields = fields_of(data)
    code, _ = mend(data)
    assert code == 0
    after, kept = files(data), quarantined(data)
    for path, content in before.items():
        name_of = Path(path).name
        if path in after and after[path] == content:
            continue
        if path not in after and path.endswith(".seg") and not any(content):
            assert str(data / path) in fields["removed_empty_segments"]
        elif path not in after:
            assert kept[name_of] == content
        else:
            offset = fields["cut_offset"]
            cut = kept[f"{Path(path).stem}-{offset}.bytes"]
            assert after[path][:offset] + cut + after[path][offset + len(cut) :] == content
            assert not any(after[path][offset:])


@pytest.mark.parametrize("typed", ["", "\n", "yes\n", "0\n", "161 \n x"])
def test_without_the_right_sequence_nothing_is_changed(data: Path, typed: str) -> None:
    FAULTS["HOLE"](data)
    before = files(data)
    code, said = mend(data, typed)
    assert code == 64
    assert said.endswith("; nothing was changed")
    assert files(data) == before


@pytest.mark.parametrize("name", NEVER)
def test_what_no_cut_can_mend_is_never_touched(data: Path, name: str) -> None:
    FAULTS[name](data)
    before = files(data)
    code, said = mend(data, "1\n")
    assert code == 80
    assert "nothing was changed: " in said
    assert files(data) == before


def test_a_fault_behind_a_snapshot_keeps_the_snapshot_and_what_follows_it(
    good: Path, data: Path
) -> None:
    newest = snapshots.make(data)
    live = start(data)
    assert isinstance(live, Live)
    live.send(some_commands(faults.COUNT, seed=2)[-4:], at_once=1)
    live.close()
    shutil.rmtree(data / "run")
    offset = [place for place, kind, _ in faults.blocks(data) if kind == DATA][-2]
    flip(segment(data), (offset + 200) * 8)
    fields = fields_of(data)
    assert fields["keep_sequence"] == newest.sequence + 2
    assert fields["snapshot_sequence"] == newest.sequence
    assert mend(data)[0] == 0
    assert [int(path.name) for path in (data / "snapshots").iterdir()] == [newest.sequence]
    again = start(data)
    assert isinstance(again, Live)
    assert again.state_hash == fields["keep_state_hash"]
    again.close()


def test_events_of_lost_commands_do_not_stay_in_the_archive(data: Path) -> None:
    (data / "events").mkdir()
    (data / "events" / "000000000001.events").write_bytes(b"events of what is lost")
    FAULTS["HOLE"](data)
    assert mend(data)[0] == 0
    assert quarantined(data)["000000000001.events"] == b"events of what is lost"
    assert not (data / "events").exists()


def test_without_older_segments_and_without_a_snapshot_nothing_is_cut(data: Path) -> None:
    segment(data, 1).unlink()
    before = files(data)
    code, said = mend(data, "0\n")
    assert code == 80
    assert "bring one back from a backup" in said
    assert files(data) == before


def test_bytes_behind_a_seal_cost_no_command(data: Path, newest: int) -> None:
    faults.behind_seal(data)
    assert fields_of(data)["next_sequence"] == 0
    code, said = mend(data)
    assert code == 0
    assert "no command is lost by this" in said
    assert verify(data).last_sequence == newest
    assert (directory_of(data) / "truncation").exists() is False


def test_two_faults_are_mended_one_after_the_other(data: Path) -> None:
    FAULTS["WITNESS"](data)
    (directory_of(data) / "witness").rename(data.parent / "witness")
    faults.behind_seal(data)
    (data.parent / "witness").rename(directory_of(data) / "witness")
    (data / "journal" / "notes.txt").write_text("mine")
    code, said = mend(data)
    assert code == 0, said
    assert verify(data).tail == "CLEAN"
    assert quarantined(data)["notes.txt"] == b"mine"
    live = start(data)
    assert isinstance(live, Live)
    live.close()


def test_a_journal_whose_first_block_is_gone_is_not_cut_to_nothing(data: Path) -> None:
    flip(segment(data, 1), 100 * 8)
    before = files(data)
    code, said = mend(data, "0\n")
    assert code == 80
    assert "not even the first block can be kept" in said
    assert files(data) == before


def test_segments_that_were_swapped_are_named(data: Path) -> None:
    one, two = segment(data, 1), segment(data, 2)
    one.rename(data / "x")
    two.rename(one)
    (data / "x").rename(two)
    assert fields_of(data)["notes"] == [
        "000000000001.seg says that it is segment 2: rename it",
        "000000000002.seg says that it is segment 1: rename it",
    ]


def test_a_segment_of_another_journal_is_moved_away_and_not_read_as_lost(
    data: Path, tmp_path: Path
) -> None:
    traded(tmp_path / "other")
    shutil.copy(segment(tmp_path / "other", 3), segment(data, 3))
    fields = fields_of(data)
    assert fields["refused"] == "INVENTORY"
    assert fields["lost_commands_read"] == 0
    assert "belongs to journal" in fields["notes"][0]
    assert mend(data)[0] == 0


@pytest.mark.parametrize(
    ("expected", "possible", "following"),
    [
        (11, 10, 10 + SEQUENCE_JUMP),
        (11, 10 + SEQUENCE_JUMP - 1, 10 + SEQUENCE_JUMP),
        (11, 10 + SEQUENCE_JUMP, 10 + 2 * SEQUENCE_JUMP),
        (11, 10 + 5 * SEQUENCE_JUMP, 10 + 6 * SEQUENCE_JUMP),
    ],
)
def test_a_sequence_that_may_have_been_given_is_never_given_again(
    expected: int, possible: int, following: int
) -> None:
    assert surgery.jump_beyond(expected, possible) == following


def test_no_sequence_is_left_at_the_end_of_all_sequences() -> None:
    with pytest.raises(JournalError, match="beyond the last"):
        surgery.jump_beyond((1 << 41) - 5, (1 << 41) - 2)


def test_a_loss_that_takes_an_earlier_loss_with_it_skips_both(data: Path) -> None:
    FAULTS["HOLE"](data)
    kept = fields_of(data)["keep_sequence"]
    mend(data)
    live = start(data)
    assert isinstance(live, Live)
    live.send(some_commands(faults.COUNT, seed=2)[-3:])
    live.close()
    assert live.sequence > kept + SEQUENCE_JUMP
    offset = next(place for place, _, last in faults.blocks(data) if last == kept)
    flip(segment(data), (offset + 1_000) * 8)
    fields = fields_of(data)
    assert fields["keep_sequence"] == kept - 1
    assert fields["lost_last"] == live.sequence
    assert mend(data)[0] == 0
    again = start(data)
    assert isinstance(again, Live)
    again.send(some_commands(faults.COUNT, seed=3)[-1:])
    assert again.sequence == kept - 1 + 2 * SEQUENCE_JUMP
    again.close()
    third = start(data)
    assert isinstance(third, Live)
    third.close()


def test_the_audit_is_a_chain_that_shows_a_changed_line(data: Path) -> None:
    for _ in range(2):
        FAULTS["CORRUPT_TAIL"](data)
        assert mend(data)[0] == 0
        live = start(data)
        assert isinstance(live, Live)
        live.close()
    directory = directory_of(data)
    records, fault = audit.read(directory)
    assert fault == ""
    assert [record["step"] for record in records] == ["begin", "done", "begin", "done"]
    first = records[0]
    assert first["reason"] == "CORRUPT_TAIL"
    assert first["operator"] == repair.operator()
    assert first["keep_sequence"] == first["next_sequence"] - SEQUENCE_JUMP
    assert first["bytes_quarantined"] > 0
    assert (directory / "quarantine" / first["quarantine"] / "plan.json").exists()
    path = directory / "audit"
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"version": "0.0.0"', b'"version": "9.0.0"', 1))
    assert audit.read(directory)[1] == "line 2 does not follow from the one before"
    path.write_bytes(b"\n".join(good.splitlines()[1:]) + b"\n")
    assert audit.read(directory)[1] == "line 1 does not follow from the one before"
    path.write_bytes(good + b'{"half a li')
    audit.append(directory, {"step": "done"})
    records, fault = audit.read(directory)
    assert (len(records), fault) == (5, "")


class Killed(Exception):
    """Where a test ends the tool."""


def kill_at(data: Path, number: int) -> bool:
    """Run the tool and SIGKILL it before step ``number``; whether there were that many."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _run_and_die(data, number)
        os._exit(7)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _run_and_die(data: Path, number: int) -> None:
    steps: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    plan = make_plan(judge(data))
    assert plan.place is not None
    name = repair.quarantine_name("TEST", number)
    surgery.perform(repair.surgery_of(plan, name), repair.audit_record(plan, "0.0.0"), step)
    os._exit(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CORRUPT_SEALED", "LOST_ACKED", "SPARE"])
@pytest.mark.parametrize("then", ["the tool again", "a start"])
def test_killed_before_any_step_nothing_is_lost_and_it_goes_on(
    good: Path, data: Path, name: str, then: str
) -> None:
    shutil.rmtree(data)
    number = 0
    while True:
        number += 1
        shutil.copytree(good, data)
        FAULTS[name](data)
        before, fields = files(data), fields_of(data)
        killed = kill_at(data, number)
        everything = b"".join(quarantined(data).values())
        for path, content in files(data).items():
            if path in before and content != before[path]:  # Only zeros came, and all is kept.
                cut = before[path][fields["cut_offset"] :].rstrip(b"\0")
                assert cut in everything
        for path in before.keys() - files(data).keys():
            assert Path(path).name in quarantined(data)
        _goes_on(data, fields, then)
        shutil.rmtree(data)
        if not killed:
            break
    assert number > 6


def _goes_on(data: Path, fields: dict[str, Any], then: str) -> None:
    """Whatever comes next: nothing beyond the kept sequence, and none of the lost ones again."""
    if then == "a start":
        found = start(data)
        if isinstance(found, JournalRefused):
            assert mend(data)[0] == 0
            found = start(data)
    else:
        assert mend(data)[0] == 0
        records, fault = audit.read(directory_of(data))
        assert fault == ""
        assert records[-1]["step"] in ("done", "done after a kill")
        found = start(data)
    assert isinstance(found, Live)
    assert found.sequence == fields["keep_sequence"]
    assert found.state_hash == fields["keep_state_hash"]
    assert int(faults.epochs(data)[-1]["next_sequence"]) == fields["next_sequence"]
    found.close()


def test_a_note_that_speaks_of_another_end_is_not_followed(
    good: Path, data: Path, newest: int
) -> None:
    """Killed before the cut; then the operator finds a backup of the damaged segment."""
    FAULTS["CORRUPT_SEALED"](data)
    number = 1
    while not (directory_of(data) / "truncation").exists():
        number += 1
        assert kill_at(data, number)
    shutil.copy(segment(good, 2), segment(data, 2))
    for _ in range(2):
        live = start(data)
        assert isinstance(live, Live)
        assert live.sequence == newest
        live.close()
    assert int(faults.epochs(data)[-1]["lost_first"]) == 0
