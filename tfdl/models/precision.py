"""The floating-point formats that a model computes in."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def compute_precision(name: str) -> Iterator[None]:
    """Within the block, new layers get this Keras dtype policy. The global policy is restored afterwards.

    Args:
        name: ``float32``, ``mixed_bfloat16``, ``mixed_float16`` or ``float64``. The mixed policies compute in 16 bits.
            They keep weights, statistics, softmax and logits in float32 (Micikevicius et al., 2018,
            https://arxiv.org/abs/1710.03740).
    """
    old_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(old_policy)


def logits_dtype() -> str:
    """Returns the dtype of logits: float32 or wider, which softmax needs, whatever the other layers compute in."""
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"
