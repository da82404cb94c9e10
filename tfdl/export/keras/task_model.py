"""A run's model in Keras's layers, from inputs that are as raw as Keras takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.export.compared_texts import fewer_rows, length_notes
from tfdl.export.keras.rebuilding import graph_of, new_input, plain_outputs
from tfdl.export.known_tasks import IMAGE, LOGITS, PROBABILITIES, SOURCE, TOKEN_IDS
from tfdl.export.number_signature import number_signature
from tfdl.export.parity import Arrays
from tfdl.export.served_numbers import num_rows
from tfdl.export.tensors import TensorType
from tfdl.tasks.classification import Classification
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.task import Task, TextTask
from tfdl.tasks.translation import Translation

_MEANINGS = {IMAGE: "pixels from 0 to 255"}
# Samples, and the size of an axis of any size, where a task's own samples are not known.
_SAMPLES = 64
_SIZE = 4


@dataclass(frozen=True)
class TaskModel:
    """The new model, and what it is compared with."""

    model: keras.Model
    """Takes one tensor, or several by name."""
    samples: Mapping[str, Arrays]
    """Several sets of random inputs, by any name."""
    expected: Mapping[str, list[np.ndarray]]
    """What the run's model answers to each."""
    is_classifier: bool
    """Whether its only output is that of a softmax."""
    notes: tuple[str, ...]
    """What a user should know of the comparison."""

    @property
    def inputs(self) -> dict[str, TensorType]:
        """What the model takes, by name."""
        return {tensor.name: TensorType.of(tensor, _MEANINGS.get(tensor.name, "")) for tensor in self.model.inputs}

    @property
    def outputs(self) -> dict[str, TensorType]:
        """What the model returns, by name."""
        return dict(zip(self.model.output_names, map(TensorType.of, self.model.outputs), strict=True))

    @property
    def compared(self) -> int:
        """The number of samples."""
        return sum(num_rows(arrays) for arrays in self.samples.values())


def task_model(model: Any, task: Task) -> TaskModel:
    """Rebuilds a run's model for those who have Keras alone.

    Args:
        model: of the run, in float32 and without updates of low rank.
        task: of the run.

    Raises:
        UserError: the model has no graph of layers.
    """
    graph = graph_of(model)
    old_inputs = keras.tree.flatten(graph.input)
    inputs = {}
    for tensor in old_inputs:
        name = _name_of_only_input(task) if len(old_inputs) == 1 else None
        new = new_input(tensor, name)
        inputs[new.name] = new
    features = list(inputs.values())
    if _takes_raw_images(task):
        features = [_scaled(task, features[0])]
    outputs = plain_outputs(model, keras.tree.pack_sequence_as(graph.input, features))
    if isinstance(task, Classification):
        outputs = keras.layers.Softmax(name=PROBABILITIES)(outputs)
    elif isinstance(task, TextTask) and outputs._keras_history.operation.name != LOGITS:
        outputs = keras.layers.Identity(name=LOGITS)(outputs)  # the table of tokens computed them
    new_model = keras.Model(inputs if len(inputs) > 1 else _only(inputs), outputs, name=model.name)
    samples = _samples(inputs, task)
    expected = {case: _answers(model, graph, task, arrays) for case, arrays in samples.items()}
    return TaskModel(new_model, samples, expected, isinstance(task, Classification), _notes(task))


def _only(inputs: Mapping[str, Any]) -> Any:
    """The only input."""
    (tensor,) = inputs.values()
    return tensor


def _takes_raw_images(task: Task) -> bool:
    return isinstance(task, ImageClassification) and type(task).inputs is ImageClassification.inputs


def _name_of_only_input(task: Task) -> str | None:
    if _takes_raw_images(task):
        return IMAGE
    return TOKEN_IDS if isinstance(task, TextTask) else None


def _scaled(task: Any, image: Any) -> Any:
    """Pixels from 0 to 255 to the inputs of the run's model."""
    mean = np.array(task.scaling.mean or (0.0,))
    deviation = np.array(task.scaling.deviation or (1.0,))
    scale = 1 / (255 * deviation)
    offset = -mean / deviation
    if len(scale) == 1:
        return keras.layers.Rescaling(float(scale[0]), float(offset[0]), name="rescaling")(image)
    return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name="rescaling")(image)


def _samples(inputs: Mapping[str, Any], task: Task) -> dict[str, Arrays]:
    if _takes_raw_images(task):
        return dict(number_signature(task).samples)
    if isinstance(task, TextTask):
        return {case: _token_samples(arrays, task) for case, arrays in number_signature(task).samples.items()}
    generator = np.random.default_rng(0)
    return {
        case: {name: _random(tensor, count, generator) for name, tensor in inputs.items()}
        for case, count in (("one", 1), ("several", _SAMPLES - 1))
    }


def _token_samples(arrays: Arrays, task: Any) -> Arrays:
    """Token numbers of texts that are not too long."""
    tokens = _only(arrays)
    if isinstance(task, Translation):
        tokens = fewer_rows(tokens, task.tokenizer.vocab_size)
        starts = np.full((len(tokens), 1), task.tokenizer.start_id, np.int32)
        return {SOURCE: tokens, "target": np.concatenate([starts, tokens[:, :-1]], 1)}
    longest = getattr(task, "longest", tokens.shape[1])
    return {TOKEN_IDS: tokens[:, :longest]}


def _notes(task: Task) -> tuple[str, ...]:
    if isinstance(task, Translation):  # here its model returns the logits of all tokens
        return length_notes(task.longest, task.tokenizer.vocab_size)
    return number_signature(task).notes if isinstance(task, TextTask) else ()


def _random(tensor: Any, count: int, generator: np.random.Generator) -> np.ndarray:
    shape = [_SIZE if size is None else size for size in tensor.shape]
    if shape and tensor.shape[0] is None:
        shape[0] = count
    if tensor.dtype == "string":
        return np.full(shape, b"a")
    if "float" in tensor.dtype:
        return generator.normal(size=shape).astype(np.float32)
    return generator.integers(0, 2, shape).astype(tensor.dtype)  # numbers that any table has


def _answers(model: Any, graph: Any, task: Any, arrays: Arrays) -> list[np.ndarray]:
    """What the run's model answers."""
    if _takes_raw_images(task):
        features = task.inputs(arrays)
    else:
        features = keras.tree.pack_sequence_as(graph.input, [tf.constant(array) for array in arrays.values()])
    outputs = model(features, training=False)
    return _arrays(tf.nn.softmax(outputs) if isinstance(task, Classification) else outputs)


def _arrays(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(value) for value in keras.tree.flatten(outputs)]
