"""Several ranks: the arguments of collectives, their dtypes and their gradients, whatever sends the tensors."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.distributed.collective_arguments import (
    SCATTERED_REDUCTIONS,
    Reduction,
    check_movable,
    check_reduction,
    check_root,
    check_rows,
    check_splits,
)
from tfdl.distributed.graph_optimization import unknown
from tfdl.distributed.wire_dtypes import move, reduce
from tfdl.distributed.world import World


class ConnectedWorld(World):
    """A World of several ranks. A subclass sends tensors; here are the checks and the gradients.

    The gradients do not depend on how a tensor is sent. Horovod registers gradients with its operations, but those of
    its gather and broadcast are averages over the ranks where that of its sum is a sum, and a path through other
    operations (a cast, a bitcast) has other gradients or none.
    """

    @abstractmethod
    def _reduce(self, tensor: Any, op: str) -> Any:
        """Reduces a tensor over the ranks. It is of a dtype that ``wire_dtypes.reduce`` passes on."""

    @abstractmethod
    def _gather(self, tensor: Any) -> Any:
        """Joins the ranks' tensors along axis 0. Tensors are of dtypes that ``wire_dtypes.move`` passes on."""

    @abstractmethod
    def _send_from(self, tensor: Any, root: int) -> Any:
        """Sends one rank's tensor to all ranks."""

    @abstractmethod
    def _exchange(self, tensor: Any, splits: Any) -> tuple[Any, Any]:
        """Sends rows to each rank, and returns the received rows and how many came from each rank."""

    def all_reduce(self, tensor: Any, op: Reduction = "sum") -> Any:
        tensor = tf.convert_to_tensor(tensor)
        check_reduction("all_reduce", tensor, op)

        def run(value: Any) -> Any:
            result = reduce(self._reduce, value, op)
            return result, lambda upstream: self._reduction_gradient(op, value, result, upstream)

        return _differentiable(run, tensor)

    def all_gather(self, tensor: Any) -> Any:
        tensor = tf.convert_to_tensor(tensor)
        check_movable("all_gather", tensor)
        check_rows("all_gather", tensor)

        def run(value: Any) -> Any:
            return move(self._gather, value), lambda upstream: self._own_rows(value, self.all_reduce(upstream))

        return _differentiable(run, tensor)

    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        tensor = tf.convert_to_tensor(tensor)
        check_movable("broadcast", tensor)
        root = check_root(root, self.size)

        def backward(upstream: Any) -> Any:
            total = self.all_reduce(upstream)
            # Ranks that did not need the sum would not take part in it.
            return tf.where(unknown(self.rank == root), total, tf.zeros_like(total))

        def run(value: Any) -> Any:
            return move(lambda bits: self._send_from(bits, root), value), backward

        return _differentiable(run, tensor)

    def all_to_all(self, tensor: Any, splits: Any = None) -> Any:
        tensor = tf.convert_to_tensor(tensor)
        check_movable("all_to_all", tensor)
        check_rows("all_to_all", tensor)
        sent_rows = check_splits(tensor, splits, self.size)
        received_rows = None

        def backward(upstream: Any) -> Any:
            returned, _ = self.all_to_all(upstream, received_rows)
            return tf.ensure_shape(returned, tensor.shape)

        def exchange(bits: Any) -> Any:
            nonlocal received_rows
            received, received_rows = self._exchange(bits, sent_rows)
            return received

        received = _differentiable(lambda value: (move(exchange, value), backward), tensor)
        return received if splits is None else (received, received_rows)

    def reduce_scatter(self, tensor: Any, op: Reduction = "sum") -> Any:
        # Built from all_to_all, which sends as many bytes, exists for all dtypes, and brings the gradient.
        tensor = tf.convert_to_tensor(tensor)
        check_reduction("reduce_scatter", tensor, op, SCATTERED_REDUCTIONS)
        check_rows("reduce_scatter", tensor)
        rows = tf.shape(tensor)[0] + unknown(0)  # a rank without rows must take part as well
        rows_by_rank = rows // self.size + tf.cast(tf.range(self.size) < rows % self.size, tf.int32)  # (ranks,)
        parts, _ = self.all_to_all(tensor, rows_by_rank)  # (ranks * own rows, ...)
        own_shape = tf.concat([rows_by_rank[self.rank, tf.newaxis], tf.shape(tensor)[1:]], 0)
        parts = tf.reshape(parts, tf.concat([[self.size], own_shape], 0))  # (ranks, own rows, ...)
        is_16_bit = tensor.dtype in (tf.float16, tf.bfloat16)
        total = tf.reduce_sum(tf.cast(parts, tf.float32) if is_16_bit else parts, 0)  # (own rows, ...)
        if op == "average":
            total /= self.size
        return tf.ensure_shape(tf.cast(total, tensor.dtype), [None, *tensor.shape[1:]])

    def _reduction_gradient(self, op: str, value: Any, result: Any, upstream: Any) -> Any:
        """The gradient of ``all_reduce``.

        Args:
            op: the kind of reduction.
            value: this rank's tensor.
            result: the reduced tensor.
            upstream: this rank's gradient by the result.
        """
        if op in ("sum", "average"):
            return self.all_reduce(upstream, op)  # type: ignore[arg-type]
        total = self.all_reduce(upstream)
        if op == "product":
            values = self.all_gather(value[tf.newaxis])  # (ranks, ...)
            others = tf.concat([values[: self.rank], values[self.rank + 1 :]], 0)  # (ranks - 1, ...)
            return total * tf.reduce_prod(others, 0)
        is_chosen = tf.cast(value == result, value.dtype)
        return total * is_chosen / self.all_reduce(is_chosen)

    def _own_rows(self, value: Any, gathered: Any) -> Any:
        """This rank's rows of a tensor that has the shape of the ranks' values joined along axis 0."""
        with tf.device("CPU:0"):
            rows = tf.shape(value)[:1]  # (1,)
            rows_by_rank = self._gather(rows)  # (ranks,)
            # Rank 0, whose rows begin at 0, must take part in the collective as well.
            begin = tf.reduce_sum(rows_by_rank[: unknown(self.rank)])
        return tf.ensure_shape(gathered[begin : begin + rows[0]], value.shape)


def _differentiable(run: Callable[[Any], Any], tensor: Any) -> Any:
    """Calls a function that returns a result and its gradient function, as ``tf.custom_gradient`` expects it.

    Integers and booleans have no gradient, so their graphs stay as they are.
    """
    if tensor.dtype.is_floating or tensor.dtype.is_complex:
        return tf.custom_gradient(run)(tensor)
    result, _ = run(tensor)
    return result
