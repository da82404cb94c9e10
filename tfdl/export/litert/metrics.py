"""The metrics of a LiteRT file on a split, computed as those of the model are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import Source
from tfdl.distributed import SingleWorld
from tfdl.evaluation.carried_state_evaluator import CarriedStateEvaluator
from tfdl.evaluation.evaluator import batch_parts, in_order
from tfdl.export.litert.conversion import LiteRTGraph
from tfdl.export.litert.functions import LOGITS, LiteRTFunction
from tfdl.export.litert.interpreter import LiteRTModel
from tfdl.export.litert.recurrent_function import RecurrentLanguageFunction


def metrics_of_litert(content: bytes, graph: LiteRTGraph, function: LiteRTFunction, source: Source) -> dict[str, float]:
    """The task's metrics over every sample of a split.

    Args:
        content: of the file.
        graph: that it was converted from.
        function: what it computes.
        source: the split.
    """
    task = function.task
    in_graph = _InGraph(LiteRTModel(content, one_row=graph.one_row), graph.outputs)
    if isinstance(function, RecurrentLanguageFunction):
        evaluator = CarriedStateEvaluator(_WithState(in_graph, function), task)
        return task.metrics(evaluator.rows(source, SingleWorld()))

    def rows_of_batch(batch: Any) -> dict[str, Any]:
        outputs = in_graph.answers(function.of_batch(batch))
        return task.evaluation_rows(batch, outputs[LOGITS])

    batch_rows = tf.function(rows_of_batch, autograph=False)
    parts = batch_parts(
        batch_rows,
        source,
        SingleWorld(),
        batch_size=task.evaluation_batch_size,
        most_tokens=task.evaluation_tokens,
    )
    return task.metrics(in_order(parts, SingleWorld()))


class _InGraph:
    """A file as an operation of a TensorFlow graph."""

    def __init__(self, model: LiteRTModel, outputs: Mapping[str, tf.TensorSpec]):
        self._model = model
        self._outputs = outputs

    def answers(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name.

        Args:
            inputs: tensors by name.
        """
        names = list(inputs)

        def ask(*values: np.ndarray) -> list[np.ndarray]:
            answers = self._model.answers(dict(zip(names, values, strict=True)))
            return [answers[name] for name in self._outputs]

        dtypes = [spec.dtype for spec in self._outputs.values()]
        tensors = tf.numpy_function(ask, [inputs[name] for name in names], dtypes, stateful=False)
        return {
            # The file may take one row at a time; the model does not.
            name: tf.ensure_shape(tensor, [None, *spec.shape[1:]])
            for (name, spec), tensor in zip(self._outputs.items(), tensors, strict=True)
        }


class _WithState:
    """What ``CarriedStateEvaluator`` needs of a model."""

    def __init__(self, in_graph: _InGraph, function: RecurrentLanguageFunction):
        self._in_graph = in_graph
        self._function = function

    def initial_state(self, batch_size: Any) -> Any:
        return self._function.model.initial_state(batch_size)

    def with_state(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        outputs = self._in_graph.answers(self._function.of_window(tokens, state))
        return outputs[LOGITS], self._function.next_state(outputs)
