r"""Long short-term memory."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers import cudnn
from tfdl.layers.recurrent import Recurrent, State
from tfdl.layers.recurrent_loops import lstm_loop


@keras.saving.register_keras_serializable(package="tfdl")
class LSTM(Recurrent):
    __doc__ = r"""Long short-term memory (Hochreiter and Schmidhuber, 1997; with forget gates, Gers et al., 2000).

    With $(i, f, g, o)$ the four parts of $x_t W + h_{t-1} R + b$:

    $$c_t = \sigma(f)\, c_{t-1} + \sigma(i) \tanh(g) \qquad h_t = \sigma(o) \tanh(c_t)$$

    The state is $(h, c)$. The bias of the forget gate starts at ``forget_bias`` (Jozefowicz et al., 2015).
    """ + (Recurrent.__doc__ or "").partition("\n")[2]

    gates = 4
    num_states = 2
    in_cudnn = True

    def __init__(self, units: int, forget_bias: float = 1.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.forget_bias = forget_bias

    def run(self, inputs: Any, state: State, mask: Any) -> tuple[Any, State]:
        h, c = state
        recurrent_kernel = tf.convert_to_tensor(self.recurrent_kernel)
        bias = tf.convert_to_tensor(self.bias)
        if cudnn.is_usable(mask):
            kernel = tf.convert_to_tensor(self.kernel)
            outputs, h, c = cudnn.cudnn_lstm(inputs, kernel, recurrent_kernel, bias, h, c)
        else:
            projected = self._project(inputs, bias)  # (time, batch, 4 * units)
            outputs, h, c = lstm_loop(projected, recurrent_kernel, h, c, mask)
        return outputs, (h, c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "forget_bias": self.forget_bias}

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        bias = tf.convert_to_tensor(super()._initial_bias(shape, dtype))
        i, f, g, o = tf.split(bias, 4)
        return tf.concat([i, f + self.forget_bias, g, o], 0)  # (4 * units,)
