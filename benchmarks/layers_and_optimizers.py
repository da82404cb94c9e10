"""tfdl's BatchNormalization and Adam against Keras's own, in whole training steps and alone.

    python benchmarks/layers_and_optimizers.py --rounds 40 --output results.json

Each table has one program in several variants that differ in nothing but the classes: the same model, weights, batch
and step function. In every round each variant runs once for the same number of steps, in a new order, so whatever else
the machine does falls on all alike. `ratio` is the median over the rounds of a variant's time by the first one's in
the same round, with the quartiles beside it; below 1 is quicker than Keras. The whole takes about five minutes.
"""

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import tfdl

Program = Callable[[tf.Tensor], tf.Tensor]  # runs so many steps and gives a number that depends on them
BATCH_SIZE = 64
# Name of a variant -> its BatchNormalization and Adam. The first is what the others are compared with.
VARIANTS = {
    "Keras's": (keras.layers.BatchNormalization, keras.optimizers.Adam),
    "tfdl's BatchNormalization": (tfdl.layers.BatchNormalization, keras.optimizers.Adam),
    "tfdl's Adam": (keras.layers.BatchNormalization, tfdl.optimizers.Adam),
    "both of tfdl": (tfdl.layers.BatchNormalization, tfdl.optimizers.Adam),
}
MODELS = {
    "cnn on 24x24x3": {"model": "cnn", "input_shape": (24, 24, 3), "num_classes": 10},
    "resnet20 on 32x32x3": {"model": "resnet20"},
}
NORMALIZED_SHAPES = [(64, 24, 24, 32), (64, 32, 32, 16), (64, 8, 8, 64), (4096, 64), (64, 128)]


@dataclass(frozen=True)
class Row:
    """One variant of one program."""

    variant: str
    milliseconds: float
    """Median time of a step."""
    ratio: float
    """Median over the rounds of this variant's time by the first variant's."""
    quartiles: tuple[float, float]
    """Of the rounds' ratios."""


def main() -> None:
    """Measures every table, prints it, and writes all of them to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="times that each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.3, help="least time of one measurement")
    parser.add_argument("--precision", default="float32", help="float32, mixed_bfloat16, mixed_float16 or float64")
    parser.add_argument("--jit-compile", action="store_true", help="compile with XLA (slow for CNNs on a CPU)")
    parser.add_argument("--only", default="", help="the tables whose title has this text")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    tf.get_logger().setLevel("ERROR")  # the programs are many functions of one name, which it takes for retracing
    keras.config.set_dtype_policy(options.precision)
    console, tables = Console(), {}
    for title, make in programs(options.jit_compile).items():
        if options.only in title:
            tables[title] = compare(make(), options.rounds, options.seconds)
            console.print(rendered(title, tables[title]))
    if options.output:
        result = {"settings": settings(options), "tables": {t: list(map(asdict, rows)) for t, rows in tables.items()}}
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def programs(jit_compile: bool) -> dict[str, Callable[[], dict[str, Program]]]:
    """Title of a table -> what makes its variants."""
    tables: dict[str, Callable[[], dict[str, Program]]] = {}
    for title, arguments in MODELS.items():
        tables[f"training step, {title}, batch {BATCH_SIZE}"] = lambda arguments=arguments: {
            name: training(model_with(normalization, **arguments), adam(), jit_compile)
            for name, (normalization, adam) in VARIANTS.items()
        }
    for shape in NORMALIZED_SHAPES:
        tables[f"normalization, forward and backward, {shape}"] = lambda shape=shape: {
            "Keras's": normalization(keras.layers.BatchNormalization(), shape, jit_compile),
            "tfdl's BatchNormalization": normalization(tfdl.layers.BatchNormalization(), shape, jit_compile),
        }
    for title, arguments in MODELS.items():
        tables[f"update, variables of {title}"] = lambda arguments=arguments: {
            "Keras's": update(keras.optimizers.Adam(), arguments, jit_compile),
            "tfdl's Adam": update(tfdl.optimizers.Adam(), arguments, jit_compile),
        }
    return tables


def model_with(normalization: type[keras.layers.Layer], model: str, **arguments: Any) -> keras.Model:
    """The model with this class of batch normalization, from the same random weights each time."""
    keras.utils.set_random_seed(0)

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if not isinstance(layer, tfdl.layers.BatchNormalization):
            return type(layer).from_config(config)
        config.pop("synchronized")
        return normalization.from_config(config)

    built = tfdl.build_model(model, **arguments)
    cloned = keras.models.clone_model(built, clone_function=clone)
    cloned.set_weights(built.get_weights())
    return cloned


def training(model: keras.Model, optimizer: keras.optimizers.Optimizer, jit_compile: bool) -> Program:
    """Forward pass, loss, backward pass and update on one batch."""
    generator = np.random.default_rng(0)
    images = tf.constant(generator.normal(size=(BATCH_SIZE, *model.input_shape[1:])), model.compute_dtype)
    labels = tf.constant(generator.integers(0, model.output_shape[-1], BATCH_SIZE))
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def run(num_steps: tf.Tensor) -> tf.Tensor:
        loss = tf.constant(0.0, model.output.dtype)
        for _ in tf.range(num_steps):
            with tf.GradientTape() as tape:
                loss = loss_fn(labels, model(images, training=True))
            optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return run


def normalization(layer: keras.layers.Layer, shape: tuple[int, ...], jit_compile: bool) -> Program:
    """The layer's outputs and gradients, again and again."""
    generator = np.random.default_rng(0)
    inputs, upstream = (tf.constant(generator.normal(size=shape), layer.compute_dtype) for _ in range(2))
    layer.build(shape)
    weights = [weight.value for weight in layer.trainable_variables]

    @tf.function(jit_compile=jit_compile)
    def run(num_steps: tf.Tensor) -> tf.Tensor:
        values = inputs
        for _ in tf.range(num_steps):
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs = layer(values, training=True)
            values, *by_weights = tape.gradient(outputs, [values, *weights], output_gradients=upstream)
            values += tf.cast(by_weights[0] + by_weights[1], values.dtype)  # nothing may be left out
        return tf.reduce_sum(values)

    return run


def update(optimizer: keras.optimizers.Optimizer, arguments: dict[str, Any], jit_compile: bool) -> Program:
    """Steps of the optimizer from fixed gradients."""
    variables = model_with(tfdl.layers.BatchNormalization, **arguments).trainable_variables
    generator = np.random.default_rng(0)
    gradients = [tf.constant(generator.normal(size=variable.shape), variable.dtype) for variable in variables]
    optimizer.build(variables)

    @tf.function(jit_compile=jit_compile)
    def run(num_steps: tf.Tensor) -> tf.Tensor:
        for _ in tf.range(num_steps):
            optimizer.apply(gradients, variables)
        return tf.reduce_sum(variables[0])

    return run


def compare(variants: dict[str, Program], rounds: int, seconds: float) -> list[Row]:
    """Every variant once in each round, in a new order."""
    num_steps = steps_for(variants, seconds)
    order, taken = list(variants), {name: [] for name in variants}
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            taken[name].append(timed(variants[name], num_steps) / num_steps)
    base = taken[next(iter(variants))]
    rows = []
    for name, times in taken.items():
        ratios = [mine / reference for mine, reference in zip(times, base, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        rows.append(Row(name, 1e3 * statistics.median(times), median, (low, high)))
    return rows


def steps_for(variants: dict[str, Program], seconds: float) -> int:
    """So many steps that the quickest variant takes this long."""
    for program in variants.values():
        timed(program, 3)  # traces, and warms up
    num_steps = 3
    while (quickest := min(timed(program, num_steps) for program in variants.values())) < seconds:
        num_steps = max(num_steps + 1, int(num_steps * min(10, 1.2 * seconds / quickest)))
    return num_steps


def timed(program: Program, num_steps: int) -> float:
    """Seconds, until the result is there."""
    begin = time.perf_counter()
    float(program(tf.constant(num_steps)))
    return time.perf_counter() - begin


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "tfdl": tfdl.__version__,
        "python": platform.python_version(),
        "devices": [device.device_type for device in tf.config.list_logical_devices()],
        "cores": len(os.sched_getaffinity(0)),
        "batch_size": BATCH_SIZE,
        **{name: getattr(options, name) for name in ("rounds", "seconds", "precision", "jit_compile")},
    }


def rendered(title: str, rows: list[Row]) -> Table:
    """The rows for people."""
    table = Table("variant", title=title, title_justify="left")
    for column in ("ms a step", "ratio", "quartiles"):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = row.quartiles
        table.add_row(row.variant, f"{row.milliseconds:.3f}", f"{row.ratio:.3f}", f"{low:.3f} to {high:.3f}")
    return table


if __name__ == "__main__":
    main()
