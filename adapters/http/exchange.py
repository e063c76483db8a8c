"""What the handlers share: the way to the core, reference data, who is who, and what is in flight.

The three ways in which a command can fail are kept apart (api.md §C.3): not sent or provably not
seen (503, never executed), and not known (504).
"""

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from aiohttp import web

from adapters.gateway import Answer, CoreAway, GatewayError, Outcome, OutcomeUnknown, RingFull
from adapters.http.feed import KINDS, Feed
from adapters.http.metrics import HttpMetrics
from adapters.http.problems import Problem
from adapters.instruments import Instruments
from adapters.stamps import Stamp
from core.archive.layout import Key
from core.archive.reader import Recent

Rows = np.ndarray[Any, Any]

START_FILE: Final = "start"  # In DATA/run: how far a core that replays has come.
RESTARTS_FILE: Final = "restarts.json"  # In DATA/run, by the supervisor.
ARCHIVE_SCAN_BYTES: Final = 256 << 20


class Link(Protocol):
    """What is used of ``adapters.gateway.Gateway``."""

    @property
    def epoch(self) -> int: ...
    @property
    def durability(self) -> str: ...
    @property
    def ready(self) -> bool: ...
    @property
    def sequence(self) -> int: ...
    def counters(self) -> dict[str, int]: ...
    def on_lapped(self, callback: Callable[[], None]) -> None: ...
    def on_gap(self, callback: Callable[[], None]) -> None: ...
    def on_events(
        self,
        callback: Callable[[Rows], None],
        kinds: Iterable[int],
        *,
        history: bool = False,
        after: Key | None = None,
    ) -> None: ...
    def written(self, stamp: Stamp) -> None: ...
    def stages(self, commands_max: int) -> list[dict[str, Any]] | None: ...
    async def order_events(self, order_id: int, bytes_max: int) -> Rows | None: ...
    async def command_events(self, sequence: int, count: int) -> Rows | None: ...
    async def command(self, slots: bytes, timeout_s: float) -> Answer: ...
    def submit(
        self, slots: bytes, timeout_s: float, done: Callable[[Outcome], None], in_ns: int = 0
    ) -> None: ...
    def deliver_events(self) -> None: ...
    async def query(self, query: bytes, timeout_s: float) -> Rows: ...
    async def close(self) -> None: ...


class Exchange:
    """One per process; ``link`` is None until the core was found for the first time."""

    def __init__(
        self,
        name: str,
        *,
        dev: bool,
        timeout_s: float = 10.0,
        archive_scan_bytes: int = ARCHIVE_SCAN_BYTES,
    ) -> None:
        """``archive_scan_bytes``: how far the archive is searched for one order."""
        self.name = name
        self.archive_scan_bytes = archive_scan_bytes
        self.dev = dev
        self.timeout_s = timeout_s
        self.link: Link | None = None
        self.run: Path | None = None  # DATA/run.
        self.prepared = False  # The reference data that orders need is there.
        self.reference = Instruments()
        self.metrics = HttpMetrics()
        self.feed = Feed(self.reference)
        self.accounts: dict[str, int] = {}
        self.making: dict[str, asyncio.Task[int]] = {}  # Accounts that are looked up or made now.
        self._in_flight: set[tuple[int, str]] = set()
        self._epoch = 0

    def bind(self, link: Link, recent: Recent | None = None) -> None:
        """Use this way to the core from now on; ``recent``: trades that the archive has."""
        self.link = link
        link.on_lapped(self.feed.lapped)
        link.on_gap(self.feed.late)
        if recent is None:
            link.on_events(self.feed.take, KINDS, history=True)
        else:
            self.feed.load(recent)
            link.on_events(self.feed.take, KINDS, after=recent.last)

    @property
    def newest_feed(self) -> Feed:
        """The feed with everything that was read: whoever got an answer sees what it did."""
        if self.link is not None:
            self.link.deliver_events()
        return self.feed

    @property
    def ready(self) -> bool:
        """Whether orders can be placed."""
        return self.prepared and self.link is not None and self.link.ready

    @property
    def start(self) -> str:
        """How far a core that is starting has come; empty when none says."""
        if self.ready or self.run is None:
            return ""
        try:
            return (self.run / START_FILE).read_text("ascii")[:200]
        except (OSError, UnicodeDecodeError):
            return ""

    @property
    def restarts(self) -> dict[str, int]:
        """How often the supervisor has started each process again."""
        if self.run is None:
            return {}
        try:
            return msgspec.json.decode((self.run / RESTARTS_FILE).read_bytes(), type=dict[str, int])
        except (OSError, msgspec.MsgspecError):
            return {}

    @property
    def sequence(self) -> int:
        """The newest sequence that the core has applied, as far as is known here."""
        return self.link.sequence if self.link else 0

    @property
    def durability(self) -> str:
        """What an answer promises: ``sync`` or ``relaxed``; empty before the core was found."""
        return self.link.durability if self.link else ""

    async def command(
        self, slots: bytes, unknown: dict[str, Any], key: tuple[int, str] | None = None
    ) -> Answer:
        """Send a command and wait for its answer.

        ``key`` is (account, client order id) when it has one; ``unknown`` is what the client needs
        to find out when the outcome is not known.  Raises Problem, or OutcomeUnknown when the
        command is known to be sequenced and only its answer is lost.
        """
        link = self.linked()
        if key is not None:
            if key in self._in_flight:
                detail = f"the first request with client_order_id {key[1]} is not answered yet"
                raise Problem("in_progress", detail, headers={"Retry-After": "0"})
            self._in_flight.add(key)
        try:
            return await link.command(slots, self.timeout_s)
        except GatewayError as error:
            if getattr(error, "sequenced", False):
                raise
            raise self.problem_of(error, unknown) from None
        finally:
            if key is not None:
                self._in_flight.discard(key)

    def problem_of(self, error: GatewayError, unknown: dict[str, Any]) -> Problem:
        """What to say of a command whose events did not come."""
        if isinstance(error, RingFull):
            detail = "the inbound ring is full; the command was not sent, it is safe to try again"
            return Problem("overloaded", detail)
        return self._away() if isinstance(error, CoreAway) else outcome_unknown(unknown)

    def submit(
        self, slots: bytes, key: tuple[int, str], done: Callable[[Outcome], None], in_ns: int = 0
    ) -> bool:
        """Send a command without waiting; ``done`` gets what came of it, and calls ``arrived``.

        False: it was not sent, and ``command`` would say why, or wait.
        """
        link = self.link
        if link is None or link.epoch != self._epoch or key in self._in_flight:
            return False
        try:
            link.submit(slots, self.timeout_s, done, in_ns)
        except (RingFull, CoreAway):
            return False
        self._in_flight.add(key)
        return True

    def arrived(self, key: tuple[int, str]) -> None:
        """The outcome of a command that was submitted is here."""
        self._in_flight.discard(key)

    async def query(self, slot: bytes, timeout_s: float | None = None) -> Rows:
        """Ask the core; Problem 503 when it does not answer, which has no effect either way."""
        try:
            return await self.linked().query(slot, timeout_s or self.timeout_s)
        except RingFull:
            raise Problem("overloaded", "the inbound ring is full; try again") from None
        except (CoreAway, OutcomeUnknown):
            raise self._away() from None

    async def instruments(
        self, numbers: Iterable[int] = (), assets: Iterable[int] = ()
    ) -> Instruments:
        """Reference data, read again if something of it is new.

        ``numbers`` and ``assets`` are those of an answer that is to be shown: it may be newer than
        the event that would have told of a new one.
        """
        self.linked()
        reference = self.reference
        if reference.stale:
            await reference.refresh(self.query, self.timeout_s)
        known = reference.by_id.keys() >= set(numbers) and reference.assets.keys() >= set(assets)
        if not known:
            await reference.refresh(self.query, self.timeout_s)
        return reference

    def linked(self) -> Link:
        """The way to the core; forgets what another life of the core may have changed."""
        link = self.link
        if link is None:
            raise Problem("starting", "the core is not there yet; the request was not executed")
        if link.epoch != self._epoch:  # Another life of the core: nothing remembered is sure.
            self._epoch = link.epoch
            self.accounts.clear()
            self.reference.stale = True
        return link

    def _away(self) -> Problem:
        if self.prepared:
            return Problem("not_accepting", "the core is away; the request was not executed")
        return Problem("starting", "the core is starting; the request was not executed")


STAMP: Final = web.RequestKey("stamp", Stamp)
EXCHANGE: Final[web.AppKey[Exchange]] = web.AppKey("exchange", Exchange)


def outcome_unknown(unknown: dict[str, Any]) -> Problem:
    """Problem 504; ``unknown`` has the client order id and where to look."""
    detail = "the core did not answer in time; it may or may not execute this: use the lookup"
    return Problem("execution_unknown", detail, extra=unknown)


@lru_cache(1_024)
def is_loopback(host: str | None) -> bool:
    """Whether an address is one of this machine's own."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address((host or "").split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
