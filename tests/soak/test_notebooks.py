"""The notebooks run from top to bottom, and their committed outputs are those of an execution."""

from pathlib import Path

import pytest

from notebooks import execute
from tests.notebooks.faults import faults, kinds
from tests.notebooks.test_notebooks import NOTEBOOKS, name_of, read

# The fourth one starts two ranks.
pytestmark = pytest.mark.distributed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    executed = execute.execute(path, tmp_path)  # raises if a cell fails, which includes its assertions
    assert faults(executed) == []
    for now, committed in zip(executed.cells, read(path).cells, strict=True):
        assert now.source == committed.source
        if now.cell_type == "code":
            assert kinds(now) == kinds(committed), f"{now.id}: execute it again with `make notebooks`"
