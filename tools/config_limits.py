"""From the section [limits] to the limits of the core: a profile and what differs from it."""

from typing import Final

import msgspec

from core.limits import DEFAULT, SMALL, Limits, faults
from tools.config import ConfigFaults, Fault
from tools.config_layers import Loaded

LARGE: Final = DEFAULT._replace(
    accounts_max=1_048_576,
    instruments_max=10_240,
    balances_max=2_097_152,
    positions_max=1_048_576,
    sessions_max=65_536,
)
PROFILES: Final = {"default": DEFAULT, "large": LARGE, "small": SMALL}


def resolve(loaded: Loaded) -> Limits:
    """The limits in force; ConfigFaults names every relation between them that does not hold."""
    section = msgspec.structs.asdict(loaded.config.limits)
    profile = section.pop("profile")
    chosen = {name: value for name, value in section.items() if value is not None}
    limits = PROFILES[profile]._replace(**chosen)
    found = []
    for fault in faults(limits):
        key, _, message = fault.partition(": ")
        named = [name for name in loaded.origins if name in key]
        origin = loaded.origins[named[0]] if named else "limits"
        found.append(Fault(origin, key, message))
    if found:
        raise ConfigFaults(found)
    return limits
