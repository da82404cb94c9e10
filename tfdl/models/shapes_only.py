"""Builds models of any size without allocating their weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras.src.backend.common import global_state

# Where Keras keeps the variables to initialize when a stateless scope ends.
_PENDING = "uninitialized_variables"


@contextmanager
def shapes_only() -> Iterator[None]:
    """Within the block, variables have a shape and a dtype but no value. They must not be used outside of it.

    A model of a billion parameters is built in seconds without allocating memory. Its parameters can be counted and its
    graph traced.
    """
    pending = list(global_state.get_global_attribute(_PENDING, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Otherwise the next stateless scope would initialize the variables of this block.
        global_state.set_global_attribute(_PENDING, pending)
