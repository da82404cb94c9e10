"""The ranks that train together, as one object.

At size 1 every collective is the identity, so that callers hold no ``if distributed``. ``current_world()`` is what
layers ask (synchronized BatchNormalization); ``tfdl.distributed.init()`` is what a program calls first.
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
    """``size`` ranks, numbered 0 to size - 1; ``local_rank`` counts within one host. Rank 0 is the chief."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def is_chief(self) -> bool:
        """True on the one rank that writes files and prints."""
        return self.rank == 0

    @abstractmethod
    def all_reduce(self, tensor: Any) -> Any:
        """The sum of ``tensor`` over all ranks, on every rank. Same shape and dtype everywhere."""

    @abstractmethod
    def all_gather(self, tensor: Any) -> Any:
        """The ranks' tensors joined along axis 0, in rank order; first dimensions may differ."""

    @abstractmethod
    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        """Rank ``root``'s tensor on every rank. Same shape and dtype everywhere."""

    def barrier(self) -> None:
        """Returns once every rank has come here."""
        self.all_reduce(tf.zeros((), tf.int32))

    def meet(self, doing: str) -> None:  # noqa: ARG002
        """A ``barrier`` at the end of an epoch, or of training.

        Args:
            doing: what this rank has come to, for the message: ``"has no more batches"``.

        Raises:
            RunError: another rank goes on training, in a step that holds a collective; without ``meet`` both would wait
                for each other, for ever. The other rank's step fails, too.
        """
        self.barrier()

    def subset(self, ranks: Sequence[int]) -> "World":
        """The World of some of these ranks, this one among them.

        Args:
            ranks: as they were given to ``tfdl.distributed.init(subsets=...)``; they are numbered from 0 in the subset.

        Raises:
            ValueError: this rank is not in it, or it was not named at ``init``.
        """
        if list(ranks) != list(range(self.size)):
            raise ValueError(f"subset {list(ranks)} of {self.size} ranks, expected {list(range(self.size))}")
        return self

    def all_gather_object(self, value: Any) -> list[Any]:
        """Every rank's picklable ``value``, in rank order. (Peers of one job trust each other.)"""
        data = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = np.asarray(self.all_gather(tf.constant([len(data)], tf.int64)))
        joined = np.asarray(self.all_gather(tf.constant(data)))
        return [pickle.loads(part.tobytes()) for part in np.split(joined, np.cumsum(sizes)[:-1])]

    def broadcast_object(self, value: Any, root: int = 0) -> Any:
        """Rank ``root``'s picklable ``value`` on every rank."""
        return self.all_gather_object(value if self.rank == root else None)[root]

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
    """One process: every collective returns what it was given."""

    rank, size, local_rank, local_size = 0, 1, 0, 1

    def all_reduce(self, tensor: Any) -> Any:
        return tensor

    def all_gather(self, tensor: Any) -> Any:
        return tensor

    def broadcast(self, tensor: Any, root: int = 0) -> Any:  # noqa: ARG002
        return tensor


_current: World = SingleWorld()


def current_world() -> World:
    """The World of this process: a ``SingleWorld`` until ``tfdl.distributed.init()`` has found another."""
    return _current


def set_current_world(world: World) -> None:
    """Makes ``world`` the one that layers and trainers find."""
    global _current
    _current = world


# How much this rank's rows count in statistics that are taken over a batch.
_statistics_weight: ContextVar[Any] = ContextVar("statistics_weight", default=1.0)


@contextmanager
def statistics_weight(weight: Any) -> Iterator[None]:
    """Within the block, layers that take statistics over the batch (batch normalization) count this rank's rows so.

    Args:
        weight: scalar float32, 1 or 0; 0 for a rank whose batch is a stand-in for one that has no samples.
    """
    token = _statistics_weight.set(weight)
    try:
        yield
    finally:
        _statistics_weight.reset(token)


def current_statistics_weight() -> Any:
    """What ``statistics_weight`` set; 1 outside of it."""
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
