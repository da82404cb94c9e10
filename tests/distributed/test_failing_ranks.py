"""Ranks that fail, die or are stopped: the job ends at once, and the first word is who and why."""

from pathlib import Path

import pytest

from tests.distributed.faults import MARK, follow, train
from tests.distributed.launching import program

pytestmark = [pytest.mark.distributed, pytest.mark.slow, pytest.mark.alone]

TIMEOUT = 4.0
GRACE = 5.0


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_on_any_rank_ends_all_and_is_told_first(tmp_path: Path, rank: int) -> None:
    job = train("raise", rank, tmp_path / "run")
    assert job.code not in (0, None)
    assert job.seconds < GRACE
    assert job.left == []
    after = job.lines[next(number for number, line in enumerate(job.lines) if MARK in line) + 1 :]
    assert f"tfdl: rank {rank}: internal error: ValueError: a picture that is none" in after[0]
    assert len(job.complaints) == 1, job.lines
    assert job.status["code"] == 1
    assert "a picture that is none" in job.status["reason"]


@pytest.mark.parametrize(
    ("fault", "rank", "words", "limit"),
    [
        ("stop", 1, "no sign of life for ", TIMEOUT + GRACE),
        ("stop", 0, "no sign of life for ", TIMEOUT + GRACE),
        ("kill", 1, "ended without a word (on ", GRACE),
        ("kill", 0, "ended without a word (on ", GRACE),
    ],
)
def test_a_rank_that_can_say_nothing_is_named(tmp_path: Path, fault: str, rank: int, words: str, limit: float) -> None:
    job = train(fault, rank, tmp_path / "run", "--watchdog-timeout", str(TIMEOUT))
    assert job.code not in (0, None)
    assert len(job.complaints) == 1, job.lines
    assert job.complaints[0].startswith(f"tfdl: rank {rank}: error: {words}")
    assert job.seconds < limit
    assert job.left == []
    assert job.status["code"] == 1
    assert job.status["reason"].startswith(f"rank {rank}: error: {words}")


def test_a_rank_of_a_script_that_ends_early_is_named() -> None:
    job = follow(2, (*program("faulty_script"), "leave", "60"))
    assert job.code not in (0, None)
    assert len(job.complaints) == 1, job.lines
    assert job.complaints[0].startswith("tfdl: rank 1: error: left the job (on ")
    assert job.seconds < GRACE


def test_an_uncaught_error_of_a_script_comes_before_its_traceback() -> None:
    job = follow(2, (*program("faulty_script"), "raise", "60"))
    assert job.code not in (0, None)
    assert job.complaints == ["tfdl: rank 1: error: ValueError: a number that is none"]
    assert job.seconds < GRACE
    where = next(number for number, line in enumerate(job.lines) if "tfdl: rank 1" in line)
    assert not any("Traceback" in line for line in job.lines[:where])
    assert any(line.startswith("[1]<stderr>:ValueError: a number") for line in job.lines[where:])


def test_a_job_that_its_user_ends_blames_nobody() -> None:
    job = follow(2, (*program("faulty_script"), "go on", "60"), patience=1.0)
    assert job.code is None
    assert job.complaints == []
    assert job.left == []
