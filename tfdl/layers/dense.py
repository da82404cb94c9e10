r"""A dense layer whose bias learns in 16 bits, too."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.bias import add_bias


@keras.saving.register_keras_serializable(package="tfdl")
class Dense(keras.layers.Dense):
    r"""``keras.layers.Dense`` with the bias's gradient added up in float32.

    $$y = f(x W + b) \qquad \frac{\partial L}{\partial b} = \sum_i \frac{\partial L}{\partial y_i}$$

    The sum goes over all rows $i$, one for each position of each sequence. Keras's layer adds them up in the layer's
    compute dtype: in bfloat16 on a CPU, whose sum stands still once a row is below 1/512 of it, a classifier's biases
    were seen to get gradients with nothing right in them (32 sequences of 128 tokens). In other dtypes the layer is
    Keras's, to the bit.

    Args and call arguments are Keras's.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG002
        outputs = keras.ops.matmul(inputs, self.kernel)  # (..., U)
        if self.bias is not None:
            outputs = add_bias(outputs, tf.convert_to_tensor(self.bias))
        return outputs if self.activation is None else self.activation(outputs)
