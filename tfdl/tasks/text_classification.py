"""One label for each text."""

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
from tfdl.tasks.classification import Classification
from tfdl.tasks.task import TextTask
from tfdl.tasks.text_inputs import cut_note, framed_length, padded_tokens, random_texts, with_stand_in
from tfdl.tasks.tokens import TOKENIZER_FOLDER, open_tokens

_ASSET = "text_classification.json"
# Tokens that are evaluated together.
_MOST_TOKENS = 2**15


class TextClassification(TextTask, Classification):
    """Texts in, a probability for each class out; trained with cross-entropy.

    A model reads the start token and the text. So an empty text is one, too, and a model that pools the first position
    (BERT) has one that is no word.

    Args:
        tokenizer: text to tokens.
        class_names: a name for each label.
        longest: most tokens that a model reads, the start token included; longer texts are cut.
        label_smoothing: of the training loss; evaluation measures without.
        notes: what to say of the data.
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
    ):
        super().__init__(class_names, label_smoothing)
        self.tokenizer, self.longest, self.notes = tokenizer, longest, notes

    @classmethod
    def open(cls, config: TrainConfig, assets: Path | None = None) -> tuple["TextClassification", dict[str, Source]]:
        """The task and the splits of a run's data set.

        Raises:
            UserError: unlabelled samples, or other classes than the run in ``assets`` was trained for.
        """
        longest = framed_length(config)
        found = open_tokens(config, ("text", "label"), assets)
        names, limit = found.dataset.class_names, config.dataset.memory_limit_mb
        sources: dict[str, Source] = {}
        for split, columns in found.splits.items():
            _check_labels(columns["label"], config.dataset.name, split)
            frames = {"text": Frame(longest, before=found.tokenizer.start_id)}
            sources[split] = TokenSource(columns, frames, limit)
        if assets is not None:
            _check_classes(names, cls.load(assets).class_names, config.dataset.name)
        notes = (*found.dataset.notes, *cut_note(sources, longest))
        return cls(found.tokenizer, names, longest, config.label_smoothing, notes), sources

    @classmethod
    def load(cls, assets: Path) -> "TextClassification":
        """The task as a run saved it, without its data."""
        values = json.loads((assets / _ASSET).read_text(encoding="utf-8"))
        return cls(load_tokenizer(assets / TOKENIZER_FOLDER), tuple(values["class_names"]), values["longest"])

    def save(self, assets: Path) -> None:
        """Writes what ``load`` needs."""
        self.tokenizer.save(assets / TOKENIZER_FOLDER)
        values = {"class_names": self.class_names, "longest": self.longest}
        (assets / _ASSET).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @property
    def model_arguments(self) -> dict[str, Any]:
        """What ``tfdl.build_model`` needs to know of the data."""
        return {"vocab_size": self.tokenizer.vocab_size, "num_classes": len(self.class_names)}

    def inputs(self, batch: Mapping[str, Any]) -> Any:
        """Tokens as the model takes them, int32 ``(b, t)``, padded at the end with 0."""
        return batch["text"]

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """Texts in UTF-8, any number of them, of any length."""
        return {"text": tf.TensorSpec([None], tf.string, name="text")}

    def serve(self, model: Any, text: Any) -> dict[str, Any]:
        """Texts to ``probabilities`` ``(b, classes)``, ``class_id`` ``(b,)`` and ``class_name`` ``(b,)``."""
        count = tf.shape(text)[0]
        frame = Frame(self.longest, before=self.tokenizer.start_id)
        tokens = padded_tokens(self.tokenizer, with_stand_in(text), frame)
        return self.answers(model(tokens, training=False)[:count])

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random texts, some of them too long, for comparing a SavedModel with its model."""
        return {"text": random_texts(self.tokenizer, count, 2 * self.longest, seed)}


def _check_labels(labels: Any, name: str, split: str) -> None:
    """Some test splits are published without labels, as -1 throughout."""
    if int(np.min(labels)) < 0:
        raise UserError(
            f"the {split} split of {name!r} has samples without a label; choose another with --set"
            f" dataset.{split}_split=SPLIT"
        )


def _check_classes(found: tuple[str, ...], trained: tuple[str, ...], name: str) -> None:
    if found != trained:
        missing, new = (", ".join(sorted(set(a) - set(b))) for a, b in ((trained, found), (found, trained)))
        change = "; ".join(filter(None, (missing and f"missing now: {missing}", new and f"new: {new}")))
        raise UserError(
            f"the classes of {name!r} are not those that the run was trained for ({change or 'another order'}); give it"
            " the data that it had, or train anew"
        )
