"""The task of texts with one label each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.data.tokenizers import Tokenizer, load_tokenizer
from tfdl.data.tokens.source import Frame, TokenSource
from tfdl.errors import UserError
from tfdl.tasks.assets import checked_class_names, checked_length, read_asset
from tfdl.tasks.base_run import assets_of_inputs
from tfdl.tasks.classification import Classification, check_classes
from tfdl.tasks.classify_signature import CLASSIFY, classify_signature, example_of_bytes
from tfdl.tasks.prediction import Prediction
from tfdl.tasks.served_signature import ServedSignature
from tfdl.tasks.task import Batch, TextTask
from tfdl.tasks.text_inputs import cut_note, framed_length, framed_tokens, random_inputs, text_signature, tokens_of
from tfdl.tasks.text_prediction import TextClassPrediction
from tfdl.tasks.tokens import TOKENIZER_FOLDER, open_tokens

_ASSET = "text_classification.json"
# The input of a served model, and the feature of tf.Examples.
_FEATURE = "text"
# Tokens that are evaluated together.
_MOST_TOKENS = 2**15


class TextClassification(TextTask, Classification):
    """From texts to a probability for each class; trained with cross-entropy.

    A model reads the start token and then the text. So even an empty text has a token, and the first position, which
    BERT pools, is never a word.

    Args:
        tokenizer: text to tokens.
        class_names: a name for each label.
        longest: most tokens that a model reads, including the start token; longer texts are cut.
        has_end: whether the end token follows a text, as in BERT.
        label_smoothing: of the training loss; evaluation does not smooth.
        notes: lines about the data to show when a run starts.
    """

    name = "text-classification"
    evaluation_tokens = _MOST_TOKENS

    def __init__(
        self,
        tokenizer: Tokenizer,
        class_names: tuple[str, ...],
        longest: int,
        label_smoothing: float = 0.0,
        notes: tuple[str, ...] = (),
        has_end: bool = False,
    ):
        super().__init__(class_names, label_smoothing)
        self.tokenizer = tokenizer
        self.longest = longest
        self.notes = notes
        self.has_end = has_end

    @property
    def frame(self) -> Frame:
        """The tokens around a text, and how many it may have with them."""
        return _frame(self.tokenizer, self.longest, self.has_end)

    @classmethod
    def open(
        cls, config: TrainConfig, assets: Path | None = None, data: Mapping[str, Any] | None = None
    ) -> tuple["TextClassification", dict[str, Source]]:
        """The task and the splits of a run's data set.

        Raises:
            UserError: unlabelled samples, or other classes than the run in ``assets`` was trained for.
        """
        longest = framed_length(config)
        trained = None if assets is None else cls.load(assets)
        trained_names = () if trained is None else trained.class_names
        known = assets_of_inputs(config, assets)
        has_end = known is not None and cls.load(known).has_end
        tokenized = open_tokens(config, ("text", "label"), assets, data, trained_names)
        class_names = tokenized.dataset.class_names
        frames = {"text": _frame(tokenized.tokenizer, longest, has_end)}
        sources: dict[str, Source] = {}
        for split, columns in tokenized.splits.items():
            _check_labels(columns["label"], config.dataset.name, split)
            texts = tokenized.dataset.splits[split]
            sources[split] = TokenSource(columns, frames, config.dataset.memory_limit_mb, texts)
        if assets is not None:
            check_classes(class_names, trained_names, config.dataset.name)
        notes = (*tokenized.dataset.notes, *cut_note(sources, longest))
        return cls(tokenized.tokenizer, class_names, longest, config.label_smoothing, notes, has_end), sources

    @classmethod
    def load(cls, assets: Path) -> "TextClassification":
        """See ``Task.load``."""
        values = read_asset(assets, _ASSET)
        return cls(
            load_tokenizer(assets / TOKENIZER_FOLDER),
            checked_class_names(values),
            checked_length(values, "longest"),
            has_end=values.flag("has_end", False),
        )

    def save(self, assets: Path) -> None:
        """See ``Task.save``."""
        self.tokenizer.save(assets / TOKENIZER_FOLDER)
        values: dict[str, Any] = {"class_names": self.class_names, "longest": self.longest}
        if self.has_end:
            values["has_end"] = True
        (assets / _ASSET).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @property
    def model_arguments(self) -> dict[str, Any]:
        """``vocab_size`` and ``num_classes``."""
        return {"vocab_size": self.tokenizer.vocab_size, "num_classes": len(self.class_names)}

    def inputs(self, batch: Batch) -> Any:
        """Tokens as the model takes them, int32 ``(b, t)``, padded at the end with 0."""
        return batch["text"]

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Texts in UTF-8, any number of them, of any length; or their token numbers (``text_signature``)."""
        return text_signature(self.tokenizer)

    def serve(self, model: Any, text: Any = None, token_ids: Any = None) -> dict[str, Any]:
        """Texts to ``probabilities`` ``(b, classes)``, ``class_id`` ``(b,)`` and ``class_name`` ``(b,)``.

        Args:
            model: the trained model.
            text: strings ``(b,)``.
            token_ids: the texts' tokens ``(b, t)`` instead, for a tokenizer without a form for a graph.
        """
        count = tf.shape(token_ids if text is None else text)[0]
        tokens = framed_tokens(tokens_of(self.tokenizer, text, token_ids), self.frame)
        logits = model(tokens, training=False)  # (b, classes)
        return self.answers(logits[:count])

    def signatures(self) -> dict[str, ServedSignature]:
        """``serving_default`` takes texts, ``classify`` takes them in tf.Examples."""
        signatures = super().signatures()
        takes_text = list(self.serving_signature()) == [_FEATURE]
        if takes_text and type(self).serve is TextClassification.serve:
            signatures[CLASSIFY] = classify_signature(self.class_names, self._of_examples, self._sample_examples)
        return signatures

    def _of_examples(self, model: Any, examples: Any) -> dict[str, Any]:
        features = tf.io.parse_example(examples, {_FEATURE: tf.io.FixedLenFeature([], tf.string)})
        answers: dict[str, Any] = self.serve(model, text=features[_FEATURE])
        return answers

    def _sample_examples(self, count: int) -> list[bytes]:
        texts = self.serving_sample(count)[_FEATURE].tolist()
        # The Example of an empty text ends with a zero byte, which an array of strings drops.
        return [example_of_bytes(_FEATURE, text or b" ") for text in texts]

    def prediction(self, top_k: int | None = None) -> Prediction:
        """Classes and their probabilities."""
        if type(self).serve is not TextClassification.serve:
            return super().prediction(top_k)
        return TextClassPrediction(self, top_k)

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random texts, some of them too long."""
        return random_inputs(self.tokenizer, count, 2 * self.longest, seed)


def _frame(tokenizer: Tokenizer, longest: int, has_end: bool) -> Frame:
    return Frame(longest, before=tokenizer.start_id, after=tokenizer.end_id if has_end else None)


def _check_labels(labels: Any, name: str, split: str) -> None:
    """Raises ``UserError`` if a label is missing. Some test splits are published with -1 as every label."""
    if int(np.min(labels)) < 0:
        raise UserError(
            f"the {split} split of {name!r} has samples without a label; choose another with --set"
            f" dataset.{split}_split=SPLIT"
        )
