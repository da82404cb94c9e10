"""The numbers of samples that a run began with."""

from pathlib import Path

import pytest

from tfdl.runs.sample_counts import changed_counts_note, save_sample_counts


def test_changes_are_one_line(tmp_path: Path) -> None:
    save_sample_counts(tmp_path, {"train": 1000, "validation": 100, "test": 100})
    assert changed_counts_note(tmp_path, {"train": 1000, "validation": 100, "test": 100}) == ""
    assert changed_counts_note(tmp_path, {"test": 100}) == ""
    note = "the data have changed: train has 1,020 samples, the run began with 1,000"
    assert changed_counts_note(tmp_path, {"train": 1020, "validation": 100, "test": 100}) == note
    assert changed_counts_note(tmp_path, {"test": 1}) == (
        "the data have changed: test has 1 sample, the run began with 100"
    )


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"train": null}', '{"test": 1}'])
def test_a_damaged_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "samples.json").write_text(content)
    assert changed_counts_note(tmp_path, {"train": 1}) == ""


def test_a_run_without_a_record_is_silent(tmp_path: Path) -> None:
    assert changed_counts_note(tmp_path, {"train": 1}) == ""
