"""What an elastic run prints when its ranks have changed."""

import pytest

from tfdl.training.elastic import Offer, _change_note


@pytest.mark.parametrize(
    ("num_ranks", "offer", "note"),
    [
        (2, Offer(has_output=True), ""),  # the start of the run
        (4, Offer(True, step=40, ranks=2, reached_step=40), "4 ranks now, 2 before: from step 40 on"),
        (
            1,
            Offer(True, step=41, ranks=2, reached_step=46),
            "1 rank now, 2 before: from step 41 on; 5 steps after it are repeated",
        ),
        (
            2,
            Offer(True, step=41, ranks=3, reached_step=42),
            "2 ranks now, 3 before: from step 41 on; 1 step after it is repeated",
        ),
    ],
)
def test_ranks_and_steps_are_counted_in_the_right_number(num_ranks, offer, note):
    assert _change_note(num_ranks, offer) == note
