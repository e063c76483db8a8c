"""Reference data: bounds of prices and quantities, reading all of it page by page."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from adapters.instruments import Asset, Instrument, Instruments
from adapters.units import INT64_MAX, UnitError
from core import messages
from core.constants import MONEY_MAX
from core.messages import INSTRUMENT_REPLY, NAME_REPLY, QUERY, REPLY

USD, BTC = Asset(1, "USD", 6), Asset(2, "BTC", 8)
INSTRUMENT = Instrument(
    id=1,
    symbol="BTC-USD",
    base=BTC,
    quote=USD,
    type="spot",
    phase="open",
    tick=50,
    tick_scale=2,
    lot=1,
    lot_scale=4,
    multiplier=50,
    base_per_lot=10_000,
    maker_ppm=200,
    taker_ppm=500,
    qty_min=0,
    qty_max=0,
    notional_min=0,
    notional_max=0,
)


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(UnitError) as caught:
        call(*arguments)
    return caught.value.code


def test_prices_are_ticks_and_quantities_lots() -> None:
    assert INSTRUMENT.ticks("70150.5") == 140_301
    assert INSTRUMENT.price_text(140_301) == "70150.50"
    assert INSTRUMENT.lots("0.25") == 2_500
    assert INSTRUMENT.qty_text(2_500) == "0.2500"
    # 2,500 lots at 140,301 ticks are 0.25 x 70150.50 = 17537.625 USD.
    notional = 140_301 * 2_500 * INSTRUMENT.multiplier
    assert USD.text(notional) == "17537.625000"
    assert INSTRUMENT.average_price(notional, 2_500) == "70150.50"
    assert INSTRUMENT.average_price(notional + 1, 2_500) == "70150.500004"
    assert INSTRUMENT.average_price(notional + 5_000, 2_500) == "70150.52"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("70150.75", "price_off_tick"),
        ("0", "price_out_of_band"),
        ("-0.50", "price_out_of_band"),
        ("0.500", "precision"),
        ("", "malformed"),
    ],
)
def test_a_wrong_price_says_why(text: str, code: str) -> None:
    assert code_of(INSTRUMENT.ticks, text) == code


def test_the_largest_price_and_quantity_fit_a_word() -> None:
    most = INSTRUMENT.price_text(INT64_MAX)
    assert INSTRUMENT.ticks(most) == INT64_MAX
    assert code_of(INSTRUMENT.ticks, INSTRUMENT.price_text(INT64_MAX + 1)) == "price_out_of_band"
    assert INSTRUMENT.lots(INSTRUMENT.qty_text(INT64_MAX)) == INT64_MAX
    assert code_of(INSTRUMENT.lots, INSTRUMENT.qty_text(INT64_MAX + 1)) == "qty_too_large"
    odd = replace(INSTRUMENT, lot=3)
    assert code_of(odd.lots, "0.0004") == "qty_off_lot"


def test_an_amount_is_above_zero_and_within_the_issued_supply() -> None:
    assert USD.amount("0.000001") == 1
    assert USD.amount(USD.text(MONEY_MAX)) == MONEY_MAX
    for text in ("0", "-1", USD.text(MONEY_MAX + 1)):
        assert code_of(USD.amount, text) == "amount"


async def test_all_pages_are_read_and_a_failure_leaves_the_old_data() -> None:
    reference = Instruments()
    asked: list[tuple[int, int]] = []

    async def query(slot: bytes, _timeout_s: float) -> np.ndarray[Any, Any]:
        row = np.frombuffer(slot, QUERY)[0]
        kind, cursor = int(row["kind"]), int(row["cursor"])
        asked.append((kind, cursor))
        dtype = NAME_REPLY if kind == messages.QUERY_ASSETS else INSTRUMENT_REPLY
        numbers = list(range(cursor + 1, min(cursor + 64, 100) + 1))
        rows = np.zeros(max(1, len(numbers)), dtype)
        for reply, number in zip(rows, numbers, strict=False):
            reply["count"], reply["id"], reply["as_of"] = 1, number, 5
            name = "name" if kind == messages.QUERY_ASSETS else "symbol"
            reply[name] = messages.packed(f"N{number}", 36)
            if kind == messages.QUERY_INSTRUMENTS:
                reply["base_asset"], reply["quote_asset"] = number, 1
        return rows.view(REPLY)

    async def broken(_slot: bytes, _timeout_s: float) -> np.ndarray[Any, Any]:
        raise ConnectionError

    await reference.refresh(query, 1.0)

    assert len(reference.assets) == len(reference.by_id) == 100
    assert reference.by_symbol["N100"].base_name == "N100"
    assert (reference.as_of, reference.stale) == (5, False)
    assert asked == [(kind, cursor) for kind in (135, 134) for cursor in (0, 64, 100)]

    with pytest.raises(ConnectionError):
        await reference.refresh(broken, 1.0)
    assert reference.stale
    assert len(reference.by_id) == 100
