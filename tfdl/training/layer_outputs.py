"""Watches what the layers of a model return."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf


@dataclass
class LayerOutputs:
    """What the layers of a model returned, in the order in which they ended: a layer comes before the one it is in."""

    graph: Any = None
    """The graph in which the layers are called; none outside of graphs."""
    layers: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    """Of real numbers; those of one layer are neighbours."""

    def add(self, layer: Any, outputs: Any) -> None:
        """Adds what a layer returned.

        Args:
            layer: that returned it.
            outputs: nested tensors. Those of another graph, such as of the body of a loop in the model, cannot be used
                outside of it and are left out.
        """
        for tensor in tf.nest.flatten(outputs):
            if tf.is_tensor(tensor) and tensor.dtype.is_floating and getattr(tensor, "graph", None) is self.graph:
                self.layers.append(layer)
                self.tensors.append(tensor)

    def are_finite(self) -> list[Any]:
        """For each tensor a scalar boolean: whether all of its values are finite."""
        return [tf.reduce_all(tf.math.is_finite(tensor)) for tensor in self.tensors]


@contextmanager
def layer_outputs(model: Any) -> Iterator[LayerOutputs]:
    """Within the block, records what the layers of a model return when they are called.

    Args:
        model: is called in the block, in this thread.
    """
    watched = {id(layer) for layer in model._flatten_layers(include_self=False)}
    # Not the graph of each layer's call, which may be that of a loop's body.
    found = LayerOutputs(None if tf.executing_eagerly() else tf.compat.v1.get_default_graph())
    call = keras.layers.Layer.__call__

    def call_and_record(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = call(layer, *args, **kwargs)
        if id(layer) in watched:
            found.add(layer, outputs)
        return outputs

    keras.layers.Layer.__call__ = call_and_record
    try:
        yield found
    finally:
        keras.layers.Layer.__call__ = call
