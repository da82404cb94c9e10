"""A training step of a small GPT: tfdl's, the same model of plain Keras layers, and PyTorch's.

    python benchmarks/gpt_step.py --rounds 20 --torch --output results.json

The model has nanoGPT's sizes for a CPU: 4 layers, 4 heads, width 128, context 64, batch 12, 65 tokens. Options such as
`--width 768` set others. A step is forward pass, loss, backward pass and Adam, uncompiled and compiled (XLA,
torch.compile). Every variant has the same number of parameters and Keras's or PyTorch's own Adam; `tfdl, its Adam` has
tfdl's. The variants take turns, as `comparison.py` describes; `ratio` is the time relative to plain Keras. PyTorch's
compiled step needs a C++ compiler.
"""

import argparse
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from comparison import Program, compare, table_of
from rich.console import Console

import tfdl
from tfdl.models import compute_precision


@dataclass(frozen=True)
class Sizes:
    """Sizes of a GPT and its batch. The defaults are nanoGPT's for a CPU."""

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    batch: int = 12
    vocabulary: int = 65

    @property
    def tokens(self) -> np.ndarray:
        """A batch of random tokens of shape (batch, context + 1)."""
        return np.random.default_rng(0).integers(0, self.vocabulary, (self.batch, self.context + 1))

    def __str__(self) -> str:
        return f"GPT {self.layers}x{self.width}, context {self.context}, batch {self.batch}"


def main() -> None:
    """Measures every variant, prints the table, and writes it to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.5, help="least time of one measurement")
    for name, size in asdict(Sizes()).items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"of the model or its batch [default: {size}]")
    parser.add_argument("--precision", default="float32", help="of the Keras models: float32, mixed_bfloat16, ...")
    parser.add_argument("--torch", action="store_true", help="measure PyTorch too, in float32")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    sizes = Sizes(**{name: getattr(options, name) for name in asdict(Sizes())})
    rows = compare(variants(sizes, options.precision, options.torch), options.rounds, options.seconds)
    title = f"{sizes}, {options.precision}"
    Console().print(table_of(title, rows))
    if options.output:
        settings = {"tensorflow": tf.__version__, "keras": keras.__version__, "python": platform.python_version()}
        settings |= {name: getattr(options, name) for name in ("rounds", "seconds", "precision")}
        result = {"settings": settings, "tables": {title: [asdict(row) for row in rows]}}
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def variants(sizes: Sizes, precision: str, with_torch: bool) -> dict[str, Program]:
    """Returns name -> training step; plain Keras comes first, so the others are compared with it."""
    steps: dict[str, Program] = {}
    with compute_precision(precision):
        for compiled, suffix in ((False, ""), (True, ", XLA")):
            keras_model = plain_keras_gpt(sizes)
            steps[f"plain Keras{suffix}"] = keras_step(sizes, keras_model, keras.optimizers.Adam(), compiled)
            steps[f"tfdl{suffix}"] = keras_step(sizes, tfdl_gpt(sizes), keras.optimizers.Adam(), compiled)
            steps[f"tfdl, its Adam{suffix}"] = keras_step(sizes, tfdl_gpt(sizes), tfdl.optimizers.Adam(), compiled)
    if with_torch:
        steps["PyTorch"] = torch_step(sizes, compiled=False)
        steps["PyTorch, torch.compile"] = torch_step(sizes, compiled=True)
    return steps


def tfdl_gpt(sizes: Sizes) -> keras.Model:
    """Builds tfdl's model."""
    return tfdl.build_model(
        "transformer",
        vocab_size=sizes.vocabulary,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        hidden_dim=sizes.width,
        sequence_length=sizes.context,
    )


def plain_keras_gpt(sizes: Sizes) -> keras.Model:
    """Builds the same model from Keras's own layers."""
    layers = keras.layers
    embedding = layers.ReversibleEmbedding(sizes.vocabulary, sizes.width)
    tokens = keras.Input((sizes.context,), dtype="int32")  # (batch, time)
    x = LearnedPositions()(embedding(tokens))  # (batch, time, width)
    for _ in range(sizes.layers):
        normalized = layers.LayerNormalization(epsilon=1e-5)(x)
        attention = layers.MultiHeadAttention(sizes.heads, sizes.width // sizes.heads)
        x = x + attention(normalized, normalized, use_causal_mask=True)
        normalized = layers.LayerNormalization(epsilon=1e-5)(x)
        hidden = layers.Dense(4 * sizes.width, activation=approximate_gelu)(normalized)  # (batch, time, 4 * width)
        x = x + layers.Dense(sizes.width)(hidden)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    logits = embedding(x, reverse=True)  # (batch, time, vocabulary)
    model = keras.Model(tokens, keras.ops.cast(logits, "float32"))
    assert model.count_params() == tfdl_gpt(sizes).count_params()
    return model


class LearnedPositions(keras.layers.Layer):
    """Adds a learned vector for each position."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.table = self.add_weight(shape=input_shape[1:])  # (time, width)

    def call(self, inputs: Any) -> Any:
        return inputs + self.table


def approximate_gelu(x: Any) -> Any:
    """GELU by its tanh approximation, as in GPT-2."""
    return keras.activations.gelu(x, approximate=True)


def keras_step(sizes: Sizes, model: keras.Model, optimizer: keras.optimizers.Optimizer, compiled: bool) -> Program:
    """Makes a program of training steps.

    Args:
        sizes: sizes of the model and its batch.
        model: returns logits of shape (batch, context, vocabulary).
        optimizer: updates the model.
        compiled: compile the step with XLA.

    Returns:
        A function that runs so many steps and returns the loss of the last one.
    """
    tokens = sizes.tokens
    inputs = tf.constant(tokens[:, :-1], tf.int32)
    targets = tf.constant(tokens[:, 1:], tf.int32)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(jit_compile=compiled, autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def run(num_steps: Any) -> tf.Tensor:
        losses = [step() for _ in range(int(num_steps))]
        return losses[-1]

    return run


def torch_step(sizes: Sizes, compiled: bool) -> Program:
    """Makes the same program of PyTorch's model and Adam."""
    import torch
    from torch.nn import functional
    from torch_models import GPT

    model = GPT(sizes.vocabulary, sizes.layers, sizes.heads, sizes.width, sizes.context)
    assert sum(weight.numel() for weight in model.parameters()) == tfdl_gpt(sizes).count_params()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    forward = torch.compile(model) if compiled else model
    tokens = sizes.tokens
    inputs = torch.from_numpy(tokens[:, :-1].copy())
    targets = torch.from_numpy(tokens[:, 1:].copy())

    def step() -> Any:
        logits = forward(inputs)
        loss = functional.cross_entropy(logits.view(-1, sizes.vocabulary), targets.view(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def run(num_steps: Any) -> float:
        losses = [step() for _ in range(int(num_steps))]
        return losses[-1].item()

    return run


if __name__ == "__main__":
    main()
