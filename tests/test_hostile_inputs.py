"""Some hundreds of wrong inputs of every kind; tests/soak tries a hundred thousand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile_inputs import KINDS, run_checker, run_files

MANY = 200


def try_examples(
    count: int, strategy: st.SearchStrategy[Any], check: Callable[[Any, Path], None], folder: Path
) -> None:
    """Checks so many examples, one after the other, in one folder."""

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def each(example: Any) -> None:
        check(example, folder)

    each()


@pytest.mark.parametrize("kind", KINDS)
def test_no_traceback_and_no_hang(kind: str, tmp_path: Path) -> None:
    try_examples(MANY, *KINDS[kind], tmp_path)


def test_run_directories(trained_run: Any, tmp_path: Path) -> None:
    try_examples(MANY, run_files(trained_run), run_checker(trained_run), tmp_path)


def test_a_failure_is_noticed(tmp_path: Path) -> None:
    """The control: an error of another kind fails."""

    def fails(example: int, _: Path) -> None:
        if example > 3:
            raise IndexError

    with pytest.raises(IndexError):
        try_examples(MANY, st.integers(0, 100), fails, tmp_path)
