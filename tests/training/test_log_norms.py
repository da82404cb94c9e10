"""``--log-norms``, ``--deterministic``, and the versions of the code that computes a run."""

import json

import keras
import numpy as np
import pytest

import tfdl
from tfdl.runs import load_run
from tfdl.training import code_versions, session


def steps_of(run):
    rows = map(json.loads, run.metrics_path.read_text().splitlines())
    return [row for row in rows if row["kind"] == "steps"]


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("pieces", [1, 2])
def test_norms_of_a_line(tmp_path, clip, pieces):
    """The loss (w - 2)^2 has the gradient 2 w - 4, which is logged before it is clipped."""
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1, "linear", False, "zeros")])
    model.compile(keras.optimizers.SGD(0.125, global_clipnorm=clip), loss="mse")
    ones = np.ones([8, 1], np.float32)
    data = dict.fromkeys(("train", "validation", "test"), (ones, 2 * ones))
    config = tfdl.TrainConfig(
        batch_size=8 // pieces, accumulation_steps=pieces, epochs=3, steps_per_execution=1, log_norms=True
    )
    run = tfdl.train(config, tmp_path / "run", model=model, data=data)
    rows = steps_of(run)
    if clip is None:
        assert [row["gradient_norm"] for row in rows] == [4.0, 3.0, 2.25]
        assert [row["weight_norm"] for row in rows] == [0.5, 0.875, 1.15625]
    else:
        assert [row["gradient_norm"] for row in rows] == [4.0, 3.75, 3.5]
        assert [row["weight_norm"] for row in rows] == [0.125, 0.25, 0.375]


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_norms_of_a_run(tiny, tmp_path, precision):
    run = tfdl.train(tiny(log_norms=True, precision=precision, epochs=1), tmp_path / "run")
    last = steps_of(run)[-1]
    weights = load_run(run, "last").model.trainable_variables
    norm = np.sqrt(sum(np.square(np.float64(weight)).sum() for weight in weights))
    assert last["weight_norm"] == pytest.approx(norm, rel=1e-5)
    assert 1e-3 < last["gradient_norm"] < 1e2  # of the loss, not of the scaled loss


def test_a_factor_of_the_optimizer_is_no_part_of_the_norm(tmp_path):
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1, "linear", False, "zeros")])
    model.compile(keras.optimizers.SGD(0.125, loss_scale_factor=1024.0), loss="mse")
    ones = np.ones([8, 1], np.float32)
    data = dict.fromkeys(("train", "validation", "test"), (ones, 2 * ones))
    config = tfdl.TrainConfig(batch_size=8, epochs=1, log_norms=True)
    (row,) = steps_of(tfdl.train(config, tmp_path / "run", model=model, data=data))
    assert (row["gradient_norm"], row["weight_norm"]) == (4.0, 0.5)


def test_without_the_option(trained_run):
    assert not any("gradient_norm" in row for row in steps_of(trained_run))


def test_a_run_with_other_versions_says_so(tiny, tmp_path, monkeypatch):
    notes = []

    class Watch(tfdl.training.Callback):
        def on_start(self, plan):
            notes.append([note for note in plan.notes if "the run was trained with" in note])

    now = code_versions.code_versions()
    with monkeypatch.context() as patch:
        patch.setattr(session, "code_versions", lambda: {**now, "tfdl": "0.0.9"})
        tfdl.train(tiny(epochs=1), tmp_path / "run", callbacks=[Watch()])
    tfdl.train(tiny(epochs=2), tmp_path / "run", resume=True, callbacks=[Watch()])
    tfdl.train(tiny(epochs=3), tmp_path / "run", resume=True, callbacks=[Watch()])
    expected = f"the run was trained with tfdl 0.0.9, now {now['tfdl']}: its numbers may differ"
    assert notes[0] == notes[2] == []
    assert notes[1][0].startswith(expected)


@pytest.mark.slow
def test_deterministic_kernels_give_the_same_bits(tfdl_command, tmp_path):
    """In other processes, since it cannot be undone. TensorFlow then uses some other kernels, which round otherwise."""
    options = ("--set", "model.filters=[4]", "--set", "model.units=8", "--image-size", "8", "--epochs", "1")
    digests = []
    for number in range(2):
        run = tmp_path / f"run{number}"
        done = tfdl_command("train", "--output", run, *options, "--deterministic")
        assert done.returncode == 0, done.stderr
        digests.append(json.loads((run / "summary.json").read_text())["weights_sha256"])
    assert digests[0] == digests[1]
    assert "deterministic: true" in (tmp_path / "run1" / "config.yaml").read_text()
