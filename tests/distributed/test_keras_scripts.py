"""A plain Keras script under horovodrun: with tfdl's lines it trains one model, and mistakes are errors."""

import json
import sys
from typing import Any

import pytest

from tests.distributed.launching import PROGRAMS, Finished, launch

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

DRIFT = "at step 5, rank 1 differs from rank 0 in "


@pytest.fixture(scope="module")
def job() -> Finished:
    """Two cases that end well, and one that ends the job."""
    # The script is started as its author would start it.
    return launch(2, sys.executable, str(PROGRAMS / "keras_script.py"), "plain", "unchecked", "drift")


@pytest.fixture(scope="module")
def results(job: Finished) -> dict[str, dict[str, Any]]:
    """The results of the cases that ended well, by case."""
    lines = [json.loads(line) for line in job.lines_of(0) if line.startswith("{")]
    return {line["case"]: line for line in lines}


def test_ranks_train_one_model_and_have_the_same_metrics(results: dict[str, dict[str, Any]]) -> None:
    plain = results["plain"]
    assert plain["equal weights"]
    assert plain["equal metrics"]
    # 10 and 11 samples: the mean of two means would differ.
    assert plain["reported accuracy"] == pytest.approx(plain["counted accuracy"], abs=1e-6)


def test_a_rank_that_drifts_ends_the_job(job: Finished) -> None:
    assert job.code != 0
    assert DRIFT in job.output
    _, after = job.output.split(DRIFT, 1)
    variables, *_ = after.splitlines()
    assert "bias" in variables


def test_without_the_check_the_same_difference_is_not_found(results: dict[str, dict[str, Any]]) -> None:
    """The control of the test above."""
    assert not results["unchecked"]["equal weights"]
    assert "drift" not in results
