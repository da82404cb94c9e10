"""The faults of test_failing_ranks.py and test_watchdog.py, each on the rank that is not tested there."""

from pathlib import Path

import pytest

from tests.distributed import test_failing_ranks, test_watchdog
from tests.distributed.faults import train

pytestmark = pytest.mark.distributed

TIMEOUT = test_failing_ranks.TIMEOUT
GRACE = test_failing_ranks.GRACE


def test_an_error_on_rank_0(tmp_path: Path) -> None:
    job = train("raise", 0, tmp_path / "run")
    test_failing_ranks.check_error(job, 0)


@pytest.mark.parametrize(
    ("fault", "rank", "words", "limit"),
    [
        ("stop", 1, "no heartbeat for ", TIMEOUT + GRACE),
        ("kill", 0, "was killed without an error message (on ", GRACE),
    ],
)
def test_a_rank_that_cannot_report_is_named(tmp_path: Path, fault: str, rank: int, words: str, limit: float) -> None:
    job = train(fault, rank, tmp_path / "run", "--watchdog-timeout", str(TIMEOUT))
    test_failing_ranks.check_silence(job, rank, words, limit)


def test_rank_0_hangs_in_python(tmp_path: Path) -> None:
    job = train("hang", 0, tmp_path / "run", "--watchdog-timeout", str(TIMEOUT))
    test_watchdog.check_hang(job, 0, "hangs (on ")
    assert any(line.endswith("in never_returns") for line in job.lines)
    assert job.status["reason"].startswith("rank 0: error: hangs (on ")
