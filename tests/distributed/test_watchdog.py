"""Ranks that hang are found, named with their stacks, and ended in time. No process is left.

The control, a job without the watchdog, is in ``tests/soak/test_watchdog.py``.
"""

from pathlib import Path

import pytest

from tests.distributed.faults import Aftermath, check_complaints, follow, train
from tests.distributed.launching import program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

TIMEOUT = 4.0
# The job must end within this time after the timeout.
GRACE = 5.0


def check_hang(job: Aftermath, rank: int, words: str) -> None:
    """The job has ended in time with an error that names ``rank`` and begins with ``words``."""
    assert job.code not in (0, None)
    assert job.complaints[0].startswith(f"tfdl: rank {rank}: error: {words}"), job.lines
    assert job.seconds < TIMEOUT + GRACE
    assert job.left == []


def test_a_rank_that_hangs_in_python_ends_the_job_with_its_stack(tmp_path: Path) -> None:
    job = train("hang", 1, tmp_path / "run", "--watchdog-timeout", str(TIMEOUT))
    check_hang(job, 1, "hangs (on ")
    check_complaints(job)
    assert "last step 6)" in job.complaints[0]
    assert any(line.endswith("in never_returns") for line in job.lines)
    assert job.status["code"] == 1
    assert job.status["reason"].startswith("rank 1: error: hangs (on ")


def test_preparing_compiling_saving_and_declared_work_may_take_longer(tmp_path: Path) -> None:
    job = train("long", 1, tmp_path / "run", "--watchdog-timeout", "3", "--epochs", "1")
    assert job.code == 0, job.lines
    for done in ("prepared", "compiled", "saved"):
        assert any(line.endswith(f"{done} slowly") for line in job.lines), done
    assert job.status == {"code": 0, "reason": "done"}


def test_the_stacks_of_ranks_with_different_collectives_are_printed() -> None:
    """One rank broadcasts while the other sums. Neither is late, and neither will ever finish."""
    job = follow(2, (*program("faulty_script"), "diverge", str(TIMEOUT)))
    assert job.code not in (0, None)
    assert len(job.complaints) == 1, job.lines
    assert job.complaints[0].startswith("tfdl: error: ranks 0 and 1 waited in a collective for ")
    assert job.seconds < TIMEOUT + GRACE
    assert any(line.endswith("in broadcast") for line in job.lines)  # rank 1
    assert any("rank 0, thread MainThread:" in line for line in job.lines)


def test_data_that_end_early_on_one_rank_are_reported_immediately() -> None:
    """``fit`` ends its epoch on one rank only. The checks in ``fit`` find that before the watchdog does."""
    job = follow(2, (*program("faulty_script"), "short", str(TIMEOUT)))
    assert job.code not in (0, None)
    assert len(job.complaints) == 1, job.lines
    assert job.complaints[0].startswith("tfdl: rank 1: error: RunError: rank 1 has ended epoch 1 after 20 steps")
    assert job.seconds < TIMEOUT + GRACE


def test_data_that_stop_coming_in_a_plain_script() -> None:
    """All ranks are in ``fit``'s compiled step. The rank that has not entered the collective is named."""
    job = follow(2, (*program("faulty_script"), "data", str(TIMEOUT)))
    check_hang(job, 1, "hangs (on ")
    assert len(job.complaints) == 1, job.lines
    assert any(line.endswith("in batches_that_end") for line in job.lines)
