"""What the benchmarks of single Python functions work on.

They run as plain tests (``--benchmark-disable``) unless `outcry bench micro` runs them.
"""

import asyncio

import pytest

from adapters.instruments import Instrument, Instruments
from tests.adapters.http.fake_gateway import FakeGateway


@pytest.fixture(scope="session")
def reference() -> Instruments:
    """The instruments of the fake gateway."""
    found = Instruments()
    asyncio.run(found.refresh(FakeGateway().query, 1.0))
    return found


@pytest.fixture(scope="session")
def instrument(reference: Instruments) -> Instrument:
    """BTC-USD: tick 0.01, lot 0.0001."""
    return reference.by_symbol["BTC-USD"]
