"""What an export takes and returns in a format that has no strings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.export.compared_texts import batch_size_and_length, length_notes, longest_text
from tfdl.export.known_tasks import IMAGE, LOGITS, PROBABILITIES, SOURCE, TOKEN_IDS, known_task
from tfdl.export.parity import Arrays
from tfdl.export.served_numbers import BATCH, as_arrays, check_numbers, named_axes, num_rows, numbers_of
from tfdl.export.tensors import TensorType
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.served_signature import DEFAULT_SIGNATURE
from tfdl.tasks.task import Task
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation

_LENGTH = "length"
# Samples that are compared: one by itself, and the others together.
_TOGETHER = 63


@dataclass(frozen=True)
class NumberSignature:
    """How a model of numbers is asked."""

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    answer: Callable[..., dict[str, Any]]
    """``answer(model, **inputs)``: outputs by name, computed with TensorFlow operations."""
    samples: Mapping[str, Arrays]
    """Several sets of random inputs, with batches and texts of several lengths, by any name."""
    notes: tuple[str, ...] = ()
    """What a user should know of the comparison."""

    @property
    def compared(self) -> int:
        """The number of samples."""
        return sum(num_rows(arrays) for arrays in self.samples.values())


def number_signature(task: Task) -> NumberSignature:
    """The signature of a task, without its strings: texts are token numbers, and classes are numbers.

    Args:
        task: of the run.

    Raises:
        UserError: a task of the user that takes strings.
    """
    known = known_task(task)
    return _of_any(task) if known is None else _SIGNATURES[known](task)


def _classes(task: Any) -> dict[str, TensorType]:
    return {
        PROBABILITIES: TensorType("float32", (BATCH, len(task.class_names))),
        "class_id": TensorType("int32", (BATCH,)),
    }


def _class_answers(logits: Any) -> dict[str, Any]:
    probabilities = tf.nn.softmax(logits)
    return {PROBABILITIES: probabilities, "class_id": tf.argmax(probabilities, -1, tf.int32)}


def _of_images(task: Any) -> NumberSignature:
    def answer(model: Any, image: Any) -> dict[str, Any]:
        return _class_answers(model(task.inputs({IMAGE: image}), training=False))

    shape = task.image_shape
    generator = np.random.default_rng(0)
    samples = {
        name: {IMAGE: generator.integers(0, 256, (count, *shape), np.uint8)}
        for name, count in (("one", 1), ("several", _TOGETHER))
    }
    return NumberSignature({IMAGE: TensorType("uint8", (BATCH, *shape))}, _classes(task), answer, samples)


def _token_input(name: str) -> dict[str, TensorType]:
    return {name: TensorType("int32", (BATCH, _LENGTH))}


def _of_texts(task: Any) -> NumberSignature:
    def answer(model: Any, token_ids: Any) -> dict[str, Any]:
        return _class_answers(model(_cut(token_ids, task.longest, task.frame.after), training=False))

    def frame(row: np.ndarray) -> np.ndarray:
        after = [] if task.frame.after is None else [task.frame.after]
        return np.array([task.frame.before, *row, *after], np.int32)

    longest = task.longest + 2  # it is cut
    samples = _random_tokens(task.tokenizer, TOKEN_IDS, _Lengths(longest, longest, _TOGETHER), frame)
    return NumberSignature(_token_input(TOKEN_IDS), _classes(task), answer, samples)


def _cut(tokens: Any, longest: int, end_id: int | None) -> Any:
    """Cuts longer texts as in training: a text that has an end token keeps it."""
    tokens = tokens[:, :longest]
    if end_id is None:
        return tokens
    is_last_place = tf.range(tf.shape(tokens)[1]) == longest - 1
    return tf.where(tf.logical_and(is_last_place, tokens != 0), end_id, tokens)


def _of_language(task: Any) -> NumberSignature:
    def answer(model: Any, token_ids: Any) -> dict[str, Any]:
        return {LOGITS: model(token_ids, training=False)}

    vocab_size = task.tokenizer.vocab_size
    count, longest_of_several = batch_size_and_length(task.sequence_length, vocab_size, _TOGETHER)
    lengths = _Lengths(longest_text(task.sequence_length, vocab_size), longest_of_several, count)
    samples = _random_tokens(task.tokenizer, TOKEN_IDS, lengths, lambda row: row)
    outputs = {LOGITS: TensorType("float32", (BATCH, _LENGTH, vocab_size))}
    notes = length_notes(task.sequence_length, vocab_size)
    return NumberSignature(_token_input(TOKEN_IDS), outputs, answer, samples, notes)


def _of_translation(task: Any) -> NumberSignature:
    def answer(model: Any, source: Any) -> dict[str, Any]:
        target, log_probability = task.decoded_tokens(model, source[:, : task.longest])
        return {"target": target, "log_probability": log_probability}

    def frame(row: np.ndarray) -> np.ndarray:
        return np.array([*row, task.tokenizer.end_id], np.int32)

    samples = _random_tokens(task.tokenizer, SOURCE, _Lengths(task.longest, task.longest, _TOGETHER), frame)
    outputs = {"target": TensorType("int32", (BATCH, "written")), "log_probability": TensorType("float32", (BATCH,))}
    return NumberSignature(_token_input(SOURCE), outputs, answer, samples)


@dataclass(frozen=True)
class _Lengths:
    """Of random texts."""

    of_one: int
    """Tokens of the longest one."""
    most_of_several: int
    """Most tokens of a batch."""
    count: int
    """Texts of the batch."""


def _random_tokens(
    tokenizer: Any, name: str, lengths: _Lengths, frame: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Arrays]:
    """The shortest text by itself, the longest one, and a batch of many lengths, filled up with 0."""
    generator = np.random.default_rng(0)
    shortest = len(frame(np.zeros(0, np.int32)))

    def batch(row_lengths: Any) -> Arrays:
        rows = np.zeros((len(row_lengths), max(row_lengths)), np.int32)
        for row, length in zip(rows, row_lengths, strict=True):
            row[:length] = frame(generator.integers(1, tokenizer.vocab_size, length - shortest, np.int32))
        return {name: rows}

    fewest = max(shortest, 1)
    several = generator.integers(fewest, max(lengths.most_of_several, fewest) + 1, lengths.count)
    return {"short": batch([fewest]), "long": batch([max(lengths.of_one, fewest)]), "several": batch(several)}


def _of_any(task: Task) -> NumberSignature:
    """The signature by which a task is served, without the outputs that are strings."""
    signature = task.signatures()[DEFAULT_SIGNATURE]
    check_numbers(signature.inputs, task)
    samples = {case: as_arrays(signature.sample(count)) for case, count in (("one", 1), ("several", _TOGETHER))}
    inputs = {
        name: TensorType(spec.dtype.name, named_axes(name, spec.shape)) for name, spec in signature.inputs.items()
    }

    def answer(model: Any, **arguments: Any) -> dict[str, Any]:
        return numbers_of(signature.answer(model, **arguments), task)

    return NumberSignature(inputs, {}, answer, samples)


_SIGNATURES: dict[type[Task], Callable[[Any], NumberSignature]] = {
    ImageClassification: _of_images,
    TextClassification: _of_texts,
    LanguageModeling: _of_language,
    Translation: _of_translation,
}
