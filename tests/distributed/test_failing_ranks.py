"""Ranks that fail, die or are stopped: the job ends immediately, and the first line names the rank and the cause."""

from pathlib import Path

import pytest

from tests.distributed.faults import MARK, Aftermath, check_complaints, follow, train
from tests.distributed.launching import program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

TIMEOUT = 4.0
# The job must end within this time after the fault, or after the timeout.
GRACE = 5.0


def test_an_error_on_one_rank_ends_all_and_is_printed_first(tmp_path: Path) -> None:
    job = train("raise", 1, tmp_path / "run")
    check_error(job, 1)


def check_error(job: Aftermath, rank: int) -> None:
    assert job.code not in (0, None)
    assert job.seconds < GRACE
    assert job.left == []
    fault = next(number for number, line in enumerate(job.lines) if MARK in line)
    assert f"tfdl: rank {rank}: internal error: ValueError: not an image" in job.lines[fault + 1]
    check_complaints(job)
    assert job.status["code"] == 1
    assert "not an image" in job.status["reason"]


@pytest.mark.parametrize(
    ("fault", "rank", "words", "limit"),
    [
        ("stop", 0, "no heartbeat for ", TIMEOUT + GRACE),
        ("kill", 1, "was killed without an error message (on ", GRACE),
    ],
)
def test_a_rank_that_cannot_report_is_named(tmp_path: Path, fault: str, rank: int, words: str, limit: float) -> None:
    job = train(fault, rank, tmp_path / "run", "--watchdog-timeout", str(TIMEOUT))
    check_silence(job, rank, words, limit)


def check_silence(job: Aftermath, rank: int, words: str, limit: float) -> None:
    assert job.code not in (0, None)
    check_complaints(job)
    assert job.complaints[0].startswith(f"tfdl: rank {rank}: error: {words}")
    assert job.seconds < limit
    assert job.left == []
    assert job.status["code"] == 1
    assert job.status["reason"].startswith(f"rank {rank}: error: {words}")


def test_a_rank_of_a_script_that_ends_early_is_named() -> None:
    job = follow(2, (*program("faulty_script"), "leave", "60"))
    assert job.code not in (0, None)
    assert len(job.complaints) == 1, job.lines
    assert job.complaints[0].startswith("tfdl: rank 1: error: its program ended (on ")
    assert job.seconds < GRACE


def test_an_uncaught_error_of_a_script_comes_before_its_traceback() -> None:
    job = follow(2, (*program("faulty_script"), "raise", "60"))
    assert job.code not in (0, None)
    assert job.complaints == ["tfdl: rank 1: error: ValueError: not a number"]
    assert job.seconds < GRACE
    report = next(number for number, line in enumerate(job.lines) if "tfdl: rank 1" in line)
    assert not any("Traceback" in line for line in job.lines[:report])
    assert any(line.startswith("[1]<stderr>:ValueError: not a number") for line in job.lines[report:])


def test_a_job_that_its_user_ends_blames_no_rank() -> None:
    job = follow(2, (*program("faulty_script"), "none", "60"), patience=1.0)
    assert job.code is None
    assert job.complaints == []
    assert job.left == []
