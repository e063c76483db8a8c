"""A child for tests of the supervisor: writes when it started and ended, then does as told.

    fake_child.py LOG NAME MODE [ARGUMENT]

MODE: run (ends with 0 at SIGTERM), exit CODE (at once), stubborn (ignores SIGTERM), slow S (needs S
seconds to end), dying S (kills itself after S seconds).
"""

import os
import signal
import sys
import time


def main(log: str, name: str, mode: str, argument: str = "0") -> int:
    """Run one mode; every line of the log is NAME WORD MONOTONIC_SECONDS."""

    def say(word: str) -> None:
        with open(log, "a", encoding="ascii") as file:
            file.write(f"{name} {word} {time.monotonic()}\n")

    def on_terminate(number: int, frame: object) -> None:
        say("told")
        if mode == "stubborn":
            return
        if mode == "slow":
            time.sleep(float(argument))
        say("ended")
        os._exit(0)

    signal.signal(signal.SIGTERM, on_terminate)
    say(f"started:{os.getpid()}")
    if mode == "exit":
        return int(argument)
    if mode == "dying":
        time.sleep(float(argument))
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        time.sleep(10)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
