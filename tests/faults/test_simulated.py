"""Lives of a journal on a disk that forgets: random ones by the thousand, and the telling ones.

OUTCRY_SIMULATED=N histories, OUTCRY_SIMULATED_SEED=S; a failure names its history.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.constants import SEQUENCE_JUMP
from core.jit import MODE_NAME
from core.journal.layout import RELAXED, SYNC
from core.journal.segments import make_segment
from tests.core.journal.files import CONFIG, RELAXED_CONFIG
from tests.faults.disk import BEST, TEARING, WORST, Killed, PowerCut
from tests.faults.history import History
from tests.faults.interpose import interposed
from tests.faults.simulated import campaign

COUNT = {"release": 2_000, "checked": 60, "pure": 5}[MODE_NAME]
HISTORIES = int(os.environ.get("OUTCRY_SIMULATED", COUNT))
SEED = int(os.environ.get("OUTCRY_SIMULATED_SEED", "4"))
STEPS = range(1, 40) if MODE_NAME == "release" else range(1, 40, 7)


def test_histories_of_crashes_lose_nothing_double_nothing_and_refuse_only_damage() -> None:
    totals = campaign(SEED, 0, HISTORIES)
    assert totals.failures == []
    assert totals.histories == HISTORIES
    if HISTORIES >= 1_000:
        seen = {*totals.outcomes, *totals.crashes}
        wanted = {"torn block cut", "lost tail cut", "jumped", "clean", "refused CORRUPT_TAIL"}
        wanted |= {f"power cut in {place}" for place in ("create.finish", "writer._activate")}
        wanted |= {f"power cut in {place}" for place in ("truncation.truncate", "witness.write")}
        assert wanted <= seen


class Script(History):
    """A history that is told what to do; ``wrong`` promises raise as in a random one."""

    def __init__(self, place: Path, durability: int, seed: int = 0) -> None:
        super().__init__(place, seed)
        self.disk._trash = False
        self.config = CONFIG._replace(durability=durability)
        self.keep_durability = True

    def boot_now(self) -> bytes:
        """Which boot of the machine this is."""
        return self.boot

    def start(self) -> None:
        """A process that runs."""
        self.disk.arm(0, PowerCut)
        self._start()

    def blocks(self, count: int) -> None:
        """Some acknowledged blocks."""
        for _ in range(count):
            self._append_block()

    def fall(self, mood: str | None, *, power: bool) -> None:
        """The end of the process or the machine, at rest."""
        self._fall(power=power, mood=mood)

    def damage_tail(self) -> None:
        """One bit of the newest block is wrong, and the process is gone."""
        assert self.writer is not None
        path, place = Path(self.writer.path), int(self.writer.row.offset) - 100
        self._fall(power=False)
        self.power_lost = True
        with path.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))

    def dies(self, step: int, end: type[BaseException], mood: str | None = None) -> bool:
        """A start that ends in its operation number ``step``; False when it has fewer."""
        self.disk.arm(step, end)
        try:
            self._start()
        except (PowerCut, Killed) as crash:
            self._fall(power=isinstance(crash, PowerCut), mood=mood)
            return True
        self.disk.arm(0, PowerCut)
        return False


@pytest.fixture
def script(data: Path, request: pytest.FixtureRequest) -> Iterator[Script]:
    durability, direct = request.param
    made = Script(data, durability)
    with interposed(made.disk, made.boot_now, direct) as made.calls:
        made.prepare_calls()
        yield made
        made.calls.close_all()


sync = pytest.mark.parametrize("script", [(SYNC, False)], indirect=True)
both_ways = pytest.mark.parametrize("script", [(SYNC, False), (SYNC, True)], indirect=True)
relaxed = pytest.mark.parametrize("script", [(RELAXED, False)], indirect=True)
either = pytest.mark.parametrize("script", [(SYNC, False), (RELAXED, False)], indirect=True)


@both_ways
def test_a_block_is_durable_when_append_returns(script: Script) -> None:
    script.start()
    for _ in range(3):
        script.blocks(2)
        script.fall(WORST, power=True)
        script.start()
    assert len(script.batches) == 6


@either
def test_a_new_journal_survives_the_worst_power_cut(script: Script) -> None:
    """The names of all directories above it are durable too."""
    script.start()
    script.fall(WORST, power=True)
    script.start()
    assert script.outcomes["created"] == 1


@both_ways
def test_a_segment_that_is_left_and_the_next_one_are_durable(script: Script) -> None:
    script.start()
    for _ in range(3):
        script.blocks(1)
        script._rotate()
        script.blocks(1)
        script.fall(WORST, power=True)
        script.start()


@sync
def test_a_spare_whose_maker_was_killed_is_durable_once_it_is_used(script: Script) -> None:
    script.start()
    assert script.recovery is not None
    directory, size = script.recovery.directory, script.config.segment_bytes
    for step in range(1, 12):
        if not (directory / "000000000002.seg").exists():
            with script.disk.apart(step):
                make_segment(directory, 2, size, prewritten=True)
    script._rotate()
    script.blocks(1)
    script.fall(WORST, power=True)
    script.start()


@relaxed
@pytest.mark.parametrize("end", [PowerCut, Killed])
def test_a_start_in_sync_on_spares_of_relaxed_may_end_anywhere(
    script: Script, end: type[BaseException]
) -> None:
    """They are made ready where they stand: without the first of two the second is a gap."""
    script.start()
    assert script.recovery is not None
    for number in (2, 3):
        size = script.config.segment_bytes
        make_segment(script.recovery.directory, number, size, prewritten=False)
    script.blocks(1)
    script.fall(None, power=False)
    script.config = CONFIG
    steps = 0
    while script.dies(steps + 1, end, WORST if steps % 2 else BEST):
        steps += 1
        assert not script.refused
    assert not script.refused
    assert steps > 6
    script.blocks(1)
    script.fall(WORST, power=True)
    script.start()
    assert not script.refused


@relaxed
def test_what_a_start_has_read_is_durable(script: Script) -> None:
    """A killed process leaves pages that were never synced; clients are told what they hold."""
    for step in range(1, 9):
        script.start()
        script.blocks(2)
        script.fall(None, power=False)
        script.dies(step, PowerCut, WORST)  # The judge was asked if ``recover`` came back.
        if script.writer is not None:
            script.fall(WORST, power=True)
    script.start()
    assert script.batches


@either
@pytest.mark.parametrize("end", [PowerCut, Killed])
def test_a_creation_that_ends_anywhere_is_begun_again_and_never_twice(
    script: Script, end: type[BaseException]
) -> None:
    """Among others: the mark INIT is removed, that is not synced, and the mark comes back."""
    steps = 0
    while script.dies(steps + 1, end, WORST if steps % 2 else BEST):
        steps += 1
    assert steps > 15
    script.blocks(2)
    script.fall(WORST, power=True)
    script.start()
    assert script.lives == 0


@sync
def test_a_mark_of_creation_that_comes_back_is_not_believed(data: Path, script: Script) -> None:
    """Killed between removing INIT and syncing that: the next process makes it durable."""
    for step in range(1, 60):
        if not script.dies(step, Killed):
            break
        if not (script.data / "INIT").exists() and list(script.data.rglob("*.seg")):
            break
    script.start()
    script.blocks(1)
    script.fall(WORST, power=True)
    script.start()
    assert not script.refused


@relaxed
def test_after_a_loss_sequences_jump_whatever_happens_to_the_start(script: Script) -> None:
    for step in STEPS:
        script.start()
        script.blocks(2)
        script._sync()
        script._sync()
        script.blocks(3)
        script.fall(WORST, power=True)
        script.dies(step, PowerCut if step % 2 else Killed, WORST)
        if script.writer is None:
            script.start()
        assert script.recovery is not None
        assert script.recovery.next_sequence > script.high
        script.blocks(1)
        script.fall(WORST, power=True)
    assert script.high > SEQUENCE_JUMP


@relaxed
@pytest.mark.parametrize("end", [PowerCut, Killed])
def test_after_a_loss_sequences_jump_also_when_the_next_start_is_in_sync(
    script: Script, end: type[BaseException]
) -> None:
    """It seals and makes a segment of its own, which knows nothing of a loss, before it fences."""
    between = 0
    for step in STEPS if MODE_NAME == "release" else range(15, 20):
        script.config = RELAXED_CONFIG
        script.start()
        script.blocks(3)
        script.fall(WORST, power=True)
        script.config = CONFIG
        before = set(script.data.rglob("*.seg"))
        died = script.dies(step, end, TEARING if step % 2 else BEST)
        between += died and set(script.data.rglob("*.seg")) > before
        if not died:
            break
        script.start()
        assert script.recovery is not None
        assert script.recovery.next_sequence > script.high
        script.fall(None, power=False)
    assert between > 1


@relaxed
def test_after_a_clean_stop_no_start_in_sync_jumps(script: Script) -> None:
    """Its seal and its segment may stand before it ends; nothing was lost all the same."""
    for step in STEPS:
        script.config = RELAXED_CONFIG
        script.start()
        script.blocks(1)
        assert script.writer is not None
        script.writer.close()
        script.fall(None, power=True)
        script.config = CONFIG
        died = script.dies(step, PowerCut, BEST)
        if not died:
            break
        script.start()
        script.fall(None, power=False)
    assert script.high < SEQUENCE_JUMP


@relaxed
def test_a_cut_that_was_noted_is_remembered_until_the_epoch_stands(script: Script) -> None:
    """The tail is cut away, the start dies before EPOCH_START; this boot knows of no loss."""
    cut = 0
    for step in STEPS if MODE_NAME != "pure" else range(18, 23):
        script.start()
        script.blocks(3)
        script.damage_tail()
        died = script.dies(step, Killed)
        cut += died and bool(list(script.data.rglob("truncation")))
        if died:
            script.start()
        script.fall(None, power=False)
        if not died:
            break
    assert cut > 0


@pytest.mark.parametrize("end", [PowerCut, Killed])
@pytest.mark.parametrize("durability", [SYNC, RELAXED])
def test_a_recovery_may_end_at_each_of_its_steps(
    data: Path, durability: int, end: type[BaseException]
) -> None:
    """Twice, at that step and a later one; in the end everything acknowledged is there."""
    outcomes: Counter[str] = Counter()
    for seed in range(2 if MODE_NAME == "release" else 1):
        for step in STEPS:
            made = Script(data / f"{seed}-{step}", durability, seed)
            with interposed(made.disk, made.boot_now, direct=False) as made.calls:
                made.prepare_calls()
                made.start()
                made.blocks(3)
                made.disk.arm(1, PowerCut)
                with pytest.raises(PowerCut):
                    made._append_block()
                made._fall(power=True, mood=TEARING)
                died = made.dies(step, end) and made.dies(step + 1, end)
                if made.writer is None:
                    made.start()
                made.blocks(1)
                made.fall(None, power=True)
                made.start()
                made.calls.close_all()
            outcomes.update(made.outcomes)
            if not died and step > 1:
                break
    if MODE_NAME == "release":
        assert outcomes["torn block cut" if durability == SYNC else "lost tail cut"] > 3


def test_a_campaign_is_the_same_for_the_same_seed() -> None:
    count = 3 if MODE_NAME == "release" else 1
    first, second = (campaign(9, 3, count) for _ in range(2))
    assert first.failures == second.failures == []
    assert (first.outcomes, first.crashes, first.fates) == (
        second.outcomes,
        second.crashes,
        second.fates,
    )
