"""The base class of the callbacks."""

from typing import Any

import keras

from tfdl.distributed.keras_guards import stepping_optimizers
from tfdl.distributed.optimizer import world_of
from tfdl.distributed.replicas import Replicas
from tfdl.distributed.world import SingleWorld, World


class DistributedCallback(keras.callbacks.Callback):
    """A callback that does nothing on one rank, and requires optimizers that average on several.

    Attributes:
        works_over_ranks: every rank needs the callback, because it contains collectives.
        world: the ranks over which the model's optimizers average.
        replicas: the model and its optimizers; set when training begins.
    """

    works_over_ranks = True
    world: World = SingleWorld()
    _in_fit = False
    _has_seen_metrics = False

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._in_fit = True
        self.replicas = Replicas(self.model, *stepping_optimizers(self.model))
        self.world = self.replicas.world

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._has_seen_metrics = False

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        if not self._in_fit:  # model.evaluate
            self.world = world_of(self.model.optimizer)
        self._see_metrics()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._see_metrics()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self._in_fit = False

    def on_training_metrics(self) -> None:
        """Called once in each epoch on several ranks, while the model's metrics are those of its training steps.

        That is before a validation resets them, or at the end of an epoch without validation.
        """

    def _see_metrics(self) -> None:
        if self._in_fit and not self._has_seen_metrics and self.world.size > 1:
            self._has_seen_metrics = True
            self.on_training_metrics()
