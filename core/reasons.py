"""Why a command was rejected, or why an order ended.  Numbers are permanent.

A hundred numbers a stage; the stages are checked in this order, and the first reason found is the
one reported, so the order of the ranges is the order of precedence.  ``word`` is the public name:
the same in REST, WebSocket and FIX text.
"""

from enum import IntEnum
from typing import Final


class Reason(IntEnum):
    """Permanent numbers; 0 means no reason: the command was accepted."""

    NONE = 0
    # 100: the form of the command.
    UNKNOWN_KIND = 101
    MALFORMED = 102
    NOT_SUPPORTED = 103
    # 200: who asks, and has he asked before.
    UNKNOWN_ACCOUNT = 201
    ACCOUNT_SUSPENDED = 202
    DUPLICATE_CLIENT_ID = 203  # The id was used with another payload.
    NAME_TAKEN = 204
    KILL_SWITCH = 205
    # 300: when.
    EXPIRED_REQUEST = 301
    STALE_ID = 302
    # 400: the instrument or asset.
    UNKNOWN_INSTRUMENT = 401
    UNKNOWN_ASSET = 402
    INSTRUMENT_NOT_OPEN = 403
    PHASE = 404
    HALTED = 405
    UNKNOWN_SESSION = 406
    BOOK_NOT_EMPTY = 407
    # 500: the terms of the order.
    PRICE_MISSING = 501
    PRICE_NOT_ALLOWED = 502
    PRICE_OFF_TICK = 503
    PRICE_OUT_OF_BAND = 504
    QTY_OFF_LOT = 505
    QTY_TOO_SMALL = 506
    QTY_TOO_LARGE = 507
    NOTIONAL_TOO_SMALL = 508
    NOTIONAL_TOO_LARGE = 509
    PRECISION = 510
    STOP_PRICE = 511
    DISPLAY_QTY = 512
    MIN_QTY = 513
    TERMS = 514  # The terms of an instrument or asset do not fit together.
    PAIR = 516
    # 600: the order that is meant.
    UNKNOWN_ORDER = 601
    TOO_LATE = 602
    CANCEL_RESTRICTED = 603
    # 700: limits.
    POSITION_LIMIT = 701
    OPEN_ORDER_LIMIT = 702
    EXPOSURE_LIMIT = 703
    RATE_LIMITED = 704
    MESSAGE_RATIO = 705
    GROUP_LIMIT = 706
    REDUCE_ONLY = 707
    PRICE_DEVIATION = 708
    ORDER_QTY_LIMIT = 709
    ORDER_NOTIONAL_LIMIT = 710
    LEVEL_LIMIT = 711
    SHORT_LIMIT = 712
    # 800: funds.
    INSUFFICIENT_FUNDS = 801
    INSUFFICIENT_POSITION = 802
    COLLATERAL = 803
    SUPPLY = 804  # A deposit would lift the issued supply of the asset past its bound.
    # 900: room.
    CAPACITY = 901
    # 1000: the book.
    POST_ONLY_WOULD_TAKE = 1001
    SELF_TRADE = 1002
    # 1100: outside.
    RISK_UNAVAILABLE = 1101
    WALLET_FAILED = 1102
    INTERNAL = 1103
    # 2000: why an accepted order ended.
    IOC_REMAINDER = 2001
    FOK_UNFILLED = 2002
    MARKET_REMAINDER = 2003
    GTD = 2004
    DAY_END = 2005
    STP = 2006
    HALT = 2007
    SETTLEMENT = 2008
    ADMIN = 2009
    MAX_AGE = 2010
    MIN_QTY_UNFILLED = 2011
    POSITION_CLOSED = 2012
    # 2100: who canceled it.
    CANCELED_BY_USER = 2101
    CANCELED_BY_MASS_CANCEL = 2102
    REDUCED_TO_ZERO = 2103
    CANCELED_BY_PARTNER = 2104
    DEAD_MAN = 2105
    KILLED = 2106
    DISCONNECTED = 2107
    ADMIN_CANCEL = 2108
    CANCELED_OUTSIDE = 2109
    REJECTED_OUTSIDE = 2110

    @property
    def word(self) -> str:
        """The public name."""
        return self.name.lower()


EXPIRY_REASON_FIRST: Final = 2001
CANCEL_REASON_FIRST: Final = 2101

TEXT: Final[dict[Reason, str]] = {
    Reason.NONE: "accepted",
    Reason.UNKNOWN_KIND: "the kind of the command is not known to this engine",
    Reason.MALFORMED: "a field of the command holds a value outside its range",
    Reason.NOT_SUPPORTED: "this engine version does not have the feature asked for",
    Reason.UNKNOWN_ACCOUNT: "no such account",
    Reason.ACCOUNT_SUSPENDED: "the account is suspended",
    Reason.DUPLICATE_CLIENT_ID: "the client order id was used with another payload",
    Reason.NAME_TAKEN: "the name is in use",
    Reason.KILL_SWITCH: "the kill switch is on",
    Reason.EXPIRED_REQUEST: "sequenced after expire_after",
    Reason.STALE_ID: "the id belongs to an earlier life of the slot",
    Reason.UNKNOWN_INSTRUMENT: "no such instrument",
    Reason.UNKNOWN_ASSET: "no such asset",
    Reason.INSTRUMENT_NOT_OPEN: "the instrument is not open",
    Reason.PHASE: "the phase of the instrument does not allow this",
    Reason.HALTED: "the instrument is halted",
    Reason.UNKNOWN_SESSION: "no such session",
    Reason.BOOK_NOT_EMPTY: "there are open orders or positions",
    Reason.PRICE_MISSING: "a limit order needs a price",
    Reason.PRICE_NOT_ALLOWED: "a market order has no price",
    Reason.PRICE_OFF_TICK: "the price is not a multiple of the tick size",
    Reason.PRICE_OUT_OF_BAND: "the price is outside the allowed range",
    Reason.QTY_OFF_LOT: "the quantity is not a multiple of the lot size",
    Reason.QTY_TOO_SMALL: "the quantity is below the minimum",
    Reason.QTY_TOO_LARGE: "the quantity is above the maximum",
    Reason.NOTIONAL_TOO_SMALL: "price x quantity is below the minimum",
    Reason.NOTIONAL_TOO_LARGE: "price x quantity is above the maximum",
    Reason.PRECISION: "more decimals than the scale allows",
    Reason.STOP_PRICE: "the stop price does not fit the order",
    Reason.DISPLAY_QTY: "the display quantity does not fit the order",
    Reason.MIN_QTY: "the minimum quantity does not fit the order",
    Reason.TERMS: "the terms of the instrument or asset do not fit together",
    Reason.PAIR: "an order of a pair can only be canceled",
    Reason.UNKNOWN_ORDER: "no such order",
    Reason.TOO_LATE: "the order has ended, or the new total is not above what is filled",
    Reason.CANCEL_RESTRICTED: "the order is not in the state that the cancel demands",
    Reason.POSITION_LIMIT: "position limit",
    Reason.OPEN_ORDER_LIMIT: "open order limit",
    Reason.EXPOSURE_LIMIT: "exposure limit",
    Reason.RATE_LIMITED: "orders per second",
    Reason.MESSAGE_RATIO: "messages per fill",
    Reason.GROUP_LIMIT: "order group limit",
    Reason.REDUCE_ONLY: "the order would not reduce the position",
    Reason.PRICE_DEVIATION: "the price is too far from the last trade",
    Reason.ORDER_QTY_LIMIT: "quantity limit of the account",
    Reason.ORDER_NOTIONAL_LIMIT: "notional limit of the account",
    Reason.LEVEL_LIMIT: "the account has opened too many price levels",
    Reason.SHORT_LIMIT: "short selling limit",
    Reason.INSUFFICIENT_FUNDS: "not enough available cash",
    Reason.INSUFFICIENT_POSITION: "not enough of the asset available to sell",
    Reason.COLLATERAL: "not enough collateral",
    Reason.SUPPLY: "the issued supply of the asset would exceed its bound",
    Reason.CAPACITY: "a table of the engine is full",
    Reason.POST_ONLY_WOULD_TAKE: "a post-only order would have traded at once",
    Reason.SELF_TRADE: "the order would have traded with the same account",
    Reason.RISK_UNAVAILABLE: "the outside risk check did not answer",
    Reason.WALLET_FAILED: "the outside wallet refused",
    Reason.INTERNAL: "internal",
    Reason.IOC_REMAINDER: "immediate or cancel: the rest did not fill at once",
    Reason.FOK_UNFILLED: "fill or kill: not all of it could fill at once",
    Reason.MARKET_REMAINDER: "market: the book or the funds were exhausted",
    Reason.GTD: "good till date: the date has come",
    Reason.DAY_END: "day order: the day has ended",
    Reason.STP: "self-trade prevention",
    Reason.HALT: "the instrument was halted",
    Reason.SETTLEMENT: "the instrument was settled",
    Reason.ADMIN: "ended by an administrator",
    Reason.MAX_AGE: "older than the instrument allows",
    Reason.MIN_QTY_UNFILLED: "less than the minimum quantity could fill at once",
    Reason.POSITION_CLOSED: "reduce-only: there is no position left to reduce",
    Reason.CANCELED_BY_USER: "canceled on request",
    Reason.CANCELED_BY_MASS_CANCEL: "canceled by a mass cancel",
    Reason.REDUCED_TO_ZERO: "reduced to nothing",
    Reason.CANCELED_BY_PARTNER: "the other order of the pair traded, was triggered or ended",
    Reason.DEAD_MAN: "the dead-man timer ran out",
    Reason.KILLED: "the kill switch was set",
    Reason.DISCONNECTED: "the session ended",
    Reason.ADMIN_CANCEL: "canceled by an administrator",
    Reason.CANCELED_OUTSIDE: "canceled where it is matched",
    Reason.REJECTED_OUTSIDE: "rejected where it is matched",
}
