"""The code in docs/keras-scripts.md works."""

from pathlib import Path

import pytest

from tests.distributed.launching import PROGRAMS, launch, program

PAGE = Path(__file__).parents[2] / "docs" / "keras-scripts.md"


@pytest.mark.distributed
@pytest.mark.slow
def test_every_block_of_code_trains_one_model(tmp_path: Path) -> None:
    job = launch(4, *program("documentation"), str(tmp_path))
    assert job.code == 0, job.output
    blocks = PAGE.read_text(encoding="utf-8").count("```python")
    for rank in range(4):
        assert job.lines_of(rank)[-1] == f"{blocks} blocks"


def test_the_script_that_it_names_exists() -> None:
    assert "programs/keras_io/gan.py" in PAGE.read_text(encoding="utf-8")
    assert (PROGRAMS / "keras_io" / "gan.py").is_file()
