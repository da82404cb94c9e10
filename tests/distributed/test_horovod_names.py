"""The table of Horovod's names in docs/keras-scripts.md is complete, and its rows are true."""

import json
import re
from pathlib import Path

import pytest

from tests.distributed.launching import launch, program

PAGE = Path(__file__).parents[2] / "docs" / "keras-scripts.md"
# Functions that Horovod's modules import or use themselves.
INTERNAL = {
    "check_extension",
    "gpu_available",
    "split_list",
    "handle_average_backwards_compatibility",
    "check_num_rank_power_of_2",
    "vars_to_refs",
    "refs_to_vars",
    "LocalGradientAggregationHelper",
}


def section() -> str:
    """The section about Horovod."""
    text = PAGE.read_text(encoding="utf-8")
    return text.split("## From Horovod", 1)[1].split("\n## ", 1)[0]


@pytest.mark.distributed
@pytest.mark.slow
def test_every_row_is_run_and_every_public_name_of_horovod_has_a_row(tmp_path: Path) -> None:
    tables = section()
    with_counterpart, _ = tables.split("Without a counterpart")
    rows = re.findall(r"^\| (`.*?) \| ", with_counterpart, re.MULTILINE)
    job = launch(2, *program("horovod_names"), str(tmp_path))
    assert job.code == 0, job.output
    rows_run, public_names = json.loads(job.lines_of(0)[-1])
    assert sorted(rows_run) == sorted(rows)
    public = set(public_names) - INTERNAL
    assert len(public) > 60
    assert not {name for name in public if not re.search(rf"\b{name}\b", tables)}
