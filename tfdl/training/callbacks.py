"""What watches a run: each method is called on every rank, at the moment that its name says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.runs import Progress
from tfdl.training.run_parts import RunParts


@dataclass(frozen=True)
class RunPlan:
    """What a run is about to do, for whoever shows it."""

    model: str
    dataset: str
    task: str
    parameters: int
    world_size: int
    batch_size: int
    """Samples that a rank computes at a time."""
    accumulation_steps: int
    """Batches of that size whose gradients one optimizer step adds up."""
    global_batch_size: int
    """Samples of one optimizer step, over all ranks."""
    steps_per_epoch: int
    total_steps: int
    total_epochs: int | None
    """None if the run ends within an epoch."""
    directory: Path
    resumed_from: int
    """The step that the run continues from; 0 for a new one."""
    notes: tuple[str, ...] = ()
    """Lines to show when the run starts: about the data, the learning rate, XLA, what a resumed run lacks."""
    headline: tuple[str, ...] = ()
    """Validation metrics to show after each epoch, besides those that training has as well."""
    membership: str = ""
    """In an elastic run, how its ranks have changed; empty for those that it started with."""


@dataclass(frozen=True)
class StepReport:
    """The epoch so far, after some more steps; metrics are over all ranks."""

    progress: Progress
    metrics: dict[str, float]
    learning_rate: float
    examples_per_second: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch done (or the last part of one, when the run is counted in steps)."""

    progress: Progress
    metrics: dict[str, float]
    validation: dict[str, float]
    seconds: float
    examples_per_second: float
    loss_scale: dict[str, float] = field(default_factory=dict)
    """``loss_scale`` and ``skipped_steps``, of runs in float16."""


class Callback:
    """Watches a run. Override what you need; the base does nothing.

    The metrics are the same on every rank. What a callback decides from them, it decides alike on every rank.
    """

    wants_stop: bool = False
    """Whether training shall end: set it, and the run ends as if its planned end had come."""

    def on_built(self, parts: RunParts) -> None:
        """Model and optimizer are built, and nothing is restored or written yet: what cannot work is an error here."""

    def on_start(self, plan: RunPlan) -> None:
        """Everything is restored; the first step comes next."""

    def on_epoch_begin(self, progress: Progress) -> None:
        """An epoch begins, or continues after a resume."""

    def on_steps_begin(self, progress: Progress) -> None:
        """Some steps begin, in one graph call."""

    def on_steps(self, report: StepReport) -> None:
        """``steps_per_execution`` more steps are done (fewer at an epoch's end)."""

    def on_validation_begin(self) -> None:
        """The validation after an epoch begins."""

    def on_validation_end(self, metrics: dict[str, float]) -> None:
        """The validation after an epoch is done."""

    def before_checkpoint(self, report: EpochReport) -> None:
        """An epoch is done and validated, and is saved next: what changes training from here on belongs here."""

    def on_epoch(self, report: EpochReport) -> None:
        """An epoch is done, validated and saved."""

    def on_training_end(self) -> None:
        """No more steps; what changes the final weights belongs here, and results come next."""

    def on_end(self, summary: dict[str, Any]) -> None:
        """The run is complete."""

    def close(self) -> None:
        """The run is over, successful or not."""

    def get_state(self) -> dict[str, Any]:
        """What a resumed run must restore: numbers, texts, NumPy arrays, and lists of these, by name."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what ``get_state`` returned; called after ``on_start`` of a resumed run.

        Args:
            state: as it was saved.
        """

    def starting_anew(self, state: dict[str, Any]) -> list[str]:  # noqa: ARG002
        """What a resumed run cannot restore, by name, to be shown.

        Args:
            state: as it was saved; empty if there is none.
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
        """Whether any of them wants training to end."""
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

    def on_validation_end(self, metrics: dict[str, float]) -> None:
        for member in self.members:
            member.on_validation_end(metrics)

    def before_checkpoint(self, report: EpochReport) -> None:
        for member in self.members:
            member.before_checkpoint(report)

    def on_epoch(self, report: EpochReport) -> None:
        for member in self.members:
            member.on_epoch(report)

    def on_training_end(self) -> None:
        for member in self.members:
            member.on_training_end()

    def on_end(self, summary: dict[str, Any]) -> None:
        for member in self.members:
            member.on_end(summary)

    def close(self) -> None:
        for member in self.members:
            member.close()
