"""What is wrong although orders can be placed: shown by /healthz and /v1/status."""

from typing import Final, NamedTuple


class Alarm(NamedTuple):
    """``is_red``: whoever watches has to act now; /healthz is 503 then."""

    counter: str
    word: str
    above: int
    is_red: bool


ALARMS: Final = (
    Alarm("replay_differences", "replay_differs", 0, is_red=True),
    Alarm("scrub_faults", "sealed_segment_changed", 0, is_red=True),
    Alarm("snapshot_faults", "snapshot_failed", 0, is_red=False),
    Alarm("journal_over_bytes", "journal_above_keep_bytes", 0, is_red=False),
    Alarm("witness_lag_ns", "witness_late", 2_000_000_000, is_red=False),
)


def raised(counters: dict[str, int]) -> list[Alarm]:
    """The alarms that these counters raise."""
    return [alarm for alarm in ALARMS if counters.get(alarm.counter, 0) > alarm.above]
