"""Recurrent kernels of NVIDIA's cuDNN, for machines with a GPU.

Layers keep their weights in one layout for every kernel, so a model trained on a GPU runs on a CPU. Tests without a GPU
compare the packing of the weights with Keras's, and the order of the gates with PyTorch, whose parameters have cuDNN's
layout. On a machine with a GPU all tests of the layers run through the kernels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util

_portable: ContextVar[bool] = ContextVar("portable", default=False)


@contextmanager
def portable_kernels() -> Iterator[None]:
    """Within the block, layers trace only kernels that run on every device, for graphs that leave this machine."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def is_present() -> bool:
    """Returns whether this process has a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))


def is_usable(mask: Any) -> bool:
    """Returns whether a layer that is being traced may use cuDNN.

    It may if there is a GPU and no recurrent mask, the graph stays on this machine, and XLA does not compile it: XLA
    does not support cuDNN's op.

    Args:
        mask: the mask of recurrent dropout, or None.
    """
    in_xla = control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph())
    return mask is None and not _portable.get() and not in_xla and is_present()


def cudnn_lstm(inputs: Any, kernel: Any, recurrent_kernel: Any, bias: Any, h0: Any, c0: Any) -> tuple[Any, Any, Any]:
    """Computes the same as ``lstm_loop``, from inputs that are not projected.

    Args:
        inputs: ``(time, batch, dim)``.
        kernel: ``(dim, 4 * units)``.
        recurrent_kernel: ``(units, 4 * units)``.
        bias: ``(4 * units,)``.
        h0, c0: initial state, ``(batch, units)`` each.

    Returns:
        Outputs ``(time, batch, units)``, and the last $h$ and $c$, ``(batch, units)`` each.
    """
    # cuDNN orders the gates like Keras: i, f, g, o.
    weights = [*tf.split(kernel, 4, axis=1), *tf.split(recurrent_kernel, 4, axis=1)]
    # cuDNN has a bias for each of the two products; the first is zero here.
    both_biases = tf.concat([tf.zeros_like(bias), bias], 0)  # (8 * units,)
    params = pack_parameters(weights, tf.split(both_biases, 8))
    outputs, h, c = _run("lstm", inputs, h0[tf.newaxis], c0[tf.newaxis], params)
    return outputs, h[0], c[0]


def cudnn_gru(inputs: Any, kernel: Any, recurrent_kernel: Any, bias: Any, recurrent_bias: Any, h0: Any) -> Any:
    """Computes the same as ``gru_loop``, from inputs that are not projected.

    Args:
        inputs: ``(time, batch, dim)``.
        kernel: ``(dim, 3 * units)``.
        recurrent_kernel: ``(units, 3 * units)``.
        bias, recurrent_bias: ``(3 * units,)``, of the two products.
        h0: initial state, ``(batch, units)``.

    Returns:
        Outputs ``(time, batch, units)``, and the last $h$, ``(batch, units)``.
    """
    weights = [
        *_reset_gate_first(tf.split(kernel, 3, axis=1)),
        *_reset_gate_first(tf.split(recurrent_kernel, 3, axis=1)),
    ]
    biases = [*_reset_gate_first(tf.split(bias, 3)), *_reset_gate_first(tf.split(recurrent_bias, 3))]
    no_cell_state = tf.zeros([], inputs.dtype)
    outputs, h, _ = _run("gru", inputs, h0[tf.newaxis], no_cell_state, pack_parameters(weights, biases))
    return outputs, h[0]


def _run(mode: str, inputs: Any, h0: Any, c0: Any, params: Any) -> tuple[Any, Any, Any]:
    """Runs one layer in one direction; states are ``(1, batch, units)``.

    bfloat16 is computed in float32, since the gradients of cuDNN's op are NaN in bfloat16.
    """
    dtype = inputs.dtype
    if dtype == tf.bfloat16:
        inputs, h0, c0, params = (tf.cast(value, tf.float32) for value in (inputs, h0, c0, params))
    time, batch = tf.unstack(tf.shape(inputs)[:2])
    outputs, h, c, *_ = tf.raw_ops.CudnnRNNV3(
        input=inputs,
        input_h=h0,
        input_c=c0,
        params=params,
        sequence_lengths=tf.fill([batch], time),  # cuDNN 9 requires them even if all lengths are equal
        rnn_mode=mode,
        is_training=True,
    )
    return tf.cast(outputs, dtype), tf.cast(h, dtype), tf.cast(c, dtype)


def pack_parameters(weights: Sequence[Any], biases: Sequence[Any]) -> Any:
    """Packs all parameters into cuDNN's single vector: every kernel transposed and flattened, then every bias.

    Args:
        weights: kernels ``(rows, units)``, one for each gate and product, in cuDNN's order.
        biases: ``(units,)`` each, in the same order.
    """
    flat_weights = [tf.reshape(tf.transpose(weight), [-1]) for weight in weights]
    return tf.concat([*flat_weights, *biases], 0)


def _reset_gate_first(gates: Sequence[Any]) -> list[Any]:
    """Reorders Keras's gates (update, reset, candidate) as cuDNN has them."""
    update, reset, candidate = gates
    return [reset, update, candidate]
