"""The training steps that the benchmarks of ranks measure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import SingleWorld
from tfdl.optimizers import Adam
from tfdl.training import Trainer

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import step_programs  # type: ignore[import-not-found]

    return step_programs


@pytest.mark.parametrize("name", ["cnn", "lstm", "gpt"])
def test_a_program_trains(steps, name):
    program = steps.PROGRAMS[name]
    model = steps.build_program_model(program, synchronized=False)
    trainer = Trainer(model, Adam(), steps.LabelTask(), SingleWorld())
    before = [np.array(weight) for weight in model.trainable_weights]
    batch = steps.random_batch(program, 2, seed=0)
    assert trainer.run(iter(tf.data.Dataset.from_tensors(batch).repeat()), 1) == 1
    loss, weight = trainer.take_sums()
    assert weight == 2.0
    assert 0.5 < loss / weight / np.log(program.vocabulary or 10) < 2  # about that of a guess
    assert any(not np.array_equal(old, new) for old, new in zip(before, model.trainable_weights, strict=True))
