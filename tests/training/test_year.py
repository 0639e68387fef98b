"""The year of `benchmarks.year`, two months of it, with the demo's own sentences."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from benchmarks.year import SHOP
from benchmarks.year_bot import Month, Setting, Year
from benchmarks.year_data import Rows, open_encoder, shop
from benchmarks.year_page import plot, table

pytestmark = pytest.mark.slow
BUDGET = 20


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Month]]:
    """A bot of eight intents; in its second month an import names the wrong ones."""
    encoder = open_encoder()
    rows = Rows.of(*shop(SHOP, 8), encoder)
    setting = Setting("shop", BUDGET, months=2, poisoned=1, tried=-1)
    yield Year(setting, rows, encoder, tmp_path_factory.mktemp("year")).run(lambda number, month: None)


def test_a_person_is_asked_no_more_than_the_budget_and_most_signs_are_right(months: list[Month]) -> None:
    assert [month.spent for month in months] == [BUDGET // 2, BUDGET]
    assert all(month.counts.talks > 10 for month in months)
    assert months[-1].signs > 0 and months[-1].signs_right > 0.5


def test_poisoned_labels_are_kept_back_and_learning_goes_on_without_them(months: list[Month]) -> None:
    assert months[1].verdict.startswith("kept back, then ")
    assert months[1].accuracy > 0.5


def test_the_year_is_told_as_a_table_and_a_picture(months: list[Month]) -> None:
    assert len(table(months).splitlines()) == 4
    picture = ElementTree.fromstring(plot({"queue": months}, 0.9))
    assert "every true label: 0.900" in "".join(picture.itertext())
