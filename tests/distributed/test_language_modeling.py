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
from tests.distributed.launching import Finished, launch_in_turn
from tfdl.config import TrainConfig, to_yaml
from tfdl.runs import RunDirectory
from tfdl.training import Callback

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

# An epoch has 691 windows: 21 steps of 32 and one of 19. Of these 19, one of two ranks has 10.
STEPS = 27
EXACT = {"precision": "float64", "model.dropout": 0.0, "xla": "off"}


@pytest.fixture(scope="module")
def jobs(
    tiny_language: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Finished]]:
    """A folder, and what two ranks have done there with a recurrent model, whose state makes it the harder case.

    ``straight`` is trained without a stop, and evaluated. ``half`` stops within the first epoch. ``resumed`` stops
    there as well, and is resumed.
    """
    folder = tmp_path_factory.mktemp("language")
    config = tiny_language("rnn", {**EXACT, "batch_size": 16}, steps=STEPS)
    (folder / "config.yaml").write_text(to_yaml(config))

    def train(name: str, *options: str) -> tuple[str, ...]:
        return ("train", "--config", str(folder / "config.yaml"), "--output", str(folder / name), *options)

    jobs = launch_in_turn(
        2,
        train("straight"),
        ("evaluate", str(folder / "straight"), "--json"),
        train("half", "--steps", "9"),
        train("resumed", "--steps", "9"),
        ("train", "--output", str(folder / "resumed"), "--resume", "--steps", str(STEPS)),
    )
    for job in jobs:
        assert job.code == 0, job.output
    return folder, jobs


@pytest.fixture(scope="module")
def straight(jobs: tuple[Path, list[Finished]]) -> Path:
    return jobs[0] / "straight"


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


def test_evaluation_is_the_same_on_any_number_of_ranks(straight: Path, jobs: tuple[Path, list[Finished]]) -> None:
    _, (_, evaluated, *_) = jobs
    assert json.loads(evaluated.lines_of(0)[-1]) == summary(straight)["test"]
    assert tfdl.evaluate(straight) == summary(straight)["test"]


def test_a_run_resumed_within_an_epoch_is_the_straight_run(straight: Path, jobs: tuple[Path, list[Finished]]) -> None:
    folder, (*_, resumed) = jobs
    assert "resuming from step 9" in resumed.output
    assert summary(folder / "resumed")["weights_sha256"] == summary(straight)["weights_sha256"]


def test_resuming_on_one_rank_reports_that_no_state_is_carried(
    jobs: tuple[Path, list[Finished]], tmp_path: Path
) -> None:
    """No window is lost. The state is lost until the epoch ends, and a note says that."""
    notes = []

    class Watch(Callback):
        def on_start(self, plan: Any) -> None:
            notes.extend(plan.notes)

    copy = shutil.copytree(jobs[0] / "half", tmp_path / "copy", symlinks=True)
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
