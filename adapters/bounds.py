"""What the limit and the value of a reject are, in decimals."""

from typing import Final

from adapters.instruments import Asset, Instrument
from core.reasons import Reason

# What limit and value are, by reason; where nothing is said here there are none.
PRICES: Final = frozenset(
    {
        Reason.PRICE_OFF_TICK,
        Reason.PRICE_OUT_OF_BAND,
        Reason.STOP_PRICE,
        Reason.PRICE_DEVIATION,
        Reason.POST_ONLY_WOULD_TAKE,
    }
)
QUANTITIES: Final = frozenset(
    {
        Reason.QTY_TOO_SMALL,
        Reason.QTY_TOO_LARGE,
        Reason.DISPLAY_QTY,
        Reason.POSITION_LIMIT,
        Reason.REDUCE_ONLY,
        Reason.ORDER_QTY_LIMIT,
        Reason.SHORT_LIMIT,
    }
)
AMOUNTS: Final = frozenset(  # Of the quote asset, or of the asset that is moved.
    {
        Reason.NOTIONAL_TOO_SMALL,
        Reason.NOTIONAL_TOO_LARGE,
        Reason.EXPOSURE_LIMIT,
        Reason.ORDER_NOTIONAL_LIMIT,
        Reason.INSUFFICIENT_FUNDS,
        Reason.COLLATERAL,
        Reason.SUPPLY,
    }
)
COUNTS: Final = frozenset(
    {
        Reason.BOOK_NOT_EMPTY,
        Reason.OPEN_ORDER_LIMIT,
        Reason.RATE_LIMITED,
        Reason.MESSAGE_RATIO,
        Reason.LEVEL_LIMIT,
        Reason.CAPACITY,
    }
)
TIMES: Final = frozenset({Reason.EXPIRED_REQUEST})  # Microseconds.


def bounds(
    reason: Reason, limit: int, value: int, instrument: Instrument | None, asset: Asset | None
) -> tuple[str, str | None] | None:
    """Limit and value as text; None where the reason has none, the value None where it is not told
    (a product that fits no word)."""
    if reason in TIMES:
        return str(limit // 1_000), str(value // 1_000)
    if reason in COUNTS:
        return str(limit), str(value)
    if asset is None and instrument is not None:
        asset = instrument.quote
        if reason == Reason.INSUFFICIENT_POSITION:
            asset = instrument.base
    if reason in AMOUNTS or reason == Reason.INSUFFICIENT_POSITION:
        if asset is None:
            return None
        is_told = reason != Reason.NOTIONAL_TOO_LARGE or value != 0
        return asset.text(limit), asset.text(value) if is_told else None
    if instrument is None:
        return None
    if reason in PRICES:
        return instrument.price_text(limit), instrument.price_text(value)
    if reason in QUANTITIES:
        return instrument.qty_text(limit), instrument.qty_text(value)
    return None
