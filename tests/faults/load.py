"""Commands by seed: a market of three traders who place, cancel and replace by client order id."""

import random
from typing import Final

import numpy as np

from core.constants import SLOT_BYTES
from core.limits import Limits
from tests.model.commands import (
    BUY,
    GTC,
    IOC,
    SELL,
    CancelOrder,
    Command,
    CreateAccount,
    CreateAsset,
    CreateInstrument,
    Deposit,
    Keyed,
    PlaceOrder,
    ReplaceOrder,
)
from tests.model.translate import slots_of

LIMITS: Final = Limits(
    orders_max=4_000,
    closed_keep=8_000,
    pages_max=1_024,
    ids_max=200_000,
    accounts_max=64,
    assets_max=8,
    instruments_max=8,
    balances_max=256,
    positions_max=256,
    sessions_max=64,
    workflows_max=64,
    extras_max=64,
)
USD: Final = 1
BTC: Final = 2
TRADERS: Final = (3, 4, 5)
COMMAND_BYTES: Final = 2 * SLOT_BYTES
MIDDLE: Final = 10_000  # Ticks.
SETUP: Final[tuple[Command, ...]] = (
    CreateAsset(name="USD", scale=0),
    CreateAsset(name="BTC", scale=0),
    CreateInstrument(
        name="BTC-USD", base_asset=BTC, quote_asset=USD, maker_ppm=1_000, taker_ppm=2_000
    ),
    *(CreateAccount(name=f"trader-{account}") for account in TRADERS),
    *(
        Deposit(account=account, asset=asset, amount=10**12, client_order_id=f"all-{asset}")
        for account in TRADERS
        for asset in (USD, BTC)
    ),
)


class Load:
    """An endless list of commands, the same for the same seed; the first ones open the market."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.commands: list[Command] = list(SETUP)
        self._placed: list[PlaceOrder] = []
        self._bytes: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []

    def command(self, number: int) -> Command:
        """Command ``number``, from 0."""
        while len(self.commands) <= number:
            self.commands.append(self._next())
        return self.commands[number]

    def row(self, number: int) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
        """Its slots, without session, gateway and request id."""
        while len(self._bytes) <= number:
            data = slots_of(self.command(len(self._bytes))).ljust(COMMAND_BYTES, b"\0")
            self._bytes.append(np.frombuffer(bytearray(data), np.uint8))
        return self._bytes[number]

    def _next(self) -> Keyed:
        chance, number = self._chance, len(self.commands)
        luck = chance.random()
        if luck < 0.7 or not self._placed:
            order = PlaceOrder(
                account=chance.choice(TRADERS),
                instrument=1,
                client_order_id=f"o{number}",
                side=chance.choice((BUY, SELL)),
                time_in_force=IOC if luck < 0.1 else GTC,
                price=MIDDLE + chance.randint(-40, 40),
                qty=chance.randint(1, 500),
            )
            self._placed.append(order)
            return order
        target = chance.choice(self._placed[-200:])
        if luck < 0.9:
            return CancelOrder(
                account=target.account,
                client_order_id=f"c{number}",
                original_client_order_id=target.client_order_id,
                slots=2,
            )
        self._placed.remove(target)  # It has another name from now on.
        return ReplaceOrder(
            account=target.account,
            client_order_id=f"r{number}",
            original_client_order_id=target.client_order_id,
            price=MIDDLE + chance.randint(-40, 40),
            qty=chance.randint(1, 500),
            slots=2,
        )
