"""The contract of a ``World``, for one of any kind and size: every collective against plain TensorFlow on one rank.

All ranks call ``check_world``. A case is a collective, and the same on all ranks' tensors in one process, whose values
and gradients are TensorFlow's own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import World
from tfdl.errors import UserError

# Tracing a graph of all cases takes seconds. Large tensors are tested in graphs in every dtype.
IN_ONE_GRAPH = ("float64",)
FLOATS = ("float64", "float32", "float16", "bfloat16")
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
MOVED = (*FLOATS, *INTEGERS, "bool", "uint64", "complex64", "complex128")
LARGE = 30_001  # numbers that three ranks do not gather whole, and that they cannot share evenly


@dataclass
class Case:
    """A collective, and its reference."""

    name: str
    shape: Callable[[int], tuple[int, ...]]
    """The shape of a rank's tensor."""
    run: Callable[[World, Any], Any]
    """The collective."""
    reference: Callable[[list[Any]], list[Any]]
    """All ranks' results from all ranks' tensors."""


def sent_rows(sender: int, receiver: int) -> int:
    """How many rows one rank sends another in ``all_to_all``; none for some pairs."""
    return (2 * sender + receiver) % 3


def cases(size: int) -> Iterator[Case]:
    """Every collective with every option."""
    last = size - 1

    def on_all(reduce: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
        return lambda tensors: [reduce(tf.stack(tensors))] * size

    def all_to_all(splits: Callable[[int], list[int]]) -> Callable[[list[Any]], list[Any]]:
        def exchange(tensors: list[Any]) -> list[Any]:
            parts = [tf.split(tensor, splits(rank)) for rank, tensor in enumerate(tensors)]
            return [tf.concat([sent[rank] for sent in parts], 0) for rank in range(size)]

        return exchange

    def scattered(reduce: Callable[[Any], Any], rows: int) -> Callable[[list[Any]], list[Any]]:
        own_rows = [rows // size + (rank < rows % size) for rank in range(size)]
        return lambda tensors: tf.split(reduce(tf.stack(tensors)), own_rows)

    reductions = {
        "sum": lambda stacked: tf.reduce_sum(stacked, 0),
        "average": lambda stacked: tf.reduce_mean(stacked, 0),
        "min": lambda stacked: tf.reduce_min(stacked, 0),
        "max": lambda stacked: tf.reduce_max(stacked, 0),
        "product": lambda stacked: tf.reduce_prod(stacked, 0),
    }
    for op, reduce in reductions.items():
        yield Case(
            f"all_reduce {op}", lambda _: (5, 2), lambda world, x, op=op: world.all_reduce(x, op=op), on_all(reduce)
        )
    total = on_all(reductions["sum"])
    yield Case("all_reduce of a scalar", lambda _: (), lambda world, x: world.all_reduce(x), total)
    yield Case("all_reduce of nothing", lambda _: (0, 3), lambda world, x: world.all_reduce(x), total)
    joined = on_all(lambda stacked: tf.reshape(stacked, [-1, *stacked.shape[2:]]))
    yield Case("all_gather", lambda _: (2, 3), lambda world, x: world.all_gather(x), joined)
    yield Case(
        "all_gather of unequal rows",
        lambda rank: (rank, 2),
        lambda world, x: world.all_gather(x),
        lambda tensors: [tf.concat(tensors, 0)] * size,
    )
    for root in {0, last}:
        yield Case(
            f"broadcast from {root}",
            lambda _: (2, 2),
            lambda world, x, root=root: world.broadcast(x, root=root),
            lambda tensors, root=root: [tensors[root]] * size,
        )
    yield Case("broadcast of a scalar", lambda _: (), lambda world, x: world.broadcast(x), lambda t: [t[0]] * size)
    yield Case(
        "all_to_all",
        lambda _: (2 * size, 3),
        lambda world, x: world.all_to_all(x),
        all_to_all(lambda _: [2] * size),
    )
    splits = [[sent_rows(sender, receiver) for receiver in range(size)] for sender in range(size)]
    yield Case(
        "all_to_all with splits",
        lambda rank: (sum(splits[rank]), 2),
        lambda world, x: world.all_to_all(x, splits=splits[world.rank])[0],
        all_to_all(lambda rank: splits[rank]),
    )
    for rows in (2 * size + 1, 1):
        for op in ("sum", "average"):
            yield Case(
                f"reduce_scatter {op} of {rows} rows",
                lambda _, rows=rows: (rows, 2),
                lambda world, x, op=op: world.reduce_scatter(x, op=op),
                scattered(reductions[op], rows),
            )


def numbers(rank: int, shape: tuple[int, ...], dtype: str) -> Any:
    """A rank's tensor. Some values are equal on all ranks."""
    random = np.random.default_rng(rank)
    values = np.asarray(random.uniform(0.5, 2.0, shape))
    if values.size:
        values.flat[0] = 1.0
    return tf.cast(values, dtype)


def loss(result: Any, rank: int) -> Any:
    """A rank's loss: another function of the result on each rank."""
    return tf.reduce_sum(result * result) * (rank + 1)


def expected(case: Case, size: int, rank: int, dtype: str) -> tuple[Any, Any]:
    """A rank's result and gradient, computed in float64 in one process."""
    tensors = [tf.cast(numbers(other, case.shape(other), dtype), tf.float64) for other in range(size)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        results = case.reference(tensors)
        total = tf.add_n([loss(result, other) for other, result in enumerate(results)])
    return results[rank], tape.gradient(total, tensors[rank], unconnected_gradients=tf.UnconnectedGradients.ZERO)


def check_world(world: World, *, graphs: bool = True) -> None:
    """Checks a World. All its ranks call this.

    Args:
        world: the World.
        graphs: whether its collectives also work in graphs.
    """
    for dtype in FLOATS:
        check_values_and_gradients(world, dtype, graphs and dtype in IN_ONE_GRAPH)
        check_large_tensor(world, dtype, graphs)
    for dtype in MOVED:
        check_moved(world, dtype)
    for dtype in INTEGERS:
        values = world.all_reduce(tf.cast([world.rank + 1, 100], dtype))
        wrapped = tf.cast(tf.constant([world.size * (world.size + 1) // 2, 100 * world.size], tf.int64), dtype)
        np.testing.assert_array_equal(values, wrapped)
        assert np.asarray(world.all_reduce(tf.cast([world.rank + 1], dtype), op="max")) == world.size
    if graphs:
        check_graphs(world)
    check_errors(world)
    check_objects(world)


def check_values_and_gradients(world: World, dtype: str, graphs: bool) -> None:
    """All cases in eager code, and all of them in one graph."""
    all_cases = list(cases(world.size))
    tensors = [numbers(world.rank, case.shape(world.rank), dtype) for case in all_cases]

    def compute(case: Case, tensor: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            result = case.run(world, tensor)
            own_loss = loss(result, world.rank)
        return result, tape.gradient(own_loss, tensor)

    def compute_all(tensors: list[Any]) -> list[tuple[Any, Any]]:
        return [compute(case, tensor) for case, tensor in zip(all_cases, tensors, strict=True)]

    found = {"eager": compute_all(tensors)}
    if graphs:
        graph = tf.function(compute_all, autograph=False)
        found["graph"] = graph(tensors)
        found["second run"] = graph(tensors)
    for mode, results in found.items():
        for case, (result, gradient) in zip(all_cases, results, strict=True):
            what = f"{case.name} in {dtype}, {mode}, rank {world.rank} of {world.size}"
            right_result, right_gradient = expected(case, world.size, world.rank, dtype)
            assert result.dtype == gradient.dtype == dtype, what
            assert_close(result, right_result, dtype, what)
            assert_close(gradient, right_gradient, dtype, f"gradient of {what}")


def check_large_tensor(world: World, dtype: str, graphs: bool) -> None:
    """A tensor that is sent another way than a small one; in graphs, the gradient is taken outside of the graph."""
    tensor = tf.cast(tf.fill([LARGE], world.rank + 1), dtype)
    for op in ("sum", "average"):

        def all_reduce(value: Any, op: str = op) -> Any:
            return world.all_reduce(value, op=op)

        for function in (all_reduce, tf.function(all_reduce, autograph=False))[: 1 + graphs]:
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                own_loss = tf.reduce_sum(tf.cast(function(tensor), tf.float32) * (world.rank + 1))
            gradient = tape.gradient(own_loss, tensor)
            right = world.size * (world.size + 1) / 2 / (world.size if op == "average" else 1)
            assert_close(gradient, np.full(LARGE, right), dtype, f"gradient of {op} of {LARGE} numbers in {dtype}")


def check_moved(world: World, dtype: str) -> None:
    """Values that are only moved arrive unchanged, in every dtype."""
    is_integer = tf.as_dtype(dtype).is_integer
    largest = tf.constant(tf.as_dtype(dtype).max, dtype) if is_integer else tf.cast(1, dtype)
    by_rank = [tf.stack([tf.cast(rank % 2, dtype), largest]) for rank in range(world.size)]
    mine = by_rank[world.rank]
    assert_equal(world.all_gather(mine), tf.concat(by_rank, 0))
    assert_equal(world.broadcast(mine, root=world.size - 1), by_rank[-1])
    received, rows = world.all_to_all(mine, [0] * (world.size - 1) + [2])
    assert_equal(received, tf.concat(by_rank, 0) if world.rank == world.size - 1 else mine[:0])
    assert_equal(rows, tf.fill([world.size], 2 if world.rank == world.size - 1 else 0))


def check_graphs(world: World) -> None:
    """A collective is neither run while a graph is optimized, nor removed, on any rank."""

    @tf.function(autograph=False)
    def of_a_constant(x: Any) -> Any:
        return world.all_reduce(x if world.rank == 0 else tf.constant([1.0])) + x

    @tf.function(autograph=False)
    def used_by_the_chief(x: Any) -> Any:
        total = world.all_reduce(x)
        return total if world.is_chief else x

    @tf.function(autograph=False)
    def in_a_loop(x: Any) -> Any:
        return tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, world.all_reduce(x)), (0, x))[1]

    one = tf.ones([1])
    for _ in range(3):
        assert float(of_a_constant(one)[0]) == world.size + 1
        assert float(used_by_the_chief(one)[0]) == (world.size if world.is_chief else 1)
        assert float(in_a_loop(one)[0]) == world.size**3


def check_errors(world: World) -> None:
    """Wrong arguments are refused on every rank before anything is sent, and nothing hangs afterwards."""
    two_each = tf.ones([2 * world.size])
    for root in (-1, world.size, 1.5):
        for broadcast in (world.broadcast, world.broadcast_object):
            with pytest.raises(UserError, match=r"^root=.*, expected"):
                broadcast(two_each, root=root)
    for reduce in (world.all_reduce, world.reduce_scatter):
        with pytest.raises(UserError, match="got op='mean', expected one of sum, average"):
            reduce(two_each, op="mean")
        for refused in (two_each > 0, tf.cast(two_each, "uint64"), tf.cast(two_each, "complex64")):
            with pytest.raises(UserError, match=f"of {refused.dtype.name}, expected integers"):
                reduce(refused)
        with pytest.raises(UserError, match="op='average' of int32, which cannot hold a mean"):
            reduce(tf.cast(two_each, tf.int32), op="average")
    with pytest.raises(UserError, match="got op='min', expected one of sum, average"):
        world.reduce_scatter(two_each, op="min")
    for move in (world.all_gather, world.all_to_all, world.broadcast):
        with pytest.raises(UserError, match="of string, expected numbers or booleans"):
            move(tf.constant(["text"]))
    for along_rows in (world.all_gather, world.all_to_all, world.reduce_scatter):
        with pytest.raises(UserError, match="of a scalar, expected at least one axis"):
            along_rows(tf.constant(1.0))
    for splits in ([1] * world.size, [-1] + [2] * (world.size - 1), [1.0] * world.size, [1] * (world.size + 1)):
        with pytest.raises(UserError, match="all_to_all got splits"):
            world.all_to_all(two_each, splits)
    if world.size > 1:
        with pytest.raises(
            UserError, match=f"of {2 * world.size + 1} rows over {world.size} ranks, expected a multiple"
        ):
            world.all_to_all(tf.ones([2 * world.size + 1]))
    world.barrier()


def check_objects(world: World) -> None:
    """Objects of different sizes, and the numbers of a rank."""
    assert world.all_gather_object("x" * world.rank) == ["x" * rank for rank in range(world.size)]
    assert world.broadcast_object({"from": world.rank}, root=world.size - 1) == {"from": world.size - 1}
    assert world.is_chief == (world.rank == 0)
    assert 0 <= world.cross_rank < world.cross_size
    assert world.subset(range(world.size)) is world


def assert_close(found: Any, right: Any, dtype: str, what: str) -> None:
    """Compares numbers of any float dtype with float64, and shapes."""
    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(
        np.asarray(tf.cast(found, tf.float64)), np.asarray(right), rtol=tolerance, atol=tolerance, err_msg=what
    )


def assert_equal(found: Any, right: Any) -> None:
    """Compares values, shapes and dtypes of any kind."""
    assert found.dtype == right.dtype
    assert found.shape == right.shape
    assert bool(tf.reduce_all(found == right)), found.dtype
