"""Language modeling: the next token of a text."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
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
from tfdl.tasks.assets import checked_length, read_asset
from tfdl.tasks.base_run import assets_of_inputs
from tfdl.tasks.cross_entropy_loss import cross_entropy
from tfdl.tasks.language_metrics import language_metrics, perplexity
from tfdl.tasks.language_prediction import LanguagePrediction
from tfdl.tasks.language_serving import scored, served_next_tokens
from tfdl.tasks.prediction import Prediction
from tfdl.tasks.served_signature import ServedSignature
from tfdl.tasks.task import Batch, Rows, TextTask, correct_tokens, sample_weights
from tfdl.tasks.text_inputs import longest_text, random_input, random_inputs, text_signature, tokens_of
from tfdl.tasks.tokens import TOKENIZER_FOLDER, open_tokens

_ASSET = "language_modeling.json"
# Steps of backpropagation through time in Zaremba et al. (2014).
_RECURRENT_WINDOW = 35
# Most logits that an evaluation keeps in memory at a time.
_MOST_LOGITS = 2**24
_MOST_WINDOWS = 256
# Most logits of the samples that an export is compared on.
_MOST_SAMPLE_LOGITS = 2**26
# Tokenizer whose tokens all have the same length -> the name of the metric in bits.
_UNITS = {"character": "bits_per_character", "byte": "bits_per_byte"}


class LanguageModeling(TextTask):
    """The next token, given the tokens before it; trained with cross-entropy on windows of a corpus.

    Args:
        tokenizer: text to tokens.
        sequence_length: tokens of a window.
        carries_state: whether the model is recurrent and carries its state from one window to the next.
        label_smoothing: of the training loss; evaluation does not smooth.
        begins_with_start: whether a text by itself begins with the start token, as the texts of some pretrained models
            do. Otherwise it follows the end token of another text.
    """

    name = "language-modeling"
    running_metrics = ("loss", "accuracy")
    monitor = "loss"
    larger_is_better = False

    def __init__(
        self,
        tokenizer: Tokenizer,
        sequence_length: int,
        carries_state: bool = False,
        label_smoothing: float = 0.0,
        begins_with_start: bool = False,
    ):
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.carries_state = carries_state
        self.label_smoothing = label_smoothing
        self.begins_with_start = begins_with_start

    @property
    def begin_id(self) -> int:
        """The token before a text."""
        return self.tokenizer.start_id if self.begins_with_start else self.tokenizer.end_id

    @classmethod
    def open(
        cls, config: TrainConfig, assets: Path | None = None, data: Mapping[str, Any] | None = None
    ) -> tuple["LanguageModeling", dict[str, Source]]:
        """The task and the splits of a run's corpus, as windows.

        Raises:
            UserError: windows that are longer than the model's positions; otherwise as ``open_texts``.
        """
        length = longest_text(config, _RECURRENT_WINDOW)
        tokenized = open_tokens(config, ("text",), assets, data)
        known = assets_of_inputs(config, assets)
        begins_with_start = known is not None and cls.load(known).begins_with_start
        task = cls(tokenized.tokenizer, length, config.model.carries_state, config.label_smoothing, begins_with_start)
        task.notes = tokenized.dataset.notes
        sources: dict[str, Source] = {}
        for name, columns in tokenized.splits.items():
            column = columns["text"]
            assert isinstance(column, TokenColumn)
            sources[name] = task.windows(column)
        return task, sources

    def windows(self, column: TokenColumn) -> Windows:
        """Cuts the texts of a column into windows."""
        windows_class = StreamedWindows if self.carries_state else Windows
        stream = TokenStream(column, self.tokenizer.end_id)
        return windows_class(stream, self.sequence_length, self.tokenizer.pad_id)

    @classmethod
    def load(cls, assets: Path) -> "LanguageModeling":
        """See ``Task.load``."""
        values = read_asset(assets, _ASSET)
        return cls(
            load_tokenizer(assets / TOKENIZER_FOLDER),
            checked_length(values, "sequence_length"),
            values.flag("carries_state"),
            begins_with_start=values.flag("begins_with_start", False),
        )

    def save(self, assets: Path) -> None:
        """See ``Task.save``."""
        self.tokenizer.save(assets / TOKENIZER_FOLDER)
        values: dict[str, Any] = {"sequence_length": self.sequence_length, "carries_state": self.carries_state}
        if self.begins_with_start:
            values["begins_with_start"] = True
        (assets / _ASSET).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @property
    def model_arguments(self) -> dict[str, Any]:
        """``vocab_size``."""
        return {"vocab_size": self.tokenizer.vocab_size}

    @property
    def evaluation_batch_size(self) -> int:  # type: ignore[override]
        """Windows that are evaluated together: fewer with a large vocabulary, since logits take most of the memory."""
        logits_in_window = self.sequence_length * self.tokenizer.vocab_size
        return max(1, min(_MOST_WINDOWS, _MOST_LOGITS // logits_in_window))

    def inputs(self, batch: Batch) -> Any:
        """Tokens as the model takes them, int32 ``(b, t)``."""
        return batch["tokens"][:, :-1]

    def losses(self, batch: Batch, outputs: Any) -> tuple[Any, Any]:
        """Cross-entropy of each token, ``(b, t)``, and each token's weight, ``(b, t)``."""
        losses = cross_entropy(_targets(batch), outputs, self.label_smoothing)
        return losses, self._weights(batch, losses)

    def running_sums(self, batch: Batch, outputs: Any, losses: Any) -> list[Any]:
        """Sums of the losses and of correct tokens."""
        weights = self._weights(batch, losses)
        correct = correct_tokens(_targets(batch), outputs, weights)
        return [tf.reduce_sum(losses * weights), tf.reduce_sum(correct)]

    def running_values(self, means: dict[str, float]) -> dict[str, float]:
        """Loss, perplexity and accuracy."""
        return {"loss": means["loss"], "perplexity": perplexity(means["loss"]), "accuracy": means["accuracy"]}

    def _weights(self, batch: Batch, losses: Any) -> Any:
        """1 for every token, 0 for padding; ``(b, t)``."""
        is_token = tf.sequence_mask(batch["count"], tf.shape(losses)[1], losses.dtype)
        return is_token * sample_weights(batch, losses.dtype)[:, tf.newaxis]

    def evaluation_rows(self, batch: Batch, outputs: Any) -> dict[str, Any]:
        """One row for each window: its summed loss, and how many tokens it has and how many of them are correct."""
        losses = cross_entropy(_targets(batch), outputs)
        weights = self._weights(batch, losses)
        correct = correct_tokens(_targets(batch), outputs, weights)
        return {
            "loss": tf.reduce_sum(losses * weights, 1),
            "tokens": batch["count"],
            "num_correct": tf.cast(tf.reduce_sum(correct, 1), tf.int32),
        }

    def metrics(self, rows: Rows) -> dict[str, float]:
        """Loss of a token in nats, perplexity, accuracy, and bits of a character or byte if that is what tokens are.

        The end of a text counts as one token.
        """
        metrics = language_metrics(rows["loss"], rows["tokens"])
        metrics["accuracy"] = float(rows["num_correct"].sum() / rows["tokens"].sum())
        unit = _UNITS.get(self.tokenizer.name)
        if unit is not None:
            metrics[unit] = metrics["loss"] / math.log(2)
        return metrics

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Texts in UTF-8, any number of them, of any length; or their token numbers (``text_signature``)."""
        return text_signature(self.tokenizer)

    def serve(self, model: Any, text: Any = None, token_ids: Any = None) -> dict[str, Any]:
        """The probability of each text, and the most likely next tokens.

        A text begins as the texts of the corpus do, after the end of another one.

        Args:
            model: the trained model.
            text: strings ``(b,)``.
            token_ids: the texts' tokens ``(b, t)`` instead, for a tokenizer without a form for a graph.

        Returns:
            ``tokens`` ``(b,)``: the number of tokens. ``log_probability`` ``(b,)``: of the whole text, in nats.
            ``perplexity`` ``(b,)``: e to minus the mean log-probability of a token. ``next_token``, ``next_id``,
            ``next_probability`` ``(b, k)``: the most likely next tokens, as strings and as numbers; the empty string is
            the end of the text. ``next_token`` is left out for a tokenizer without a form for a graph.
        """
        num_texts = tf.shape(token_ids if text is None else text)[0]
        begun = self._begun(text, token_ids)
        answers = scored(model, begun, self._window, self.tokenizer.vocab_size)
        answers |= served_next_tokens(model, begun, self._window, self.tokenizer)
        return {name: value[:num_texts] for name, value in answers.items()}

    def signatures(self) -> dict[str, ServedSignature]:
        """``serving_default``, and ``score``: the probability of each text alone."""
        signatures = super().signatures()
        if type(self).serve is LanguageModeling.serve:
            signatures["score"] = ServedSignature(self.serving_signature(), self._score, self.serving_sample)
        return {name: replace(signature, special_samples=self._long_text) for name, signature in signatures.items()}

    def _long_text(self) -> list[dict[str, np.ndarray]]:
        """A text longer than the model reads at once, unless its logits would take too much memory."""
        length = min(self.sequence_length + 2, _MOST_SAMPLE_LOGITS // self.tokenizer.vocab_size)
        return [random_input(self.tokenizer, length)]

    def _score(self, model: Any, text: Any = None, token_ids: Any = None) -> dict[str, Any]:
        """The first three outputs of ``serve``; the arguments are the same."""
        num_texts = tf.shape(token_ids if text is None else text)[0]
        answers = scored(model, self._begun(text, token_ids), self._window, self.tokenizer.vocab_size)
        return {name: value[:num_texts] for name, value in answers.items()}

    @property
    def _window(self) -> int | None:
        """Most tokens that the model reads at once."""
        return None if self.carries_state else self.sequence_length

    def _begun(self, text: Any, token_ids: Any) -> Any:
        """The texts' tokens after a first one, ragged ``(b, 1 + None)``."""
        tokens = tokens_of(self.tokenizer, text, token_ids)  # (b, None)
        start = tf.fill([tokens.nrows(), 1], self.begin_id)
        return tf.concat([start, tokens], 1)

    def prediction(self, top_k: int | None = None) -> Prediction:
        """The probability of texts, and the tokens that may follow them."""
        if type(self).serve is not LanguageModeling.serve:
            return super().prediction(top_k)
        return LanguagePrediction(self, top_k)

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random texts, up to two windows long, or shorter where their logits would take too much memory."""
        most = _MOST_SAMPLE_LOGITS // (count * self.tokenizer.vocab_size)
        return random_inputs(self.tokenizer, count, max(2, min(2 * self.sequence_length, most)), seed)


def _targets(batch: Batch) -> Any:
    """The tokens to predict, int32 ``(b, t)``."""
    return batch["tokens"][:, 1:]
