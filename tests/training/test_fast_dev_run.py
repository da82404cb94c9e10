"""``--fast-dev-run`` tries every part of a run, and keeps nothing."""

import pytest

import tfdl
from tfdl.errors import UserError
from tfdl.training.fast_dev_run import shortened


class Watch(tfdl.training.Callback):
    """Notes what happens, and which files there are when the run has ended."""

    def __init__(self):
        self.seen = []
        self.files = set()
        self.rates = []

    def on_start(self, plan):
        self.directory = plan.directory
        self.seen.append(("steps", plan.total_steps))

    def on_steps(self, report):
        self.rates.append(report.learning_rate)

    def on_validation(self, report):
        self.seen.append(("validation", report.progress.step))

    def on_epoch(self, report):
        self.seen.append(("epoch", report.progress.step))

    def on_end(self, summary):
        self.files = {path.name for path in self.directory.glob("**/*")}
        self.seen.append(("end", sorted(summary["test"])[0]))


def test_every_part_is_tried_and_nothing_is_left(tiny, tmp_path):
    watch = Watch()
    run = tfdl.train(tiny(epochs=50), tmp_path / "run", callbacks=[watch], fast_dev_run=True)
    assert watch.seen == [("steps", 2), ("validation", 1), ("epoch", 2), ("end", "accuracy")]
    assert {"config.yaml", "step-00000001", "step-00000002", "best", "last", "model.safetensors"} <= watch.files
    assert run.path == tmp_path / "run.fast-dev-run"
    assert list(tmp_path.iterdir()) == []


def test_the_rates_are_those_of_the_run(tiny, tmp_path):
    changes = {"optimizer.schedule": "cosine", "optimizer.warmup_steps": 20, "optimizer.learning_rate": 0.5}
    tried, run = Watch(), Watch()
    tfdl.train(tiny(changes, epochs=4), tmp_path / "tried", callbacks=[tried], fast_dev_run=True)
    tfdl.train(tiny({**changes, "steps_per_execution": 1}, epochs=4), tmp_path / "run", callbacks=[run])
    assert tried.rates == pytest.approx(run.rates[:2])


def test_a_run_that_would_fail_fails(tiny, tmp_path):
    with pytest.raises(UserError, match="batch_size=5000, but 'digits' has 1437 training samples"):
        tfdl.train(tiny(batch_size=5000), tmp_path / "run", fast_dev_run=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    with pytest.raises(UserError, match="is not empty and contains no run"):
        tfdl.train(tiny(), tmp_path / "run", fast_dev_run=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_unfinished_trial_is_replaced(tiny, tmp_path):
    trial = tmp_path / "run.fast-dev-run"
    tfdl.train(tiny(epochs=1), trial)
    tfdl.train(tiny(), tmp_path / "run", fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []


def test_limits_of_the_user_stay(tiny):
    config = shortened(tiny(limit_test_samples=5, batch_size=32))
    assert config.sample_limits == {"train": None, "validation": 32, "test": 5}


@pytest.mark.parametrize("option", ["resume", "elastic"])
def test_what_a_trial_cannot_do(tiny, tmp_path, option):
    with pytest.raises(UserError, match=f"--fast-dev-run with --{option}: it tries a new run"):
        tfdl.train(tiny(), tmp_path / "run", fast_dev_run=True, **{option: True})
