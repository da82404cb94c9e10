"""How a trained model answers raw inputs: the steps between a photo or a text and a plain answer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Sample = Mapping[str, Any]
"""Raw inputs of one sample by name: a text as ``str``, an image as uint8 ``(h, w, c)``, other inputs as arrays."""
Prepared = dict[str, Any]
"""The same inputs as ``Prediction.stack`` takes them."""
Record = dict[str, Any]
"""The answer for one sample as plain data, which JSON can hold."""

_ROLES = ("image", "text", "source")


class Prediction(ABC):
    """Computes answers for raw inputs in four steps.

    ``prepare`` makes one sample's inputs ready, in a background thread. ``stack`` makes a batch of them. ``compute``
    runs the model inside a graph that is compiled once. ``records`` turns its outputs into plain data.

    A sample's answer must not depend on the other samples of its batch, except in the last bits.
    """

    role: str = ""
    """What the user gives: ``image``, ``text`` or ``source`` (a text to translate), which is then the only input; or
    empty for inputs that are arrays by the names of ``signature``."""
    batch_size: int = 64
    """Samples that are computed together, unless the user chooses another number."""
    most_size: int | None = None
    """Largest ``size`` of a batch, which is its number of samples times their largest size; None sets no limit."""
    longest: int | None = None
    """Most tokens of a text; longer texts are cut. None for inputs that are not cut."""
    num_cut: int = 0
    """How many texts were cut so far."""

    @property
    @abstractmethod
    def signature(self) -> dict[str, tf.TensorSpec]:
        """What ``compute`` takes, with a first axis of any size."""

    def size(self, sample: Sample) -> int:  # noqa: ARG002
        """How much of a batch a sample takes, before it is prepared. Samples of similar sizes are computed together.

        Args:
            sample: the raw inputs.
        """
        return 1

    @abstractmethod
    def prepare(self, sample: Sample) -> Prepared:
        """Makes one sample's inputs ready.

        Args:
            sample: the raw inputs.

        Raises:
            ValueError: they cannot be used; the message says what was received and what was expected.
        """

    @abstractmethod
    def stack(self, samples: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """Makes a batch.

        Args:
            samples: at least one.
        """

    @abstractmethod
    def compute(self, model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The model's answers, computed with TensorFlow operations.

        Args:
            model: the trained model.
            batch: as ``signature`` describes it.

        Returns:
            Name -> tensor ``(b, ...)``.
        """

    @abstractmethod
    def records(self, outputs: Mapping[str, np.ndarray]) -> list[Record]:
        """One record for each sample of a batch.

        Args:
            outputs: of ``compute``.
        """


class ServedPrediction(Prediction):
    """The answers of ``Task.serve``, for any task.

    Args:
        task: the task.
    """

    def __init__(self, task: Any):
        self._task = task
        names = list(self.signature)
        self.role = names[0] if len(names) == 1 and names[0] in _ROLES else ""

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The task's ``serving_signature``."""
        signature: dict[str, tf.TensorSpec] = self._task.serving_signature()
        return signature

    def prepare(self, sample: Sample) -> Prepared:
        """See ``Prediction.prepare``; arrays of the signature's dtypes and shapes."""
        missing = [name for name in self.signature if name not in sample]
        if missing:
            raise ValueError(f"no input {missing[0]!r}, expected {', '.join(self.signature)}")
        return {name: _as_specified(name, sample[name], spec) for name, spec in self.signature.items()}

    def stack(self, samples: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """See ``Prediction.stack``."""
        return {name: np.stack([sample[name] for sample in samples]) for name in self.signature}

    def compute(self, model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Task.serve``."""
        outputs: dict[str, Any] = self._task.serve(model, **batch)
        return outputs

    def records(self, outputs: Mapping[str, np.ndarray]) -> list[Record]:
        """Each output by its name, as a number, a text or a list."""
        columns = {name: _plain_values(values) for name, values in outputs.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def rounded(values: np.ndarray) -> list[Any]:
    """Floating-point numbers with 7 digits, as exact as float32 is; others as they are.

    Args:
        values: numbers ``(b, ...)``.

    Returns:
        A list of numbers, or of lists.
    """
    if values.dtype.kind == "f":
        numbers = [float(f"{value:.7g}") for value in values.reshape(-1).tolist()]
        values = np.array(numbers, np.float64).reshape(values.shape)
    plain: list[Any] = values.tolist()
    return plain


def _as_specified(name: str, value: Any, spec: tf.TensorSpec) -> np.ndarray:
    """An input as an array of the dtype and the shape that a signature asks for."""
    shape = tf.TensorShape(spec.shape[1:])
    if spec.dtype == tf.string:
        array = np.asarray(value.encode() if isinstance(value, str) else value, object)
    else:
        array = _as_numbers(name, value, spec.dtype)
    if not shape.is_compatible_with(array.shape):
        raise ValueError(f"input {name!r} has the shape {array.shape}, expected {shape}")
    return array


def _as_numbers(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    """Numbers of a dtype. Whole numbers and truth values must be such already: nothing is rounded or wrapped."""
    try:
        received = np.asarray(value)
        if received.dtype.kind in "US":  # numbers of a table
            received = received.astype(np.float64)
        with np.errstate(invalid="ignore"):
            array = received.astype(dtype.as_numpy_dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"input {name!r} cannot be read as {dtype.name} ({error})") from error
    is_number = received.dtype.kind in "biuf"
    if not is_number or (not dtype.is_floating and not np.array_equal(array.astype(received.dtype), received)):
        raise ValueError(
            f"input {name!r} has values that are no {dtype.name}, such as {np.ravel(received)[:3].tolist()}"
        )
    return array


def _plain_values(values: np.ndarray) -> list[Any]:
    if values.dtype == object:
        texts = [text.decode("utf-8", "replace") for text in values.reshape(-1).tolist()]
        values = np.array(texts, object).reshape(values.shape)
    return rounded(values)
