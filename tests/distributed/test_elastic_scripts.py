"""A Keras script under horovodrun's elastic launcher: rank 0 is killed and replaced. tests/soak has more cases."""

from pathlib import Path

import pytest

from tests.distributed.elastic_jobs import HOSTS, results, run_script

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


def test_weights_are_those_of_ranks_that_were_never_lost(tmp_path: Path) -> None:
    """With dropout, synchronized statistics and Adam. Rank 1 becomes rank 0, and a rank on another host joins.

    The same ranks then train the same model without a fault.
    """
    job = run_script(tmp_path, [("kill", 0, 1, 7)], spare_hosts=HOSTS[2:], max_ranks=2, REFERENCE="1")
    assert job.code == 0, job.output
    assert (tmp_path / "fault-0").exists()
    first, second = results(job)
    assert first == second
    assert first["weights"] == first["reference"]
    assert first["changes"] == [[2, 1, 6]]  # two ranks continue after 6 batches of the second epoch
    assert (first["epoch"], first["batch"], first["steps"]) == (2, 0, 24)
