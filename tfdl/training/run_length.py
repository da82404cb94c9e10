"""The length of a run."""

from dataclasses import dataclass

from tfdl.data.order import steps_left
from tfdl.runs import Progress


@dataclass(frozen=True)
class RunLength:
    """A run's length, in steps of the present global batch size."""

    num_examples: int
    """Training samples of an epoch."""
    global_batch: int
    """Samples of one optimizer step, over all ranks."""
    epochs: int | None
    """Planned epochs; None if ``steps`` is given."""
    steps: int | None
    """Planned optimizer steps; None if ``epochs`` is given."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_left(self.num_examples, self.global_batch)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run, if all of them have the present global batch size."""
        if self.steps is not None:
            return self.steps
        return self.steps_per_epoch * (self.epochs or 0)

    @property
    def total_epochs(self) -> int | None:
        """Epochs of the whole run; None if it ends within an epoch."""
        epochs, remaining_steps = divmod(self.total_steps, self.steps_per_epoch)
        return None if remaining_steps else epochs

    def ahead(self, progress: Progress) -> int:
        """Returns the run's position among ``total_steps``, minus the number of steps that are done.

        It differs from 0 if the length is given in epochs and the run had another global batch size before. On another
        number of ranks, an epoch has more or fewer steps.
        """
        if self.steps is not None:
            return 0
        remaining_in_epoch = steps_left(self.num_examples, self.global_batch, progress.sample)
        position = (progress.epoch + 1) * self.steps_per_epoch - remaining_in_epoch
        return position - progress.step

    def remaining_in_epoch(self, progress: Progress) -> int:
        """Returns the number of steps until the epoch or the run ends."""
        remaining = steps_left(self.num_examples, self.global_batch, progress.sample)
        if self.steps is None:
            return remaining
        return min(remaining, self.steps - progress.step)

    def is_done(self, progress: Progress) -> bool:
        """Whether the planned end is reached."""
        if self.steps is not None:
            return progress.step >= self.steps
        return progress.epoch >= (self.epochs or 0)
