"""How far a run has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.json_files import JsonValues

_ADVICE = "use another checkpoint, or copy the run again"


@dataclass
class Progress:
    """How far a run has come: everything that a resumed run needs besides its variables.

    A checkpoint's ``progress.json`` has these fields as its keys.
    """

    step: int = 0
    """Optimizer steps done."""
    epoch: int = 0
    """Epochs done."""
    sample: int = 0
    """Samples done of the current epoch, over all ranks."""
    epoch_batch: int = 0
    """Global batch size that the order of the current epoch was made for; 0 before its first step."""
    running: list[float] = field(default_factory=list)
    """Sums of the running metrics over the samples done of the current epoch; the last one is the sum of weights."""
    examples: int = 0
    """Training samples done, over all ranks and epochs."""
    train_seconds: float = 0.0
    """Time of the training steps alone."""
    timed_examples: int = 0
    """Training samples of these steps; the summary's speed is their number divided by the time."""
    wall_seconds: float = 0.0
    """Time of the whole run, without the time between a stop and its resumption."""
    rate_scale: float | None = None
    """What a constant learning rate is multiplied by on the ranks of this checkpoint; none in checkpoints of 0.1."""
    rate_factor: float = 1.0
    """What the learning rate is multiplied by because training diverged or came to a plateau."""
    rollbacks: int = 0
    """How often training went back to a checkpoint."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of tfdl, TensorFlow and Keras, by name; empty in checkpoints of earlier versions."""
    best_step: int = 0
    """The step of the best checkpoint; 0 without one."""
    best_value: float | None = None
    """The monitored metric of the best checkpoint."""
    validation: dict[str, float] = field(default_factory=dict)
    """Metrics of the last validation."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any], path: Path = Path("progress.json")) -> "Progress":
        """Reads ``progress.json``.

        Args:
            values: its content; ``epoch_batch`` was called ``block`` in the first checkpoints of tfdl 0.1.
            path: of the file, for messages.

        Raises:
            UserError: a value of another type.
        """
        read = JsonValues(values, path, _ADVICE)
        versions = read.section("versions", {})
        validation = read.section("validation", {})
        return cls(
            step=read.count("step", 0),
            epoch=read.count("epoch", 0),
            sample=read.count("sample", 0),
            epoch_batch=read.count("epoch_batch" if "epoch_batch" in values else "block", 0),
            running=list(read.any_numbers("running", ())),
            examples=read.count("examples", 0),
            train_seconds=read.number("train_seconds", 0.0),
            timed_examples=read.count("timed_examples", 0),
            wall_seconds=read.number("wall_seconds", 0.0),
            rate_scale=read.number("rate_scale", None),
            rate_factor=read.number("rate_factor", 1.0),
            rollbacks=read.count("rollbacks", 0),
            versions={name: versions.text(name) for name in versions},
            best_step=read.count("best_step", 0),
            best_value=read.any_number("best_value", None),
            validation={name: validation.any_number(name, None) for name in validation},
        )
