"""Reading a journal in a thread, ahead of what is done with it."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Final

from core.journal.reader import Walk
from core.journal.scanner import Commands, Special

AHEAD_ITEMS: Final = 2  # Read and not yet used.


def read_ahead(walk: Walk) -> Iterator[Commands | Special]:
    """The items of a walk with AHEAD_ITEMS + 2 buffers, read by a thread ahead of their use.

    Reading is compiled and runs without the GIL, so it costs no time where there is a second core.
    """
    line: queue.Queue[Commands | Special | BaseException | None] = queue.Queue(AHEAD_ITEMS)
    stop = threading.Event()

    def put(item: Commands | Special | BaseException | None) -> bool:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                line.put(item, timeout=0.1)
                return True
        return False

    def read() -> None:
        try:
            for item in walk:
                if not put(item):
                    return
            put(None)
        except Exception as error:  # (tidy: allow, raised again where the items are used)
            put(error)

    thread = threading.Thread(target=read, name="reader", daemon=True)
    thread.start()
    try:
        while (item := line.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
