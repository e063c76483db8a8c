"""The list of plantings fits the code as it is: `python -m tests.plantings.run` tries them."""

import re
from pathlib import Path

import pytest

from tests.plantings.planting import Planting
from tests.plantings.plantings import PLANTINGS

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("planting", PLANTINGS, ids=[one.name for one in PLANTINGS])
def test_a_planting_fits_its_file_once_and_names_tests_that_exist(planting: Planting) -> None:
    assert (CHECKOUT / planting.file).read_text().count(planting.old) == 1
    assert planting.new != planting.old
    assert planting.tests
    for test in planting.tests:
        path, _, function = test.partition("::")
        text = (CHECKOUT / path).read_text()
        assert re.search(rf"^(async )?def {re.escape(function)}\(", text, re.MULTILINE), test


def test_no_planting_stands_in_the_list_twice() -> None:
    assert len({one.name for one in PLANTINGS}) == len(PLANTINGS) >= 12
    assert len({(one.file, one.old) for one in PLANTINGS}) == len(PLANTINGS)
