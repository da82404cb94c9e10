"""Scripts like those of keras.io, on two ranks: their weights equal those of one process with the same global batch."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.distributed.launching import environment, launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

EXAMPLES = ["functional", "custom_train_step", "gan", "gradient_tape", "fine_tuning", "embeddings"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders with the weights of one process, and of two ranks (which have compared theirs)."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    command = [*program("keras_examples"), str(alone), *EXAMPLES]
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)
    job = launch(2, *program("keras_examples"), str(together), *EXAMPLES)
    assert job.code == 0, job.output
    return alone, together


@pytest.mark.parametrize("name", EXAMPLES)
def test_two_ranks_train_what_one_process_trains(trained: tuple[Path, Path], name: str) -> None:
    alone, together = (np.load(folder / f"{name}.npz") for folder in trained)
    assert alone.files == together.files
    for key in alone.files:
        np.testing.assert_allclose(together[key], alone[key], rtol=0, atol=1e-9)
    expected, found = (json.loads((folder / f"{name}.json").read_text()) for folder in trained)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, abs=1e-9), key


def test_callbacks_that_decide_have_decided(trained: tuple[Path, Path]) -> None:
    """Otherwise the test above would not test them."""
    history = json.loads((trained[1] / "functional.json").read_text())
    assert len(history["loss"]) < 12  # stopped early
    assert history["learning_rate"][-1] < 0.02 * 0.9**3  # scheduled, then lowered on a plateau
