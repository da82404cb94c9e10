"""What the callbacks share."""

from typing import Any

import keras

from tfdl.distributed.keras_guards import stepping_optimizers
from tfdl.distributed.optimizer import world_of
from tfdl.distributed.replicas import Replicas
from tfdl.distributed.world import SingleWorld, World


class OverRanks(keras.callbacks.Callback):
    """A callback that does nothing on one rank, and wants optimizers that average on several.

    ``on_training_numbers`` is called once an epoch, when the model's metrics are those of its training steps: before
    a validation takes them over, or else at the end of the epoch.
    """

    world: World = SingleWorld()
    _in_fit = _taken = False

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._in_fit = True
        self.replicas = Replicas(self.model, *stepping_optimizers(self.model))
        self.world = self.replicas.world

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._taken = False

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        if not self._in_fit:  # model.evaluate
            self.world = world_of(self.model.optimizer)
        self._take()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._take()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self._in_fit = False

    def on_training_numbers(self) -> None:
        """For those who want them."""

    def _take(self) -> None:
        if self._in_fit and not self._taken and self.world.size > 1:
            self._taken = True
            self.on_training_numbers()
