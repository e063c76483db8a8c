"""SIGKILL of any process of an exchange at random moments under load.

    python -m tests.faults.kills --count 500 --seed 1 [--json]

Every round is a new exchange, ``sync`` and ``relaxed`` in turn.  Half of the kills do not wait for
the one before to be mended, so they fall into starts and recoveries.  After each round the judge
(tests/e2e/judge.py) looks at what clients wrote down, and the journal is replayed.
"""

import asyncio
import os
import random
import signal
import sys
import time
from typing import Final

from tests.e2e.exchange import Exchange, is_alive
from tests.e2e.traders import Crowd
from tests.faults.crowds import judged, wait_ready
from tests.faults.report import Report, arguments, folder

KILLS_A_ROUND: Final = 50
WEIGHTS: Final = {"core": 8, "http": 3, "supervisor": 1, "prepare": 1, "replayer": 3}
HURRIES: Final = 0.5
PAUSE_S: Final = 0.3
GONE_WITHIN_S: Final = 1.0


class Round:
    """Kills of one exchange."""

    def __init__(self, report: Report, exchange: Exchange, seed: int, kills: int) -> None:
        self._report, self._exchange, self._kills = report, exchange, kills
        self._seed = seed
        self._chance = random.Random(seed)

    async def act(self, _crowd: Crowd) -> None:
        """Kill one process after the other."""
        for _ in range(self._kills):
            pids = self._exchange.pids()
            names = sorted(name for name in pids if is_alive(pids[name]))
            if not names:
                await asyncio.sleep(0.01)
                continue
            weights = [WEIGHTS.get(name.partition("-")[0], 1) for name in names]
            name = self._chance.choices(names, weights)[0]
            self._report.counts["kills"] += 1
            self._report.counts[f"kills_{name}"] += 1
            if name == "supervisor":
                await self._kill_all(list(pids.values()))
            else:
                _kill(pids[name])
            if self._chance.random() >= HURRIES:
                await wait_ready(self._exchange)
            await asyncio.sleep(self._chance.uniform(0.0, PAUSE_S))

    async def _kill_all(self, pids: list[int]) -> None:
        """The supervisor dies: so do the others, at once, and a new start works."""
        _kill(self._exchange.supervisor)
        killed_s = time.monotonic()
        while left := [pid for pid in pids if is_alive(pid)]:
            if time.monotonic() - killed_s > GONE_WITHIN_S:
                self._report.note(f"seed {self._seed}", [f"the supervisor is dead, {left} live"])
                break
            await asyncio.sleep(0.002)
        await asyncio.to_thread(self._exchange.wait)
        await asyncio.to_thread(self._exchange.start)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # It has just died of the one before.


def campaign(count: int, seed: int) -> Report:
    """``count`` kills, in rounds."""
    report = Report("kills", seed)
    while report.counts["kills"] < count:
        durability = ("sync", "relaxed")[seed % 2]
        kills = min(KILLS_A_ROUND, count - report.counts["kills"])
        name = f"seed {seed} {durability}"
        with (
            folder("kills") as place,
            Exchange(place / "data", durability=durability) as exchange,
        ):
            try:
                exchange.start()
                round_ = Round(report, exchange, seed, kills)
                outcome = asyncio.run(judged(exchange, seed, round_.act))
                report.note(name, outcome.broken)
                report.counts.update({f"told_{k}": n for k, n in outcome.told.items()})
            except (TimeoutError, AssertionError) as fault:
                report.note(name, [repr(fault)])
        report.counts["rounds"] += 1
        sys.stderr.write(f"kills: {name}: {report.counts['kills']} of {count}\n")
        seed += 1
    return report


def main() -> int:
    """The command line."""
    options = arguments(__doc__, 500).parse_args()
    return campaign(options.count, options.seed).end(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
