"""Answers of the model that an export is compared with: in float32, as a CPU computes it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import tensorflow as tf


def hide_gpus() -> None:
    """Keeps TensorFlow from using GPUs in this process, unless it has used one already.

    An export computes little, and a job may need the GPU's memory.
    """
    with suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")


@contextmanager
def exact_products() -> Iterator[None]:
    """Within the block, a GPU multiplies in float32. By default its products have 10 bits of mantissa (TF32)."""
    was_enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(was_enabled)
