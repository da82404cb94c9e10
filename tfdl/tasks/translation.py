"""A text for each text: translation, summarization, rewriting."""

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
from tfdl.tasks.cross_entropy import cross_entropy
from tfdl.tasks.greedy_decoding import greedy_decode
from tfdl.tasks.task import TextTask, right_tokens, sample_weights
from tfdl.tasks.text_inputs import cut_note, framed_length, padded_tokens, random_texts, with_stand_in
from tfdl.tasks.tokens import TOKENIZER_FOLDER, open_tokens
from tfdl.tasks.translation_metrics import text_metrics, token_metrics

_ASSET = "translation.json"
# Tokens, and logits, that are evaluated together.
_MOST_TOKENS, _MOST_LOGITS = 2**15, 2**24
_SHOWN_EXAMPLES = 5
# A translation may be so many times as long as the longest target of training; a model goes on beyond to repeat itself.
_MORE_THAN_SEEN = 1.25


class Translation(TextTask):
    """Texts in, texts out; trained with cross-entropy on each token of the target, given those before.

    One vocabulary serves both sides. A source ends with the end token; a target begins with the start token and ends
    with the end token. Every token of every target counts alike, on any number of ranks.

    Args:
        tokenizer: text to tokens.
        longest: most tokens of a source, and of a target without its start; longer texts are cut.
        label_smoothing: of the training loss; evaluation measures without.
        notes: what to say of the data.
        longest_written: most tokens of a translation, its end included; ``longest``, unless given and less.
    """

    name = "translation"
    running_metrics = ("loss", "token_accuracy")
    monitor, larger_is_better = "loss", False
    headline = ("exact_match", "bleu")
    most_decoded, most_decoded_quickly = 10_000, 500
    """Samples that are decoded, evenly spread over a split: in results, and after each epoch."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        longest: int,
        label_smoothing: float = 0.0,
        notes: tuple[str, ...] = (),
        longest_written: int | None = None,
    ):
        self.tokenizer, self.longest = tokenizer, longest
        self.longest_written = longest if longest_written is None else min(longest, longest_written)
        self.label_smoothing, self.notes = label_smoothing, notes

    @classmethod
    def open(cls, config: TrainConfig, assets: Path | None = None) -> tuple["Translation", dict[str, Source]]:
        """The task and the splits of a run's data set."""
        longest = framed_length(config)
        found = open_tokens(config, ("source", "target"), assets)
        if assets is None:
            targets, end = found.splits["train"]["target"], 1
            assert isinstance(targets, TokenColumn)
            longest_written = math.ceil(_MORE_THAN_SEEN * (targets.lengths.max() + end))
        else:
            longest_written = cls.load(assets).longest_written
        task = cls(found.tokenizer, longest, config.label_smoothing, longest_written=longest_written)
        limit, rows = config.dataset.memory_limit_mb, found.dataset.splits
        sources: dict[str, Source] = {
            split: TokenSource(columns, task.frames, limit, rows[split]) for split, columns in found.splits.items()
        }
        task.notes = (*found.dataset.notes, *cut_note(sources, longest))
        return task, sources

    @classmethod
    def load(cls, assets: Path) -> "Translation":
        """The task as a run saved it, without its data."""
        values = json.loads((assets / _ASSET).read_text(encoding="utf-8"))
        # Runs from before it was kept had no limit of their own.
        written = values.get("longest_written")
        return cls(load_tokenizer(assets / TOKENIZER_FOLDER), values["longest"], longest_written=written)

    def save(self, assets: Path) -> None:
        """Writes what ``load`` needs."""
        self.tokenizer.save(assets / TOKENIZER_FOLDER)
        values = {"longest": self.longest, "longest_written": self.longest_written}
        (assets / _ASSET).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @property
    def frames(self) -> dict[str, Frame]:
        """How source and target stand in a batch. The start is no token that a model writes, so it does not count."""
        start, end = self.tokenizer.start_id, self.tokenizer.end_id
        return {"source": Frame(self.longest, after=end), "target": Frame(self.longest + 1, before=start, after=end)}

    @property
    def model_arguments(self) -> dict[str, Any]:
        """What ``tfdl.build_model`` needs to know of the data."""
        return {"vocab_size": self.tokenizer.vocab_size}

    def inputs(self, batch: Mapping[str, Any]) -> Any:
        """Tokens as the model takes them: of the source ``(b, s)``, and of the target all but the last, ``(b, t)``."""
        return {"source": batch["source"], "target": batch["target"][:, :-1]}

    def losses(self, batch: Mapping[str, Any], logits: Any) -> tuple[Any, Any]:
        """What training minimizes: cross-entropy of each token, ``(b, t)``, and each token's weight, ``(b, t)``."""
        losses = cross_entropy(batch["target"][:, 1:], logits, self.label_smoothing)
        return losses, self._weights(batch, losses.dtype)

    def running_sums(self, batch: Mapping[str, Any], logits: Any, losses: Any) -> list[Any]:
        """Weighted sums over the batch that, divided by the weight, are the running metrics."""
        weights = self._weights(batch, losses.dtype)
        return [tf.reduce_sum(losses * weights), tf.reduce_sum(right_tokens(batch["target"][:, 1:], logits, weights))]

    def _weights(self, batch: Mapping[str, Any], dtype: Any) -> Any:
        """1 for every token, 0 for padding and in stand-ins; ``(b, t)``."""
        real = tf.cast(batch["target"][:, 1:] != 0, dtype)
        return real * sample_weights(batch, dtype)[:, tf.newaxis]

    @property
    def evaluation_tokens(self) -> int:  # type: ignore[override]
        """Tokens of sources and targets that are evaluated together."""
        return min(_MOST_TOKENS, max(1, _MOST_LOGITS // self.tokenizer.vocab_size))

    def evaluation_rows(self, batch: Mapping[str, Any], logits: Any) -> dict[str, Any]:
        """One row for each sample: what ``token_metrics`` needs of it."""
        losses = cross_entropy(batch["target"][:, 1:], logits)
        weights = self._weights(batch, losses.dtype)
        return {
            "loss": tf.reduce_sum(losses * weights, 1),
            "tokens": tf.cast(tf.reduce_sum(weights, 1), tf.int32),
            "right": tf.cast(tf.reduce_sum(right_tokens(batch["target"][:, 1:], logits, weights), 1), tf.int32),
        }

    @property
    def decoding_batch_size(self) -> int:
        """Sources that are decoded together; each takes a cache of at most ``longest`` places."""
        return max(1, min(256, _MOST_TOKENS // self.longest))

    def decoded_rows(self, model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """One row for each sample, from the source alone: ``translation``, a string."""
        texts, _ = self._decoded(model, batch["source"])
        return {"translation": texts}

    def metrics(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Loss for a token, perplexity and token accuracy; exact match, BLEU and chrF of those that were decoded."""
        return token_metrics(rows) | text_metrics(_texts(rows["translation"]), rows["target"].tolist())

    def details(self, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How many samples were decoded, and the first of them."""
        triples = zip(rows["source"].tolist(), rows["target"].tolist(), _texts(rows["translation"]), strict=True)
        examples = [dict(zip(("source", "target", "translation"), found, strict=True)) for found in triples]
        return {"decoded": len(examples), "examples": examples[:_SHOWN_EXAMPLES]}

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Sources in UTF-8, any number of them, of any length."""
        return {"source": tf.TensorSpec([None], tf.string, name="source")}

    def serve(self, model: Any, source: Any) -> dict[str, Any]:
        """Sources to ``target``, strings ``(b,)``, and ``log_probability`` ``(b,)``, of all its tokens, in nats."""
        count = tf.shape(source)[0]
        tokens = padded_tokens(self.tokenizer, with_stand_in(source), self.frames["source"])
        texts, score = self._decoded(model, tokens)
        return {"target": texts[:count], "log_probability": score[:count]}

    def _decoded(self, model: Any, source: Any) -> tuple[Any, Any]:
        """Source tokens ``(b, s)`` to strings and log-probabilities, ``(b,)``."""
        special = {"start_id": self.tokenizer.start_id, "end_id": self.tokenizer.end_id}
        tokens, score = greedy_decode(model, source, **special, max_length=self.longest_written)
        return self.tokenizer.decode_in_graph(tf.RaggedTensor.from_tensor(tokens)), score

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random texts, some of them too long, for comparing a SavedModel with its model."""
        return {"source": random_texts(self.tokenizer, count, 2 * self.longest, seed)}


def _texts(column: np.ndarray) -> list[str]:
    return [text.decode() for text in column.tolist()]
