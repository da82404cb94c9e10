"""The names of collectives in graphs."""

from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import tensorflow as tf

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Keyed by the outermost graph.
_numberings: WeakKeyDictionary[Any, "_Numbering"] = WeakKeyDictionary()


def next_collective_name() -> str:
    """Returns ``HorovodAllreduce_0``, ``HorovodAllreduce_1`` and so on, in the order in which a step is traced.

    Horovod matches the ranks' collectives by name. The names that it derives from tensors contain the names of layers
    and optimizers, which Keras numbers: a rank that had built one more model would wait forever. All kinds of
    collectives share one numbering, so that ``World.meet`` knows the name of a step's first collective. Horovod's
    elastic mode looks for ``HorovodAllreduce`` in the name of a failed operation.

    Graphs of control flow and of functions are nested in the graph of the step, and share its numbering. TensorFlow
    traces a function twice if the first trace has made variables, such as those of a metric. A rank that traces it
    again later, or joins later, traces it a different number of times. So a trace that was discarded does not count.
    """
    graph = tf.compat.v1.get_default_graph()
    graphs = [graph]
    while getattr(graph, "outer_graph", None) is not None and graph.outer_graph.building_function:
        graph = graph.outer_graph
        graphs.append(graph)
    numbering = _numberings.setdefault(graph, _Numbering())
    for inner, outer in reversed(list(pairwise(graphs))):
        numbering.enter(inner, outer)
    return f"HorovodAllreduce_{numbering.take()}"


class _Numbering:
    """The numbers of one step's collectives."""

    def __init__(self) -> None:
        self._next = 0
        self._entered: WeakSet[Any] = WeakSet()
        # For each graph the last graph within it: its name, its first number, and the functions called before it.
        self._last_within: WeakKeyDictionary[Any, tuple[str, int, int]] = WeakKeyDictionary()

    def take(self) -> int:
        """Returns the next number."""
        self._next += 1
        return self._next - 1

    def enter(self, inner: Any, outer: Any) -> None:
        """Called for each graph of which a collective is a part, and the graph around it.

        If the last graph of the same function was traced and not called, it was discarded, and its numbers are free.
        """
        if inner in self._entered:
            return
        self._entered.add(inner)
        num_calls = sum(operation.type in _CALLS for operation in outer.get_operations())
        name, begin, num_calls_before = self._last_within.get(outer, ("", 0, 0))
        is_function = type(inner).__name__ == "FuncGraph"  # those of control flow are subclasses
        if is_function and name == inner.name and num_calls == num_calls_before:
            self._next = begin
        self._last_within[outer] = (inner.name, self._next, num_calls)
