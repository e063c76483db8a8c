"""What a planting is."""

from typing import NamedTuple


class Planting(NamedTuple):
    """Replace ``old`` by ``new`` in ``file``: at least one of ``tests`` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
