"""Recurrent kernels of NVIDIA's cuDNN, where there is a GPU.

Layers keep their weights in one layout, whichever kernel runs: what a GPU trained runs on a CPU. Tests without a GPU
compare how weights are packed with Keras's packing, and the order of gates with PyTorch, whose parameters lie as
cuDNN's do; on a machine with one, all tests of the layers go through the kernels themselves.
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
    """Within the block, layers trace kernels that every device has: for graphs that leave this machine."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def is_present() -> bool:
    """Whether this process has a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))


def is_usable(mask: Any) -> bool:
    """Whether a layer that is traced now may use cuDNN.

    There is a GPU, no recurrent mask, and the graph neither leaves this machine nor is compiled by XLA, which does not
    know cuDNN's op.
    """
    in_xla = control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph())
    return mask is None and not _portable.get() and not in_xla and is_present()


def cudnn_lstm(inputs: Any, kernel: Any, recurrent_kernel: Any, bias: Any, h0: Any, c0: Any) -> tuple[Any, Any, Any]:
    """As ``lstm_loop`` on inputs ``(T, B, D)`` that are not projected yet."""
    weights = [*tf.split(kernel, 4, axis=1), *tf.split(recurrent_kernel, 4, axis=1)]  # cuDNN's order is i, f, g, o, too
    biases = tf.split(tf.concat([tf.zeros_like(bias), bias], 0), 8)  # it has one bias for each product
    outputs, h, c = _run("lstm", inputs, h0[tf.newaxis], c0[tf.newaxis], packed(weights, biases))
    return outputs, h[0], c[0]


def cudnn_gru(inputs: Any, kernel: Any, recurrent_kernel: Any, bias: Any, recurrent_bias: Any, h0: Any) -> Any:
    """As ``gru_loop`` on inputs ``(T, B, D)`` that are not projected yet."""
    weights = [*_r_before_z(tf.split(kernel, 3, axis=1)), *_r_before_z(tf.split(recurrent_kernel, 3, axis=1))]
    biases = [*_r_before_z(tf.split(bias, 3)), *_r_before_z(tf.split(recurrent_bias, 3))]
    outputs, h, _ = _run("gru", inputs, h0[tf.newaxis], tf.zeros([], inputs.dtype), packed(weights, biases))
    return outputs, h[0]


def _run(mode: str, inputs: Any, h0: Any, c0: Any, params: Any) -> tuple[Any, Any, Any]:
    """One layer in one direction. Its precision is float32 for bfloat16, in which the op's gradients are no numbers."""
    dtype = inputs.dtype
    if dtype == tf.bfloat16:
        inputs, h0, c0, params = (tf.cast(value, tf.float32) for value in (inputs, h0, c0, params))
    length, batch = tf.unstack(tf.shape(inputs)[:2])
    outputs, h, c, *_ = tf.raw_ops.CudnnRNNV3(
        input=inputs,
        input_h=h0,
        input_c=c0,
        params=params,
        sequence_lengths=tf.fill([batch], length),  # cuDNN 9 wants them, also where all are alike
        rnn_mode=mode,
        is_training=True,
    )
    return tf.cast(outputs, dtype), tf.cast(h, dtype), tf.cast(c, dtype)


def packed(weights: Sequence[Any], biases: Sequence[Any]) -> Any:
    """cuDNN's one vector of parameters: every kernel transposed and flat, then every bias."""
    flat = [tf.reshape(tf.transpose(weight), [-1]) for weight in weights]
    return tf.concat([*flat, *biases], 0)


def _r_before_z(gates: Sequence[Any]) -> list[Any]:
    """cuDNN has the reset gate first, Keras the update gate."""
    z, r, h = gates
    return [r, z, h]
