"""A new journal generation goes on from the old one, whole or not at all."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.jit import MODE_NAME
from core.journal import generation
from core.journal.config import JournalConfig
from core.journal.errors import JournalConfiguration, JournalError, JournalRefused
from core.journal.layout import EPOCH_PAYLOAD, EPOCH_START
from core.journal.scanner import Special
from core.journal.snapshots import directories, manifests, remove
from core.journal.verify import locate, open_walk, verify
from core.limits import SMALL, base_of, from_genesis
from core.records import COLD, ID_RECORD
from core.sequencer import invariants, snapshot
from core.sequencer.engine import ENGINE_VERSION
from core.sequencer.state import State
from replay import judge, replay, replayer
from replay.backup import backup
from replay.live import LiveCore
from replay.plan import make_plan
from replay.restore import restore
from replay.snapshots import make
from replay.snapshots import verify as verify_snapshots
from replay.upgrade import UpgradeRefused, upgrade
from tests.model.commands import Command
from tests.replay.live import JOURNAL, Live, some_commands

COUNT = {"release": 500, "checked": 250, "pure": 60}[MODE_NAME]
MORE = 3 * COUNT // 2
NEXT = ENGINE_VERSION + 1
NEXT_ENGINE = JOURNAL._replace(engine_version=NEXT)
WIDER = JOURNAL._replace(limits=SMALL._replace(pages_max=900, closed_keep=700, accounts_max=300))


def commands(count: int) -> list[Command]:
    """The first so many of always the same."""
    return some_commands(count)[:count]


def journal_of(data: Path, config: JournalConfig = JOURNAL, *, to: int = COUNT) -> str:
    """A journal that was stopped cleanly, with a snapshot at its end; the state hash."""
    live = Live(data, config)
    live.send(commands(to)[live.sequence :])
    live.checkpoint()
    live.close()
    return make(data).state_hash


def genesis_of(data: Path) -> bytes:
    return replay.genesis_of(locate(data)[0])


def grown(data: Path, config: JournalConfig) -> str:
    """Start, send more, stop; the state hash, the same by replay."""
    live = Live(data, config)
    live.send(commands(MORE)[live.sequence :])
    now = live.state_hash
    live.close()
    assert replay.run(data)["state_hash"] == now
    assert replay.run(data, from_snapshot=True)["state_hash"] == now
    return now


def meaning(state: State) -> list[bytes]:
    """What a state says whatever its limits are: no links, no places in rings."""
    found = []
    for name, rows in state.sections():
        if name in ("counters", "levels", "orders"):
            left_out = {"counters": ("closed_first", "queue_first")}.get(name, ("next", "prev"))
            names = [field for field in rows.dtype.names or () if field not in left_out]
            found += [rows[field].tobytes() for field in names]
        else:
            found.append(np.ascontiguousarray(rows).tobytes())
    return found


@pytest.fixture
def next_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This program is the next engine version."""
    monkeypatch.setattr(replay, "ENGINE_VERSION", NEXT)
    monkeypatch.setattr(judge, "ENGINE_VERSION", NEXT)


@pytest.mark.usefixtures("next_engine")
def test_another_engine_goes_on_with_the_same_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setattr(replay, "ENGINE_VERSION", ENGINE_VERSION)
    before = journal_of(data)
    old = locate(data)[0].name
    monkeypatch.setattr(replay, "ENGINE_VERSION", NEXT)
    with pytest.raises(JournalRefused, match="outcry upgrade") as refused:
        Live(data, NEXT_ENGINE)
    assert (refused.value.reason, refused.value.exit_code) == ("ENGINE_VERSION", 80)
    done = upgrade(data, NEXT_ENGINE)
    assert (done["changed"], done["generation"], done["state_hash"]) == (True, 1, before)
    base = base_of(genesis_of(data))
    assert base == (COUNT, 1, bytes.fromhex(old.replace("-", "")), bytes.fromhex(before))
    live = Live(data, NEXT_ENGINE)
    assert (live.state_hash, live.sequence) == (before, COUNT)
    live.close()
    assert make(data).state_hash == before
    grown(data, NEXT_ENGINE)
    epochs = [
        np.frombuffer(item.payload, EPOCH_PAYLOAD)[0]
        for item in open_walk(data)
        if isinstance(item, Special) and item.kind == EPOCH_START
    ]
    assert [int(epoch["engine_version"]) for epoch in epochs] == [NEXT, NEXT]
    assert int(epochs[0]["next_sequence"]) == COUNT + 1
    make(data)
    assert upgrade(data, NEXT_ENGINE)["changed"] is False
    with pytest.raises(
        JournalRefused, match=f"engine version {NEXT}, this is version {ENGINE_VERSION}"
    ):
        Live(data, JOURNAL)


def test_other_limits_shift_links_and_rings_and_nothing_else(tmp_path: Path) -> None:
    data, twin = tmp_path / "data", tmp_path / "twin"
    journal_of(data)
    with pytest.raises(JournalConfiguration, match=r"limits\.pages_max.*outcry upgrade"):
        Live(data, WIDER)
    key = from_genesis(genesis_of(data))[1]
    before = snapshot.load(directories(data)[0]).state
    assert before["open_orders"]
    assert before["closed_count"]
    done = upgrade(data, WIDER)
    after = snapshot.load(directories(data)[0]).state
    assert after.limits == WIDER.limits
    assert from_genesis(genesis_of(data)) == (WIDER.limits, key)
    assert done["state_hash"] == after.hash().hex() != before.hash().hex()
    assert meaning(after) == meaning(before)
    invariants.check(after)
    # From here on it is as if the limits had been these from the beginning.
    grown(data, WIDER)
    whole = Live(twin, WIDER)
    whole.send(commands(MORE))
    live = Live(data, WIDER)
    ours, theirs = live.core.state, whole.core.state
    for name, dtype, used in (("cold", COLD, "slots_used"), ("id_records", ID_RECORD, "ids_used")):
        mine = ours.rows(name, dtype, ours[used] + 1)
        assert [row["client_order_id"].tobytes() for row in mine] == [
            row["client_order_id"].tobytes() for row in theirs.rows(name, dtype, theirs[used] + 1)
        ]
    for word in ("sequence", "events", "trades", "traded_qty", "open_orders", "rejects"):
        assert ours[word] == theirs[word], word
    invariants.check(ours)
    live.close()
    whole.close()


def test_rings_that_have_wrapped_are_laid_out_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    narrow = JOURNAL._replace(limits=SMALL._replace(closed_keep=7, pages_max=40))
    journal_of(data, narrow)
    before = snapshot.load(directories(data)[0]).state
    assert before["closed_first"]
    assert before["closed_count"] == 7
    wide = narrow._replace(limits=narrow.limits._replace(closed_keep=9, pages_max=300))
    upgrade(data, wide)
    after = snapshot.load(directories(data)[0]).state
    assert (after["closed_first"], after["queue_first"]) == (0, 0)
    assert meaning(after) == meaning(before)
    grown(data, wide)


def test_a_limit_below_what_is_used_is_named_with_both_figures(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = journal_of(data)
    state = snapshot.load(directories(data)[0]).state
    accounts, closed = state["accounts_used"], state["closed_count"]
    small = SMALL._replace(accounts_max=accounts - 1, closed_keep=closed - 1)
    with pytest.raises(JournalConfiguration) as refused:
        upgrade(data, JOURNAL._replace(limits=small))
    assert refused.value.exit_code == 78
    assert str(refused.value) == (
        f"limits.closed_keep: {closed} are used, the configuration has room for {closed - 1}; "
        f"limits.accounts_max: {accounts} are used, the configuration has room for {accounts - 1}"
    )
    assert replay.run(data)["state_hash"] == before
    exact = SMALL._replace(accounts_max=accounts, closed_keep=closed)
    assert upgrade(data, JOURNAL._replace(limits=exact))["changed"] is True


@pytest.mark.parametrize("how", ["no snapshot", "older snapshot", "killed"])
def test_without_a_clean_stop_and_its_snapshot_it_says_what_to_check_out(
    tmp_path: Path, how: str
) -> None:
    data = tmp_path / "data"
    live = Live(data)
    live.send(commands(30))
    if how == "older snapshot":
        make(data)
        live.send(commands(40)[30:])
    live.crash() if how == "killed" else live.close()
    if how == "killed":
        make(data)
    said = {
        "no snapshot": "there is no snapshot",
        "older snapshot": "the newest snapshot is of sequence 30, the journal ends at 40",
        "killed": "the journal was not stopped cleanly",
    }[how]
    with pytest.raises(UpgradeRefused, match=said) as refused:
        upgrade(data, NEXT_ENGINE)
    assert f"engine version {ENGINE_VERSION}, build" in str(refused.value)
    assert "outcry snapshot make" in str(refused.value)
    assert refused.value.exit_code == 80
    assert not (data / "generations").exists()


def test_nothing_to_change_changes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = journal_of(data)
    assert upgrade(data, JOURNAL) == {"changed": False, "sequence": COUNT, "state_hash": before}
    assert not (data / "generations").exists()


class Killed(Exception):
    """The process dies here."""


def killed_at(number: int) -> generation.Step:
    """Raise at the step of this number."""
    seen = []

    def step(_name: str) -> None:
        seen.append(_name)
        if len(seen) == number:
            raise Killed(_name)

    return step


def test_killed_at_any_step_there_is_the_old_generation_or_the_new_one(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    before = journal_of(origin, to=60)
    shutil.rmtree(origin / "run")
    (origin / "events").mkdir()
    (origin / "events" / "something").touch()
    old = locate(origin)[0].name
    number, seen = 0, []
    while True:
        number += 1
        data = tmp_path / str(number)
        shutil.copytree(origin, data)
        try:
            upgrade(data, WIDER, killed_at(number))
            break
        except Killed as killed:
            seen.append(str(killed))
        if (data / "UPGRADE").exists():
            with pytest.raises(JournalRefused, match="run 'outcry upgrade' again") as refused:
                Live(data, WIDER)
            assert refused.value.exit_code == 80
            for look in (verify, locate, make):
                with pytest.raises(JournalRefused, match="run 'outcry upgrade' again"):
                    look(data)
            assert "run 'outcry upgrade' again" in make_plan(judge.judge(data)).advice
        else:
            assert (verify(data).last_sequence, locate(data)[0].name) == (60, old)
            assert replay.run(data)["state_hash"] == before
        assert upgrade(data, WIDER)["changed"] is True
        assert_upgraded(data, old, before)
    assert_upgraded(data, old, before)
    assert len(seen) == 13, seen


def assert_upgraded(data: Path, old: str, before: str) -> None:
    """The new generation starts, the old one is whole in its place."""
    assert not (data / "UPGRADE").exists()
    assert sorted(path.name for path in (data / "generations").iterdir()) == [f"0-{old}"]
    kept = data / "generations" / f"0-{old}"
    assert replay.run(kept, from_snapshot=True)["state_hash"] == before
    assert replay.run(kept)["state_hash"] == before
    assert (kept / "events" / "something").exists()
    assert locate(data)[0].name != old
    assert verify(data).last_sequence == 60
    live = Live(data, WIDER)
    assert live.sequence == 60
    live.close()


def second_generation(data: Path) -> None:
    """Stopped cleanly, with its base snapshot, and commands behind it."""
    journal_of(data)
    upgrade(data, WIDER)
    live = Live(data, WIDER)
    live.send(commands(MORE)[COUNT:])
    live.close()


def test_without_its_base_snapshot_the_second_generation_never_starts_empty(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    second_generation(data)
    (base,) = directories(data)
    remove(base)
    needs = f"goes on from sequence {COUNT}"
    with pytest.raises(JournalRefused, match=needs) as refused:
        Live(data, WIDER)
    assert refused.value.reason == "SNAPSHOT"
    with pytest.raises(JournalRefused, match=needs):
        verify(data)
    with pytest.raises((JournalError, replay.NoSuchSequence)):
        replay.run(data)
    assert [needs in str(found) for found in judge.judge(data).refusals] == [True]


def test_a_newer_snapshot_stands_for_the_base(tmp_path: Path) -> None:
    data = tmp_path / "data"
    second_generation(data)
    newest = make(data).state_hash
    remove(directories(data)[-1])
    assert [row["fault"] for row in verify_snapshots(data)] == [""]
    assert verify(data).last_sequence == MORE
    live = Live(data, WIDER)
    assert live.state_hash == newest
    live.close()


def test_verify_repair_backup_and_restore_work_on_the_second_generation(tmp_path: Path) -> None:
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    second_generation(data)
    now = replay.run(data)["state_hash"]
    assert verify(data).last_sequence == MORE
    assert judge.judge(data).refusals == []
    assert [row["fault"] for row in verify_snapshots(data)] == [""]
    assert backup(data, copy).state_hash == now
    restore(copy, back)
    assert (back / "generations").is_dir()
    live = Live(back, WIDER)
    assert live.state_hash == now
    live.close()


def test_the_replayer_follows_the_second_generation_and_its_archive_begins_there(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    journal_of(data)
    upgrade(data, WIDER)
    live = Live(data, WIDER)
    process = replayer.Replayer(replayer.Settings(data), LiveCore(data))
    live.send(commands(MORE)[COUNT:])
    while process.turn(live.sequence):
        pass
    assert process.difference is None
    assert process.shadow.replay is not None
    assert process.shadow.replay.state.hash().hex() == live.state_hash
    assert process.archive.last[0] == MORE
    process.snapshot()
    process.close()
    live.close()
    assert [found.sequence for found in manifests(data, locate(data)[1])] == [MORE, COUNT]


def test_a_third_generation_follows(tmp_path: Path) -> None:
    data = tmp_path / "data"
    second_generation(data)
    make(data)
    done = upgrade(data, JOURNAL._replace(engine_version=ENGINE_VERSION, limits=SMALL))
    assert done["generation"] == 2
    assert base_of(genesis_of(data)).generation == 2
    assert len(list((data / "generations").iterdir())) == 2
    journal_of(data, to=MORE + 20)


def test_sequences_that_were_lost_before_stay_lost_after(tmp_path: Path) -> None:
    """A restored journal was started, and stopped before it gave a sequence."""
    data, copy, back = tmp_path / "data", tmp_path / "copy", tmp_path / "back"
    journal_of(data, to=40)
    backup(data, copy)
    jumped = restore(copy, back)["next_sequence"]
    upgrade(back, WIDER)
    live = Live(back, WIDER)
    live.send(commands(40)[:0])
    assert live.core.recovery.next_sequence == jumped
    assert live.core.recovery.lost == (41, jumped - 1)
    live.close()
