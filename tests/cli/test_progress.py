"""What `tfdl train` prints around and after the steps."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tfdl.cli.progress import Progress
from tfdl.runs import Progress as Position
from tfdl.training.callbacks import EpochReport, RunPlan

SUMMARY = {
    "steps": 40,
    "wall_seconds": 3.0,
    "examples_per_second": 100.0,
    "weights_sha256": "0123456789abcdef",
    "validation": {"accuracy": 0.5},
    "test": {"accuracy": 0.4},
}


def printed(*warnings: str, best_step: int = 40, best_value: float = 0.75, seconds: float = 2.0, **changes: Any) -> str:
    """A run of four epochs of ten steps, of which the first and the last are shown."""
    plan = {
        "model": "cnn",
        "dataset": "digits",
        "task": "image-classification",
        "parameters": 7,
        "world_size": 1,
        "batch_size": 8,
        "accumulation_steps": 1,
        "global_batch_size": 8,
        "steps_per_epoch": 10,
        "total_steps": 40,
        "total_epochs": 4,
        "directory": Path("runs/a"),
        "resumed_from": 0,
        "samples": "80 training samples, 8 for validation, 8 for the test",
        "monitor": "accuracy",
    }
    output = io.StringIO()
    progress = Progress(Console(file=output, width=200))
    progress.on_start(RunPlan(**{**plan, **changes}))
    for epoch in (1, 4):
        position = Position(step=10 * epoch, epoch=epoch, best_step=best_step, best_value=best_value)
        progress.on_epoch(EpochReport(position, {"loss": 1.0}, {"loss": 2.0, "accuracy": 0.5}, seconds, 40.0))
    for warning in warnings:
        progress.on_warning(warning)
    progress.on_end(SUMMARY)
    return output.getvalue()


def test_the_first_lines_name_samples_and_classes() -> None:
    lines = printed(class_names=tuple(map(str, range(12)))).splitlines()
    assert lines[2] == "80 training samples, 8 for validation, 8 for the test"
    assert lines[3] == "12 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8 and 3 more"
    assert lines[4] == "run directory runs/a"
    assert "classes" not in printed()


def test_the_time_left_is_that_of_the_epochs_to_come() -> None:
    assert "epoch 1/4  loss 1.0000  val_loss 2.0000  40 examples/s  6s left" in printed()


@pytest.mark.parametrize("plugins", [(), ("my_parts",)])
def test_the_best_checkpoint_is_named_if_it_is_not_the_last(plugins: tuple[str, ...]) -> None:
    options = "".join(f" --plugin {name}" for name in plugins)
    last = printed(plugins=plugins)
    commands = [f"evaluate runs/a{options}", f"predict runs/a IMAGE...{options}", f"export runs/a exported/a{options}"]
    assert last.endswith("".join(["Next:\n", *(f"  tfdl {command}\n" for command in commands)]))
    assert "best" not in last
    assert printed(best_step=20, best_value=0.5, plugins=plugins) == last  # the last one is as good
    other = printed(best_step=20, plugins=plugins)
    assert (
        "These are the results of the last step. The best validation accuracy was 0.7500, at step 20: --checkpoint best"
        in other
    )
    assert f"\n  tfdl evaluate runs/a{options} --checkpoint best\n" in other
    assert other.endswith(f"  tfdl export runs/a exported/a{options} --checkpoint best\n")


def test_warnings_come_after_the_results() -> None:
    text = printed("test: no better than guessing")
    assert text.index("accuracy") < text.index("warning: test: no better than guessing") < text.index("Next:")
