"""More ways in which a rank of a plain Keras script ends its epoch before the others."""

from pathlib import Path

import pytest

from tests.distributed.test_keras_faults import check_an_early_end

pytestmark = pytest.mark.distributed


@pytest.mark.parametrize(
    ("case", "where"),
    [
        ("stops_alone_in_an_epoch", "ended epoch 1 after 2 steps"),  # one rank's callback decides alone
        ("runs_out_of_data_with_synchronized_statistics", "ended epoch 1 after 5 steps"),
    ],
)
def test_a_rank_that_ends_its_epoch_before_the_others_ends_the_job(tmp_path: Path, case: str, where: str) -> None:
    check_an_early_end(tmp_path, case, where)
