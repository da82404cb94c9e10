"""A translator that is stopped within an epoch; ``tests/training/test_text_runs.py`` stops a classifier."""

from tests.training.test_text_runs import check_a_stopped_run


def test_a_run_that_stops_within_an_epoch_continues_to_the_same_weights(tmp_path):
    check_a_stopped_run("transformer", tmp_path)
