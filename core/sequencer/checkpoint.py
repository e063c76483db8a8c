"""CHECKPOINT: where the state is, in O(1) words and one sum per asset.

The core writes one every 65,536 commands or second with news; whoever replays compares each.  The
hash is the rolling one over the event stream, so a difference shows at the next checkpoint at the
latest.  (architecture.md, decision 24)
"""

from typing import Final

import numpy as np

from core.journal.layout import CHECKPOINT_PAYLOAD, CHECKPOINT_SUM
from core.records import ASSET
from core.sequencer.state import State

SUMS_MAX: Final = 1_000


def payload_of(state: State) -> bytes:
    """The payload of a CHECKPOINT of ``state``."""
    issued = state.rows("assets", ASSET, state["assets_used"] + 1)["issued"]
    sums = np.zeros(min(len(issued) - 1, SUMS_MAX), CHECKPOINT_SUM)
    sums["asset"] = np.arange(1, len(sums) + 1)
    sums["amount"] = issued[1 : len(sums) + 1]
    payload = np.zeros(1, CHECKPOINT_PAYLOAD)
    payload["sequence"] = state["sequence"]
    payload["event_hash"] = (state["event_hash"], 0)
    payload["command_count"] = state["sequence"]
    payload["event_count"] = state["events"]
    payload["trade_count"] = state["trades"]
    payload["open_orders"] = state["open_orders"]
    payload["sum_count"] = len(sums)
    return payload.tobytes() + sums.tobytes()


def difference(state: State, payload: bytes) -> str:
    """What of ``state`` is not as the CHECKPOINT says; empty when all is."""
    said = np.frombuffer(payload, CHECKPOINT_PAYLOAD, 1)[0]
    pairs = [
        ("sequence", int(said["sequence"]), state["sequence"]),
        ("event hash", int(said["event_hash"][0]), state["event_hash"]),
        ("events", int(said["event_count"]), state["events"]),
        ("trades", int(said["trade_count"]), state["trades"]),
        ("open orders", int(said["open_orders"]), state["open_orders"]),
    ]
    size = CHECKPOINT_PAYLOAD.itemsize
    sums = np.frombuffer(payload, CHECKPOINT_SUM, int(said["sum_count"]), size)
    issued = state.rows("assets", ASSET, state["assets_used"] + 1)["issued"]
    pairs += [
        (f"sum of asset {asset}", amount, int(issued[asset]) if asset < len(issued) else 0)
        for asset, amount in sums.tolist()
    ]
    for name, expected, found in pairs:
        if expected != found:
            return (
                f"replay differs from the live run at the checkpoint of sequence "
                f"{int(said['sequence'])}: {name}: journal {expected}, replay {found}"
            )
    return ""
