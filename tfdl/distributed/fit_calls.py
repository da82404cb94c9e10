"""Compares what the ranks' scripts have called, before one of them waits for others that do something else."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.distributed.sample_counts import samples_in_epoch
from tfdl.distributed.world import World
from tfdl.distributed.written_files import WrittenFile, check_written_files, written_files
from tfdl.errors import UserError


@dataclass(frozen=True)
class Call:
    """What one rank has called.

    Attributes:
        name: ``fit`` or ``evaluate``.
        epochs: the arguments ``initial_epoch`` and ``epochs``.
        validation: how often it validates; ``None`` for never.
        callbacks: tfdl's callbacks, in order.
        samples: the samples of a training epoch, if they are known.
        files: what callbacks of Keras write: the callback's class, the host and the path.
    """

    name: str
    epochs: tuple[int, int] = (0, 0)
    validation: str | None = None
    callbacks: tuple[str, ...] = ()
    samples: int | None = None
    files: tuple[WrittenFile, ...] = ()

    @property
    def has_backup(self) -> bool:
        """Whether a ``BackupAndRestore`` is among the callbacks."""
        return any(file.callback == "BackupAndRestore" for file in self.files)


def describe_fit(fit: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Call:
    """Describes a call of ``keras.Model.fit``.

    Args:
        fit: Keras's method, without ``self``.
        args: the positional arguments.
        options: the arguments by name.

    Raises:
        TypeError: the arguments are not those of ``fit``.
        UserError: the class of a callback, in place of a callback.
    """
    bound = inspect.signature(fit).bind(*args, **options)
    bound.apply_defaults()
    given = bound.arguments
    callbacks = _as_list(given["callbacks"])
    for callback in callbacks:
        if isinstance(callback, type):
            raise UserError(f"fit got the class {callback.__name__} as a callback, expected {callback.__name__}(...)")
    validates = given["validation_data"] is not None or bool(given["validation_split"])
    return Call(
        name="fit",
        epochs=(given["initial_epoch"], given["epochs"]),
        validation=f"validation_freq={given['validation_freq']}" if validates else None,
        callbacks=tuple(
            _class_of_tfdl(callback) for callback in callbacks if getattr(callback, "works_over_ranks", False)
        ),
        samples=samples_in_epoch(given),
        files=written_files(callbacks),
    )


def compare_calls(call: Call, world: World) -> None:
    """Compares the ranks' calls. For every rank to call first in ``fit``, and in an ``evaluate`` over all ranks.

    Args:
        call: what this rank has called.
        world: the ranks.

    Raises:
        UserError: on all ranks; names two ranks that differ, and what differs.
    """
    calls = world.all_gather_object(call)
    first = calls[0]
    for rank, other in enumerate(calls):
        difference = _difference(first, other, rank)
        if difference is not None:
            raise UserError(difference)
    check_written_files([call.files for call in calls])


def _difference(first: Call, other: Call, rank: int) -> str | None:
    """How rank ``rank``'s call differs from rank 0's; ``None`` if they fit together."""
    if getattr(other, "name", None) != getattr(first, "name", None):
        return (
            f"rank 0 calls {getattr(first, 'name', 'something else')} and rank {rank} calls"
            f" {getattr(other, 'name', 'something else')}; with optimizers or callbacks that work over the ranks, every"
            " rank must make the same calls in the same order"
        )
    if other.callbacks != first.callbacks:
        return (
            f"rank 0 has the callbacks {_listed(first.callbacks)} and rank {rank} has {_listed(other.callbacks)}; these"
            " work over all ranks, so every rank needs the same ones, in the same order"
        )
    if other.epochs != first.epochs:
        return (
            f"rank 0 trains with initial_epoch={first.epochs[0]}, epochs={first.epochs[1]} and rank {rank} with"
            f" initial_epoch={other.epochs[0]}, epochs={other.epochs[1]}, so one would wait for the other for ever;"
            " give every rank the same"
        )
    if other.validation != first.validation and "AverageMetrics" in first.callbacks:
        return (
            f"{_validating(first, other, rank)}, but AverageMetrics computes validation metrics over all ranks; pass"
            " validation_data on every rank (x_val[world.rank :: world.size] for its part), or evaluate after fit"
        )
    if other.has_backup != first.has_backup:
        with_backup, without = (0, rank) if first.has_backup else (rank, 0)
        return (
            f"rank {with_backup} has a BackupAndRestore and rank {without} has not, so after a restart they would begin"
            " at different epochs with different weights; give it to every rank, each with its own folder:"
            " BackupAndRestore(f'backup-{world.rank}')"
        )
    is_checked = "SyncCheck" in first.callbacks
    if is_checked and None not in (first.samples, other.samples) and other.samples != first.samples:
        return (
            f"rank 0 has {first.samples:,} samples in an epoch and rank {rank} has {other.samples:,}, so the mean over"
            " ranks is not the mean over samples; give every rank equally many: x[: len(x) // world.size * world.size]"
            " before x[world.rank :: world.size], dataset.take(n // world.size * world.size) before shard()"
        )
    return None


def _validating(first: Call, other: Call, rank: int) -> str:
    if other.validation is None:
        return f"rank 0 validates and rank {rank} does not"
    if first.validation is None:
        return f"rank {rank} validates and rank 0 does not"
    return f"rank 0 validates with {first.validation} and rank {rank} with {other.validation}"


def _as_list(callbacks: Any) -> list[Any]:
    """``fit`` takes a callback, a list, a ``CallbackList`` or ``None``."""
    contained = getattr(callbacks, "callbacks", callbacks)
    if contained is None:
        return []
    return list(contained) if isinstance(contained, (list, tuple)) else [contained]


def _class_of_tfdl(callback: Any) -> str:
    """The name of tfdl's class, also for a user's subclass."""
    return next(base.__name__ for base in type(callback).__mro__ if base.__module__.startswith("tfdl."))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
