"""Commands one after the other, given to a Pair as a Scenario would give its own."""

from collections.abc import Callable, Iterable

from tests.core.engine.compare import Pair
from tests.model.commands import Command, Keyed, changed
from tests.model.events import Event
from tests.model.state import Sizes

Later = Callable[["Script"], Command]  # A command that needs what came before.


class Script:
    """Numbers and stamps commands; remembers the newest order, and all events of the twin."""

    def __init__(self, sizes: Sizes | None = None, *, risk: bool = True) -> None:
        self.pair = Pair(sizes or Sizes(), risk=risk)
        self.order_id = 0
        self.now_ns = 1_000_000
        self.events: list[Event] = []
        self._waiting: list[Command | Later] = []
        self._sequence = 0

    def do(self, *commands: Command | Later) -> list[Event]:
        """Apply commands to twin and engine in one batch; their events, which are equal."""
        self.events = []
        self._waiting = list(commands)
        self.pair.run(self, len(commands))
        return self.events

    def each(self, commands: Iterable[Command | Later], batch: int = 64) -> None:
        """Apply many, batch after batch."""
        line = list(commands)
        for start in range(0, len(line), batch):
            self.do(*line[start : start + batch])

    def next(self) -> Command:
        """The next command, numbered and stamped."""
        drawn = self._waiting.pop(0)
        command = drawn if isinstance(drawn, Command) else drawn(self)
        self._sequence += 1
        self.now_ns += 10
        values: dict[str, object] = {"sequence": self._sequence, "timestamp_ns": self.now_ns}
        if isinstance(command, Keyed) and not command.client_order_id:
            values["client_order_id"] = f"b-{self._sequence}"
        return changed(command, **values)

    def learn(self, events: list[Event]) -> None:
        """What the twin told."""
        self.events += events
        for event in events:
            if event.kind == "ORDER_ACCEPTED":
                self.order_id = event.order_id
