"""Variables of TensorFlow, as the kernels of optimizers take them."""

from typing import Any

import keras
import tensorflow as tf


def tf_variable(variable: Any) -> Any:
    """Returns the ``tf.Variable`` of a Keras variable, or the argument if it is one."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def handle_of(variable: Any) -> Any:
    """Returns the resource handle of a Keras variable or a ``tf.Variable``, which fused kernels take."""
    return tf_variable(variable).handle


def subtract(variable: Any, factor: Any, tensor: Any) -> None:
    """Computes ``variable -= factor * tensor`` in one kernel.

    Args:
        variable: the variable.
        factor: a scalar.
        tensor: of the shape of the variable.
    """
    # Gradient descent is this very operation.
    tf.raw_ops.ResourceApplyGradientDescent(var=handle_of(variable), alpha=factor, delta=tensor)
