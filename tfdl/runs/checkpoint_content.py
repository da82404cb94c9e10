"""What a checkpoint contains: all of it, or the part that one rank writes."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tfdl.runs.checkpoint_shards import Shard, keys_of_shard
from tfdl.runs.plain_state import copied_state
from tfdl.runs.progress import Progress
from tfdl.runs.variables import by_path, num_bytes

WEIGHTS = "model.safetensors"
"""The file of the model's variables, within a checkpoint."""
OPTIMIZER = "optimizer.safetensors"
"""The file of what updates need besides these."""


@dataclass(frozen=True)
class CheckpointContent:
    """What is written to a checkpoint."""

    weights: Mapping[str, Any]
    """Name -> variable of the model, or an array with its value."""
    optimizer: Mapping[str, Any]
    """The same for the variables that updates need besides the model's."""
    random: Mapping[str, Any]
    """The same for the states of the model's seed generators."""
    progress: Progress
    carried: Mapping[str, np.ndarray] | None = None
    """State of a recurrent language model within an epoch, name -> array with one row for each row of the global
    batch."""
    callbacks: Mapping[str, Any] = field(default_factory=dict)
    """States of callbacks, by name."""
    shard: Shard | None = None
    """Which shard these weights and variables of the optimizer are; ``None`` for all of them."""
    orders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """File -> the names in all of its shards, in their order."""

    @classmethod
    def of(cls, model: Any, optimizer: Any, progress: Progress, **states: Any) -> "CheckpointContent":
        """The content of a checkpoint of a model as it is now.

        Args:
            model: the ``keras.Model``.
            optimizer: an optimizer, or a list of all variables that updates need besides the model's.
            progress: how far the run has come.
            **states: ``carried`` and ``callbacks``.
        """
        return cls(
            by_path(model.weights), by_path(optimizer_variables(optimizer)), random_state(model), progress, **states
        )

    def part(self, shard: Shard) -> "CheckpointContent":
        """What one rank writes of it.

        Args:
            shard: which part.
        """
        files = {WEIGHTS: self.weights, OPTIMIZER: self.optimizer}
        sizes = {
            (file, name): num_bytes(variable)
            for file, variables in files.items()
            for name, variable in variables.items()
        }
        chosen = keys_of_shard(sizes, shard)
        return replace(
            self,
            weights={name: variable for name, variable in self.weights.items() if (WEIGHTS, name) in chosen},
            optimizer={name: variable for name, variable in self.optimizer.items() if (OPTIMIZER, name) in chosen},
            shard=shard,
            orders={WEIGHTS: list(self.weights), OPTIMIZER: list(self.optimizer)},
        )

    def copied(self) -> "CheckpointContent":
        """A copy in memory, which stays as it is while the training goes on."""
        return replace(
            self,
            weights=_arrays(self.weights),
            optimizer=_arrays(self.optimizer),
            random=_arrays(self.random),
            progress=copy.deepcopy(self.progress),
            callbacks=copied_state(self.callbacks),  # the carried state was gathered for this checkpoint
        )


def _arrays(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.array(variable) for name, variable in variables.items()}


def optimizer_variables(optimizer: Any) -> Sequence[Any]:
    """What updates need besides the model's variables.

    Args:
        optimizer: an optimizer, or the list of these variables.
    """
    return optimizer if isinstance(optimizer, list) else optimizer.variables


def random_state(model: Any) -> dict[str, Any]:
    """The states of the model's seed generators (dropout), which are not part of ``model.weights``.

    They are named by their order in the model. Keras numbers their paths over the whole process, so the same model
    has other paths when it is built again.
    """
    weights = {id(variable) for variable in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    return {f"seed_generator_{index}": variable for index, variable in enumerate(states)}
