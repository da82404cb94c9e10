"""Collectives of Python objects, built from an ``all_gather`` of bytes."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.collective_arguments import check_root
from tfdl.errors import mark_agreed


class ObjectCollectives(ABC):
    """What ranks that can gather tensors can also do: exchange any Python objects, and fail together."""

    rank: int
    size: int

    @abstractmethod
    def all_gather(self, tensor: Any) -> Any:
        """Returns the ranks' tensors joined along axis 0, in rank order."""

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

        Raises:
            UserError: ``root`` is no rank.
        """
        root = check_root(root, self.size)
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
        errors = self.all_gather_object(portable_error(own_error))
        failed_ranks = [rank for rank, error in enumerate(errors) if error is not None]
        if not failed_ranks:
            return
        first = failed_ranks[0]
        if own_error is not None and first == self.rank:
            mark_agreed(own_error)
            raise own_error from None
        mark_agreed(errors[first])
        raise errors[first] from own_error


def portable_error(error: Exception | None) -> Exception | None:
    """The error itself if it can be sent to other ranks, which pickles it; else an error with its type and text.

    Args:
        error: of this rank, if it has one.
    """
    if error is None:
        return None
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
