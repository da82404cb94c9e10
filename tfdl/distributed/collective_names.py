"""The names of collectives in graphs."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

# The next number for each outermost graph.
_counters: WeakKeyDictionary[Any, Iterator[int]] = WeakKeyDictionary()


def next_collective_name() -> str:
    """Returns ``HorovodAllreduce_0``, ``HorovodAllreduce_1`` and so on, in the order in which a step is traced.

    Horovod matches the ranks' collectives by name. The names that it derives from tensors contain the names of layers
    and optimizers, which Keras numbers: a rank that had built one more model would wait forever. All kinds of
    collectives share one counter, so that ``World.meet`` knows the name of a step's first collective. Horovod's elastic
    mode looks for ``HorovodAllreduce`` in the name of a failed operation.
    """
    graph = tf.compat.v1.get_default_graph()
    # Graphs of control flow are nested in the graph of the step, and share its counter.
    while getattr(graph, "outer_graph", None) is not None and graph.outer_graph.building_function:
        graph = graph.outer_graph
    counter = _counters.setdefault(graph, count())
    return f"HorovodAllreduce_{next(counter)}"
