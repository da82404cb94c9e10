"""Values as short texts."""

import pytest

from tfdl.cli.cells import count as count_cell
from tfdl.cli.cells import duration as duration_cell
from tfdl.cli.cells import metric as metric_cell
from tfdl.cli.run_table import chosen_page
from tfdl.reporting.listed_run import ListedRun
from tfdl.reporting.text_values import checkpoint_words, count, counted, duration, large, number, setting, tenths


@pytest.mark.parametrize(("value", "text"), [(0, "0 lines"), (1, "1 line"), (2, "2 lines"), (1200, "1,200 lines")])
def test_plurals(value, text):
    assert counted(value, "line") == text


@pytest.mark.parametrize("show", [count, large, setting, count_cell])
@pytest.mark.parametrize("value", [10**400, 10**4000])
def test_whole_numbers_that_no_run_has(show, value):
    assert show(value).startswith("over 10^")


@pytest.mark.parametrize("show", [number, duration, tenths, duration_cell, metric_cell])
def test_numbers_that_no_run_has(show):
    assert show(1e299).startswith("1e+299")


def test_a_column_of_numbers_that_no_run_has():
    listed = ListedRun("run", "run", parameters=10**4000, wall_seconds=1e299, config={"seed": 16**5000})
    page = chosen_page([listed], ["run", "parameters", "wall_seconds", "seed"])
    assert max(map(len, page.splitlines())) < 80


def test_usual_numbers():
    assert (count(1_234_567), tenths(4800.51), large(1.25e9), duration(187)) == (
        "1,234,567",
        "4,800.5",
        "1.25 G",
        "3 min 07 s",
    )
    assert (setting(0), setting(True), setting([1, None])) == ("0", "true", "[1, null]")


@pytest.mark.parametrize(
    ("name", "words"),
    [("step-00000460", "step 460"), ("step-01234567", "step 1,234,567"), ("last", "last"), ("step-x", "step-x")],
)
def test_a_checkpoint_in_words(name, words):
    assert checkpoint_words(name) == words
