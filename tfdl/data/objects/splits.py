"""The splits that Python code passed, as sources."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.hash_split import SPLITS
from tfdl.data.objects.arrays import arrays_source, as_array
from tfdl.data.objects.py_dataset import PyDatasetSource
from tfdl.data.objects.structure import SAMPLE_WEIGHT, named_features, part_names
from tfdl.data.objects.tf_dataset import cardinality, tf_dataset_source
from tfdl.data.sources import Source
from tfdl.errors import UserError, nearest

_EXPECTED = "splits by name, such as {'train': (x, y), 'validation': (x, y), 'test': (x, y)}"
# Decides which samples are held out if a split is missing. It is not the run's seed: runs with different seeds hold out
# the same samples, so they can be compared.
_HOLD_OUT_SEED = 0


class OneSplit(dict[str, Any]):
    """The data of one split alone, for the evaluation of a run that was trained before.

    Args:
        split: its name.
        value: its data.
        class_names: the classes that the run was trained for, where it has classes. They need not all occur in the
            split.
    """

    def __init__(self, split: str, value: Any, class_names: tuple[str, ...] = ()):
        super().__init__({split: value})
        self.split = split
        self.class_names = class_names


def data_of_split(data: Mapping[str, Any], split: str, class_names: tuple[str, ...]) -> Mapping[str, Any]:
    """What the evaluation of one split reads: all the data, or the split alone if there is no training data.

    Args:
        data: the splits by name.
        split: the one to evaluate.
        class_names: as for ``OneSplit``.

    Raises:
        UserError: the split is missing, and the training data that it may be cut from too.
    """
    _check_names(data)
    if data.get("train") is not None:
        return data
    for name in (split, "validation") if split == "test" else (split,):  # without test data, validation data serve
        if data.get(name) is not None:
            return OneSplit(name, data[name], class_names)
    given = ", ".join(data) or "no split"
    raise UserError(f"data has {given}, expected the split {split!r} to evaluate, or 'train' to cut it from")


def trained_names_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of the run that the data are evaluated for; none if the classes are those of the data."""
    return data.class_names if isinstance(data, OneSplit) else ()


def split_sources(data: Any, roles: Sequence[str], memory_limit_mb: int) -> dict[str, Source]:
    """The three splits as sources of features by role.

    A split may be arrays (``(x, y)``, ``(x, y, sample_weight)`` or a mapping by role), a ``keras.utils.PyDataset``, a
    ``tf.data.Dataset`` of single samples, or a ``Source``. Without validation data, a tenth of the training samples is
    held out. Without test data, the validation split is the test split. Without both, the training samples are cut into
    80%, 10% and 10%.

    Args:
        data: the splits by name; ``train`` must be among them. ``OneSplit`` serves as all three.
        roles: what a sample consists of.
        memory_limit_mb: the largest split that is kept in memory, in MiB, where there is a choice.

    Raises:
        UserError: data that cannot be used.
    """
    if isinstance(data, OneSplit):
        source = _whole(data[data.split], roles, memory_limit_mb, data.split)
        _check_roles(source, roles, data.split)
        return dict.fromkeys(SPLITS, source)
    _check_names(data)
    if data.get("train") is None:
        raise UserError(f"data has no split 'train', expected {_EXPECTED}")
    given = {split: data[split] for split in SPLITS if data.get(split) is not None}
    training_data = _TrainingData(given["train"], roles, memory_limit_mb)
    sources = {}
    for split, (begin, end) in _parts_of_train(given).items():
        sources[split] = training_data.part(begin, end)
    for split in ("validation", "test"):
        if split in given:
            sources[split] = _whole(given[split], roles, memory_limit_mb, split)
    if "test" not in sources:
        sources["test"] = sources["validation"]
    _check_roles(sources["train"], roles, "train")
    _check_equal_features(sources)
    return {split: sources[split] for split in SPLITS}


def refuse_sample_weights(sources: Mapping[str, Source], task: str) -> None:
    """Raises an error if samples have weights, for a task that does not read them.

    Args:
        sources: the splits.
        task: what the task is called in the message.

    Raises:
        UserError: a split has sample weights.
    """
    for split, source in sources.items():
        if part_names(signature_of(source), SAMPLE_WEIGHT):
            raise UserError(
                f"{_where(split)} has sample weights, which {task} does not read; leave them out, or pass a model of"
                " your own with task=tfdl.tasks.Objective(loss=...), which weights samples"
            )


def _check_names(data: Any) -> None:
    if not isinstance(data, Mapping):
        raise UserError(f"data is {type(data).__name__}, expected {_EXPECTED}")
    for split in data:
        if split not in SPLITS:
            raise UserError(f"data has the split {split!r}, expected {', '.join(SPLITS)}.{nearest(str(split), SPLITS)}")


def _parts_of_train(given: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Split -> the part of the shuffled training samples that serves as it, as fractions from 0 to 1."""
    if "validation" in given:
        return {"train": (0.0, 1.0)}
    if "test" in given:
        return {"train": (0.0, 0.9), "validation": (0.9, 1.0)}
    return {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}


class _TrainingData:
    """Training data that can be cut into parts: by shuffled samples, or by the batches of a ``PyDataset``."""

    def __init__(self, train: Any, roles: Sequence[str], memory_limit_mb: int):
        self._train = train
        self._roles = roles
        self._memory_limit_mb = memory_limit_mb
        self._where = _where("train")

    def part(self, begin: float, end: float) -> Source:
        """A part of the samples as a source.

        Args:
            begin: where the part begins among the shuffled samples, as a fraction from 0 to 1.
            end: where it ends.
        """
        if (begin, end) == (0.0, 1.0):
            return _whole(self._train, self._roles, self._memory_limit_mb, "train")
        if isinstance(self._train, tf.data.Dataset):
            numbers = self._numbers(cardinality(self._train, self._where), begin, end)
            return tf_dataset_source(self._train, self._roles, self._memory_limit_mb, self._where, numbers)
        if _is_py_dataset(self._train):
            whole = PyDatasetSource(self._train, self._roles, self._where)
            return whole.subset(self._numbers(whole.num_batches, begin, end))
        if isinstance(self._train, Source):
            raise UserError("data['train'] is a Source, which cannot be cut; give data['validation'] too")
        features = named_features(self._train, self._roles, self._where)
        arrays = {name: as_array(value, name, self._where) for name, value in features.items()}
        whole_source = arrays_source(arrays, self._memory_limit_mb, self._where)
        numbers = self._numbers(whole_source.num_examples, begin, end)
        part = {name: array[numbers] for name, array in arrays.items()}
        return arrays_source(part, self._memory_limit_mb, self._where)

    def _numbers(self, count: int, begin: float, end: float) -> np.ndarray:
        """The numbers of a part's samples (or batches), rising."""
        first = round(begin * count)
        last = round(end * count)
        if last <= first:
            raise UserError(
                f"{self._where} has {count} samples or batches, too few to hold some out; expected at least 10,"
                " or data['validation'] and data['test']"
            )
        order = np.random.Generator(np.random.PCG64(_HOLD_OUT_SEED)).permutation(count)
        return np.sort(order[first:last])


def _whole(value: Any, roles: Sequence[str], memory_limit_mb: int, split: str) -> Source:
    """All samples of a split, in their own order."""
    where = _where(split)
    if isinstance(value, tf.data.Dataset):
        return tf_dataset_source(value, roles, memory_limit_mb, where)
    if _is_py_dataset(value):
        return PyDatasetSource(value, roles, where)
    if isinstance(value, Source):
        return value
    return arrays_source(named_features(value, roles, where), memory_limit_mb, where)


def _is_py_dataset(value: Any) -> bool:
    import keras

    return isinstance(value, keras.utils.PyDataset)


def _where(split: str) -> str:
    """What a split is called in messages."""
    return f"data[{split!r}]"


def _check_roles(source: Source, roles: Sequence[str], split: str) -> None:
    """Raises an error if a source, which may be the user's own, lacks a role."""
    signature = signature_of(source)
    for role in roles:
        if not part_names(signature, role):
            raise UserError(
                f"{_where(split)} has the features {', '.join(signature)}, expected {' and '.join(roles)}, or parts"
                f" of them such as {role}/a"
            )


def _check_equal_features(sources: Mapping[str, Source]) -> None:
    """Raises an error if a split has other features than the training data, or features of another shape or dtype."""
    expected = signature_of(sources["train"])
    for split, source in sources.items():
        where = _where(split)
        signature = signature_of(source)
        if signature.keys() != expected.keys():
            names = ", ".join(expected)
            raise UserError(f"{where} has {', '.join(signature)}, expected the training data's features: {names}")
        for name, spec in signature.items():
            expected_spec = expected[name]
            if spec.shape != expected_spec.shape or spec.dtype != expected_spec.dtype:
                raise UserError(
                    f"{name} of {where} has the shape {spec.shape} and the dtype {spec.dtype.name}, expected those of"
                    f" the training data: {expected_spec.shape} and {expected_spec.dtype.name}"
                )


def signature_of(source: Source) -> dict[str, tf.TensorSpec]:
    """A ``tf.TensorSpec`` for each feature of one sample, from the source itself or from its first sample."""
    signature = getattr(source, "signature", None)
    if signature is not None:
        return dict(signature)
    first = source.read(tf.zeros([1], tf.int64))
    return {name: tf.TensorSpec(values.shape[1:], values.dtype) for name, values in first.items()}
