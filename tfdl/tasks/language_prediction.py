"""Texts in; out come their probability and the tokens that may follow."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.tasks.language_serving import MOST_NEXT, next_tokens, scored
from tfdl.tasks.prediction import Prediction, Prepared, Record, Sample, rounded
from tfdl.tasks.text_prediction import TOKENS, padded

_LENGTH = "length"
# Most logits of a batch, which take most of its memory.
_MOST_LOGITS = 2**25
_MOST_LOGITS_OF_TEXT = 2**27


class LanguagePrediction(Prediction):
    """The probability of each text, and its most likely next tokens.

    Args:
        task: a ``LanguageModeling``.
        top_k: how many of the most likely next tokens to return. Defaults to 5.
    """

    role = "text"
    batch_size = 256

    def __init__(self, task: Any, top_k: int | None = None):
        self._task = task
        self._tokenizer = task.tokenizer
        self._top_k = min(top_k or MOST_NEXT, task.tokenizer.vocab_size)
        self._window = None if task.carries_state else task.sequence_length
        self.most_size = max(1, _MOST_LOGITS // task.tokenizer.vocab_size)
        # A recurrent model reads a text as a whole.
        self._most_tokens = max(1, _MOST_LOGITS_OF_TEXT // task.tokenizer.vocab_size)

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """``tokens`` int32 ``(b, t)`` and their numbers, ``length`` ``(b,)``."""
        return {
            TOKENS: tf.TensorSpec([None, None], tf.int32, name=TOKENS),
            _LENGTH: tf.TensorSpec([None], tf.int32, name=_LENGTH),
        }

    def size(self, sample: Sample) -> int:
        """The largest number of tokens that a text may have: no token is shorter than a byte."""
        return len(sample["text"].encode("utf-8", "replace")) + 1

    def prepare(self, sample: Sample) -> Prepared:
        """The tokens of a text, after the end of the text before, as in training; int32 ``(t,)``."""
        tokens = self._tokenizer.encode(sample["text"])
        if self._window is None and len(tokens) > self._most_tokens:
            raise ValueError(
                f"a text of {len(tokens):,} tokens, expected at most {self._most_tokens:,} of a recurrent model with"
                f" {self._tokenizer.vocab_size:,} tokens; cut it into several"
            )
        return {TOKENS: np.array([self._task.begin_id, *tokens], np.int32)}

    def stack(self, samples: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """See ``Prediction.stack``."""
        rows = [sample[TOKENS] for sample in samples]
        return {TOKENS: padded(rows), _LENGTH: np.array([len(row) for row in rows], np.int32)}

    def compute(self, model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """See ``scored`` and ``next_tokens``."""
        begun = tf.RaggedTensor.from_tensor(batch[TOKENS], lengths=batch[_LENGTH])
        scores = scored(model, begun, self._window, self._tokenizer.vocab_size)
        next_ids, next_log_probabilities = next_tokens(model, begun, self._window, self._top_k)
        return {**scores, "next_id": next_ids, "next_log_probability": next_log_probabilities}

    def records(self, outputs: Mapping[str, np.ndarray]) -> list[Record]:
        """``tokens``, ``log_probability``, ``perplexity``, and ``next``: tokens with ``id`` and ``log_probability``.

        A token that is no text is the empty string, such as the end of the text.
        """
        columns = {name: rounded(values) for name, values in outputs.items()}
        records = []
        for number, ids in enumerate(columns.pop("next_id")):
            log_probabilities = columns["next_log_probability"][number]
            following = [
                {"token": self._tokenizer.decode([token_id]), "id": token_id, "log_probability": log_probability}
                for token_id, log_probability in zip(ids, log_probabilities, strict=True)
            ]
            scores = {name: columns[name][number] for name in ("tokens", "log_probability", "perplexity")}
            records.append({**scores, "next": following})
        return records
