"""Texts in, texts out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdl.tasks.prediction import Record, rounded
from tfdl.tasks.text_prediction import TOKENS, FramedTextPrediction

_TARGET = "target"
_LOG_PROBABILITY = "log_probability"


class TranslationPrediction(FramedTextPrediction):
    """What an encoder-decoder writes for each source.

    Args:
        task: a ``Translation``.
    """

    batch_size = 128

    def __init__(self, task: Any):
        super().__init__(task.tokenizer, task.frames["source"], "source")
        self._task = task

    def compute(self, model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """``target`` int32 ``(b, t)``, the tokens, and ``log_probability`` ``(b,)`` of each whole target in nats."""
        tokens, log_probability = self._task.decoded_tokens(model, batch[TOKENS])
        return {_TARGET: tokens, _LOG_PROBABILITY: log_probability}

    def records(self, outputs: Mapping[str, np.ndarray]) -> list[Record]:
        """``target``, a text, and ``log_probability``."""
        texts = [self._tokenizer.decode(tokens) for tokens in outputs[_TARGET]]
        scores = rounded(outputs[_LOG_PROBABILITY])
        return [{_TARGET: text, _LOG_PROBABILITY: score} for text, score in zip(texts, scores, strict=True)]
