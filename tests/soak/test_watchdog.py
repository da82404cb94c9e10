"""The control of ``tests/distributed/test_watchdog.py``."""

from pathlib import Path

import pytest

from tests.distributed.faults import train
from tests.distributed.test_watchdog import GRACE, TIMEOUT

pytestmark = pytest.mark.distributed


def test_without_the_watchdog_the_job_keeps_hanging(tmp_path: Path) -> None:
    """The control: the same job still runs when the watchdog would have ended it."""
    job = train("hang", 1, tmp_path / "run", "--watchdog-timeout", "0", patience=TIMEOUT + GRACE)
    assert job.code is None, job.lines
    assert job.complaints == []
    assert job.status["code"] is None
