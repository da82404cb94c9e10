"""The lists of operations that `tfdl serve` knows, against exports of all families, tasks and tokenizers."""

from pathlib import Path

from tests.serving.exported_operations import exported_operations
from tfdl.serving.operations import COMPUTING, READING_AND_WRITING_WEIGHTS


def test_the_lists_have_what_all_exports_have(tmp_path: Path) -> None:
    found = exported_operations(tmp_path)
    assert found - COMPUTING - READING_AND_WRITING_WEIGHTS == set()
    assert found >= READING_AND_WRITING_WEIGHTS
