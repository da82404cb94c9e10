"""The metrics of an exported file on a split, computed as those of the model are."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import Source
from tfdl.data.sources import TextSource
from tfdl.distributed import SingleWorld
from tfdl.evaluation.carried_state_evaluator import CarriedStateEvaluator
from tfdl.evaluation.evaluator import Part, batch_parts, in_order
from tfdl.export.known_tasks import LOGITS, PROBABILITIES, inputs_of_batch
from tfdl.export.parity import Arrays
from tfdl.export.tensors import TensorType
from tfdl.tasks.task import DecodingTask, Task
from tfdl.tasks.translation_metrics import text_metrics

_WRITTEN = "target"
_TRANSLATION = "translation"
_SMALLEST = np.finfo(np.float32).tiny


class FileInGraph:
    """A file as an operation of a TensorFlow graph.

    Args:
        ask: from inputs to outputs, arrays by name.
        outputs: what it returns.
    """

    def __init__(self, ask: Callable[[Arrays], Arrays], outputs: Mapping[str, TensorType]):
        self._ask = ask
        self._outputs = outputs

    def answers(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name.

        Args:
            inputs: tensors by name.
        """
        names = list(inputs)

        def ask(*values: np.ndarray) -> list[np.ndarray]:
            answers = self._ask(dict(zip(names, values, strict=True)))
            return [answers[name] for name in self._outputs]

        dtypes = [tensor.dtype for tensor in self._outputs.values()]
        answered = tf.numpy_function(ask, [inputs[name] for name in names], dtypes, stateful=False)
        return {
            # A file that takes one row at a time is asked once for each row.
            name: tf.ensure_shape(values, [None, *tensor.shape[1:]])
            for (name, tensor), values in zip(self._outputs.items(), answered, strict=True)
        }


def file_metrics(file: FileInGraph, task: Task, source: Source, recurrent: Any = None) -> dict[str, float]:
    """The task's metrics over a split; of translations, those of the written texts of at most ``most_decoded`` samples.

    Args:
        file: takes the inputs of ``inputs_of_batch``. It returns logits, probabilities, or the tokens that it wrote.
        task: of the run.
        source: the split.
        recurrent: for a file that takes and returns a state, the file as ``CarriedStateEvaluator`` takes a model.
    """
    if recurrent is not None:
        return CarriedStateEvaluator(recurrent, task).metrics(source, SingleWorld())
    if isinstance(task, DecodingTask):
        return _written_metrics(file, task, source)

    def rows_of_batch(batch: Any) -> dict[str, Any]:
        outputs = file.answers(inputs_of_batch(task, batch))
        return task.evaluation_rows(batch, _logits(outputs))

    parts = batch_parts(
        tf.function(rows_of_batch, autograph=False),
        source,
        SingleWorld(),
        batch_size=task.evaluation_batch_size,
        most_tokens=task.evaluation_tokens,
    )
    return task.metrics(in_order(parts, SingleWorld()))


def num_measured(task: Task, source: Source) -> int:
    """How many samples of a split ``file_metrics`` measures: not all, of a task whose model writes texts.

    Args:
        task: of the run.
        source: the split.
    """
    if isinstance(task, DecodingTask):
        return min(task.most_decoded, source.num_examples)
    return source.num_examples


def _logits(outputs: Mapping[str, Any]) -> Any:
    """Logits, or numbers of which softmax makes the same probabilities."""
    if LOGITS in outputs:
        return outputs[LOGITS]
    return tf.math.log(tf.maximum(outputs[PROBABILITIES], _SMALLEST))


def _written_metrics(file: FileInGraph, task: Any, source: Any) -> dict[str, float]:
    """Metrics of the texts, without the loss: a file that writes texts gives no probabilities of given targets."""
    decoded: TextSource = source.spread(task.most_decoded)

    def rows_of_batch(batch: Any) -> dict[str, Any]:
        return {_WRITTEN: file.answers(inputs_of_batch(task, batch))[_WRITTEN]}

    def parts() -> Iterator[Part]:
        batch_rows = tf.function(rows_of_batch, autograph=False)
        for numbers, rows in batch_parts(batch_rows, decoded, SingleWorld(), batch_size=task.decoding_batch_size):
            texts = [task.tokenizer.decode(tokens) for tokens in rows[_WRITTEN]]
            yield numbers, {_TRANSLATION: np.array(texts, object)}

    translations = in_order(parts(), SingleWorld())[_TRANSLATION].tolist()
    references = decoded.texts(_WRITTEN)[_WRITTEN].tolist()
    return text_metrics(translations, references)
