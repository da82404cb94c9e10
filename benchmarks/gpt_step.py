"""A training step of a small GPT: tfdl's against the same model of plain Keras layers, and against PyTorch.

    python benchmarks/gpt_step.py --rounds 20 --torch --output results.json

The model is nanoGPT's for a CPU: 4 layers, 4 heads, 128 wide, context 64, batch 12, 65 tokens; `--width 768` and so on
set others. A step is forward pass, loss, backward pass and Adam, as it comes and compiled (XLA, torch.compile). Every
variant has the same number of parameters and Keras's or PyTorch's own Adam; `tfdl, its Adam` has tfdl's. Variants take
turns, as in `layers_and_optimizers.py`; `ratio` is to plain Keras. PyTorch's compiled step needs a C++ compiler.
"""

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from layers_and_optimizers import Program, compare, rendered
from rich.console import Console

import tfdl
from tfdl.models import compute_precision


@dataclass(frozen=True)
class Sizes:
    """Of a GPT and its batch; nanoGPT's for a CPU if nothing is said."""

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    batch: int = 12
    vocabulary: int = 65

    @property
    def tokens(self) -> np.ndarray:
        """A batch of random text, one token more than the context."""
        return np.random.default_rng(0).integers(0, self.vocabulary, (self.batch, self.context + 1))

    def __str__(self) -> str:
        return f"GPT {self.layers}x{self.width}, context {self.context}, batch {self.batch}"


def main() -> None:
    """Measures every variant, prints the table, and writes it to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="times that each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.5, help="least time of one measurement")
    for name, size in asdict(Sizes()).items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"of the model or its batch, {size} if not given")
    parser.add_argument("--precision", default="float32", help="of the Keras models: float32, mixed_bfloat16, ...")
    parser.add_argument("--torch", action="store_true", help="PyTorch too, in float32")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    sizes = Sizes(**{name: getattr(options, name) for name in asdict(Sizes())})
    variants: dict[str, Program] = {}
    with compute_precision(options.precision):
        for compiled, suffix in ((False, ""), (True, ", XLA")):
            variants[f"plain Keras{suffix}"] = keras_step(sizes, plain_keras(sizes), keras.optimizers.Adam(), compiled)
            variants[f"tfdl{suffix}"] = keras_step(sizes, ours(sizes), keras.optimizers.Adam(), compiled)
            variants[f"tfdl, its Adam{suffix}"] = keras_step(sizes, ours(sizes), tfdl.optimizers.Adam(), compiled)
    if options.torch:
        for compiled, suffix in ((False, ""), (True, ", torch.compile")):
            variants[f"PyTorch{suffix}"] = torch_step(sizes, compiled)
    rows = compare(variants, options.rounds, options.seconds)
    title = f"{sizes}, {options.precision}"
    Console().print(rendered(title, rows))
    if options.output:
        versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "python": platform.python_version()}
        chosen = {name: getattr(options, name) for name in ("rounds", "seconds", "precision")}
        result = {"settings": {**versions, **chosen}, "tables": {title: list(map(asdict, rows))}}
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def ours(sizes: Sizes) -> keras.Model:
    """tfdl's model."""
    return tfdl.build_model(
        "transformer",
        vocab_size=sizes.vocabulary,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        hidden_dim=sizes.width,
        sequence_length=sizes.context,
    )


def plain_keras(sizes: Sizes) -> keras.Model:
    """The same model of Keras's own layers."""
    layers = keras.layers
    table = layers.ReversibleEmbedding(sizes.vocabulary, sizes.width)
    tokens = keras.Input((sizes.context,), dtype="int32")  # (B, T)
    x = Places()(table(tokens))  # (B, T, D)
    for _ in range(sizes.layers):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.MultiHeadAttention(sizes.heads, sizes.width // sizes.heads)(y, y, use_causal_mask=True)
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.Dense(4 * sizes.width, activation=approximate_gelu)(y)  # (B, T, 4D)
        x = x + layers.Dense(sizes.width)(y)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    model = keras.Model(tokens, keras.ops.cast(table(x, reverse=True), "float32"))
    assert model.count_params() == ours(sizes).count_params()
    return model


class Places(keras.layers.Layer):
    """Learned positions."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.table = self.add_weight(shape=input_shape[1:])

    def call(self, inputs: Any) -> Any:
        return inputs + self.table


def approximate_gelu(x: Any) -> Any:
    """GPT-2's."""
    return keras.activations.gelu(x, approximate=True)


def keras_step(sizes: Sizes, model: keras.Model, optimizer: keras.optimizers.Optimizer, compiled: bool) -> Program:
    """So many training steps, which give the last one's loss."""
    tokens = sizes.tokens
    inputs, targets = tf.constant(tokens[:, :-1], tf.int32), tf.constant(tokens[:, 1:], tf.int32)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(jit_compile=compiled, autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return lambda num_steps: [step() for _ in range(int(num_steps))][-1]


def torch_step(sizes: Sizes, compiled: bool) -> Program:
    """The same in PyTorch."""
    import torch
    from torch import nn
    from torch.nn import functional

    heads, width, context, batch = sizes.heads, sizes.width, sizes.context, sizes.batch

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.query_key_value, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            parts = self.query_key_value(self.norm_1(x)).view(batch, context, 3 * heads, -1).transpose(1, 2)
            y = functional.scaled_dot_product_attention(*parts.split(heads, 1), is_causal=True)  # (B, H, T, d)
            x = x + self.output(y.transpose(1, 2).reshape(batch, context, width))
            return x + self.down(functional.gelu(self.up(self.norm_2(x)), approximate="tanh"))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.places = nn.Embedding(sizes.vocabulary, width), nn.Embedding(context, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(sizes.layers)))
            self.norm = nn.LayerNorm(width)

        def forward(self, tokens: Any) -> Any:
            x = self.blocks(self.table(tokens) + self.places.weight)
            return functional.linear(self.norm(x), self.table.weight)

    model = Model()
    assert sum(weight.numel() for weight in model.parameters()) == ours(sizes).count_params()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    run = torch.compile(model) if compiled else model
    tokens = sizes.tokens
    inputs, targets = torch.from_numpy(tokens[:, :-1].copy()), torch.from_numpy(tokens[:, 1:].copy())

    def step() -> Any:
        loss = functional.cross_entropy(run(inputs).view(-1, sizes.vocabulary), targets.view(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda num_steps: [step() for _ in range(int(num_steps))][-1].item()


if __name__ == "__main__":
    main()
