"""The notebooks that ``tests/notebooks`` does not execute run from top to bottom."""

from pathlib import Path

import pytest

from tests.notebooks.test_notebooks import EXECUTED, NOTEBOOKS, check_execution, name_of

# The last one starts two ranks.
pytestmark = pytest.mark.distributed


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path not in EXECUTED], ids=name_of)
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    check_execution(path, tmp_path)
