"""The engines that ``outcry bench peers`` knows by name."""

import importlib.util
from typing import Final, NamedTuple


class Package(NamedTuple):
    """An engine that is installed by package."""

    package: str
    version: str  # That the adapter was written against.
    about: str


# Ours and the baselines, always there.
OWN: Final = {
    "outcry": "the whole engine: holds, balances, fees, limits, full events",
    "outcry-book": "the same engine without risk, as the peers are",
    "naive": "bench/naive.py: a plain numba kernel",
    "matcher": "bench/flow_make.py: dicts and lists, plain Python",
}
PACKAGES: Final = {
    "liquibook": Package("liquibook", "2.0.1", "C++ behind SWIG; any replace loses its place"),
    "nanobook": Package("nanobook", "0.19.2", "Rust; no reduce in place, modify loses its place"),
    "obook": Package("obook", "0.1.0", "Go behind C, called through ctypes"),
}


def is_installed(name: str) -> bool:
    """Whether the package of a peer can be imported; it is not."""
    return importlib.util.find_spec(PACKAGES[name].package) is not None


def install_command(name: str) -> str:
    """What installs a peer."""
    return f"python -m pip install {PACKAGES[name].package}=={PACKAGES[name].version}"
