"""The ranks that train together, as one object.

At size 1 every collective is the identity, so callers need no ``if distributed``. A program calls
``tfdl.distributed.init()`` first; layers such as synchronized BatchNormalization use ``current_world()``.
"""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import mark_agreed


class World(ABC):
    """``size`` ranks, numbered from 0. Rank 0 is the chief. ``local_rank`` and ``local_size`` count within one host."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def is_chief(self) -> bool:
        """Whether this is rank 0, the only rank that writes files and prints."""
        return self.rank == 0

    @abstractmethod
    def all_reduce(self, tensor: Any) -> Any:
        """Returns the sum of ``tensor`` over all ranks. It must have the same shape and dtype on all ranks."""

    @abstractmethod
    def all_gather(self, tensor: Any) -> Any:
        """Returns the ranks' tensors joined along axis 0, in rank order. Their first dimensions may differ."""

    @abstractmethod
    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        """Returns rank ``root``'s tensor on all ranks.

        Args:
            tensor: of the same shape and dtype on all ranks; its value counts only on ``root``.
            root: the rank that sends.
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

    def all_gather_object(self, value: Any) -> list[Any]:
        """Returns all ranks' values, in rank order. They must be picklable."""
        data = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = np.asarray(self.all_gather(tf.constant([len(data)], tf.int64)))  # (ranks,)
        joined = np.asarray(self.all_gather(tf.constant(data)))
        pickles = np.split(joined, np.cumsum(sizes)[:-1])
        # Unpickling can run code; the ranks of one job trust each other.
        return [pickle.loads(rank_pickle.tobytes()) for rank_pickle in pickles]

    def broadcast_object(self, value: Any, root: int = 0) -> Any:
        """Returns rank ``root``'s value on all ranks.

        Args:
            value: picklable; it is ignored on the other ranks.
            root: the rank that sends.
        """
        sent = value if self.rank == root else None
        return self.all_gather_object(sent)[root]

    @contextmanager
    def agreement(self) -> Iterator[None]:
        """A block of local work that all ranks leave in the same way: done, or with the lowest failing rank's error.

        Without it, a rank that fails alone (a full disk, a broken file) leaves the others waiting in a collective that
        it never joins. The block itself must hold no collective.
        """
        own_error: Exception | None = None
        try:
            yield
        except Exception as caught:
            own_error = caught
        errors = self.all_gather_object(_portable(own_error))
        failed_ranks = [rank for rank, error in enumerate(errors) if error is not None]
        if not failed_ranks:
            return
        first = failed_ranks[0]
        if own_error is not None and first == self.rank:
            mark_agreed(own_error)
            raise own_error from None
        mark_agreed(errors[first])
        raise errors[first] from own_error


class SingleWorld(World):
    """A single process: every collective returns its argument."""

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1

    def all_reduce(self, tensor: Any) -> Any:
        return tensor

    def all_gather(self, tensor: Any) -> Any:
        return tensor

    def broadcast(self, tensor: Any, root: int = 0) -> Any:  # noqa: ARG002
        return tensor


_current: World = SingleWorld()


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


def _portable(error: Exception | None) -> Exception | None:
    """The error itself if it can be pickled, else its type and text."""
    if error is None:
        return None
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
