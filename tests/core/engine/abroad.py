"""What the outside says, for the examples of orders that are matched there."""

from typing import Any, Final

from tests.core.engine.world import ALICE, MARKET_ID, World
from tests.model.commands import MATCHED_OUTSIDE
from tests.model.venue_commands import OutsideCommand

ABROAD: Final[dict[str, Any]] = {
    "matching": MATCHED_OUTSIDE,
    "maker_ppm": 0,
    "taker_ppm": 0,
}


def told(world: World, kind: type[OutsideCommand], number: int = 1, **more: Any) -> list[str]:
    """What the outside says of the n-th order (0: of none), under a fresh exec id."""
    order_id = world.order_id(number) if number else 77
    values: dict[str, Any] = {
        "account": ALICE,
        "instrument": MARKET_ID,
        "order_id": order_id,
        "source": "v",
    }
    values |= {"reference": f"x{world.sequence}"}
    return [_bare(line) for line in world.tell(kind(**(values | more)))]


def _bare(line: str) -> str:
    """Without the exec id that ``told`` made up."""
    return " ".join(word for word in line.split() if not word.startswith("id=x"))
