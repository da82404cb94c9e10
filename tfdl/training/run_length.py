"""How long a run is."""

from dataclasses import dataclass

from tfdl.data.order import steps_left
from tfdl.runs import Progress


@dataclass(frozen=True)
class RunLength:
    """A run's length, counted in steps of the present global batch."""

    num_examples: int
    """Training samples of an epoch."""
    global_batch: int
    """Samples of one optimizer step, over all ranks."""
    epochs: int | None
    """Planned epochs, or none."""
    steps: int | None
    """Planned optimizer steps, or none; one of the two is set."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_left(self.num_examples, self.global_batch)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run, if all of them have the present global batch."""
        return self.steps if self.steps is not None else self.steps_per_epoch * (self.epochs or 0)

    @property
    def total_epochs(self) -> int | None:
        """Epochs of the whole run; none if it ends within one."""
        epochs, remaining = divmod(self.total_steps, self.steps_per_epoch)
        return None if remaining else epochs

    def ahead(self, progress: Progress) -> int:
        """What to add to the steps that are done to get the run's position among ``total_steps``.

        It is not 0 if a run that is counted in epochs had other global batches before: on another number of ranks, an
        epoch has more or fewer steps.
        """
        if self.steps is not None:
            return 0
        remaining = steps_left(self.num_examples, self.global_batch, progress.sample)
        return (progress.epoch + 1) * self.steps_per_epoch - remaining - progress.step

    def remaining_in_epoch(self, progress: Progress) -> int:
        """Steps until the epoch ends, or the run."""
        remaining = steps_left(self.num_examples, self.global_batch, progress.sample)
        return remaining if self.steps is None else min(remaining, self.steps - progress.step)

    def is_done(self, progress: Progress) -> bool:
        """Whether the planned end has come."""
        if self.steps is not None:
            return progress.step >= self.steps
        return progress.epoch >= (self.epochs or 0)
