"""What a LiteRT file computes for each task: numbers in, numbers out, since LiteRT has no strings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.export.compared_texts import length_notes, length_of_batch, longest_text
from tfdl.export.known_tasks import IMAGE, LOGITS, PROBABILITIES, TOKEN_IDS
from tfdl.export.parity import Arrays

# The batches on which a file and its model are compared, where any number of rows is allowed.
_BATCH_SIZES = (1, 16, 5)
# How many single rows are compared, where a file takes no more.
_SINGLE_ROWS = 8


class LiteRTFunction(ABC):
    """The function of a LiteRT file.

    Args:
        model: the model.
        task: its task.
    """

    calibrates: bool = False
    """Whether int8 also means the numbers between layers, whose ranges are then measured on training samples."""

    def __init__(self, model: Any, task: Any):
        self.model = model
        self.task = task

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know to ask the file, and of its comparison with the model."""
        return ()

    @property
    @abstractmethod
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """Inputs by name. A size that may differ from call to call is None."""

    @abstractmethod
    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name, computed with TensorFlow operations.

        Args:
            inputs: tensors by name.
        """

    @abstractmethod
    def sample(self, generator: np.random.Generator, count: int, number: int) -> Arrays:
        """Random inputs.

        Args:
            generator: of the random numbers.
            count: of the rows.
            number: of the sample; samples of different numbers may have different lengths.
        """

    def samples(self, *, one_row: bool) -> dict[str, Arrays]:
        """Inputs on which a file and its model are compared, of several batch sizes and lengths, by number.

        Args:
            one_row: whether every batch must have one row.
        """
        generator = np.random.default_rng(0)
        sizes = [1] * _SINGLE_ROWS if one_row else _BATCH_SIZES
        return {str(number): self.sample(generator, size, number) for number, size in enumerate(sizes)}


class Classifier(LiteRTFunction):
    """Base class of what returns a number for each class."""

    def classes(self, model_inputs: Any) -> dict[str, Any]:
        """``logits`` and ``probabilities`` ``(b, classes)``, and ``class_id`` ``(b,)``.

        Args:
            model_inputs: as the model takes them.
        """
        logits = self.model(model_inputs, training=False)  # (b, classes)
        return {
            LOGITS: logits,
            PROBABILITIES: tf.nn.softmax(logits),
            "class_id": tf.argmax(logits, -1, tf.int32),
        }


class ImageFunction(Classifier):
    """Images of the model's size, uint8 ``(b, h, w, c)``, to classes."""

    calibrates = True

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """Raw images of the size that the model takes. LiteRT does not resize as training did."""
        return {IMAGE: tf.TensorSpec([None, *self.task.image_shape], tf.uint8, name=IMAGE)}

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Classifier.classes``."""
        return self.classes(self.task.inputs(inputs))

    def sample(self, generator: np.random.Generator, count: int, number: int) -> Arrays:  # noqa: ARG002
        """Random pixels."""
        return {IMAGE: generator.integers(0, 256, (count, *self.task.image_shape), np.uint8)}


class TextFunction(Classifier):
    """Tokens of whole texts, int32 ``(b, t)``, padded at the end with 0, to classes."""

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """Tokens as the model reads them, with those that frame a text."""
        return {TOKEN_IDS: tf.TensorSpec([None, None], tf.int32, name=TOKEN_IDS)}

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Classifier.classes``."""
        return self.classes(inputs[TOKEN_IDS])

    def sample(self, generator: np.random.Generator, count: int, number: int) -> Arrays:
        """Random texts, the shorter ones padded. The first one of a sample is not."""
        longest = some_length(self.task.longest, number)
        tokens = generator.integers(1, self.task.tokenizer.vocab_size, (count, longest), np.int32)
        lengths = generator.integers(1, longest + 1, (count, 1))
        lengths[0] = longest
        is_token = np.arange(longest) < lengths
        return {TOKEN_IDS: np.where(is_token, tokens, np.int32(0))}


class LanguageFunction(LiteRTFunction):
    """Tokens of texts, int32 ``(b, t)``, to the logits of the tokens that follow each of them."""

    @property
    def notes(self) -> tuple[str, ...]:
        """See ``length_notes``."""
        return length_notes(self.task.sequence_length, self.task.tokenizer.vocab_size)

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """The first tokens of texts, after the token that begins a text."""
        return {TOKEN_IDS: tf.TensorSpec([None, None], tf.int32, name=TOKEN_IDS)}

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """``logits`` ``(b, t, v)``."""
        return {LOGITS: self.model(inputs[TOKEN_IDS], training=False)}

    def sample(self, generator: np.random.Generator, count: int, number: int) -> Arrays:
        """Random tokens."""
        return {TOKEN_IDS: random_tokens(self.task, generator, count, number)}


def some_length(longest: int, number: int) -> int:
    """The longest text that is allowed, then shorter ones.

    Args:
        longest: most tokens of a text.
        number: of the sample.
    """
    return max(1, longest // (1 + 2 * number))


def random_tokens(task: Any, generator: np.random.Generator, count: int, number: int) -> np.ndarray:
    """Tokens ``(count, t)`` for a language model; fewer where their logits would take too much memory.

    The first sample, of one row, has the longest text.

    Args:
        task: a ``LanguageModeling``.
        generator: of the random numbers.
        count: of the rows.
        number: of the sample.
    """
    vocab_size = task.tokenizer.vocab_size
    if number == 0:
        length = longest_text(task.sequence_length, vocab_size)
    else:
        length = min(some_length(task.sequence_length, number), length_of_batch(count, vocab_size))
    return generator.integers(0, vocab_size, (count, length), np.int32)
