"""Evaluation counts every sample once, alone and over ranks."""

import keras
import numpy as np
import pytest

import tfdl
from tfdl.data import ArraySource
from tfdl.distributed import SingleWorld
from tfdl.errors import RunError, UserError
from tfdl.evaluation import evaluator_for
from tfdl.tasks import ImageClassification
from tfdl.tasks.task import Task

SIZE = 2 * Task.evaluation_batch_size + 77


@pytest.fixture(scope="module")
def setting():
    """A task, a model with normalization and dropout, and a source whose size fits no batch."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    source = ArraySource(
        {
            "image": random.integers(0, 256, (SIZE, 8, 8, 1), np.uint8),
            "label": random.integers(0, 3, SIZE).astype(np.int32),
        }
    )
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3, filters=(4,), units=8, dropout=0.5)
    return ImageClassification((8, 8, 1), ("a", "b", "c"), resized=False), model, source


def test_it_is_a_plain_computation_over_all_samples(setting):
    task, model, source = setting
    everything = source.read(range(SIZE))
    logits = np.asarray(model(np.asarray(everything["image"]) / np.float32(255)), "float64")
    labels = np.asarray(everything["label"])
    losses = np.log(np.exp(logits).sum(1)) - logits[range(SIZE), labels]
    found = evaluator_for(model, task).metrics(source, SingleWorld())
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert found["accuracy"] == (logits.argmax(1) == labels).mean()


def test_it_can_be_repeated(setting):
    task, model, source = setting
    evaluator = evaluator_for(model, task)
    assert evaluator.metrics(source, SingleWorld()) == evaluator.metrics(source, SingleWorld())


@pytest.mark.parametrize("size", [2, 3, 4])  # four ranks share three batches
def test_ranks_get_the_very_numbers_of_one_process(setting, ranks, size):
    task, model, source = setting
    alone = evaluator_for(model, task).metrics(source, SingleWorld())
    world = ranks(size)
    assert world.run(lambda _: evaluator_for(model, task).metrics(source, world)) == [alone] * size


def test_a_run_evaluates_to_its_summary(trained_run):
    summary = trained_run.read_summary()
    assert tfdl.evaluate(trained_run) == summary["test"]
    assert tfdl.evaluate(str(trained_run.path), "validation") == summary["validation"]


def test_another_checkpoint_gives_other_numbers(trained_run):
    first = sorted(path.name for path in trained_run.checkpoints.glob("step-*"))[0]
    assert tfdl.evaluate(trained_run, checkpoint=first) != tfdl.evaluate(trained_run)


def test_training_images_are_not_augmented(trained_run):
    assert tfdl.evaluate(trained_run, "train") == tfdl.evaluate(trained_run, "train")


def test_an_unknown_split(trained_run):
    with pytest.raises(UserError, match=r"split 'tset', expected one of train, validation, test\. Did you mean 'test'"):
        tfdl.evaluate(trained_run, "tset")


def test_an_unknown_checkpoint(trained_run):
    with pytest.raises(UserError, match=r"has no checkpoint 'step-7'; it has best, last, step-00000012, step-00000024"):
        tfdl.evaluate(trained_run, checkpoint="step-7")


def test_no_run(tmp_path):
    with pytest.raises(UserError, match=r"no run directory '.*none'; give one that `tfdl train` wrote"):
        tfdl.evaluate(tmp_path / "none")
    with pytest.raises(UserError, match=r"holds no run \(no config\.yaml\)"):
        tfdl.evaluate(tmp_path)


def test_ranks_all_hear_of_one_rank_s_failure(ranks):
    world = ranks(3)

    def work(rank):
        with world.agreement():
            if rank > 0:
                raise RunError(f"rank {rank} failed")

    def on_rank(rank):
        with pytest.raises(RunError) as raised:
            work(rank)
        return str(raised.value)

    assert world.run(on_rank) == ["rank 1 failed"] * 3


def test_the_evaluated_split_is_enough(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 6, 6), np.uint8)
    labels = np.arange(60) % 3
    held_out = (images[:20], np.minimum(labels[:20], 1))  # no sample of the last class
    config = tfdl.TrainConfig(model={"name": "cnn", "filters": [2], "units": 2}, epochs=1, batch_size=8)
    run = tfdl.train(config, tmp_path / "run", data={"train": (images[20:], labels[20:]), "validation": held_out})
    # There were no test data, so the validation split was the test split.
    for split in ("validation", "test"):
        assert tfdl.evaluate(run, split, data={"validation": held_out}) == run.read_summary()[split]
    assert tfdl.evaluate(run, data={"test": held_out}) == run.read_summary()["test"]
    with pytest.raises(UserError, match=r"data has test, expected the split 'validation' to evaluate, or 'train'"):
        tfdl.evaluate(run, "validation", data={"test": held_out})
