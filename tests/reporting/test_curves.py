"""What ``metrics.jsonl`` says of a training."""

import json

import pytest

from tests.reporting.made_report import reports
from tfdl.reporting.facts.curves import Series, read_curves


def written(tmp_path, *lines):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return read_curves(path)


def steps(step, loss, **values):
    return {"kind": "steps", "step": step, "epoch": 0, "train": {"loss": loss}, **values}


def epoch(step, number, loss, validation):
    report = {"kind": "epoch", "step": step, "epoch": number, "train": {"loss": loss}}
    return {**report, "validation": {"loss": validation}}


def test_no_file(tmp_path):
    curves = read_curves(tmp_path / "metrics.jsonl")
    assert (curves.training, curves.validation, curves.last_step) == ({}, {}, 0)


def test_running_means_become_means_between_reports(tmp_path):
    """The losses of the steps are 4, 4, 2, 2 in the first epoch, and 1, 1, 3 in the second."""
    curves = written(
        tmp_path, steps(2, 4.0), steps(4, 3.0), epoch(4, 1, 3.0, 2.5), steps(6, 1.0), steps(7, 5 / 3),
        epoch(7, 2, 5 / 3, 2.0),
    )  # fmt: skip
    assert curves.training["loss"].steps == (2, 4, 6, 7)
    assert curves.training["loss"].values == pytest.approx((4, 2, 1, 3))
    assert curves.validation["loss"] == Series((4, 7), (2.5, 2.0))
    assert curves.epochs == Series((4, 7), (1, 2))


def test_perplexity_is_no_mean(tmp_path):
    curves = written(tmp_path, steps(2, 4.0) | {"train": {"loss": 4.0, "perplexity": 54.6}})
    assert list(curves.training) == ["loss"]


def test_epochs_alone(tmp_path):
    """A short run may have no other reports."""
    curves = written(tmp_path, epoch(4, 1, 3.0, 2.5), epoch(8, 2, 2.0, 1.5))
    assert curves.training["loss"] == Series((4, 8), (3.0, 2.0))


def test_steps_that_a_resumed_run_repeats_count_once(tmp_path):
    lines = reports(3)
    killed = [*lines[:4], steps(25, 9.0), steps(28, 9.0)]
    again = [*lines[2:4], *lines[4:]]  # from the checkpoint of step 10
    curves = written(tmp_path, *killed, *again)
    assert curves == written(tmp_path, *lines)
    assert curves.training["loss"].steps == (10, 20, 30)


def test_ranks_that_change_remove_the_steps_that_are_repeated(tmp_path):
    change = {"kind": "ranks", "step": 10, "world_size": 1, "text": "rank 1 was lost"}
    curves = written(tmp_path, steps(10, 2.0), steps(20, 9.0), change, steps(20, 1.0))
    assert curves.training["loss"].steps == (10, 20)
    assert curves.training["loss"].values[1] == pytest.approx(0.0)  # 2 * 1.0 - 2.0
    assert curves.rank_changes == ((10, "rank 1 was lost"),)


def test_values_that_no_figure_can_show(tmp_path):
    nan = '{"kind": "steps", "step": 20, "epoch": 0, "train": {"loss": NaN}, "learning_rate": Infinity}\n'
    curves = written(tmp_path, steps(10, 1.0), nan, steps(30, None), steps(40, 10**400), steps(50, True))
    assert curves.training["loss"] == Series((10,), (1.0,))
    assert curves.not_finite == (20, 30, 40, 50)
    assert len(curves.learning_rate) == 0


@pytest.mark.parametrize(
    "line", ["{\n", "[1]\n", "\xff\n", '{"kind": "steps"}\n', '{"kind": "steps", "step": -1}\n',
             '{"kind": "steps", "step": true}\n', "[" * 5000 + "\n", '{"kind": "other", "step": 1}\n']
)  # fmt: skip
def test_damaged_lines_are_counted(tmp_path, line):
    curves = written(tmp_path, steps(10, 1.0), line, steps(20, 1.0))
    assert curves.num_damaged == 1
    assert curves.training["loss"].steps == (10, 20)


def test_a_report_without_metrics(tmp_path):
    curves = written(tmp_path, {"kind": "steps", "step": 5, "train": 7}, {"kind": "epoch", "step": 5})
    assert (curves.training, curves.validation, curves.last_step) == ({}, {}, 5)


def test_a_metric_of_the_name_step(tmp_path):
    curves = written(tmp_path, {"kind": "epoch", "step": 5, "validation": {"step": 9.0, "loss": 1.0}})
    assert curves.validation == {"step": Series((5,), (9.0,)), "loss": Series((5,), (1.0,))}
