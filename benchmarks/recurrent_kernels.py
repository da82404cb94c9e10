"""Time loops of recurrent layers: tfdl's, Keras's, one that TensorFlow differentiates, fused kernels, and PyTorch's.

    python benchmarks/recurrent_kernels.py --cell lstm --units 200 --rounds 30

Forward and backward pass of one layer. In every round each kernel runs once, in a new order, so other work on the
machine slows all alike. The ratio is the median over the rounds of a kernel's time divided by Keras's in that round
(with `--only` and without `keras`: by the first kernel's).

- *derived*: a `tf.while_loop` over inputs that are projected in one product, as tfdl's, with TensorFlow's gradient;
- *unrolled*: the same without a loop. The graph grows with the steps, and XLA takes twenty seconds to compile it;
- *loop*: on a GPU, where tfdl uses cuDNN's kernels: tfdl's own loop;
- *BlockLSTMV2*: TensorFlow's fused kernel, which projects its inputs step by step. `GRUBlockCell` is not compared: it
  resets the state before the recurrent product; Keras, PyTorch and cuDNN reset it afterwards.

`--torch` adds PyTorch. On few cores its threads and TensorFlow's compete, and both become slower.
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
from lstm_variants import block_lstm, derived_lstm
from rich.console import Console
from rich.table import Table

from tfdl.layers import GRU, LSTM, SimpleRNN, cudnn

Step = Callable[[], Any]
"""One forward and backward pass, until its result is there."""

# --cell -> tfdl's layer, and the names of Keras's and PyTorch's.
CELLS = {"lstm": (LSTM, "LSTM", "LSTM"), "gru": (GRU, "GRU", "GRU"), "simple": (SimpleRNN, "SimpleRNN", "RNN")}


def main() -> None:
    """Measures every kernel and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", choices=CELLS, default="lstm")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--length", type=int, default=35, help="time steps of a sequence")
    parser.add_argument("--rounds", type=int, default=30, help="how often each kernel is measured")
    parser.add_argument("--torch", action="store_true", help="measure PyTorch, too")
    parser.add_argument("--only", nargs="+", metavar="KERNEL", help="only these kernels, such as keras 'tfdl, XLA'")
    arguments = parser.parse_args()
    shape = (arguments.batch_size, arguments.length, arguments.units)
    inputs = np.random.default_rng(0).normal(size=shape).astype("float32")  # (batch, time, features)
    steps = tensorflow_steps(arguments.cell, arguments.units, inputs)
    names = arguments.only or list(steps)
    unknown = sorted(set(names) - set(steps))
    if unknown:
        parser.error(f"--only {unknown}, expected some of {list(steps)}")
    steps = {name: steps[name] for name in names}
    if arguments.torch:
        steps["torch"] = torch_step(arguments.cell, arguments.units, inputs)
    seconds = measure(steps, arguments.rounds)
    title = f"{arguments.cell}, {arguments.units} units, batch {arguments.batch_size} x {arguments.length} steps"
    Console().print(table_of(seconds, title))


def tensorflow_steps(cell: str, units: int, inputs: np.ndarray) -> dict[str, Step]:
    """Makes a step for each kernel of TensorFlow.

    Args:
        cell: a key of ``CELLS``.
        units: units of the layer.
        inputs: of shape (batch, time, features).

    Returns:
        Name of the kernel -> step.
    """
    tfdl_class, keras_name, _ = CELLS[cell]
    tfdl_layer = tfdl_class(units)
    keras_layer = getattr(keras.layers, keras_name)(units, return_sequences=True)

    def tfdl_outputs(x: Any) -> Any:
        outputs, *_ = tfdl_layer(x)
        return outputs

    steps = {
        "keras": tensorflow_step(keras_layer, inputs),
        "tfdl": tensorflow_step(tfdl_outputs, inputs, tfdl_layer),
        "keras, XLA": tensorflow_step(keras_layer, inputs, jit=True),
        "tfdl, XLA": tensorflow_step(tfdl_outputs, inputs, tfdl_layer, jit=True),
    }
    if cudnn.is_present():
        steps["loop"] = traced_without_cudnn(tensorflow_step(tfdl_outputs, inputs, tfdl_layer))
    if cell == "lstm":
        derived = derived_lstm(tfdl_layer, unrolled=False)
        steps["derived"] = tensorflow_step(derived, inputs, tfdl_layer)
        steps["derived, XLA"] = tensorflow_step(derived, inputs, tfdl_layer, jit=True)
        steps["unrolled"] = tensorflow_step(derived_lstm(tfdl_layer, unrolled=True), inputs, tfdl_layer)
        steps["BlockLSTMV2"] = tensorflow_step(block_lstm(tfdl_layer), inputs, tfdl_layer)
    return steps


def tensorflow_step(function: Any, inputs: np.ndarray, layer: Any = None, jit: bool = False) -> Step:
    """Makes a step in a graph.

    Args:
        function: a layer, or a function of its inputs.
        inputs: of shape (batch, time, features).
        layer: the layer whose weights the function uses, when the function is no layer.
        jit: compile the step with XLA.
    """
    x = tf.constant(inputs)
    function(x)  # builds the layer
    variables = [variable.value for variable in (layer or function).trainable_variables]

    @tf.function(jit_compile=jit)
    def gradients(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = function(x)
        return tape.gradient(outputs, [x, *variables], output_gradients=x)

    def step() -> np.ndarray:
        by_inputs, *_ = gradients(x)
        return by_inputs.numpy()  # waits for the device

    return step


def traced_without_cudnn(step: Step) -> Step:
    """Traces a step, which is then the same without cuDNN's kernels."""
    with cudnn.portable_kernels():
        step()
    return step


def torch_step(cell: str, units: int, inputs: np.ndarray) -> Step:
    """Makes a step of PyTorch's layer of the same sizes."""
    import torch

    *_, torch_name = CELLS[cell]
    layer = getattr(torch.nn, torch_name)(units, units, batch_first=True)
    x = torch.tensor(inputs, requires_grad=True)
    upstream = torch.tensor(inputs)

    def step() -> None:
        outputs, _ = layer(x)
        outputs.backward(upstream)
        x.grad = None
        layer.zero_grad()

    return step


def measure(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Returns name -> seconds of a step in every round."""
    for step in steps.values():
        step()  # traces
        step()  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            start = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def table_of(seconds: dict[str, list[float]], title: str) -> Table:
    """Makes a table of medians, and of ratios to Keras or, if it was not measured, to the first kernel.

    Args:
        seconds: name of the kernel -> seconds of a step in every round.
        title: of the table.
    """
    reference = "keras" if "keras" in seconds else next(iter(seconds))
    table = Table("kernel", "ms", f"to {reference}", "quartiles", title=title, title_justify="left")
    for name, times in seconds.items():
        ratios = [own / other for own, other in zip(times, seconds[reference], strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        milliseconds = 1e3 * statistics.median(times)
        table.add_row(name, f"{milliseconds:.2f}", f"{median:.2f}", f"{low:.2f} to {high:.2f}")
    return table


if __name__ == "__main__":
    main()
