"""Which command broke what a full check found broken: by halves, each from the beginning."""

from pathlib import Path

from core.sequencer import invariants
from core.sequencer.state import State
from replay.check import BrokenBefore, told
from replay.history import History, command_at, starts


def first_broken(data: Path, broken: BrokenBefore) -> str:
    """The command after which the state was broken, and how.  Its invariants held before it."""
    good, bad, what = broken.good, broken.bad, broken.what
    while bad - good > 1:
        middle = (good + bad) // 2
        found = fault(reached(data, middle))
        if found:
            bad, what = middle, found
        else:
            good = middle
    return f"{command(data, bad)}: {what}"


def reached(data: Path, sequence: int) -> State:
    """The state after the newest command up to ``sequence``."""
    return History(data, sequence).up_to(sequence)


def fault(state: State) -> str:
    """What is broken; empty when nothing is."""
    try:
        invariants.check(state)
    except AssertionError as broken:
        return str(broken)
    return ""


def command(data: Path, sequence: int) -> str:
    """The command with a sequence, in words; the sequence alone when there is none."""
    for batch in History(data, sequence - 1).batches():
        for place in starts(batch.slots) if batch.last_sequence >= sequence else ():
            if int(command_at(batch.slots, place)["sequence"]) == sequence:
                return told(batch.slots, place)
        if batch.last_sequence >= sequence:
            break
    return f"command {sequence}"
