"""Models of any size without their memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras.src.backend.common import global_state

# Where Keras remembers variables whose values are to be made when a stateless scope ends.
_PENDING = "uninitialized_variables"


@contextmanager
def shapes_only() -> Iterator[None]:
    """Within the block, variables get a shape and a dtype and no value; they must not be used after it.

    A model of a billion parameters is built in seconds, its parameters counted and its graph traced, and nothing is
    allocated for it.
    """
    pending = list(global_state.get_global_attribute(_PENDING, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(_PENDING, pending)  # else the next scope of anyone would make the values
