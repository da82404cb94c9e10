"""The number formats that a model computes in."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def compute_precision(name: str) -> Iterator[None]:
    """Within the block, new layers compute in this Keras policy and keep it; the global policy is as before after it.

    Args:
        name: ``float32``, ``mixed_bfloat16``, ``mixed_float16`` or ``float64``. The mixed ones compute in 16 bits and
            keep weights, statistics, softmax and logits in float32 (Micikevicius et al., 2018,
            https://arxiv.org/abs/1710.03740).
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def logits_dtype() -> str:
    """What logits are computed in: softmax wants float32 at least, whatever the layers below compute in."""
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"
