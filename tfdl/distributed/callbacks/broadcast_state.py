"""One state, and one course of training, on all ranks."""

from typing import Any

from tfdl.distributed.callbacks.over_ranks import OverRanks
from tfdl.distributed.replicas import learning_rates
from tfdl.distributed.replicated import average_over_ranks, local_statistics
from tfdl.distributed.watchdog.current import tick
from tfdl.errors import RunError


class BroadcastState(OverRanks):
    """Gives every rank rank 0's state before the first step: weights, statistics, optimizer slots, random streams.

    Random streams (dropout) then get the rank folded in, so that ranks draw different numbers. It also sees to what
    ``fit`` needs to be one training: optimizers that average, no XLA around the collectives, the same number of steps
    in an epoch on every rank (compared before the first one where they are known, else when a rank has no more
    batches), the same learning rates, and ranks that end together. Moving statistics that each rank keeps for itself
    (plain ``keras.layers.BatchNormalization``) are averaged at the end of each epoch and before each validation. Put it
    first.

    Raises:
        UserError: an optimizer does not average, or the ranks' models or numbers of steps differ.
        RunError: the ranks' epochs, learning rates or ends differ.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._done = 0  # steps of the epochs before
        if self.world.size > 1:
            self.replicas.broadcast(steps=self.params.get("steps"))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._epoch, self._steps = epoch + 1, 0
        self._go_together(f"begins epoch {epoch + 1}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._steps = batch + 1
        tick(self._done + self._steps)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        tick()

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        tick()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._done += self._steps

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self._go_together("ends")

    def on_training_numbers(self) -> None:
        self.world.meet(f"has ended epoch {self._epoch} after {self._steps:,} steps")
        average_over_ranks(local_statistics(self.model), self.world)

    def _go_together(self, doing: str) -> None:
        """A rank that stops alone (``stop_training`` set by one rank's callback) would leave the others waiting."""
        if self.world.size == 1:
            return
        everyone = self.world.all_gather_object((doing, learning_rates(self.replicas.optimizers)))
        if len({found for found, _ in everyone}) > 1:
            doings = ", ".join(f"rank {rank} {found}" for rank, (found, _) in enumerate(everyone))
            raise RunError(
                f"the ranks went different ways: {doings}; callbacks that stop training must decide from the same"
                " numbers on all ranks: put AverageMetrics before them"
            )
        if any(rates != everyone[0][1] for _, rates in everyone):
            shown = ", ".join(f"rank {rank} has {rates[0]:g}" for rank, (_, rates) in enumerate(everyone))
            raise RunError(
                f"the ranks' learning rates differ: {shown}; callbacks that change it must decide from the same numbers"
                " on all ranks: put AverageMetrics before them"
            )
