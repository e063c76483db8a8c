"""Decimal text to ticks, lots and smallest units, and back."""

from pytest_benchmark.fixture import BenchmarkFixture

from adapters.instruments import Instrument


def test_price_to_ticks(benchmark: BenchmarkFixture, instrument: Instrument) -> None:
    assert benchmark(instrument.ticks, "70150.50") == 7_015_050


def test_ticks_to_price(benchmark: BenchmarkFixture, instrument: Instrument) -> None:
    assert benchmark(instrument.price_text, 7_015_050) == "70150.50"


def test_qty_to_lots(benchmark: BenchmarkFixture, instrument: Instrument) -> None:
    assert benchmark(instrument.lots, "0.2500") == 2_500


def test_lots_to_qty(benchmark: BenchmarkFixture, instrument: Instrument) -> None:
    assert benchmark(instrument.qty_text, 2_500) == "0.2500"


def test_average_price(benchmark: BenchmarkFixture, instrument: Instrument) -> None:
    notional = 7_015_050 * 2_500 * instrument.multiplier + 5_000
    assert benchmark(instrument.average_price, notional, 2_500) == "70150.52"
