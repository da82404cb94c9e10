r"""The gated recurrent unit."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers import cudnn
from tfdl.layers.recurrent import Recurrent, State
from tfdl.layers.recurrent_loops import gru_loop


@keras.saving.register_keras_serializable(package="tfdl")
class GRU(Recurrent):
    __doc__ = r"""Gated recurrent unit (Cho et al., 2014, https://arxiv.org/abs/1406.1078).

    In the form of cuDNN and of Keras with ``reset_after=True``, where subscripts $z$, $r$, $h$ name the columns of each
    gate:

    $$z = \sigma(x_t W_z + h_{t-1} R_z + b_z) \qquad r = \sigma(x_t W_r + h_{t-1} R_r + b_r)$$
    $$\tilde h = \tanh(x_t W_h + b_h + r\,(h_{t-1} R_h + b'_h)) \qquad h_t = z\, h_{t-1} + (1 - z)\, \tilde h$$

    ``bias`` is ``(2, 3 * units)``: the bias of the product with the inputs, then of that with the state.
    """ + (Recurrent.__doc__ or "").partition("\n")[2]

    gates = 3
    in_cudnn = True

    def run(self, inputs: Any, state: State, mask: Any) -> tuple[Any, State]:
        (h,) = state
        recurrent_kernel = tf.convert_to_tensor(self.recurrent_kernel)
        bias, recurrent_bias = tf.unstack(tf.convert_to_tensor(self.bias))  # (3 * units,) each
        if cudnn.is_usable(mask):
            kernel = tf.convert_to_tensor(self.kernel)
            outputs, h = cudnn.cudnn_gru(inputs, kernel, recurrent_kernel, bias, recurrent_bias, h)
        else:
            projected = self._project(inputs, bias)  # (time, batch, 3 * units)
            outputs, h = gru_loop(projected, recurrent_kernel, recurrent_bias, h, mask)
        return outputs, (h,)

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units)
