"""A hundred thousand wrong inputs; ``TFDL_HOSTILE_INPUTS`` is another number."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.hostile_inputs import KINDS, run_checker, run_files
from tests.test_hostile_inputs import try_examples

COUNT = int(os.environ.get("TFDL_HOSTILE_INPUTS", "100000")) // (len(KINDS) + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_no_traceback_and_no_hang(kind: str, tmp_path: Path) -> None:
    try_examples(COUNT, *KINDS[kind], tmp_path)


def test_run_directories(trained_run: Any, tmp_path: Path) -> None:
    try_examples(COUNT, run_files(trained_run), run_checker(trained_run), tmp_path)
