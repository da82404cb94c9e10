"""Calls a training function again and again, until it has ended on all ranks."""

import functools
from collections.abc import Callable
from typing import Any

from tfdl.distributed.elastic.membership import HostsUpdatedInterrupt, current_membership
from tfdl.distributed.world import current_world
from tfdl.errors import UserError


def run(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a training function of ranks that may die and join (``horovodrun --host-discovery-script``).

    ::

        @distributed.elastic.run
        def train(state):
            model.fit(batches_from(state), ..., callbacks=[..., distributed.elastic.CommitStateCallback(state)])

        train(distributed.elastic.KerasState(model, epoch=0, batch=0))

    Before each call, all ranks get one state. If a rank is lost, the others return to the last commit. If hosts were
    added or removed, the ranks stop at the next commit. Then the current ranks are connected, the state's reset
    callbacks are called, and the function is called again, on all ranks. So it begins with what ``state`` says is done,
    divides its data by ``world.size``, and defines the ``tf.function``\\ s that it uses.

    All collectives belong in the function, since a rank that joins calls nothing else together with the others. When
    the function has ended on all ranks, it has ended; a rank that is lost later is an error.

    In a job whose ranks never change, and in a single process, the function is called once.

    Args:
        function: its first argument is a ``KerasState``, or any object with the methods ``save``, ``restore``, ``sync``
            and ``on_reset``.

    Returns:
        The decorated function. It returns what ``function`` returns, and raises what it raises, except a lost rank. It
        also raises ``RunError`` if this rank's host was removed from the list of hosts, and ``UserError`` if the ranks
        call different functions.
    """

    @functools.wraps(function)
    def wrapper(state: Any, *args: Any, **kwargs: Any) -> Any:
        membership = current_membership()
        membership.enter()
        state.save()  # something to restore
        while True:
            try:
                _check_same_function(function)
                state.sync()
                result = function(state, *args, **kwargs)
                if membership.is_elastic:
                    current_world().barrier()  # a rank that has ended could not come back if another is lost
                return result
            except HostsUpdatedInterrupt:
                state.save()
            except Exception as error:
                if not membership.is_lost(error):
                    raise
                state.restore()
            membership.rejoin()
            state.on_reset()

    return wrapper


def _check_same_function(function: Callable[..., Any]) -> None:
    """A rank that joins begins the script anew, and so enters its first decorated function."""
    names = current_world().all_gather_object(function.__qualname__)
    for rank, name in enumerate(names):
        if name != names[0]:
            raise UserError(
                f"rank 0 runs {names[0]} and rank {rank} runs {name}, expected one function of"
                " tfdl.distributed.elastic.run: a rank that joins begins the script anew; let the state decide what the"
                " function does"
            )
