"""An LSTM layer of tfdl computed in other ways, with the same weights: for `recurrent_kernels.py`."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.layers import LSTM


def derived_lstm(layer: LSTM, unrolled: bool) -> Callable[[Any], Any]:
    """The layer's steps, differentiated by TensorFlow.

    Args:
        layer: the layer whose weights are used.
        unrolled: write every step into the graph instead of a `tf.while_loop`.

    Returns:
        A function of inputs of shape (batch, time, features) that returns (batch, time, units).
    """

    def run(x: Any) -> Any:
        projected = _project(layer, x)  # (time, batch, 4 * units)
        recurrent_kernel = tf.convert_to_tensor(layer.recurrent_kernel)  # (units, 4 * units)

        def step(z: Any, h: Any, c: Any) -> tuple[Any, Any]:
            i, f, g, o = tf.split(z + h @ recurrent_kernel, 4, axis=-1)  # each (batch, units)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return h, c

        initial_state = tf.zeros([x.shape[0], layer.units])  # (batch, units)
        run_steps = _unrolled if unrolled else _looped
        return run_steps(step, projected, initial_state)  # (batch, time, units)

    return run


def _project(layer: LSTM, x: Any) -> Any:
    """The products of all inputs with the layer's kernel, of shape (time, batch, 4 * units)."""
    batch, length, features = x.shape
    time_major = tf.transpose(x, [1, 0, 2])  # (time, batch, features)
    flat = tf.reshape(time_major, [-1, features])  # (time * batch, features)
    projected = flat @ tf.convert_to_tensor(layer.kernel) + layer.bias
    return tf.reshape(projected, [length, batch, -1])


def _unrolled(step: Callable[..., tuple[Any, Any]], projected: Any, initial_state: Any) -> Any:
    h = c = initial_state
    outputs = []
    for z in tf.unstack(projected):
        h, c = step(z, h, c)
        outputs.append(h)
    return tf.stack(outputs, axis=1)  # (batch, time, units)


def _looped(step: Callable[..., tuple[Any, Any]], projected: Any, initial_state: Any) -> Any:
    length = projected.shape[0]

    def body(t: Any, h: Any, c: Any, outputs: Any) -> tuple[Any, ...]:
        h, c = step(projected[t], h, c)
        return t + 1, h, c, outputs.write(t, h)

    outputs = tf.TensorArray(projected.dtype, length, element_shape=initial_state.shape)
    initial = (0, initial_state, initial_state, outputs)
    *_, outputs = tf.while_loop(lambda t, *_: t < length, body, initial, maximum_iterations=length)
    return tf.transpose(outputs.stack(), [1, 0, 2])  # (batch, time, units)


def block_lstm(layer: LSTM) -> Callable[[Any], Any]:
    """TensorFlow's fused kernel with the layer's weights; the order of its gates is Keras's.

    Returns:
        A function of inputs of shape (batch, time, features) that returns (batch, time, units).
    """

    def run(x: Any) -> Any:
        zeros = tf.zeros([x.shape[0], layer.units])  # (batch, units)
        no_peephole = tf.zeros([layer.units])
        *_, outputs = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.constant(x.shape[1], tf.int64),
            x=tf.transpose(x, [1, 0, 2]),  # (time, batch, features)
            cs_prev=zeros,
            h_prev=zeros,
            w=tf.concat([layer.kernel, layer.recurrent_kernel], 0),  # (features + units, 4 * units)
            wci=no_peephole,
            wcf=no_peephole,
            wco=no_peephole,
            b=tf.convert_to_tensor(layer.bias),
            use_peephole=False,
        )
        return tf.transpose(outputs, [1, 0, 2])

    return run
