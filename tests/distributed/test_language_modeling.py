"""``horovodrun -np 2 tfdl train`` on language models: the same model on any number of ranks, and exact resuming."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfdl
from tests.distributed.launching import Finished, launch
from tfdl.config import TrainConfig, to_yaml
from tfdl.runs import RunDirectory
from tfdl.training import Callback

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

# An epoch has 691 windows: 21 steps of 32 and one of 19. Of these 19, one of two ranks has 10.
STEPS = 27
EXACT = {"precision": "float64", "model.dropout": 0.0, "xla": "off"}


@pytest.fixture(scope="module")
def train(tiny_language: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """``train(model, name, *options, ranks=2, **changes)`` returns the run directory ``name`` and the job."""
    folder = tmp_path_factory.mktemp("language")

    def run(model: str, name: str, *options: str, ranks: int = 2, **changes: Any) -> tuple[Path, Finished]:
        config = tiny_language(model, {**EXACT, "batch_size": 32 // ranks, **changes}, steps=STEPS)
        file = folder / f"{name}.yaml"
        file.write_text(to_yaml(config))
        job = launch(ranks, "tfdl", "train", "--config", str(file), "--output", str(folder / name), *options)
        assert job.code == 0, job.output
        return folder / name, job

    return run


@pytest.fixture(scope="module")
def straight(train: Callable[..., Any]) -> Path:
    """Two ranks of a recurrent model without a stop. Its state makes it the harder case than a Transformer."""
    run, _ = train("rnn", "straight")
    return run


@pytest.fixture(scope="module")
def half(train: Callable[..., Any]) -> Path:
    """Two ranks of a recurrent model, stopped within the first epoch."""
    run, _ = train("rnn", "half", "--steps", "9")
    return run


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


def test_two_ranks_train_as_one(straight: Path, tiny_language: Callable[..., TrainConfig], tmp_path: Path) -> None:
    alone = tfdl.train(tiny_language("rnn", EXACT, steps=STEPS), tmp_path / "alone").path
    weights_alone = load_file(alone / "checkpoints/last/model.safetensors")
    weights = load_file(straight / "checkpoints/last/model.safetensors")
    for path, value in weights_alone.items():
        assert value.dtype == np.float64
        np.testing.assert_allclose(weights[path], value, rtol=0, atol=1e-9, err_msg=path)
    for split in ("validation", "test"):
        assert summary(straight)[split] == pytest.approx(summary(alone)[split], rel=1e-9)
    state_alone = load_file(alone / "checkpoints/last/carried.safetensors")
    state = load_file(straight / "checkpoints/last/carried.safetensors")
    for name, value in state_alone.items():
        np.testing.assert_allclose(state[name], value, rtol=0, atol=1e-9, err_msg=name)


def test_evaluation_is_the_same_on_any_number_of_ranks(straight: Path) -> None:
    job = launch(2, "tfdl", "evaluate", str(straight), "--json")
    assert job.code == 0, job.output
    assert json.loads(job.lines_of(0)[-1]) == summary(straight)["test"]
    assert tfdl.evaluate(straight) == summary(straight)["test"]


def test_a_run_resumed_within_an_epoch_is_the_straight_run(straight: Path, half: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(half, tmp_path / "copy", symlinks=True)
    job = launch(2, "tfdl", "train", "--output", str(copy), "--resume", "--steps", str(STEPS))
    assert job.code == 0, job.output
    assert summary(copy)["weights_sha256"] == summary(straight)["weights_sha256"]


def test_resuming_on_one_rank_reports_that_no_state_is_carried(half: Path, tmp_path: Path) -> None:
    """No window is lost. The state is lost until the epoch ends, and a note says that."""
    notes = []

    class Watch(Callback):
        def on_start(self, plan: Any) -> None:
            notes.extend(plan.notes)

    copy = shutil.copytree(half, tmp_path / "copy", symlinks=True)
    config = RunDirectory(copy).read_config().replace(steps=9 + 26 + 3)
    run = tfdl.train(config, copy, resume=True, callbacks=[Watch()])
    expected = "this epoch began with 32 windows in a step: until it ends, each window begins with a state of zeros"
    assert notes == [expected]
    # 691 - 9 * 32 = 403 windows are left, which are 26 steps of one rank. Then 3 steps of 16 windows follow.
    progress = json.loads((run.checkpoint() / "progress.json").read_text())
    assert progress["epoch"] == 1
    assert progress["sample"] == 48
    assert progress["examples"] == 691 + 48
    assert (run.checkpoint() / "carried.safetensors").exists()
