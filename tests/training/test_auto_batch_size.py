"""``--auto-batch-size``: the search, and a run with the size that it found. The GPU and its memory are pretended."""

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.errors import RunError, UserError
from tfdl.training import Trainer, auto_batch_size
from tfdl.training.auto_batch_size import fits_in_memory, largest_batch_size


@pytest.mark.parametrize("limit", [1, 2, 7, 31, 64, 100, 1000])
@pytest.mark.parametrize("start", [1, 16, 64, 5000])
@pytest.mark.parametrize("most", [1, 50, 900])
def test_the_search(limit, start, most):
    tried = []

    def fits(size):
        tried.append(size)
        return size <= limit

    found = largest_batch_size(fits, start, most)
    largest = min(limit, most)
    assert largest * 7 / 8 - 1 <= found <= largest
    assert found in tried
    assert max(tried) <= most
    assert len(tried) < 20
    assert len(set(tried)) == len(tried)


def test_nothing_fits():
    assert largest_batch_size(lambda _: False, 64, 1000) == 0


OUT_OF_MEMORY = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.fixture
def memory(monkeypatch):
    """``memory(limit)``: a step with more samples fails as on a GPU."""
    forward = Trainer.forward

    def pretend(limit):
        def limited(trainer, batch):
            if (batch["image"].shape[0] or 0) > limit:  # the size of a step's batch is not known
                raise OUT_OF_MEMORY
            return forward(trainer, batch)

        monkeypatch.setattr(Trainer, "forward", limited)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["GPU:0"])

    return pretend


PLAIN = {"model.batch_normalization": False, "model.dropout": 0.5}


def test_a_run_has_the_size_that_was_found(tiny, tmp_path, memory, monkeypatch):
    """It is recorded, and the run is that of a user who gave this size."""
    notes = []

    class Watch(tfdl.training.Callback):
        def on_start(self, plan):
            notes.extend(plan.notes)

    with monkeypatch.context():
        memory(300)
        run = tfdl.train(tiny(PLAIN, auto_batch_size=True, epochs=1), tmp_path / "run", callbacks=[Watch()])
    config = run.read_config()
    assert 263 <= config.batch_size <= 300
    assert not config.auto_batch_size
    assert f"batch size {config.batch_size}, the largest that the GPUs' memory holds" in notes
    given = tfdl.train(tiny(PLAIN, batch_size=config.batch_size, epochs=1), tmp_path / "given")
    assert given.read_summary()["weights_sha256"] == run.read_summary()["weights_sha256"]


def test_a_trial_leaves_the_model_as_it_was(tiny, tmp_path, memory):
    memory(10)
    seen = {}

    class Watch(tfdl.training.Callback):
        def on_built(self, parts):
            trainer = parts.trainer
            before = [np.array(variable) for variable in trainer.variables]
            source = parts.sources["train"]
            for size in (5, 20):
                seen[size] = fits_in_memory(trainer, source.read(tf.range(size, dtype=tf.int64)), trainer.world)
            for mine, other in zip(before, trainer.variables, strict=True):
                np.testing.assert_array_equal(mine, other)

    tfdl.train(tiny(PLAIN, batch_size=8, epochs=None, steps=1), tmp_path / "run", callbacks=[Watch()])
    assert seen == {5: True, 20: False}


def test_what_it_refuses(tiny, tiny_language, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"--auto-batch-size without a GPU: .*; give --batch-size"):
        tfdl.train(tiny(PLAIN, auto_batch_size=True), tmp_path / "run")
    monkeypatch.setattr(auto_batch_size.tf.config, "list_physical_devices", lambda _: ["GPU:0"])
    with pytest.raises(UserError, match=r"a model with batch statistics \(batch_normalization_1\)"):
        tfdl.train(tiny(auto_batch_size=True), tmp_path / "run")
    with pytest.raises(UserError, match="a model that carries its state: the batch size is the number of streams"):
        tfdl.train(tiny_language("rnn", auto_batch_size=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_step_without_memory_ends_with_the_size_to_try(tiny, tmp_path, monkeypatch):
    def run(*_):
        raise OUT_OF_MEMORY

    monkeypatch.setattr(Trainer, "run", run)
    with pytest.raises(RunError, match="batch_size=64; train again with --batch-size 32 --accumulation-steps 2, which"):
        tfdl.train(tiny(PLAIN, batch_size=64), tmp_path / "run")
    with pytest.raises(RunError, match="batch_size=32; train again with --batch-size 16 --accumulation-steps 4, which"):
        tfdl.train(tiny(PLAIN, batch_size=32, accumulation_steps=2), tmp_path / "other")
