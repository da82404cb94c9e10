"""Gives variables their values when they are made, also where a step that is being traced makes them."""

import functools
from typing import Any

import keras
import tensorflow as tf


def initialize_variables_eagerly() -> None:
    """Makes Keras variables have a value as soon as they exist.

    The first call of a ``tf.function`` may build layers (a ``Sequential`` without ``Input``, a layer that is called
    there for the first time). TensorFlow then initializes their variables after the trace. But the ranks must get one
    state while the step is traced, before anything is computed. An initializer depends on a shape and a seed only, so
    it can run outside of the graph.
    """
    initialize = keras.Variable._initialize_with_initializer
    if hasattr(initialize, "__wrapped_by_tfdl__"):
        return

    @functools.wraps(initialize)
    def initialize_now(self: Any, initializer: Any) -> None:
        with tf.init_scope():
            initialize(self, initializer)

    initialize_now.__wrapped_by_tfdl__ = True  # type: ignore[attr-defined]
    keras.Variable._initialize_with_initializer = initialize_now
