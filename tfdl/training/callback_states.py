"""What callbacks keep from one process to the next."""

from collections.abc import Sequence
from typing import Any

from tfdl.training.callbacks import Callback


class CallbackStates:
    """The states of a run's callbacks, by their position and class.

    Args:
        callbacks: the user's callbacks, in their order.
    """

    def __init__(self, callbacks: Sequence[Callback]):
        self._named = {f"{number}:{type(callback).__name__}": callback for number, callback in enumerate(callbacks)}

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
