"""What callbacks keep from one process to the next."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tfdl.training.callbacks import Callback


def named(callbacks: Sequence[Any]) -> list[tuple[str, Any]]:
    """Callbacks by their class: ``EarlyStopping``, ``EarlyStopping-2``.

    So a callback keeps its name if others are added, or are on rank 0 only.

    Args:
        callbacks: in their order.
    """
    counts: Counter[str] = Counter()
    names = []
    for callback in callbacks:
        kind = type(callback).__name__
        counts[kind] += 1
        names.append(kind if counts[kind] == 1 else f"{kind}-{counts[kind]}")
    return list(zip(names, callbacks, strict=True))


class CallbackStates:
    """The states of a run's callbacks, by their names.

    Args:
        callbacks: the user's callbacks, in their order.
    """

    def __init__(self, callbacks: Sequence[Callback]):
        self._named: dict[str, Callback] = dict(named(callbacks))

    def get(self) -> dict[str, Any]:
        """The states of all callbacks that have one."""
        states = {name: callback.get_state() for name, callback in self._named.items()}
        return {name: state for name, state in states.items() if state}

    def starting_anew(self, states: dict[str, Any]) -> list[str]:
        """The names of the callbacks whose state is not among ``states``, of those that should have one."""
        return [
            missing
            for name, callback in self._named.items()
            for missing in callback.starting_anew(states.get(name, {}))
        ]

    def set(self, states: dict[str, Any]) -> None:
        """Restores the states that belong to these callbacks.

        Args:
            states: as ``get`` returned them, in this process or in another.
        """
        for name, callback in self._named.items():
            if name in states:
                callback.set_state(states[name])
