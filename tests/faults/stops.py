"""SIGSTOP of each process of an exchange for a while under load, then SIGCONT.

    python -m tests.faults.stops --seconds 30 --count 1 --seed 1 [--json]

``--count`` rounds, each over every process, ``sync`` and ``relaxed`` in turn.  Nothing is lost or
doubled, no process takes the place of the stopped one, and orders are executed again afterwards.
"""

import asyncio
import os
import random
import signal
import sys

from tests.e2e.exchange import Exchange
from tests.e2e.traders import Crowd
from tests.faults.crowds import judged, wait_alive
from tests.faults.report import Report, arguments, folder


class Stops:
    """Stops of one exchange."""

    def __init__(self, report: Report, exchange: Exchange, seed: int, seconds: float) -> None:
        self._report, self._exchange, self._seconds = report, exchange, seconds
        self._chance = random.Random(seed)

    async def act(self, crowd: Crowd) -> None:
        """Stop one process after the other, and go on."""
        names = sorted(self._exchange.pids())
        self._chance.shuffle(names)
        for name in names:
            before = self._exchange.pids()
            os.kill(before[name], signal.SIGSTOP)
            await asyncio.sleep(self._seconds)
            os.kill(before[name], signal.SIGCONT)
            self._report.counts["stops"] += 1
            self._report.counts[f"stops_{name}"] += 1
            await wait_alive(crowd)
            after = self._exchange.pids()
            if after != before:
                self._report.note(f"stop of {name}", [f"processes were {before}, are {after}"])


def campaign(count: int, seed: int, seconds: float) -> Report:
    """``count`` rounds."""
    report = Report("stops", seed)
    for number in range(seed, seed + count):
        durability = ("sync", "relaxed")[number % 2]
        name = f"seed {number} {durability}"
        with (
            folder("stops") as place,
            Exchange(place / "data", durability=durability) as exchange,
        ):
            try:
                exchange.start()
                stops = Stops(report, exchange, number, seconds)
                outcome = asyncio.run(judged(exchange, number, stops.act))
                report.note(name, outcome.broken)
                report.counts.update({f"told_{k}": n for k, n in outcome.told.items()})
            except (TimeoutError, AssertionError) as fault:
                report.note(name, [repr(fault)])
    return report


def main() -> int:
    """The command line."""
    parser = arguments(__doc__, 2)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    return campaign(options.count, options.seed, options.seconds).end(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
