"""Keras callbacks that must not end a run: trackers, which only watch it."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from tfdl.errors import first_line

# A server may be away for a moment; but each call to one that is away may take minutes.
_MOST_FAILURES = 3
_HOOKS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]


class GuardedCallback(keras.callbacks.Callback):
    """Calls a tracker, and prints a warning where it fails.

    After one of its methods has failed three times in a row, it is not called any more.

    Args:
        callback: the tracker.
        notify: shows a line to the user.
    """

    def __init__(self, callback: Any, notify: Callable[[str], None]):
        super().__init__()
        self._callback = callback
        self._notify = notify
        self._failures: Counter[str] = Counter()  # of each method, since its last success
        self._is_left_out = False
        for name in _HOOKS:
            setattr(self, name, partial(self._call, name))

    def set_model(self, model: Any) -> None:
        """See Keras."""
        self._callback.set_model(model)

    def set_params(self, params: Any) -> None:
        """See Keras."""
        self._callback.set_params(params)

    def _call(self, hook: str, *arguments: Any, **named: Any) -> None:
        if self._is_left_out:
            return
        try:
            getattr(self._callback, hook)(*arguments, **named)
        except Exception as error:
            self._failures[hook] += 1
            self._is_left_out = self._failures[hook] == _MOST_FAILURES
            what = "and the run goes on"
            if self._is_left_out:
                what = f"{_MOST_FAILURES} times in a row, and the run goes on without it"
            name = type(self._callback).__name__
            self._notify(f"warning: {name} failed in {hook}, {what}: {first_line(error)}")
        else:
            del self._failures[hook]
