"""The table of ``benchmarks/recurrent_kernels.py``."""

from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)  # the program imports a module beside it
    import recurrent_kernels  # type: ignore[import-not-found]

    return recurrent_kernels.table_of


@pytest.mark.parametrize(
    ("kernels", "reference", "ratios"),
    [(("tfdl", "keras"), "keras", ["0.50", "1.00"]), (("tfdl", "loop"), "tfdl", ["1.00", "2.00"])],
)
def test_ratios_are_to_keras_or_to_the_first_kernel(table_of, kernels, reference, ratios):
    seconds = dict(zip(kernels, ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), strict=True))
    table = table_of(seconds, "title")
    assert [column.header for column in table.columns] == ["kernel", "ms", f"to {reference}", "quartiles"]
    assert list(table.columns[2].cells) == ratios
