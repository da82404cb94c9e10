"""The time loops of recurrent layers side by side: ours, Keras's, what TensorFlow derives or has fused, and PyTorch's.

Forward and backward of one layer. In every round each kernel runs once, in a new order, so whatever else the machine
does falls on all alike; the ratio is the median over the rounds of a kernel's time by Keras's in the same round.

- *derived*: a `tf.while_loop` over inputs projected in one product, as ours, with TensorFlow's own gradient;
- *unrolled*: the same without a loop: a graph that grows with the steps, and that XLA compiles for twenty seconds;
- *loop*: tfdl's loop where tfdl takes cuDNN's kernels, on a GPU;
- *BlockLSTMV2*: the fused kernel, which projects its inputs step by step. `GRUBlockCell` is not among them: it resets
  the state before the recurrent product, Keras, PyTorch and cuDNN after it.

`--torch` adds PyTorch. On few cores its threads and TensorFlow's wait for each other, and both come out slower.

    python benchmarks/recurrent_kernels.py --cell lstm --units 200 --rounds 30
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tfdl.layers import GRU, LSTM, SimpleRNN, cudnn

KINDS = {"lstm": (LSTM, "LSTM"), "gru": (GRU, "GRU"), "simple": (SimpleRNN, "SimpleRNN")}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", choices=KINDS, default="lstm")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--length", type=int, default=35)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--torch", action="store_true", help="PyTorch, too")
    parser.add_argument("--only", nargs="+", metavar="KERNEL", help="compare these, such as keras 'tfdl, XLA'")
    arguments = parser.parse_args()
    inputs = np.random.default_rng(0).normal(size=(arguments.batch_size, arguments.length, arguments.units))
    steps = candidates(arguments.cell, arguments.units, inputs.astype("float32"))
    chosen = arguments.only or list(steps)
    if unknown := sorted(set(chosen) - set(steps)):
        parser.error(f"--only {unknown}, expected some of {list(steps)}")
    steps = {name: steps[name] for name in chosen}
    if arguments.torch:
        steps["torch"] = torch_step(arguments.cell, arguments.units, inputs.astype("float32"))
    for step in steps.values():
        step()
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for _ in range(arguments.rounds):
        random.shuffle(names)
        for name in names:
            begin = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - begin)
    show(seconds, f"{arguments.cell}, {arguments.units} units, batch {arguments.batch_size} x {arguments.length} steps")


def candidates(cell: str, units: int, inputs: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Name -> one forward and backward pass."""
    own, name = KINDS[cell]
    ours, theirs = own(units), getattr(keras.layers, name)(units, return_sequences=True)
    found = {
        "keras": tensorflow_step(theirs, inputs),
        "tfdl": tensorflow_step(lambda x: ours(x)[0], inputs, ours),
        "keras, XLA": tensorflow_step(theirs, inputs, jit=True),
        "tfdl, XLA": tensorflow_step(lambda x: ours(x)[0], inputs, ours, jit=True),
    }
    if cudnn.is_present():
        found["loop"] = portable(tensorflow_step(lambda x: ours(x)[0], inputs, ours))
    if cell == "lstm":
        found["derived"] = tensorflow_step(derived_lstm(ours, unrolled=False), inputs, ours)
        found["derived, XLA"] = tensorflow_step(derived_lstm(ours, unrolled=False), inputs, ours, jit=True)
        found["unrolled"] = tensorflow_step(derived_lstm(ours, unrolled=True), inputs, ours)
        found["BlockLSTMV2"] = tensorflow_step(block_lstm(ours), inputs, ours)
    return found


def tensorflow_step(layer: Any, inputs: np.ndarray, owner: Any = None, jit: bool = False) -> Callable[[], Any]:
    """A compiled step of a layer."""
    x = tf.constant(inputs)
    layer(x)
    variables = [variable.value for variable in (owner or layer).trainable_variables]

    @tf.function(jit_compile=jit)
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
        return tape.gradient(outputs, [x, *variables], output_gradients=x)

    return lambda: [gradient.numpy() for gradient in step(x)[:1]]


def portable(step: Callable[[], Any]) -> Callable[[], Any]:
    """The same, traced without cuDNN's kernels."""
    with cudnn.portable_kernels():
        step()
    return step


def derived_lstm(layer: LSTM, unrolled: bool) -> Callable[[Any], Any]:
    """The layer's steps with the gradient left to TensorFlow."""

    def run(x: Any) -> Any:
        batch, length, width = x.shape
        kernel = tf.convert_to_tensor(layer.recurrent_kernel)
        flat = tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, width])  # (T B, D)
        projected = tf.reshape(flat @ tf.convert_to_tensor(layer.kernel) + layer.bias, [length, batch, -1])

        def step(z: Any, h: Any, c: Any) -> tuple[Any, Any]:
            i, f, g, o = tf.split(z + h @ kernel, 4, axis=-1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            return tf.sigmoid(o) * tf.tanh(c), c

        h = c = tf.zeros([batch, layer.units])
        if unrolled:
            outputs = []
            for z in tf.unstack(projected):
                h, c = step(z, h, c)
                outputs.append(h)
            return tf.stack(outputs, axis=1)

        def body(t: Any, h: Any, c: Any, outputs: Any) -> tuple[Any, ...]:
            h, c = step(projected[t], h, c)
            return t + 1, h, c, outputs.write(t, h)

        outputs = tf.TensorArray(x.dtype, length, element_shape=(batch, layer.units))
        begin = (0, h, c, outputs)
        *_, outputs = tf.while_loop(lambda t, *_: t < length, body, begin, maximum_iterations=length)
        return tf.transpose(outputs.stack(), [1, 0, 2])

    return run


def block_lstm(layer: LSTM) -> Callable[[Any], Any]:
    """TensorFlow's fused kernel with the layer's weights; its gate order is Keras's."""

    def run(x: Any) -> Any:
        zeros = tf.zeros([x.shape[0], layer.units])
        peephole = tf.zeros([layer.units])
        *_, outputs = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.constant(x.shape[1], tf.int64),
            x=tf.transpose(x, [1, 0, 2]),
            cs_prev=zeros,
            h_prev=zeros,
            w=tf.concat([layer.kernel, layer.recurrent_kernel], 0),
            wci=peephole,
            wcf=peephole,
            wco=peephole,
            b=tf.convert_to_tensor(layer.bias),
            use_peephole=False,
        )
        return tf.transpose(outputs, [1, 0, 2])

    return run


def torch_step(cell: str, units: int, inputs: np.ndarray) -> Callable[[], Any]:
    """PyTorch's layer of the same sizes."""
    import torch

    layer = getattr(torch.nn, {"lstm": "LSTM", "gru": "GRU", "simple": "RNN"}[cell])(units, units, batch_first=True)
    x = torch.tensor(inputs, requires_grad=True)
    upstream = torch.tensor(inputs)

    def step() -> None:
        outputs, _ = layer(x)
        outputs.backward(upstream)
        x.grad = None
        layer.zero_grad()

    return step


def show(seconds: dict[str, list[float]], title: str) -> None:
    """A table of medians."""
    table = Table("kernel", "ms", "to keras", "quartiles", title=title, title_justify="left")
    for name, times in seconds.items():
        low, ratio, high = statistics.quantiles([a / b for a, b in zip(times, seconds["keras"], strict=True)], n=4)
        milliseconds = statistics.median(times) * 1e3
        table.add_row(name, f"{milliseconds:.2f}", f"{ratio:.2f}", f"{low:.2f} to {high:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
