"""The base classes of tasks: what the rest of tfdl calls."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.data.pipeline import WEIGHT, Augment
from tfdl.data.tokenizers import Tokenizer
from tfdl.errors import UserError
from tfdl.tasks.metric_directions import larger_is_better
from tfdl.tasks.prediction import Prediction, ServedPrediction
from tfdl.tasks.served_signature import DEFAULT_SIGNATURE, ServedSignature

Batch = Mapping[str, Any]
"""Features of some samples by name, each a tensor ``(b, ...)``; training batches also have ``weight``, ``(b,)``."""
Rows = Mapping[str, np.ndarray]
"""Columns with one row for each sample."""


class Task(ABC):
    """What a model is trained for: its data, inputs, loss, metrics, and what a served model takes and returns.

    A task is declared by a ``tfdl.TaskSpec`` (``tfdl.register_task``). Methods that take a batch run inside TensorFlow
    graphs, without AutoGraph: they use TensorFlow operations, and Python's ``if`` and ``for`` cannot depend on a tensor
    (``tf.cond``, ``tf.where`` and ``tf.while_loop`` can). No method needs to know the ranks: tfdl adds up the sums of
    all ranks, gathers their rows and orders them.
    """

    name: str
    """The name in its ``TaskSpec``."""
    running_metrics: tuple[str, ...]
    """Names of what ``running_sums`` returns, in its order; the first is ``loss``."""
    monitor: str
    """The validation metric that decides which checkpoint is the best."""
    larger_is_better: bool
    """Whether the best checkpoint is the one with the largest ``monitor``."""
    headline: tuple[str, ...] = ()
    """Validation metrics to show after each epoch, besides those that training has as well."""
    notes: tuple[str, ...] = ()
    """Lines about the data to show when a run starts."""
    class_names: tuple[str, ...] = ()
    """A name for each class number; empty for a task without classes."""
    tracked: tuple[tf.Module, ...] = ()
    """Modules with the lookup tables of the graph of ``serve``; they become part of a SavedModel."""
    augment: Augment | None = None
    """Random changes of training batches, as part of the input pipeline."""
    carries_state: bool = False
    """Whether the model carries its state from one batch to the next (a recurrent language model)."""
    evaluation_batch_size: int = 256
    """Samples that are evaluated together. It is the same on any number of ranks, since the last bits of a sample's
    loss may depend on the shape of its batch."""
    evaluation_tokens: int | None = None
    """Most tokens in such a batch, for texts of many lengths; none sets no limit."""

    def prefers_larger(self, metric: str) -> bool | None:
        """Whether larger values of a metric are better; None if that is not known.

        Args:
            metric: the name of a validation metric.
        """
        if metric == self.monitor:
            return self.larger_is_better
        return larger_is_better(metric)

    # Data

    @classmethod
    @abstractmethod
    def open(
        cls, config: TrainConfig, assets: Path | None = None, data: Mapping[str, Any] | None = None
    ) -> tuple[Self, dict[str, Source]]:
        """The task and its splits, for a run.

        Args:
            config: the run.
            assets: the folder that ``save`` wrote to, if the run has begun before. What was learned from the data then
                (a vocabulary, the classes) is loaded from it.
            data: splits that Python code passed to ``tfdl.train``, to be read in place of ``config.dataset``.

        Returns:
            The task, and the splits ``train``, ``validation`` and ``test``.

        Raises:
            UserError: data that cannot be used.
        """

    @classmethod
    @abstractmethod
    def load(cls, assets: Path) -> Self:
        """The task as ``save`` wrote it, without its data.

        Args:
            assets: the folder.
        """

    @abstractmethod
    def save(self, assets: Path) -> None:
        """Writes what ``load`` needs.

        Args:
            assets: an existing folder of the run.
        """

    @property
    @abstractmethod
    def model_arguments(self) -> dict[str, Any]:
        """The data arguments of ``tfdl.build_model``, such as ``num_classes``."""

    def fit_to(self, model: Any) -> None:  # noqa: B027  (most tasks need nothing)
        """Called once, when the model is built, for a task that must know the model's outputs; does nothing by default.

        Args:
            model: the built model.

        Raises:
            UserError: the model does not fit the task.
        """

    def check_data(self, sources: Mapping[str, Source]) -> None:  # noqa: B027  (most tasks need nothing)
        """Called once after ``fit_to``, for a task that compares samples with the model; does nothing by default.

        Args:
            sources: the splits.

        Raises:
            UserError: the samples do not fit the model.
        """

    # Training

    @abstractmethod
    def inputs(self, batch: Batch) -> Any:
        """What the model is called with.

        Args:
            batch: features by name.
        """

    @abstractmethod
    def losses(self, batch: Batch, outputs: Any) -> tuple[Any, Any]:
        """What training minimizes: the weighted mean of the losses over all ranks' samples.

        Args:
            batch: features by name.
            outputs: the model's.

        Returns:
            Losses and weights of the same shape: ``(b,)``, or ``(b, t)`` for a loss of each token. A sample that only
            fills up a batch has weight 0 (``sample_weights``).
        """

    @abstractmethod
    def running_sums(self, batch: Batch, outputs: Any, losses: Any) -> list[Any]:
        """Weighted sums over the batch, scalars. Divided by the sum of all weights they are the running metrics.

        Args:
            batch: features by name.
            outputs: the model's.
            losses: the first result of ``losses``.
        """

    def running_values(self, means: dict[str, float]) -> dict[str, float]:
        """The running metrics to show and log; by default the means themselves.

        Args:
            means: name -> mean, in the order of ``running_metrics``.
        """
        return means

    # Evaluation

    @abstractmethod
    def evaluation_rows(self, batch: Batch, outputs: Any) -> dict[str, Any]:
        """One row for each sample with everything that ``metrics`` needs; each column is ``(b, ...)``.

        Args:
            batch: features by name.
            outputs: the model's.
        """

    @abstractmethod
    def metrics(self, rows: Rows) -> dict[str, float]:
        """The metrics of a split, including ``loss`` and ``monitor``.

        Args:
            rows: the columns of ``evaluation_rows``, of all samples in the split's own order.
        """

    def details(self, rows: Rows) -> dict[str, Any]:  # noqa: ARG002
        """What a report shows besides the metrics, as plain data; by default nothing.

        Args:
            rows: as for ``metrics``.
        """
        return {}

    def warning(self, rows: Rows) -> str:  # noqa: ARG002
        """What a user should know about the results of a split, such as that they are no better than guessing.

        Args:
            rows: as for ``metrics``.

        Returns:
            A line; empty by default.
        """
        return ""

    # Serving

    @abstractmethod
    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """What a served model takes: raw inputs by name, with a first axis of any size."""

    @abstractmethod
    def serve(self, model: Any, *arguments: Any, **inputs: Any) -> dict[str, Any]:
        """What a served model returns, computed with TensorFlow operations from raw inputs.

        A task's method takes the model and the inputs of its ``serving_signature``, by name: ``serve(self, model,
        image)``.

        Args:
            model: the trained model.
            *arguments: none; tfdl passes inputs by name.
            **inputs: the raw inputs.
        """

    @abstractmethod
    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Random inputs of the serving signature. An export and its model are compared on them.

        Args:
            count: number of samples.
            seed: decides them.
        """

    def signatures(self) -> dict[str, ServedSignature]:
        """Every way to ask a served model, by name. ``serving_default`` is ``serve``; a task may have others."""
        return {DEFAULT_SIGNATURE: ServedSignature(self.serving_signature(), self.serve, self.serving_sample)}

    # Prediction

    @property
    def serving_notes(self) -> tuple[str, ...]:
        """What somebody who asks a served model must know beyond its signatures, in lines."""
        return ()

    def prediction(self, top_k: int | None = None) -> Prediction:
        """How raw inputs are answered (``tfdl predict``); by default as a served model answers them.

        Args:
            top_k: how many of the most likely answers to return, for a task that ranks them. Defaults to the task's
                own number.

        Raises:
            UserError: ``top_k`` for a task that ranks no answers.
        """
        if top_k is not None:
            raise UserError(f"--top-k {top_k} has no meaning for the task {self.name!r}; leave it out")
        return ServedPrediction(self)


class DecodingTask(Task):
    """A task whose model writes texts. They are evaluated, besides the losses."""

    most_decoded: int = 10_000
    """Samples that are decoded for results, evenly spread over a split."""
    most_decoded_quickly: int = 500
    """Samples that are decoded after each epoch."""

    @property
    @abstractmethod
    def decoding_batch_size(self) -> int:
        """Samples that are decoded together."""

    @property
    @abstractmethod
    def text_roles(self) -> tuple[str, ...]:
        """Roles whose original texts ``metrics`` compares decoded texts with."""

    def search_with(self, num_beams: int, length_penalty: float) -> None:  # noqa: ARG002
        """Makes ``decoded_rows`` search each text with beams; by default a task cannot.

        Args:
            num_beams: texts that are extended side by side; with 1 the likeliest token is taken every time.
            length_penalty: exponent of the length penalty (Wu et al., 2016).

        Raises:
            UserError: the task decodes in another way.
        """
        raise UserError(f"beams={num_beams}, but the task {self.name} decodes without beams; leave them out")

    @abstractmethod
    def decoded_rows(self, model: Any, batch: Batch) -> dict[str, Any]:
        """One row for each sample, from what the model itself writes.

        Args:
            model: the model.
            batch: features by name. It contains the targets, which must not be read.
        """


class TextTask(Task):
    """A task whose model reads tokens."""

    tokenizer: Tokenizer

    @property
    def tracked(self) -> tuple[tf.Module, ...]:  # type: ignore[override]
        """The tokenizer's tables, if it has a form for a graph."""
        return (self.tokenizer.graph,) if self.tokenizer.has_graph else ()

    @property
    def serving_notes(self) -> tuple[str, ...]:
        """Why a served model takes token numbers; nothing if it takes texts."""
        if self.tokenizer.has_graph:
            return ()
        return (
            f"texts are token numbers, since TensorFlow has no operations that compute the tokenizer"
            f" {self.tokenizer.name!r}; tokenize them before (docs/pretrained.md)",
        )


def sample_weights(batch: Batch, dtype: Any) -> Any:
    """The weight of each sample of a batch, ``(b,)``: 1, or 0 for a sample that only fills up a rank's batch.

    Args:
        batch: features by name.
        dtype: of the weights.
    """
    if WEIGHT in batch:
        return tf.cast(batch[WEIGHT], dtype)
    first_feature = next(iter(batch.values()))
    return tf.ones(tf.shape(first_feature)[:1], dtype)


def correct_tokens(targets: Any, logits: Any, weights: Any) -> Any:
    """The weights of the tokens whose logit is the largest, and 0 for all others.

    Args:
        targets: int32 ``(b, t)``.
        logits: ``(b, t, v)``.
        weights: ``(b, t)``.

    Returns:
        ``(b, t)``.
    """
    is_correct = tf.equal(tf.argmax(logits, -1, tf.int32), targets)
    return weights * tf.cast(is_correct, weights.dtype)
