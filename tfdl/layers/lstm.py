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

    With $(i, f, g, o)$ four pieces of $x_t W + h_{t-1} R + b$:

    $$c_t = \sigma(f)\, c_{t-1} + \sigma(i) \tanh(g) \qquad h_t = \sigma(o) \tanh(c_t)$$

    The state is $(h, c)$. The forget gate's bias begins at ``forget_bias`` (Jozefowicz et al., 2015).
    """ + (Recurrent.__doc__ or "").partition("\n")[2]

    gates, num_states, in_cudnn = 4, 2, True

    def __init__(self, units: int, forget_bias: float = 1.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.forget_bias = forget_bias

    def run(self, inputs: Any, state: State, mask: Any) -> tuple[Any, State]:
        h, c = state
        kernel, bias = tf.convert_to_tensor(self.recurrent_kernel), tf.convert_to_tensor(self.bias)
        if cudnn.is_usable(mask):
            outputs, h, c = cudnn.cudnn_lstm(inputs, tf.convert_to_tensor(self.kernel), kernel, bias, h, c)
        else:
            outputs, h, c = lstm_loop(self._projected(inputs, bias), kernel, h, c, mask)
        return outputs, (h, c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "forget_bias": self.forget_bias}

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        i, f, g, o = tf.split(tf.convert_to_tensor(super()._initial_bias(shape, dtype)), 4)
        return tf.concat([i, f + self.forget_bias, g, o], 0)
