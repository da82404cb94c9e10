"""The task of pairs of texts: translation, summarization, rewriting."""

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
from tfdl.data.tokens.source import Frame, TokenSource
from tfdl.data.tokens.table import TokenColumn
from tfdl.errors import UserError
from tfdl.tasks.assets import checked_length, read_asset
from tfdl.tasks.beam_decoding import beam_decode
from tfdl.tasks.beam_search import DEFAULT_LENGTH_PENALTY, check_search
from tfdl.tasks.cross_entropy_loss import cross_entropy
from tfdl.tasks.greedy_decoding import greedy_decode
from tfdl.tasks.prediction import Prediction
from tfdl.tasks.task import Batch, DecodingTask, Rows, TextTask, correct_tokens, sample_weights
from tfdl.tasks.text_inputs import cut_note, framed_length, padded_tokens, random_texts, with_stand_in
from tfdl.tasks.tokens import TOKENIZER_FOLDER, open_tokens
from tfdl.tasks.translation_metrics import text_metrics, token_metrics
from tfdl.tasks.translation_prediction import TranslationPrediction

_ASSET = "translation.json"
# Most tokens, and most logits, that are evaluated together.
_MOST_TOKENS = 2**15
_MOST_LOGITS = 2**24
_SHOWN_EXAMPLES = 5
# A translation is cut at this multiple of the longest training target. A model that writes more repeats itself.
_LONGEST_WRITTEN = 1.25


class Translation(TextTask, DecodingTask):
    """From texts to texts; trained with cross-entropy on each token of the target, given the tokens before.

    Sources and targets have one vocabulary. A source ends with the end token; a target begins with the start token and
    ends with the end token. All tokens of all targets have the same weight, on any number of ranks.

    Args:
        tokenizer: text to tokens.
        longest: most tokens of a source, and of a target without its start token; longer texts are cut.
        label_smoothing: of the training loss; evaluation does not smooth.
        notes: lines about the data to show when a run starts.
        longest_written: most tokens of a translation, including its end. Defaults to ``longest``, which it never
            exceeds.
    """

    name = "translation"
    running_metrics = ("loss", "token_accuracy")
    monitor = "loss"
    larger_is_better = False
    headline = ("exact_match", "bleu")
    text_roles = ("source", "target")
    num_beams: int = 1
    """Hypotheses of each translation that are extended side by side."""
    length_penalty: float = DEFAULT_LENGTH_PENALTY
    """Exponent of the length penalty that beams are compared with."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        longest: int,
        label_smoothing: float = 0.0,
        notes: tuple[str, ...] = (),
        longest_written: int | None = None,
    ):
        self.tokenizer = tokenizer
        self.longest = longest
        self.longest_written = longest if longest_written is None else min(longest, longest_written)
        self.label_smoothing = label_smoothing
        self.notes = notes

    @classmethod
    def open(
        cls, config: TrainConfig, assets: Path | None = None, data: Mapping[str, Any] | None = None
    ) -> tuple["Translation", dict[str, Source]]:
        """The task and the splits of a run's data set."""
        longest = framed_length(config)
        tokenized = open_tokens(config, ("source", "target"), assets, data)
        if assets is None:
            targets = tokenized.splits["train"]["target"]
            assert isinstance(targets, TokenColumn)
            longest_target = targets.lengths.max() + 1  # with the end token
            longest_written = math.ceil(_LONGEST_WRITTEN * longest_target)
        else:
            longest_written = cls.load(assets).longest_written
        task = cls(tokenized.tokenizer, longest, config.label_smoothing, longest_written=longest_written)
        texts = tokenized.dataset.splits
        sources: dict[str, Source] = {
            split: TokenSource(columns, task.frames, config.dataset.memory_limit_mb, texts[split])
            for split, columns in tokenized.splits.items()
        }
        task.notes = (*tokenized.dataset.notes, *cut_note(sources, longest))
        return task, sources

    @classmethod
    def load(cls, assets: Path) -> "Translation":
        """See ``Task.load``."""
        values = read_asset(assets, _ASSET)
        # The first runs of tfdl 0.1 did not save this limit.
        longest_written = checked_length(values, "longest_written", None)
        longest = checked_length(values, "longest")
        return cls(load_tokenizer(assets / TOKENIZER_FOLDER), longest, longest_written=longest_written)

    def save(self, assets: Path) -> None:
        """See ``Task.save``."""
        self.tokenizer.save(assets / TOKENIZER_FOLDER)
        values = {"longest": self.longest, "longest_written": self.longest_written}
        (assets / _ASSET).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @property
    def frames(self) -> dict[str, Frame]:
        """The tokens before and after source and target. The start token is not written, so it does not count."""
        start = self.tokenizer.start_id
        end = self.tokenizer.end_id
        return {"source": Frame(self.longest, after=end), "target": Frame(self.longest + 1, before=start, after=end)}

    @property
    def model_arguments(self) -> dict[str, Any]:
        """``vocab_size``."""
        return {"vocab_size": self.tokenizer.vocab_size}

    def inputs(self, batch: Batch) -> Any:
        """The source's tokens ``(b, s)``, and the target's tokens without the last, ``(b, t)``."""
        return {"source": batch["source"], "target": batch["target"][:, :-1]}

    def losses(self, batch: Batch, outputs: Any) -> tuple[Any, Any]:
        """Cross-entropy of each target token, ``(b, t)``, and each token's weight, ``(b, t)``."""
        losses = cross_entropy(_targets(batch), outputs, self.label_smoothing)
        return losses, self._weights(batch, losses.dtype)

    def running_sums(self, batch: Batch, outputs: Any, losses: Any) -> list[Any]:
        """Sums of the losses and of correct tokens."""
        weights = self._weights(batch, losses.dtype)
        correct = correct_tokens(_targets(batch), outputs, weights)
        return [tf.reduce_sum(losses * weights), tf.reduce_sum(correct)]

    def _weights(self, batch: Batch, dtype: Any) -> Any:
        """1 for every target token, 0 for padding; ``(b, t)``."""
        is_token = tf.cast(_targets(batch) != 0, dtype)
        return is_token * sample_weights(batch, dtype)[:, tf.newaxis]

    @property
    def evaluation_tokens(self) -> int:  # type: ignore[override]
        """Tokens of sources and targets that are evaluated together."""
        return min(_MOST_TOKENS, max(1, _MOST_LOGITS // self.tokenizer.vocab_size))

    def evaluation_rows(self, batch: Batch, outputs: Any) -> dict[str, Any]:
        """One row for each sample: its summed loss, and how many tokens it has and how many of them are correct."""
        losses = cross_entropy(_targets(batch), outputs)
        weights = self._weights(batch, losses.dtype)
        correct = correct_tokens(_targets(batch), outputs, weights)
        return {
            "loss": tf.reduce_sum(losses * weights, 1),
            "tokens": tf.cast(tf.reduce_sum(weights, 1), tf.int32),
            "num_correct": tf.cast(tf.reduce_sum(correct, 1), tf.int32),
        }

    @property
    def decoding_batch_size(self) -> int:
        """Sources that are decoded together; each takes a cache of at most ``longest`` positions."""
        return max(1, min(256, _MOST_TOKENS // self.longest) // self.num_beams)

    def search_with(self, num_beams: int, length_penalty: float) -> None:
        """See ``DecodingTask.search_with``."""
        check_search(num_beams, length_penalty)
        self.num_beams = num_beams
        self.length_penalty = length_penalty

    def decoded_rows(self, model: Any, batch: Batch) -> dict[str, Any]:
        """One row for each sample, from the source alone: ``translation``, a string."""
        texts, _ = self._decoded(model, batch["source"])
        return {"translation": texts}

    def metrics(self, rows: Rows) -> dict[str, float]:
        """Loss of a token, perplexity and token accuracy; exact match, BLEU and chrF of the decoded samples."""
        translations = _as_texts(rows["translation"])
        references = rows["target"].tolist()
        return token_metrics(rows) | text_metrics(translations, references)

    def details(self, rows: Rows) -> dict[str, Any]:
        """The number of decoded samples, and the first of them."""
        translations = _as_texts(rows["translation"])
        sources = rows["source"].tolist()
        targets = rows["target"].tolist()
        pairs = list(zip(sources, targets, translations, strict=True))
        examples = [
            {"source": source, "target": target, "translation": translation}
            for source, target, translation in pairs[:_SHOWN_EXAMPLES]
        ]
        return {"decoded": len(translations), "examples": examples}

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Sources in UTF-8, any number of them, of any length."""
        return {"source": tf.TensorSpec([None], tf.string, name="source")}

    def serve(self, model: Any, source: Any) -> dict[str, Any]:
        """Sources to ``target``, strings ``(b,)``, and ``log_probability`` ``(b,)`` of the whole target, in nats."""
        num_sources = tf.shape(source)[0]
        tokens = padded_tokens(self.tokenizer, with_stand_in(source), self.frames["source"])
        texts, log_probability = self._decoded(model, tokens)
        return {"target": texts[:num_sources], "log_probability": log_probability[:num_sources]}

    def _decoded(self, model: Any, source: Any) -> tuple[Any, Any]:
        """Source tokens ``(b, s)`` to strings and log-probabilities, ``(b,)``."""
        tokens, log_probability = self.decoded_tokens(model, source)
        return self.tokenizer.decode_in_graph(tf.RaggedTensor.from_tensor(tokens)), log_probability

    def decoded_tokens(self, model: Any, source: Any) -> tuple[Any, Any]:
        """Writes targets, inside a graph.

        Args:
            model: the model.
            source: tokens ``(b, s)``.

        Returns:
            Tokens ``(b, t)`` and log-probabilities ``(b,)``, as ``greedy_decode`` returns them.
        """
        limits = {
            "start_id": self.tokenizer.start_id,
            "end_id": self.tokenizer.end_id,
            "max_length": self.longest_written,
        }
        if self.num_beams == 1:
            return greedy_decode(model, source, **limits)
        return beam_decode(model, source, **limits, num_beams=self.num_beams, exponent=self.length_penalty)

    def prediction(self, top_k: int | None = None) -> Prediction:
        """Translations and their log-probabilities.

        Raises:
            UserError: ``top_k``, since there is one translation of each source.
        """
        if type(self).serve is not Translation.serve:
            return super().prediction(top_k)
        if top_k is not None:
            raise UserError(f"--top-k {top_k} has no meaning for translation, which writes one target; leave it out")
        return TranslationPrediction(self)

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random texts, some of them too long."""
        return {"source": random_texts(self.tokenizer, count, 2 * self.longest, seed)}


def _targets(batch: Batch) -> Any:
    """The tokens to predict, int32 ``(b, t)``: all but the start."""
    return batch["target"][:, 1:]


def _as_texts(column: np.ndarray) -> list[str]:
    return [text.decode() for text in column.tolist()]
