"""Random inputs of a network, as tfdl's model takes them and as transformers does."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import ModelConfig
from tfdl.export.known_tasks import IMAGE
from tfdl.export.parity import Arrays
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task
from tfdl.tasks.text_classification import TextClassification

_IMAGES_TOGETHER = 3
_TEXTS_TOGETHER = 4
# In an image, along its shorter side.
_SQUARES = 8
# A longer text is cut: attention to it takes time, and its logits take memory.
_MOST_TOKENS = 1024
_MOST_LOGITS = 2**25


def network_samples(task: Task) -> dict[str, np.ndarray]:
    """Several sets of random inputs, by any name: one and several, short and long.

    Args:
        task: of images, texts or language.

    Returns:
        What tfdl's model is called with: images float32 ``(b, h, w, c)``, or tokens int32 ``(b, t)``.
    """
    generator = np.random.default_rng(0)
    if isinstance(task, ImageClassification):
        return {
            name: np.asarray(task.inputs({IMAGE: tf.constant(_images(generator, count, task.image_shape))}))
            for name, count in (("one", 1), ("several", _IMAGES_TOGETHER))
        }
    if isinstance(task, LanguageModeling):
        vocab_size = task.tokenizer.vocab_size
        longest = min(task.sequence_length, _MOST_TOKENS, max(_MOST_LOGITS // vocab_size, 2))
        lengths = {"short": [1], "long": [longest], "together": [1 + longest // 3] * 2}
        return {name: _tokens(generator, counts, vocab_size) for name, counts in lengths.items()}
    assert isinstance(task, TextClassification)
    longest = min(task.longest, _MOST_TOKENS)
    several = generator.integers(1, longest + 1, _TEXTS_TOGETHER)
    lengths = {"short": [1], "long": [longest], "together": several.tolist()}
    return {name: _tokens(generator, counts, task.tokenizer.vocab_size) for name, counts in lengths.items()}


def as_transformers(samples: Mapping[str, np.ndarray], task: Task, config: ModelConfig) -> dict[str, Arrays]:
    """The same inputs under the names, and with the axes, of transformers.

    Args:
        samples: of ``network_samples``.
        task: of the run.
        config: of the model.
    """
    if isinstance(task, ImageClassification):
        return {name: {"pixel_values": pixels.transpose(0, 3, 1, 2).copy()} for name, pixels in samples.items()}
    inputs = {}
    for name, tokens in samples.items():
        # A language model has no padding: each of its tokens counts.
        mask = tokens != 0 if isinstance(task, TextClassification) else np.ones_like(tokens)
        inputs[name] = {"input_ids": tokens.astype(np.int64), "attention_mask": mask.astype(np.int64)}
        if getattr(config, "num_segments", 0):
            inputs[name]["token_type_ids"] = _segments(tokens, config)
    return inputs


def _images(generator: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Images of random squares: to a network that takes means over an image, all images of random pixels are alike."""
    height, width, channels = shape
    side = max(1, min(height, width) // _SQUARES)
    squares = generator.integers(0, 256, (count, height // side + 1, width // side + 1, channels), np.uint8)
    return squares.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]


def _tokens(generator: np.random.Generator, lengths: list[int], vocab_size: int) -> np.ndarray:
    """A row of tokens above 0 for each length, filled up with 0."""
    rows = np.zeros((len(lengths), max(lengths)), np.int32)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = generator.integers(1, vocab_size, length)
    return rows


def _segments(tokens: np.ndarray, config: Any) -> np.ndarray:
    """The segment of each token, which tfdl's model counts by itself: a separator ends one."""
    if config.separator_id is None:
        return np.zeros(tokens.shape, np.int64)
    is_separator = (tokens == config.separator_id).astype(np.int64)
    before = np.cumsum(is_separator, axis=1) - is_separator
    return np.minimum(before, config.num_segments - 1)
