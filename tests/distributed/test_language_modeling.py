"""``horovodrun -np 2 tfdl train`` on language models: one run on any number of ranks, in step with the text."""

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

# An epoch has 691 windows: 21 steps of 32, and one of 19, of which one rank of two has 10.
STEPS = 27
EXACT = {"precision": "float64", "model.dropout": 0.0, "xla": "off"}


@pytest.fixture(scope="module")
def train(tiny_language: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    folder = tmp_path_factory.mktemp("language")

    def run(model: str, name: str, *options: str, ranks: int = 2, **changes: Any) -> tuple[Path, Finished]:
        config = tiny_language(model, {**EXACT, "batch_size": 32 // ranks, **changes}, steps=STEPS)
        file = folder / f"{name}.yaml"
        file.write_text(to_yaml(config))
        job = launch(ranks, "tfdl", "train", "--config", str(file), "--output", str(folder / name), *options)
        assert job.code == 0, job.output
        return folder / name, job

    return run


@pytest.fixture(scope="module", params=["rnn", "transformer"])
def straight(request: pytest.FixtureRequest, train: Callable[..., Any]) -> tuple[str, Path]:
    """Two ranks without a stop."""
    return request.param, train(request.param, request.param)[0]


@pytest.fixture(scope="module")
def half(train: Callable[..., Any]) -> Path:
    """Two ranks of a recurrent model, stopped within the first epoch."""
    run, _ = train("rnn", "half", "--steps", "9")
    return run


def summary(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return found


def test_two_ranks_train_as_one(
    straight: tuple[str, Path], tiny_language: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    model, together = straight
    alone = tfdl.train(tiny_language(model, EXACT, steps=STEPS), tmp_path / "alone").path
    one, two = (load_file(run / "checkpoints/last/model.safetensors") for run in (alone, together))
    for path, value in one.items():
        assert value.dtype == np.float64
        np.testing.assert_allclose(two[path], value, rtol=0, atol=1e-9, err_msg=path)
    for split in ("validation", "test"):
        assert summary(together)[split] == pytest.approx(summary(alone)[split], rel=1e-9)
    if model == "rnn":
        mine, theirs = (load_file(run / "checkpoints/last/carried.safetensors") for run in (alone, together))
        for name, value in mine.items():
            np.testing.assert_allclose(theirs[name], value, rtol=0, atol=1e-9, err_msg=name)


def test_evaluation_is_the_same_on_any_ranks(straight: tuple[str, Path]) -> None:
    model, run = straight
    if model == "rnn":
        job = launch(2, "tfdl", "evaluate", str(run), "--json")
        assert job.code == 0, job.output
        assert json.loads(job.lines_of(0)[-1]) == summary(run)["test"]
    assert tfdl.evaluate(run) == summary(run)["test"]


@pytest.mark.parametrize("straight", ["rnn"], indirect=True)
def test_going_on_within_an_epoch_is_the_straight_run(straight: tuple[str, Path], half: Path, tmp_path: Path) -> None:
    _, expected = straight
    copy = shutil.copytree(half, tmp_path / "copy", symlinks=True)
    job = launch(2, "tfdl", "train", "--output", str(copy), "--resume", "--steps", str(STEPS))
    assert job.code == 0, job.output
    assert summary(copy)["weights_sha256"] == summary(expected)["weights_sha256"]


def test_going_on_alone_says_what_becomes_of_the_state(half: Path, tmp_path: Path) -> None:
    """No window is lost; the state is, until the epoch ends, and that is said."""
    notes = []

    class Watch(Callback):
        def on_start(self, plan: Any) -> None:
            notes.extend(plan.notes)

    copy = shutil.copytree(half, tmp_path / "copy", symlinks=True)
    config = RunDirectory(copy).read_config().replace(steps=9 + 26 + 3)
    run = tfdl.train(config, copy, resume=True, callbacks=[Watch()])
    expected = "this epoch began with 32 windows in a step: until it ends, each window begins with a state of zeros"
    assert notes == [expected]
    # 691 - 9 * 32 = 403 windows are left, 26 steps of one rank.
    progress = json.loads((run.checkpoint() / "progress.json").read_text())
    assert (progress["epoch"], progress["sample"], progress["examples"]) == (1, 48, 691 + 48)
    assert (run.checkpoint() / "carried.safetensors").exists()
