"""How much the random tests do, by mode, and the exchange that an example runs against.

OUTCRY_SEEDS=N    N times as many seeded random sequences and hypothesis examples
OUTCRY_FLOWS=DIR  also run the order-flow files that lie there
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from core.jit import MODE_NAME
from tests.core.engine.world import World
from tests.model.exchange import Exchange
from tests.model.state import Sizes

_TIMES = int(os.environ.get("OUTCRY_SEEDS", "1"))
_EXAMPLES = {"release": 40, "checked": 20, "pure": 15}
settings.register_profile(
    "outcry",
    max_examples=_EXAMPLES[MODE_NAME] * _TIMES,
    deadline=None,
    print_blob=True,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("outcry")

# What a shell starts in the background ignores SIGINT, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MakeWorld = Callable[..., World]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``random_seed`` runs once per seed; fewer in plain Python mode."""
    if "random_seed" in metafunc.fixturenames:
        count = {"release": 10, "checked": 5, "pure": 3}[MODE_NAME]
        metafunc.parametrize("random_seed", range(count * _TIMES))


@pytest.fixture(params=["twin", "engine"])
def make_world(request: pytest.FixtureRequest) -> MakeWorld:
    """Make a World over the naive twin, and over the engine: examples hold for both."""

    def make(sizes: Sizes | None = None, *, risk: bool = True, **terms: Any) -> World:
        if request.param == "twin":
            return World(Exchange(sizes, risk=risk), **terms)
        from tests.driver import EngineDriver

        return World(EngineDriver(sizes, risk=risk), **terms)

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A World with the usual terms."""
    return make_world()
