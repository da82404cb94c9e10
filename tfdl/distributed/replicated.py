"""Which of a model's variables are the same on all ranks, and which each rank keeps for itself."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.distributed.buckets import sum_over_ranks
from tfdl.distributed.world import World


def replicated_weights(model: Any) -> list[Any]:
    """Weights that must be equal on all ranks: parameters, frozen ones too, and synchronized moving statistics.

    What a layer keeps for itself beside its parameters is left out.
    """
    layers = model._flatten_layers()
    replicated = {id(variable) for layer in layers for variable in layer._trainable_variables}  # frozen ones, too
    replicated |= {
        id(variable)
        for layer in layers
        if hasattr(layer, "moving_mean") and not _has_local_statistics(layer)
        for variable in _statistics_of(layer)
    }
    return [variable for variable in model.weights if id(variable) in replicated]


def local_statistics(model: Any) -> list[Any]:
    """Moving statistics of normalizations that see the samples of their own rank alone."""
    layers = model._flatten_layers(include_self=False)
    return [variable for layer in layers if _has_local_statistics(layer) for variable in _statistics_of(layer)]


def layer_states(model: Any) -> list[Any]:
    """What layers keep beside their weights, without moving statistics: a running mean of a user's layer, a codebook.

    Random streams and metrics are left out.
    """
    others = {id(variable) for variable in [*replicated_weights(model), *local_statistics(model)]}
    return [variable for variable in model.weights if id(variable) not in others]


def average_over_ranks(variables: list[Any], world: World) -> None:
    """Gives every rank the mean of all ranks' values, to the same bits."""
    if world.size == 1 or not variables:
        return
    sums = sum_over_ranks([tf.convert_to_tensor(variable) for variable in variables], world)
    for variable, total in zip(variables, sums, strict=True):
        variable.assign(total / world.size)


def _has_local_statistics(layer: Any) -> bool:
    """Keras's own ``synchronized=True`` is silently local under Horovod; tfdl's layer is not."""
    shared = getattr(layer, "synchronized", False) and not isinstance(layer, keras.layers.BatchNormalization)
    return hasattr(layer, "moving_mean") and hasattr(layer, "moving_variance") and not shared


def _statistics_of(layer: Any) -> list[Any]:
    return [layer.moving_mean, layer.moving_variance]
