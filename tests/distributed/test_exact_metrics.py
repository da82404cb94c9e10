"""The metrics of 1,797 rows over three ranks equal those of one process, in tfdl's evaluation and in Keras."""

import json
from typing import Any

import pytest

from tests.distributed.launching import launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

# Metrics of counts, which are exact.
COUNTED = ("accuracy", "top_5_accuracy", "precision", "recall", "f1")


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """tfdl's metrics, then Keras's."""
    job = launch(3, *program("exact_metrics"))
    assert job.code == 0, job.output
    return [json.loads(line) for line in job.lines_of(0) if line.startswith("{")]


def test_evaluation_is_that_of_one_process(lines: list[dict[str, Any]]) -> None:
    """Counts are equal. Losses, to which every sample adds, agree to 1e-12."""
    together = lines[0]["together"]
    whole = lines[0]["whole"]
    assert list(whole) == ["loss", *COUNTED, "auc", "language loss", "language perplexity"]
    for name in COUNTED:
        assert together[name] == whole[name], name
    assert together == pytest.approx(whole, rel=1e-12)


def test_keras_metrics_of_uneven_rows_are_those_of_one_process(lines: list[dict[str, Any]]) -> None:
    """900, 896 and 1 rows. The control: a rank's own metrics differ."""
    metrics = lines[1]
    assert len(metrics["whole"]) == 8
    assert metrics["together"] == pytest.approx(metrics["whole"], rel=1e-6)
    for name, value in metrics["whole"].items():
        assert metrics["alone"][name] != pytest.approx(value, rel=1e-4), name
