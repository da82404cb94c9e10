"""``horovodrun -np 2 tfdl train``: one model, exact metrics, and runs that resume where they stopped."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

import tfdl
from tests.distributed.launching import Finished, launch, launch_in_turn, program, start
from tfdl.runs import RunDirectory

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

SMALL = ("--set", "model.filters=[8,8]", "--set", "model.units=32", "--set", "model.dropout=0.2")


def train(output: Path, *options: str, ranks: int = 2) -> Finished:
    return launch(ranks, "tfdl", "train", "--output", str(output), *SMALL, *options)


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """Four epochs on two ranks, never stopped."""
    run = tmp_path_factory.mktemp("straight") / "run"
    job = train(run, "--epochs", "4")
    return run, job


def test_ranks_end_with_equal_weights() -> None:
    """The control: the same program finds that Horovod's own Keras wrapper trains two models."""
    job = launch(2, *program("train_and_compare"))
    assert job.code == 0, job.output
    assert json.loads(job.lines_of(0)[-1]) == {"tfdl": "equal", "horovod-keras": "different"}


def test_two_ranks_train_one_model(straight: tuple[Path, Finished]) -> None:
    run, job = straight
    assert job.code == 0, job.output
    results = summary(run)
    assert results["world_size"] == 2
    assert results["batch_size"] == 64
    assert results["global_batch_size"] == 128
    assert results["epochs"] == 4
    assert results["steps"] == 48
    assert results["test"]["accuracy"] > 0.6
    assert json.loads((run / "status.json").read_text())["code"] == 0


def test_only_the_chief_prints(straight: tuple[Path, Finished]) -> None:
    _, job = straight
    assert job.lines_of(1) == []
    assert sum("epoch" in line for line in job.lines_of(0)) >= 4


def test_evaluation_is_exact_for_any_number_of_ranks(straight: tuple[Path, Finished]) -> None:
    run, _ = straight
    job = launch(3, "tfdl", "evaluate", str(run), "--json")
    assert job.code == 0, job.output
    expected = summary(run)["test"]
    for metrics in (json.loads(job.lines_of(0)[-1]), tfdl.evaluate(run)):
        assert metrics == pytest.approx(expected, rel=1e-6)
        assert metrics["accuracy"] == expected["accuracy"]


def test_a_stopped_job_saves_and_resumes(straight: tuple[Path, Finished], tmp_path: Path) -> None:
    """SIGTERM reaches the ranks at different times. They stop at the same step, and resume to the same weights.

    There are checkpoints within epochs, each rank writes a shard of them, and the newest one is damaged.
    """
    run = tmp_path / "run"
    often = ("--set", "steps_per_execution=1", "--checkpoint-steps", "5", "--checkpoint-minutes", "0.01")
    often += ("--set", "checkpoint_shards=on", "--set", "keep_checkpoints=99")
    command = ("tfdl", "train", "--output", str(run), *SMALL, *often, "--epochs", "4")
    job = start(2, *command)
    log = run / "metrics.jsonl"
    assert job.stdout is not None
    for line in job.stdout:
        if "epoch 1/4" in line:  # training has begun
            break
    assert log.exists()
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=120)
    status = json.loads((run / "status.json").read_text())
    assert status["code"] == 75, output
    assert "SIGTERM" in status["reason"]
    assert not (run / "summary.json").exists()
    newest = RunDirectory(run).checkpoint().resolve()
    (newest / "optimizer-00002-of-00002.safetensors").write_bytes(b"damaged")
    job_resumed = launch(2, *command, "--resume")
    assert job_resumed.code == 0, job_resumed.output
    assert f"{newest.name} is damaged: optimizer-00002-of-00002.safetensors differs" in job_resumed.output
    assert summary(run)["weights_sha256"] == summary(straight[0])["weights_sha256"]
    folders = sorted((run / "checkpoints").glob("step-*"))
    sizes = [sum(path.stat().st_size for path in folders[-1].glob(f"*-0000{number}-*")) for number in (1, 2)]
    assert max(sizes) < 0.6 * sum(sizes)
    # They are written while the training goes on: without waiting for the next one, those of steps 5, 10, ...
    assert {5, 10} <= {int(folder.name.removeprefix("step-")) for folder in folders}
    assert [path.name for path in (run / "checkpoints").glob(".*")] == []
    expected = summary(run)["test"]
    assert tfdl.evaluate(run) == pytest.approx(expected, rel=1e-6)


OPTIONS = (
    "--accumulation-steps", "3", "--batch-size", "16", "--schedule", "cosine", "--warmup-steps", "5",
    "--precision", "mixed_float16", "--epochs", "3", "--xla", "auto",
    "--early-stopping-patience", "1", "--set", "early_stopping_min_delta=2.0",
    "--set", "optimizer.ema_momentum=0.9", "--set", "optimizer.scale_learning_rate=linear",
)  # fmt: skip
XLA = ("--set", "model.synchronized=false", "--steps", "3")


@pytest.fixture(scope="module")
def short_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Finished]]:
    """Three runs of one job."""
    folder = tmp_path_factory.mktemp("short")
    options = {"options": OPTIONS, "xla on": ("--xla", "on", *XLA), "xla auto": ("--xla", "auto", *XLA)}
    commands = [("train", "--output", str(folder / name), *SMALL, *more) for name, more in options.items()]
    jobs = launch_in_turn(2, *commands)
    return {name: (folder / name, job) for name, job in zip(options, jobs, strict=True)}


def test_all_options_of_a_step_work_over_ranks(short_runs: dict[str, tuple[Path, Finished]]) -> None:
    """Pieces with synchronized statistics, a short last batch, a schedule, averaged weights, 16 bits, a scaled rate,
    and an end before the planned one."""
    run, job = short_runs["options"]
    assert job.code == 0, job.output
    assert "learning rate 0.001 x 2 (2 ranks) = 0.002" in job.output
    assert "XLA off: synchronized batch normalization reduces over the ranks within the forward pass" in job.output
    assert "stopped early: 1 validation without a better accuracy than" in job.output
    results = summary(run)
    assert results["batch_size"] == 16
    assert results["global_batch_size"] == 96
    assert results["steps"] == 30
    assert tfdl.evaluate(run) == results["test"]


@pytest.mark.parametrize(
    ("option", "words", "choices"), [("on", "XLA on", ["on"]), ("auto", "ms a step with it", ["on", "off"])]
)
def test_xla_leaves_the_reduction_outside_on_several_ranks(
    short_runs: dict[str, tuple[Path, Finished]], option: str, words: str, choices: list[str]
) -> None:
    """The sync proof, after the first step and at the end, finds the ranks equal. The choice is printed and saved."""
    run, job = short_runs[f"xla {option}"]
    assert job.code == 0, job.output
    assert words in job.output
    assert RunDirectory(run).read_config().xla in choices
