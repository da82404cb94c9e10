"""The states of callbacks, which checkpoints contain."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tfdl.training.callbacks import Callback


def named(callbacks: Sequence[Any]) -> list[tuple[str, Any]]:
    """Names callbacks by their class: ``EarlyStopping``, ``EarlyStopping-2``.

    A callback keeps its name when callbacks of other classes are added, or run on rank 0 only.

    Args:
        callbacks: in their order.

    Returns:
        A name and a callback for each of them.
    """
    counts: Counter[str] = Counter()
    names = []
    for callback in callbacks:
        class_name = type(callback).__name__
        counts[class_name] += 1
        if counts[class_name] == 1:
            names.append(class_name)
        else:
            names.append(f"{class_name}-{counts[class_name]}")
    return list(zip(names, callbacks, strict=True))


class CallbackStates:
    """The states of a run's callbacks, by their names.

    Args:
        callbacks: the user's callbacks, in their order.
    """

    def __init__(self, callbacks: Sequence[Callback]):
        self._named: dict[str, Callback] = dict(named(callbacks))

    def get(self) -> dict[str, Any]:
        """Returns the states of all callbacks that have one, by name."""
        states = {name: callback.get_state() for name, callback in self._named.items()}
        return {name: state for name, state in states.items() if state}

    def starting_anew(self, states: dict[str, Any]) -> list[str]:
        """Returns the names of the callbacks that a resumed run cannot restore.

        Args:
            states: as ``get`` returned them.
        """
        names: list[str] = []
        for name, callback in self._named.items():
            names.extend(callback.starting_anew(states.get(name, {})))
        return names

    def set(self, states: dict[str, Any]) -> None:
        """Restores the states that belong to these callbacks.

        Args:
            states: as ``get`` returned them, in this process or in another one.
        """
        for name, callback in self._named.items():
            if name in states:
                callback.set_state(states[name])
