"""Callbacks watch a run. Each of their methods is called on every rank, at the moment that its name says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.runs import Progress
from tfdl.tasks.task import Rows
from tfdl.training.run_parts import RunParts


@dataclass(frozen=True)
class RunPlan:
    """What a run is about to do, for callbacks that show it."""

    model: str
    dataset: str
    task: str
    parameters: int
    world_size: int
    batch_size: int
    """Samples of one forward and backward pass on one rank."""
    accumulation_steps: int
    """Batches of ``batch_size`` samples whose gradients one optimizer step adds up."""
    global_batch_size: int
    """Samples of one optimizer step, over all ranks."""
    steps_per_epoch: int
    total_steps: int
    total_epochs: int | None
    """None if the run ends within an epoch."""
    directory: Path
    resumed_from: int
    """The step that the run continues from; 0 for a new one."""
    samples: str = ""
    """How many samples each split has, in words."""
    class_names: tuple[str, ...] = ()
    """A name for each class number; empty for a task without classes."""
    notes: tuple[str, ...] = ()
    """Lines to show when the run starts: about the data, the learning rate, XLA, and what was not restored."""
    monitor: str = "loss"
    """The validation metric that decides which checkpoint is the best, and whether training stops early."""
    headline: tuple[str, ...] = ()
    """Validation metrics to show after each epoch, besides those that are also measured in training."""
    membership: str = ""
    """In an elastic run, how its ranks have changed; empty while it has the ranks that it started with."""
    plugins: tuple[str, ...] = ()
    """The user's modules that commands on the run must import."""


@dataclass(frozen=True)
class StepReport:
    """The epoch so far, after one more graph call; metrics are those of all ranks' samples."""

    progress: Progress
    metrics: dict[str, float]
    learning_rate: float
    examples_per_second: float
    norms: dict[str, float] = field(default_factory=dict)
    """``gradient_norm`` and ``weight_norm`` of the last step; empty unless ``--log-norms`` was given."""


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch. The last one may be a part of an epoch, if the run's length is given in steps."""

    progress: Progress
    metrics: dict[str, float]
    validation: dict[str, float]
    seconds: float
    """Duration of the epoch with its validation, without compilation."""
    examples_per_second: float
    loss_scale: dict[str, float] = field(default_factory=dict)
    """``loss_scale`` and ``skipped_steps``; empty unless the run computes in float16."""


@dataclass(frozen=True)
class ValidationReport:
    """A validation within an epoch."""

    progress: Progress
    validation: dict[str, float]
    seconds: float


class Callback:
    """Watches a run. Override the methods that you need; those of this class do nothing.

    The metrics are the same on every rank, so a callback that decides by them decides alike on every rank.
    """

    wants_stop: bool = False
    """Set it to True to end training: the run then ends as it does at its planned end."""

    def on_built(self, parts: RunParts) -> None:
        """Model and optimizer are built; nothing is restored or written yet. Raise errors about a run's parts here."""

    def on_start(self, plan: RunPlan) -> None:
        """Everything except the callbacks' states is restored. The first step comes next."""

    def on_epoch_begin(self, progress: Progress) -> None:
        """An epoch begins, or continues after a resume."""

    def on_steps_begin(self, progress: Progress) -> None:
        """The next graph call, of one or more steps, begins."""

    def on_steps(self, report: StepReport) -> None:
        """A graph call is done: ``steps_per_execution`` steps, or fewer."""

    def on_validation_begin(self) -> None:
        """A validation begins, after an epoch or within it."""

    def on_validation_rows(self, progress: Progress, rows: Rows) -> None:
        """The validation split was evaluated. The model has the weights that were: the averages, if there are any.

        Args:
            progress: of the run.
            rows: one for each sample, in the split's order, on every rank; see ``Task.evaluation_rows``.
        """

    def on_validation_end(self, metrics: dict[str, float]) -> None:
        """A validation is done."""

    def on_validation(self, report: ValidationReport) -> None:
        """The validation split was measured within an epoch, and a checkpoint is being written."""

    def before_checkpoint(self, report: EpochReport) -> None:
        """An epoch is done and validated, and its checkpoint comes next. Change the rest of the training here."""

    def on_epoch(self, report: EpochReport) -> None:
        """An epoch is done and validated, and its checkpoint is being written."""

    def on_training_end(self) -> None:
        """There are no more steps, and the final results come next. Change the final weights here."""

    def on_return(self, progress: Progress) -> None:
        """Training has diverged and goes back to a checkpoint. What came after it will be done again.

        Args:
            progress: of the checkpoint. ``set_state`` has been called with its state.
        """

    def on_notice(self, text: str) -> None:
        """Something has happened that the user should know, and the run goes on. It is called on rank 0 alone."""

    def on_warning(self, text: str) -> None:
        """The results are there, and the user should know this about them."""

    def on_end(self, summary: dict[str, Any]) -> None:
        """The run is complete."""

    def close(self) -> None:
        """The run is over, successful or not. Close files here."""

    def get_state(self) -> dict[str, Any]:
        """Returns what a resumed run must restore, by name: numbers, texts, NumPy arrays, and lists of these."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what ``get_state`` returned. It is called after ``on_start`` of a resumed run.

        Args:
            state: as it was saved.
        """

    def starting_anew(self, state: dict[str, Any]) -> list[str]:  # noqa: ARG002
        """Returns the names of what a resumed run cannot restore; the run prints them.

        Args:
            state: as it was saved; empty if the checkpoint has none.
        """
        return []


class Callbacks(Callback):
    """Several callbacks as one, called in their order.

    Args:
        members: the callbacks.
    """

    def __init__(self, members: Sequence[Callback]):
        self.members = list(members)

    @property
    def wants_stop(self) -> bool:  # type: ignore[override]
        """Whether any of the callbacks wants training to end."""
        return any(member.wants_stop for member in self.members)

    def on_built(self, parts: RunParts) -> None:
        for member in self.members:
            member.on_built(parts)

    def on_start(self, plan: RunPlan) -> None:
        for member in self.members:
            member.on_start(plan)

    def on_epoch_begin(self, progress: Progress) -> None:
        for member in self.members:
            member.on_epoch_begin(progress)

    def on_steps_begin(self, progress: Progress) -> None:
        for member in self.members:
            member.on_steps_begin(progress)

    def on_steps(self, report: StepReport) -> None:
        for member in self.members:
            member.on_steps(report)

    def on_validation_begin(self) -> None:
        for member in self.members:
            member.on_validation_begin()

    def on_validation_rows(self, progress: Progress, rows: Rows) -> None:
        for member in self.members:
            member.on_validation_rows(progress, rows)

    def on_validation_end(self, metrics: dict[str, float]) -> None:
        for member in self.members:
            member.on_validation_end(metrics)

    def on_validation(self, report: ValidationReport) -> None:
        for member in self.members:
            member.on_validation(report)

    def before_checkpoint(self, report: EpochReport) -> None:
        for member in self.members:
            member.before_checkpoint(report)

    def on_epoch(self, report: EpochReport) -> None:
        for member in self.members:
            member.on_epoch(report)

    def on_training_end(self) -> None:
        for member in self.members:
            member.on_training_end()

    def on_return(self, progress: Progress) -> None:
        for member in self.members:
            member.on_return(progress)

    def on_notice(self, text: str) -> None:
        for member in self.members:
            member.on_notice(text)

    def on_warning(self, text: str) -> None:
        for member in self.members:
            member.on_warning(text)

    def on_end(self, summary: dict[str, Any]) -> None:
        for member in self.members:
            member.on_end(summary)

    def close(self) -> None:
        for member in self.members:
            member.close()
