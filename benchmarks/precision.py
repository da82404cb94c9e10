"""What 16 bits win: a training step of a GPT of width 512 in bfloat16 and float32, tfdl's and plain Keras's.

    python benchmarks/precision.py --rounds 20 --output results.json

2 layers, 8 heads, 512 wide, 8 sequences of 128 tokens, vocabulary 1,000: matrix products are most of the work, as in a
large model. A step is forward pass, loss, backward pass and Adam. Variants take turns, as in
`layers_and_optimizers.py`; `ratio` is to tfdl in float32. Below it the parts: a matrix product alone, which is the
ceiling, and what stands between the products. A CPU wins where it has AVX512-BF16 or AMX (`lscpu | grep bf16`).
`--operations` adds where the steps' time goes.
"""

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from gpt_step import Sizes, keras_step, ours, plain_keras
from layers_and_optimizers import Program, compare, rendered
from operations import operation_times, rendered_times
from rich.console import Console

import tfdl
from tfdl.layers.gelu import gelu
from tfdl.models import compute_precision

SIZES = Sizes(layers=2, heads=8, width=512, context=128, batch=8, vocabulary=1000)
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def main() -> None:
    """Measures every variant, prints the tables, and writes them to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="times that each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.3, help="least time of one measurement")
    parser.add_argument("--operations", action="store_true", help="profile the steps by kind of operation, too")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    tables = {f"{SIZES}: a training step": steps(), "2048x2048 matrix product": products()}
    tables |= {f"{SIZES.batch * SIZES.context}x{4 * SIZES.width} GELU, forward and backward": activations()}
    results: dict[str, Any] = {}
    for title, variants in tables.items():
        rows = compare(variants, options.rounds, options.seconds)
        Console().print(rendered(title, rows))
        results[title] = list(map(asdict, rows))
    if options.operations:
        title = f"{SIZES}: a training step by operations"
        results[title] = operation_times(steps(), max(3, options.rounds // 4))
        Console().print(rendered_times(title, results[title]))
    if options.output:
        versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "python": platform.python_version()}
        result = {"settings": {**versions, "rounds": options.rounds, "seconds": options.seconds}, "tables": results}
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def steps() -> dict[str, Program]:
    """Whole training steps."""
    variants: dict[str, Program] = {}
    for name, policy in POLICIES.items():
        with compute_precision(policy):
            variants[f"tfdl, {name}"] = keras_step(SIZES, ours(SIZES), tfdl.optimizers.Adam(), compiled=False)
            variants[f"plain Keras, {name}"] = keras_step(SIZES, plain_keras(SIZES), keras.optimizers.Adam(), False)
    return variants


def products() -> dict[str, Program]:
    """The ceiling."""
    return {name: repeated(_product, np.ones((2048, 2048)), name) for name in POLICIES}


def activations() -> dict[str, Program]:
    """What plain Keras loses in between."""
    values = np.random.default_rng(0).normal(size=(SIZES.batch * SIZES.context, 4 * SIZES.width))

    def with_gradient(function: Any) -> Any:
        def run(x: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return tape.gradient(y, x)

        return run

    functions = {"tfdl": gelu, "Keras": lambda x: keras.activations.gelu(x, approximate=True)}
    return {
        f"{owner}'s, {name}": repeated(with_gradient(function), values, name)
        for name in POLICIES
        for owner, function in functions.items()
    }


def repeated(function: Any, values: np.ndarray, dtype: str) -> Program:
    """So many calls in a graph, one after the other."""
    x = tf.cast(values, dtype)
    compiled = tf.function(function, autograph=False)
    return lambda num_steps: [compiled(x) for _ in range(int(num_steps))][-1][0, 0]


def _product(x: tf.Tensor) -> tf.Tensor:
    return tf.matmul(x, x)


if __name__ == "__main__":
    main()
