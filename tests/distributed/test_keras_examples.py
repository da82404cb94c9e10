"""Scripts like those of keras.io, on two ranks: their weights equal those of one process with the same global batch."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.distributed.launching import environment, launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

# tests/soak/test_keras_examples.py has seven more.
EXAMPLES = [
    *("functional", "custom_train_step", "gan", "gradient_tape"),
    *("fine_tuning", "without_input", "masked_loss", "accumulation"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders with the weights of one process and of two ranks. The two ranks' weights are equal."""
    return train_alone_and_together(tmp_path_factory, EXAMPLES)


def train_alone_and_together(folders: pytest.TempPathFactory, examples: list[str]) -> tuple[Path, Path]:
    alone = folders.mktemp("alone")
    together = folders.mktemp("together")
    command = [*program("keras_examples"), str(alone), *examples]
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)
    job = launch(2, *program("keras_examples"), str(together), *examples)
    assert job.code == 0, job.output
    return alone, together


@pytest.mark.parametrize("name", EXAMPLES)
def test_two_ranks_train_the_model_of_one_process(trained: tuple[Path, Path], name: str) -> None:
    check_example(*trained, name)


def check_example(alone: Path, together: Path, name: str) -> None:
    expected_weights = np.load(alone / f"{name}.npz")
    weights = np.load(together / f"{name}.npz")
    assert weights.files == expected_weights.files
    for key in expected_weights.files:
        np.testing.assert_allclose(weights[key], expected_weights[key], rtol=0, atol=1e-9)
    expected_history = json.loads((alone / f"{name}.json").read_text())
    history = json.loads((together / f"{name}.json").read_text())
    assert history.keys() == expected_history.keys()
    for key, values in expected_history.items():
        assert history[key] == pytest.approx(values, abs=1e-9), key


def test_callbacks_have_stopped_the_training_and_lowered_the_rate(trained: tuple[Path, Path]) -> None:
    """Otherwise the test above would not cover these decisions."""
    _, together = trained
    history = json.loads((together / "functional.json").read_text())
    assert len(history["loss"]) < 12  # stopped early
    assert history["learning_rate"][-1] < 0.02 * 0.9**3  # scheduled, then lowered on a plateau
