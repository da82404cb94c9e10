"""What an export in a smaller precision costs: the metric of its task over the whole test split."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TASKS
from tfdl.data import Source, evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.errors import UserError
from tfdl.export.number_signature import TOKEN_IDS, Arrays
from tfdl.runs.load import LoadedRun
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation
from tfdl.tasks.translation_metrics import text_metrics

Ask = Callable[..., Arrays]
"""Arrays by name to outputs by name, as ``NumberSignature`` describes them."""

_MOST_LOST_ACCURACY = 0.02
_MOST_LOST_BLEU = 2.0
_MOST_ADDED_PERPLEXITY = 0.05
_SMALLEST = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Measure:
    """A metric of a task, and how much worse it may become."""

    metric: str
    bound: str
    """In words."""
    is_sound: Callable[[float, float], bool]
    """Whether the second value is good enough beside the first."""


@dataclass(frozen=True)
class Cost:
    """A metric before and after."""

    measure: Measure
    before: float
    after: float
    num_samples: int

    def __str__(self) -> str:
        return (
            f"{self.measure.metric} {self.before:.4f} -> {self.after:.4f} on the test split"
            f" ({self.num_samples:,} samples)"
        )


_ACCURACY = Measure("accuracy", "at most 0.02 less", lambda before, after: after >= before - _MOST_LOST_ACCURACY)
_PERPLEXITY = Measure(
    "perplexity", "at most 5% more", lambda before, after: after <= before * (1 + _MOST_ADDED_PERPLEXITY)
)
_BLEU = Measure("bleu", "at most 2 points less", lambda before, after: after >= before - _MOST_LOST_BLEU)


class MeasuredSplits:
    """The splits of a run's data set, to measure and to calibrate on.

    Args:
        loaded: the run.
        data: the splits, for a run whose data Python code passed.

    Raises:
        UserError: a task whose metrics are not known here, or data that is missing.
    """

    def __init__(self, loaded: LoadedRun, data: Any = None):
        self._measure, self._rows = _measure_of(loaded.task)
        self._task, self._sources = TASKS.load(loaded.config.task).open(loaded.config, loaded.run.assets, data)
        self._task.fit_to(loaded.model)

    def cost(self, before: Ask, after: Ask) -> Cost:
        """Measures two models.

        Args:
            before: the model in float32.
            after: the model in a smaller precision.

        Raises:
            UserError: the second is much worse.
        """
        split = self._sources["test"]
        cost = Cost(self._measure, self._value(before, split), self._value(after, split), split.num_examples)
        if not self._measure.is_sound(cost.before, cost.after):
            raise UserError(f"{cost}, expected {self._measure.bound}; nothing was written; leave --precision out")
        return cost

    def calibration(self, count: int) -> list[Arrays]:
        """Inputs of a model of images, from the training split, one by one.

        Args:
            count: most images.
        """
        split = self._sources["train"]
        order = split.epoch_order(0, 0, 1)[:count]
        images = np.asarray(split.read(tf.constant(order))["image"])
        return [{"image": image[np.newaxis]} for image in images]

    def _value(self, ask: Ask, split: Source) -> float:
        return self._rows(self._task, ask, split)[self._measure.metric]


def _measure_of(task: Task) -> tuple[Measure, Callable[[Any, Ask, Any], dict[str, float]]]:
    if type(task) is ImageClassification:
        return _ACCURACY, _class_metrics("image", "image")
    if type(task) is TextClassification:
        return _ACCURACY, _class_metrics("text", TOKEN_IDS)
    if type(task) is LanguageModeling:
        return _PERPLEXITY, _language_metrics
    if type(task) is Translation:
        return _BLEU, _written_metrics
    raise UserError(
        f"a smaller precision for the task {task.name!r}, whose metrics could not be compared; leave --precision out"
    )


def _class_metrics(feature: str, name: str) -> Callable[[Any, Ask, Any], dict[str, float]]:
    def metrics(task: Any, ask: Ask, split: Source) -> dict[str, float]:
        def rows(batch: Any) -> dict[str, Any]:
            probabilities = ask(**{name: np.asarray(batch[feature])})["probabilities"]
            logits = tf.math.log(tf.maximum(probabilities, _SMALLEST))  # softmax takes them back
            return dict(task.evaluation_rows(batch, logits))

        return dict(task.metrics(_all_rows(task, split, rows)))

    return metrics


def _language_metrics(task: Any, ask: Ask, split: Source) -> dict[str, float]:
    """Each window by itself, also of models that carry a state while training."""

    def rows(batch: Any) -> dict[str, Any]:
        logits = ask(**{TOKEN_IDS: np.asarray(task.inputs(batch))})["logits"]
        return dict(task.evaluation_rows(batch, tf.constant(logits)))

    return dict(task.metrics(_all_rows(task, split, rows)))


def _written_metrics(task: Any, ask: Ask, split: Any) -> dict[str, float]:
    decoded = split.spread(task.most_decoded)
    translations = []
    numbers = []
    batch_size = task.decoding_batch_size
    pieces = decoded.evaluation_pieces(batch_size, None)
    batches = taken(evaluation_batches(decoded, batch_size=batch_size))
    for piece, batch in zip(pieces, batches, strict=True):
        written = ask(source=np.asarray(batch["source"]))["target"]
        translations += [task.tokenizer.decode(row) for row in written]
        numbers += list(piece)
    in_order = [translations[place] for place in np.argsort(numbers)]
    return dict(text_metrics(in_order, decoded.texts("target")["target"].tolist()))


def _all_rows(task: Task, split: Source, rows_of: Callable[[Any], dict[str, Any]]) -> dict[str, np.ndarray]:
    batches = evaluation_batches(split, batch_size=task.evaluation_batch_size, most_tokens=task.evaluation_tokens)
    parts = [rows_of(batch) for batch in taken(batches)]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
