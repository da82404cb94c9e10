"""Which token comes next."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.data.tokenizers import Tokenizer, load_tokenizer
from tfdl.data.tokens.stream import TokenStream
from tfdl.data.tokens.table import TokenColumn
from tfdl.data.tokens.windows import StreamedWindows, Windows
from tfdl.tasks.cross_entropy import cross_entropy
from tfdl.tasks.language_metrics import language_metrics, perplexity
from tfdl.tasks.language_serving import next_tokens, scored
from tfdl.tasks.task import TextTask, right_tokens, sample_weights
from tfdl.tasks.text_inputs import longest_text, random_texts, with_stand_in
from tfdl.tasks.tokens import TOKENIZER_FOLDER, open_tokens

_ASSET = "language_modeling.json"
# Zaremba et al. (2014) go back so many steps in time.
_RECURRENT_WINDOW = 35
# Logits that an evaluation may hold at a time.
_MOST_LOGITS = 2**24
_MOST_WINDOWS = 256
# Tokenizers whose tokens all are as long -> what their bits are counted by.
_UNITS = {"character": "bits_per_character", "byte": "bits_per_byte"}


class LanguageModeling(TextTask):
    """A token's successor, from the tokens before it; trained with cross-entropy on windows of a corpus.

    Args:
        tokenizer: text to tokens.
        sequence_length: tokens of a window.
        carries_state: whether the model is recurrent, and goes from one window to the next with its state.
        label_smoothing: of the training loss; evaluation measures without.
    """

    name = "language-modeling"
    running_metrics = ("loss", "accuracy")
    monitor, larger_is_better = "loss", False

    def __init__(
        self, tokenizer: Tokenizer, sequence_length: int, carries_state: bool = False, label_smoothing: float = 0.0
    ):
        self.tokenizer, self.sequence_length = tokenizer, sequence_length
        self.carries_state, self.label_smoothing = carries_state, label_smoothing

    @classmethod
    def open(cls, config: TrainConfig, assets: Path | None = None) -> tuple["LanguageModeling", dict[str, Source]]:
        """The task and the splits of a run's corpus, as windows.

        Raises:
            UserError: windows that are longer than the model's positions; otherwise as ``open_texts``.
        """
        length = longest_text(config, _RECURRENT_WINDOW)
        found = open_tokens(config, ("text",), assets)
        task = cls(found.tokenizer, length, config.model.carries_state, config.label_smoothing)
        task.notes = found.dataset.notes
        sources: dict[str, Source] = {}
        for name, columns in found.splits.items():
            column = columns["text"]
            assert isinstance(column, TokenColumn)
            sources[name] = task.windows(column)
        return task, sources

    def windows(self, column: TokenColumn) -> Windows:
        """The windows of these texts."""
        kind = StreamedWindows if self.carries_state else Windows
        stream = TokenStream(column, self.tokenizer.end_id)
        return kind(stream, self.sequence_length, self.tokenizer.pad_id)

    @classmethod
    def load(cls, assets: Path) -> "LanguageModeling":
        """The task as a run saved it, without its data."""
        values = json.loads((assets / _ASSET).read_text(encoding="utf-8"))
        return cls(load_tokenizer(assets / TOKENIZER_FOLDER), values["sequence_length"], values["carries_state"])

    def save(self, assets: Path) -> None:
        """Writes what ``load`` needs."""
        self.tokenizer.save(assets / TOKENIZER_FOLDER)
        values = {"sequence_length": self.sequence_length, "carries_state": self.carries_state}
        (assets / _ASSET).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @property
    def model_arguments(self) -> dict[str, Any]:
        """What ``tfdl.build_model`` needs to know of the data."""
        return {"vocab_size": self.tokenizer.vocab_size}

    @property
    def evaluation_batch_size(self) -> int:  # type: ignore[override]
        """Windows that are evaluated together: fewer, where a vocabulary of many tokens fills the memory."""
        return max(1, min(_MOST_WINDOWS, _MOST_LOGITS // (self.sequence_length * self.tokenizer.vocab_size)))

    def inputs(self, batch: Mapping[str, Any]) -> Any:
        """Tokens as the model takes them, int32 ``(b, t)``."""
        return batch["tokens"][:, :-1]

    def losses(self, batch: Mapping[str, Any], logits: Any) -> tuple[Any, Any]:
        """What training minimizes: cross-entropy of each token, ``(b, t)``, and each token's weight, ``(b, t)``."""
        losses = cross_entropy(batch["tokens"][:, 1:], logits, self.label_smoothing)
        return losses, self._weights(batch, losses)

    def running_sums(self, batch: Mapping[str, Any], logits: Any, losses: Any) -> list[Any]:
        """Weighted sums over the batch that, divided by the weight, are the running metrics."""
        weights = self._weights(batch, losses)
        return [tf.reduce_sum(losses * weights), tf.reduce_sum(right_tokens(batch["tokens"][:, 1:], logits, weights))]

    def running_values(self, means: Mapping[str, float]) -> dict[str, float]:
        """What is shown of the running metrics: loss, perplexity and accuracy."""
        return {"loss": means["loss"], "perplexity": perplexity(means["loss"]), "accuracy": means["accuracy"]}

    def _weights(self, batch: Mapping[str, Any], losses: Any) -> Any:
        """1 for every token, 0 for padding and in stand-ins; ``(b, t)``."""
        real = tf.sequence_mask(batch["count"], tf.shape(losses)[1], losses.dtype)
        return real * sample_weights(batch, losses.dtype)[:, tf.newaxis]

    def evaluation_rows(self, batch: Mapping[str, Any], logits: Any) -> dict[str, Any]:
        """One row for each window: what ``metrics`` needs of it."""
        losses = cross_entropy(batch["tokens"][:, 1:], logits)
        weights = self._weights(batch, losses)
        return {
            "loss": tf.reduce_sum(losses * weights, 1),
            "tokens": batch["count"],
            "right": tf.cast(tf.reduce_sum(right_tokens(batch["tokens"][:, 1:], logits, weights), 1), tf.int32),
        }

    def metrics(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Loss for a token (in nats), perplexity, accuracy, and bits for a character or a byte, where tokens are such.

        A text's end counts as one token.
        """
        found = language_metrics(rows["loss"], rows["tokens"])
        found["accuracy"] = float(rows["right"].sum() / rows["tokens"].sum())
        unit = _UNITS.get(self.tokenizer.name)
        return found if unit is None else {**found, unit: found["loss"] / math.log(2)}

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Texts in UTF-8, any number of them, of any length."""
        return {"text": tf.TensorSpec([None], tf.string, name="text")}

    def serve(self, model: Any, text: Any) -> dict[str, Any]:
        """How likely each text is, and what is likely to follow it. A text begins as those of the corpus do.

        Returns:
            ``tokens`` ``(b,)``: how many tokens the text has. ``log_probability`` ``(b,)``: of all of them, in nats.
            ``perplexity`` ``(b,)``: e to minus their mean. ``next_token``, ``next_id``, ``next_probability``
            ``(b, k)``: the most likely next tokens, as strings and as numbers; the empty string ends the text.
        """
        texts, text = tf.shape(text)[0], with_stand_in(text)
        tokens = self.tokenizer.encode_in_graph(text)  # (b, None)
        begun = tf.concat([tf.fill([tf.shape(text)[0], 1], self.tokenizer.end_id), tokens], 1)  # (b, 1 + None)
        window = None if self.carries_state else self.sequence_length
        answers = scored(model, begun, window) | next_tokens(model, begun, window, self.tokenizer)
        return {name: value[:texts] for name, value in answers.items()}

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random texts, from none to some windows long, for comparing a SavedModel with its model."""
        return {"text": random_texts(self.tokenizer, count, 2 * self.sequence_length, seed)}
