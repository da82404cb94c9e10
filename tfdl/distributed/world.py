"""The ranks that train together, as one object.

At size 1 every collective is the identity, so callers need no ``if distributed``. A program calls
``tfdl.distributed.init()`` first; layers such as synchronized BatchNormalization use ``current_world()``.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
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
from tfdl.distributed.object_collectives import ObjectCollectives


class World(ObjectCollectives):
    r"""``size`` ranks, numbered from 0. Rank 0 is the chief. ``local_rank`` and ``local_size`` count within one host.

    ``cross_rank`` and ``cross_size`` count across hosts: of the ranks with this ``local_rank`` on their hosts, this is
    number ``cross_rank`` of ``cross_size``.

    Every collective of floating-point tensors can be differentiated, in eager code and in graphs. With $L_r$ the value
    that rank $r$ differentiates, the gradient is that of $\sum_r L_r$. So all ranks must differentiate through the same
    collectives. The average over the ranks that ``DistributedOptimizer`` takes is then the gradient of the mean of the
    ranks' losses, whatever tensors the ranks have exchanged in between.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int

    @property
    def is_chief(self) -> bool:
        """Whether this is rank 0, the only rank that writes files and prints."""
        return self.rank == 0

    @abstractmethod
    def all_reduce(self, tensor: Any, op: Reduction = "sum") -> Any:
        """Returns one tensor made of all ranks' tensors, element by element.

        The gradient of a sum is the sum of the ranks' gradients, and that of an average their average. The gradient of
        a minimum or maximum is their sum on the ranks that have the value, divided by the number of those ranks. The
        gradient of a product is their sum times the product of the other ranks' tensors.

        Args:
            tensor: numbers, of the same shape and dtype on all ranks.
            op: ``sum``, ``average`` (floating-point numbers only), ``min``, ``max`` or ``product``. Sums and averages
                of 16-bit floats are computed in float32 and rounded once, except that MPI and NCCL round float16 after
                each addition.

        Raises:
            UserError: an unknown ``op``, or a dtype that cannot be reduced.
        """

    @abstractmethod
    def all_gather(self, tensor: Any) -> Any:
        """Returns the ranks' tensors joined along axis 0, in rank order. Their first dimensions may differ.

        The gradient is this rank's rows of the sum of the ranks' gradients.

        Args:
            tensor: numbers or booleans with at least one axis; the other axes and the dtype are the same on all ranks.

        Raises:
            UserError: a scalar, or a dtype that cannot be sent.
        """

    @abstractmethod
    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        """Returns rank ``root``'s tensor on all ranks.

        The gradient is the sum of the ranks' gradients on ``root``, and zero on the other ranks.

        Args:
            tensor: numbers or booleans, of the same shape and dtype on all ranks; its value counts only on ``root``.
            root: the rank that sends.

        Raises:
            UserError: ``root`` is no rank, or the dtype cannot be sent.
        """

    @abstractmethod
    def all_to_all(self, tensor: Any, splits: Any = None) -> Any:
        """Sends some rows of this rank's tensor to each rank, and returns the rows that the ranks sent to this one.

        The gradient goes the same way back.

        Args:
            tensor: numbers or booleans with at least one axis; the other axes and the dtype are the same on all ranks.
            splits: how many rows go to each rank, in rank order; ``None`` for equally many.

        Returns:
            The received rows, joined along axis 0 in rank order. With ``splits`` a pair: the rows, and how many came
            from each rank, int32, ``(ranks,)``.

        Raises:
            UserError: a scalar, a dtype that cannot be sent, or splits that do not fit the tensor's rows.
        """

    @abstractmethod
    def reduce_scatter(self, tensor: Any, op: Reduction = "sum") -> Any:
        """Returns this rank's rows of ``all_reduce(tensor, op)``, without sending the others.

        Of ``rows`` rows each rank gets ``rows // size``, and the first ``rows % size`` ranks get one more. The gradient
        is the ranks' gradients joined along axis 0, divided by the number of ranks for an average.

        Args:
            tensor: numbers with at least one axis, of the same shape and dtype on all ranks.
            op: ``sum`` or ``average``. 16-bit floats are added in float32 and rounded once.

        Raises:
            UserError: an unknown ``op``, a scalar, or a dtype that cannot be reduced.
        """

    def barrier(self) -> None:
        """Returns once all ranks have called it."""
        self.all_reduce(tf.zeros((), tf.int32))

    def meet(self, doing: str) -> None:  # noqa: ARG002
        """A ``barrier`` at the end of an epoch, or of training, which fails if another rank is still training.

        Args:
            doing: what this rank has done, for the error message, such as ``"has no more batches"``.

        Raises:
            RunError: another rank is in a training step that contains a collective. With a plain barrier both would
                wait for each other forever. The other rank's step fails, too.
        """
        self.barrier()

    def refuse_old_graphs(self) -> None:
        """Called while a training step is traced: adds an error for the case that the ranks change later.

        The graph averages over the present ranks. Ranks that never change need no such error.
        """

    def subset(self, ranks: Sequence[int]) -> "World":
        """Returns the World of some of these ranks, in which they are numbered from 0.

        Args:
            ranks: a list that was passed to ``tfdl.distributed.init(subsets=...)`` and contains this rank.

        Raises:
            ValueError: the list does not contain this rank, or was not passed to ``init``.
        """
        all_ranks = list(range(self.size))
        if list(ranks) != all_ranks:
            num_ranks = "1 rank" if self.size == 1 else f"{self.size} ranks"
            raise ValueError(f"subset {list(ranks)} of {num_ranks}, expected {all_ranks}")
        return self


class SingleWorld(World):
    """A single process: every collective returns its argument, after the checks that it has on several ranks."""

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1
    cross_rank = 0
    cross_size = 1

    def all_reduce(self, tensor: Any, op: Reduction = "sum") -> Any:
        check_reduction("all_reduce", tensor, op)
        return tensor

    def all_gather(self, tensor: Any) -> Any:
        check_movable("all_gather", tensor)
        check_rows("all_gather", tensor)
        return tensor

    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        check_movable("broadcast", tensor)
        check_root(root, self.size)
        return tensor

    def all_to_all(self, tensor: Any, splits: Any = None) -> Any:
        check_movable("all_to_all", tensor)
        check_rows("all_to_all", tensor)
        if splits is None:
            return tensor
        return tensor, check_splits(tf.convert_to_tensor(tensor), splits, self.size)

    def reduce_scatter(self, tensor: Any, op: Reduction = "sum") -> Any:
        check_reduction("reduce_scatter", tensor, op, SCATTERED_REDUCTIONS)
        check_rows("reduce_scatter", tensor)
        return tensor


WORLD_BEFORE_INIT = SingleWorld()
_current: World = WORLD_BEFORE_INIT


def current_world() -> World:
    """Returns this process's World: a ``SingleWorld`` until ``tfdl.distributed.init()`` has opened another."""
    return _current


def set_current_world(world: World) -> None:
    """Sets the World that ``current_world`` returns to layers, optimizers and trainers."""
    global _current
    _current = world


# The weight of this rank's samples in batch statistics.
_statistics_weight: ContextVar[Any] = ContextVar("statistics_weight", default=1.0)


@contextmanager
def statistics_weight(weight: Any) -> Iterator[None]:
    """Sets, within the block, the weight of this rank's samples in batch statistics (batch normalization).

    Args:
        weight: scalar float32, 1 or 0. 0 is for a rank that has no samples, and whose batch is a placeholder.
    """
    token = _statistics_weight.set(weight)
    try:
        yield
    finally:
        _statistics_weight.reset(token)


def current_statistics_weight() -> Any:
    """Returns the weight that ``statistics_weight`` has set, or 1."""
    return _statistics_weight.get()
