r"""The plain recurrent layer."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.recurrent import Recurrent, State
from tfdl.layers.recurrent_loops import simple_loop


@keras.saving.register_keras_serializable(package="tfdl")
class SimpleRNN(Recurrent):
    __doc__ = r"""The plain recurrent layer (Elman, 1990).

    $$h_t = \tanh(x_t W + h_{t-1} R + b)$$
    """ + (Recurrent.__doc__ or "").partition("\n")[2]

    gates = 1

    def run(self, inputs: Any, state: State, mask: Any) -> tuple[Any, State]:
        (h,) = state
        projected = self._project(inputs, tf.convert_to_tensor(self.bias))  # (time, batch, units)
        outputs, h = simple_loop(projected, tf.convert_to_tensor(self.recurrent_kernel), h, mask)
        return outputs, (h,)
