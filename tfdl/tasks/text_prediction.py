"""Texts in: as tokens, and as a batch."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.tokenizers import Tokenizer
from tfdl.data.tokens.source import Frame
from tfdl.tasks.class_answers import ClassAnswers
from tfdl.tasks.prediction import Prediction, Prepared, Record, Sample

TOKENS = "tokens"
_MOST_TOKENS = 2**14


class FramedTextPrediction(Prediction):
    """Texts as tokens, cut, framed and padded as in training. Those that are cut are counted.

    Args:
        tokenizer: text to tokens.
        frame: the tokens before and after a text, and the largest number of tokens.
        role: the name of the input.
    """

    batch_size = 256
    most_size = _MOST_TOKENS

    def __init__(self, tokenizer: Tokenizer, frame: Frame, role: str):
        self._tokenizer = tokenizer
        self._frame = frame
        self.role = role
        self._most = frame.longest - frame.size
        self.longest = self._most
        self._lock = Lock()

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """``tokens``, int32 ``(b, t)``."""
        return {TOKENS: tf.TensorSpec([None, None], tf.int32, name=TOKENS)}

    def size(self, sample: Sample) -> int:
        """The largest number of tokens that a text may have: no token is shorter than a byte."""
        num_bytes = len(sample[self.role].encode("utf-8", "replace"))
        return min(num_bytes + self._frame.size, self._frame.longest)

    def prepare(self, sample: Sample) -> Prepared:
        """The tokens of a text, int32 ``(t,)``."""
        frame = self._frame
        tokens = self._tokenizer.encode(sample[self.role])
        if len(tokens) > self._most:
            with self._lock:
                self.num_cut += 1
        before = [] if frame.before is None else [frame.before]
        after = [] if frame.after is None else [frame.after]
        return {TOKENS: np.array([*before, *tokens[: self._most], *after], np.int32)}

    def stack(self, samples: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """See ``padded``."""
        return {TOKENS: padded([sample[TOKENS] for sample in samples])}


class TextClassPrediction(FramedTextPrediction):
    """Classes of texts.

    Args:
        task: a ``TextClassification``.
        top_k: how many of the most likely classes to return. Defaults to 1.
    """

    def __init__(self, task: Any, top_k: int | None = None):
        super().__init__(task.tokenizer, task.frame, "text")
        self._task = task
        self._answers = ClassAnswers(task.class_names, top_k)

    def compute(self, model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """See ``ClassAnswers.most_likely``."""
        logits = model(self._task.inputs({self.role: batch[TOKENS]}), training=False)
        return self._answers.most_likely(logits)

    def records(self, outputs: Mapping[str, np.ndarray]) -> list[Record]:
        """See ``ClassAnswers.records``."""
        return self._answers.records(outputs)


def padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of tokens as one array.

    Args:
        rows: int32 ``(t,)`` each.

    Returns:
        int32 ``(b, t)``, padded at the end with 0.
    """
    longest = max(len(row) for row in rows)
    batch = np.zeros((len(rows), longest), np.int32)
    for row, tokens in zip(batch, rows, strict=True):
        row[: len(tokens)] = tokens
    return batch
