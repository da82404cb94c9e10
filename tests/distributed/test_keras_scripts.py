"""A plain Keras script under horovodrun: with tfdl's lines it trains one model, and mistakes are errors."""

import sys

import pytest

from tests.distributed.launching import PROGRAMS, Finished, launch

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


def run(case: str) -> tuple[Finished, dict[str, list[str]]]:
    job = launch(2, sys.executable, str(PROGRAMS / "keras_script.py"), case)  # started as its author would start it
    rows = [line.split() for line in job.lines_of(0)]
    return job, {row[0]: row[1:] for row in rows if row}


def test_ranks_train_one_model_and_see_one_set_of_metrics() -> None:
    job, found = run("plain")
    assert job.code == 0, job.output
    assert found["weights"] == found["metrics"] == ["equal"]
    reported, counted = map(float, found["accuracy"])
    assert reported == pytest.approx(counted, abs=1e-6)  # 10 and 11 samples: the mean of two means would differ


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("unwrapped", "2 ranks train with a plain Adam, so each rank would train a separate model; compile with"),
        ("uneven", "the ranks have different numbers of steps in an epoch (rank 0 has 6, rank 1 has 4)"),
        ("drift", "at step 5, rank 1 differs from rank 0 in "),
    ],
)
def test_what_would_go_wrong_is_an_error(case: str, message: str) -> None:
    job, _ = run(case)
    assert job.code != 0
    assert message in job.output
    if case == "drift":
        assert "bias" in job.output.split(message)[1].splitlines()[0]


def test_without_the_check_the_same_difference_is_not_found() -> None:
    """The control of the test above."""
    job, found = run("unchecked")
    assert job.code == 0, job.output
    assert found["weights"] == ["different"]


def test_an_overflow_on_one_rank_is_everyone_s() -> None:
    """Keras puts its loss-scaling optimizer around ours. A rank that skipped a step alone would hang the other."""
    job, found = run("float16")
    assert job.code == 0, job.output
    assert found["weights"] == ["equal"]
    assert float(found["scale"][0]) < 2**15
