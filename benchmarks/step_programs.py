"""The training steps that `scaling.py` and `slow_link.py` measure: tfdl's models on random batches."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfdl
from tfdl.tasks import ImageClassification, cross_entropy


@dataclass(frozen=True)
class StepProgram:
    """A model and its batch."""

    model: str
    samples: int
    """Samples of a batch on each rank."""
    shape: tuple[int, ...]
    """Shape of a sample, without the batch axis."""
    vocabulary: int | None = None
    """Samples are tokens below this number; ``None`` for images."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the model."""


PROGRAMS = {
    "cnn": StepProgram("cnn", 64, (24, 24, 3), arguments={"num_classes": 10}),
    "lstm": StepProgram("lstm-small", 20, (20,), vocabulary=10_000),
    "gpt": StepProgram(
        "transformer",
        12,
        (64,),
        vocabulary=65,
        arguments={"num_layers": 4, "num_heads": 4, "hidden_dim": 128, "sequence_length": 64},
    ),
}


class LabelTask(ImageClassification):
    """Cross-entropy of a label, or of the next token at each position; every sample has weight 1.

    Of a task, a training step uses what is written here alone.
    """

    running_metrics = ("loss",)

    def __init__(self) -> None:
        super().__init__((1, 1, 1), ("a", "b"), resized=False)

    def inputs(self, batch: dict[str, Any]) -> Any:
        return batch["inputs"]

    def losses(self, batch: dict[str, Any], logits: Any) -> tuple[Any, Any]:
        losses = cross_entropy(batch["labels"], logits)
        positions = list(range(1, losses.shape.rank))
        losses = tf.reduce_mean(losses, positions)  # (batch,)
        return losses, tf.ones_like(losses)

    def running_sums(self, batch: dict[str, Any], logits: Any, losses: Any) -> list[Any]:  # noqa: ARG002
        return [tf.reduce_sum(losses)]


def build_program_model(program: StepProgram, synchronized: bool) -> keras.Model:
    """Builds the model of a program.

    Args:
        program: the program.
        synchronized: whether batch statistics of images are those of all ranks.
    """
    arguments = dict(program.arguments)
    if program.vocabulary is not None:
        arguments["vocab_size"] = program.vocabulary
    else:
        arguments |= {"input_shape": program.shape, "synchronized": synchronized}
    return tfdl.build_model(program.model, **arguments)


def random_batch(program: StepProgram, samples: int, seed: int) -> dict[str, Any]:
    """Draws a batch: images with one label each, or tokens with the next token at each position.

    Args:
        program: the program.
        samples: number of samples.
        seed: seed of the random numbers.
    """
    generator = np.random.default_rng(seed)
    if program.vocabulary is None:
        inputs = generator.normal(size=(samples, *program.shape)).astype("float32")
        labels = generator.integers(0, 10, samples)
    else:
        (length,) = program.shape
        tokens = generator.integers(0, program.vocabulary, (samples, length + 1))
        inputs = tokens[:, :-1].astype("int32")
        labels = tokens[:, 1:]
    return {"inputs": tf.constant(inputs), "labels": tf.constant(labels.astype("int32"))}
