"""Kernels compiled before anything starts; exchanges that leave nothing behind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.exchange import Exchange
from tools.up import compile_in_process

MakeExchange = Callable[..., Exchange]


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    compile_in_process()


@pytest.fixture
def make_exchange(tmp_path: Path) -> Iterator[MakeExchange]:
    """Make an exchange on a directory of this test; it is ended after the test."""
    made: list[Exchange] = []

    def make(name: str = "data", **options: Any) -> Exchange:
        exchange = Exchange(tmp_path / name, **options)
        made.append(exchange)
        return exchange

    yield make
    for exchange in made:
        exchange.close()
