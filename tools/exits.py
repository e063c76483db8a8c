"""Exit codes, the same for every process and command."""

from typing import Final

OK: Final = 0
USAGE: Final = 64
FAILED: Final = 70  # We broke; the journal is kept.
IN_USE: Final = 75  # The data directory belongs to a running exchange.
CONFIGURATION: Final = 78
JOURNAL_REFUSED: Final = 80

# A restart cannot mend these: they end `outcry up` with the same code.
FINAL_OF_CORE: Final = frozenset({USAGE, FAILED, IN_USE, CONFIGURATION, JOURNAL_REFUSED})
FINAL_OF_OTHERS: Final = frozenset({USAGE, CONFIGURATION})


class Stop(Exception):
    """Ends the command with one sentence on standard error and an exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
