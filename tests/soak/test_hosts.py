"""The control of ``tests/distributed/test_hosts.py``: what a cut link does to a job without the watchdog."""

from pathlib import Path

import pytest

from benchmarks.hosts import Hosts
from tests.distributed.test_hosts import GRACE, WATCHDOG, cut_a_job
from tests.distributed.test_hosts import hosts as hosts

pytestmark = pytest.mark.distributed


def test_without_the_watchdog_a_cut_job_keeps_waiting(hosts: Hosts, tmp_path: Path) -> None:
    """After the time in which both sides should have ended, both are still running."""
    job = cut_a_job(hosts, tmp_path, 0, patience=WATCHDOG + GRACE)
    assert job.seconds == {}
    for commands in job.left.values():
        assert any("faulty_train" in command for command in commands), job.left
    assert job.complaints == {"h1": [], "h2": []}
