"""Gives all ranks one state, and keeps them in step."""

from typing import Any

from tfdl.distributed.callbacks.distributed_callback import DistributedCallback
from tfdl.distributed.replicas import learning_rates
from tfdl.distributed.replicated import average_over_ranks, local_statistics
from tfdl.distributed.watchdog.current import tick
from tfdl.errors import RunError


class BroadcastState(DistributedCallback):
    """Gives all ranks rank 0's state before the first step: weights, statistics, optimizer slots, random streams.

    Random streams (dropout) then get the rank folded in, so that ranks draw different numbers.

    It also checks what ``fit`` needs to be one training: optimizers that average, no XLA around the collectives, the
    same learning rates, the same number of steps per epoch on all ranks, and ranks that end together. The numbers of
    steps are compared before the first epoch if they are known, otherwise when a rank has no more batches.

    Moving statistics that each rank keeps for itself (plain ``keras.layers.BatchNormalization``) are averaged at the
    end of each epoch and before each validation. Put this callback first.

    Raises:
        UserError: an optimizer does not average, or the ranks' models or numbers of steps differ.
        RunError: the ranks' epochs, learning rates or ends differ.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._steps_before_epoch = 0
        self._has_begun = False  # an epoch
        if self.world.size > 1:
            self.replicas.broadcast(steps=self.params.get("steps"))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._epoch = epoch + 1  # as Keras prints it
        self._steps_in_epoch = 0
        self._check_ranks_agree(f"begins epoch {epoch + 1}")
        self._has_begun = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._steps_in_epoch = batch + 1
        tick(self._steps_before_epoch + self._steps_in_epoch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        tick()

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        tick()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._steps_before_epoch += self._steps_in_epoch

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self._check_ranks_agree("ends")

    def on_training_metrics(self) -> None:
        self.world.meet(f"has ended epoch {self._epoch} after {self._steps_in_epoch:,} steps")
        statistics = self.replicas.without_local(local_statistics(self.model))
        average_over_ranks(statistics, self.world)

    def _check_ranks_agree(self, doing: str) -> None:
        """Compares what the ranks do, and their learning rates.

        A rank that stops alone (one rank's callback has set ``stop_training``) would leave the others waiting.
        """
        if self.world.size == 1:
            return
        everyone = self.world.all_gather_object((doing, learning_rates(self.replicas.optimizers)))
        all_doing = [rank_doing for rank_doing, _ in everyone]
        if len(set(all_doing)) > 1:
            listed = ", ".join(f"rank {rank} {rank_doing}" for rank, rank_doing in enumerate(all_doing))
            if not self._has_begun:
                raise RunError(
                    f"the ranks begin fit at different epochs: {listed}; a callback has restored some ranks only:"
                    " restore on every rank, with BackupAndRestore(f'backup-{world.rank}') from a folder for each rank"
                )
            raise RunError(
                f"the ranks diverge: {listed}; callbacks that stop training must decide by the same values on all"
                " ranks: put AverageMetrics before them"
            )
        all_rates = [rates for _, rates in everyone]
        if any(rates != all_rates[0] for rates in all_rates):
            listed = ", ".join(f"rank {rank} has {rates[0]:g}" for rank, rates in enumerate(all_rates))
            raise RunError(
                f"the ranks' learning rates differ: {listed}; callbacks that change it must decide by the same values"
                " on all ranks: put AverageMetrics before them"
            )
