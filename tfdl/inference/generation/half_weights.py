"""A model that computes with weights in bfloat16 while it writes texts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tfdl.errors import UserError
from tfdl.layers.dense import Dense
from tfdl.layers.half_product import HalfWeights
from tfdl.layers.token_embedding import TokenEmbedding


class HalfWeightsOfModel:
    """Copies of a model's kernels in bfloat16, half as large. The model itself keeps its weights.

    Args:
        model: a model with dense layers of tfdl, or with a table that scores tokens.

    Raises:
        UserError: a model without such layers.
    """

    def __init__(self, model: Any):
        self._halves: list[tuple[Any, HalfWeights]] = []
        for layer in model._flatten_layers():
            if isinstance(layer, TokenEmbedding):
                self._halves.append((layer, HalfWeights(layer.table, centered=True)))
            elif isinstance(layer, Dense):
                kernel = tf.transpose(layer.kernel)  # (n, k)
                self._halves.append((layer, HalfWeights(kernel, centered=layer.name == "logits")))
        if not self._halves:
            raise UserError("weights=bfloat16, but the model has no dense layers of tfdl; leave it out")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within the block, graphs that are traced compute with the copies."""
        for layer, half in self._halves:
            layer.half_weights = half
        try:
            yield
        finally:
            for layer, _ in self._halves:
                layer.half_weights = None


class WholeWeights:
    """The model's own weights."""

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Changes nothing."""
        yield
