"""tfdl's BatchNormalization and Adam compared with Keras's, in whole training steps and alone.

    python benchmarks/layers_and_optimizers.py --rounds 40 --output results.json

Each table has one program in several variants that differ only in the classes: model, weights, batch and step function
are the same. The variants take turns, as `comparison.py` describes. `ratio` is the time relative to Keras's, with its
quartiles; below 1 is faster than Keras. All tables together take about five minutes.
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
from rich.console import Console

import tfdl

Variants = dict[str, Program]

BATCH_SIZE = 64
# Name of a variant -> its classes. The others are compared with the first.
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


def main() -> None:
    """Measures every table, prints it, and writes all of them to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="how often each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.3, help="least time of one measurement")
    parser.add_argument("--precision", default="float32", help="float32, mixed_bfloat16, mixed_float16 or float64")
    parser.add_argument("--jit-compile", action="store_true", help="compile with XLA (slow for CNNs on a CPU)")
    parser.add_argument("--only", default="", help="only the tables whose title contains this text")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    # TensorFlow would warn of retracing: the programs are many functions of the same name.
    tf.get_logger().setLevel("ERROR")
    keras.config.set_dtype_policy(options.precision)
    console = Console()
    tables = {}
    for title, make_variants in programs(options.jit_compile).items():
        if options.only in title:
            rows = compare(make_variants(), options.rounds, options.seconds)
            console.print(table_of(title, rows))
            tables[title] = [asdict(row) for row in rows]
    if options.output:
        result = {"settings": settings(options), "tables": tables}
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def programs(jit_compile: bool) -> dict[str, Callable[[], Variants]]:
    """Returns title of a table -> a function that makes its variants, so that unused ones are not made."""
    tables: dict[str, Callable[[], Variants]] = {}
    # The default values bind the loop variables of this iteration.
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
    """Builds a model with this class of batch normalization, from the same random weights each time."""
    keras.utils.set_random_seed(0)

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if not isinstance(layer, tfdl.layers.BatchNormalization):
            return type(layer).from_config(config)
        config.pop("synchronized")  # Keras's class has another default
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
    """The layer's outputs and gradients. Each step's input is the gradient of the step before."""
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=shape), layer.compute_dtype)
    upstream = tf.constant(generator.normal(size=shape), layer.compute_dtype)
    layer.build(shape)
    weights = [weight.value for weight in layer.trainable_variables]

    @tf.function(jit_compile=jit_compile)
    def run(num_steps: tf.Tensor) -> tf.Tensor:
        values = inputs
        for _ in tf.range(num_steps):
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs = layer(values, training=True)
            values, *weight_gradients = tape.gradient(outputs, [values, *weights], output_gradients=upstream)
            # The result depends on all gradients, so TensorFlow cannot remove the computation of any.
            values += tf.cast(weight_gradients[0] + weight_gradients[1], values.dtype)
        return tf.reduce_sum(values)

    return run


def update(optimizer: keras.optimizers.Optimizer, arguments: dict[str, Any], jit_compile: bool) -> Program:
    """Steps of the optimizer with constant gradients."""
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


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Returns what the times depend on."""
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


if __name__ == "__main__":
    main()
