"""What 16 bits gain: a training step of a GPT of width 512 in bfloat16 and float32, tfdl's and plain Keras's.

    python benchmarks/precision.py --rounds 20 --output results.json

2 layers, 8 heads, width 512, 8 sequences of 128 tokens, vocabulary 1,000: matrix products are most of the work, as in a
large model. A step is forward pass, loss, backward pass and Adam. The variants take turns, as `comparison.py`
describes; `ratio` is the time relative to tfdl in float32. Two more tables measure parts of the step: a matrix product
alone, which is the upper bound, and the activation between the products. A CPU gains where it has AVX512-BF16 or AMX
(`lscpu | grep bf16`). `--operations` adds where the steps' time goes.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from comparison import Program, compare, table_of
from gpt_step import Sizes, approximate_gelu, keras_step, plain_keras_gpt, tfdl_gpt
from operations import operation_times, operations_table
from rich.console import Console

import tfdl
from tfdl.layers.gelu import gelu
from tfdl.models import compute_precision

TensorFunction = Callable[[tf.Tensor], tf.Tensor]

SIZES = Sizes(layers=2, heads=8, width=512, context=128, batch=8, vocabulary=1000)
# dtype -> Keras policy.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def main() -> None:
    """Measures every variant, prints the tables, and writes them to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.3, help="least time of one measurement")
    parser.add_argument("--operations", action="store_true", help="profile the steps by kind of operation, too")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    tables = {
        f"{SIZES}: a training step": training_steps(),
        "2048x2048 matrix product": matrix_products(),
        f"{SIZES.batch * SIZES.context}x{4 * SIZES.width} GELU, forward and backward": activations(),
    }
    results: dict[str, Any] = {}
    for title, variants in tables.items():
        rows = compare(variants, options.rounds, options.seconds)
        Console().print(table_of(title, rows))
        results[title] = [asdict(row) for row in rows]
    if options.operations:
        title = f"{SIZES}: a training step by operations"
        results[title] = operation_times(training_steps(), max(3, options.rounds // 4))
        Console().print(operations_table(title, results[title]))
    if options.output:
        settings = {"tensorflow": tf.__version__, "keras": keras.__version__, "python": platform.python_version()}
        settings |= {"rounds": options.rounds, "seconds": options.seconds}
        result = {"settings": settings, "tables": results}
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def training_steps() -> dict[str, Program]:
    """Returns whole training steps."""
    variants: dict[str, Program] = {}
    for dtype, policy in POLICIES.items():
        with compute_precision(policy):
            tfdl_step = keras_step(SIZES, tfdl_gpt(SIZES), tfdl.optimizers.Adam(), compiled=False)
            plain_step = keras_step(SIZES, plain_keras_gpt(SIZES), keras.optimizers.Adam(), compiled=False)
        variants[f"tfdl, {dtype}"] = tfdl_step
        variants[f"plain Keras, {dtype}"] = plain_step
    return variants


def matrix_products() -> dict[str, Program]:
    """Returns matrix products, the upper bound of what 16 bits can gain."""
    return {dtype: repeated(_square, np.ones((2048, 2048)), dtype) for dtype in POLICIES}


def activations() -> dict[str, Program]:
    """Returns tfdl's and Keras's GELU with its gradient."""
    values = np.random.default_rng(0).normal(size=(SIZES.batch * SIZES.context, 4 * SIZES.width))
    functions = {"tfdl": gelu, "Keras": approximate_gelu}
    variants = {}
    for dtype in POLICIES:
        for library, function in functions.items():
            variants[f"{library}'s, {dtype}"] = repeated(_gradient_of(function), values, dtype)
    return variants


def _gradient_of(function: TensorFunction) -> TensorFunction:
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    return gradient


def repeated(function: TensorFunction, values: np.ndarray, dtype: str) -> Program:
    """Makes a program that calls a function of a matrix so many times, and returns one element of the last result."""
    x = tf.cast(values, dtype)
    in_graph = tf.function(function, autograph=False)

    def run(num_steps: Any) -> tf.Tensor:
        results = [in_graph(x) for _ in range(int(num_steps))]
        return results[-1][0, 0]

    return run


def _square(x: tf.Tensor) -> tf.Tensor:
    return tf.matmul(x, x)


if __name__ == "__main__":
    main()
