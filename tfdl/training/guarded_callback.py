"""Keras callbacks that must not end a run: trackers, which only watch it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from tfdl.errors import first_line

# A server may be away for a moment; but each call to one that is away may take minutes.
_MOST_FAILURES = 3
_HOOKS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]


class GuardedCallback(keras.callbacks.Callback):
    """Calls a tracker, and prints a warning where it fails. After three failures in a row it is not called any more.

    Args:
        callback: the tracker.
        notify: shows a line to the user.
    """

    def __init__(self, callback: Any, notify: Callable[[str], None]):
        super().__init__()
        self._callback = callback
        self._notify = notify
        self._failures = 0
        for name in _HOOKS:
            setattr(self, name, partial(self._call, name))

    def set_model(self, model: Any) -> None:
        """See Keras."""
        self._callback.set_model(model)

    def set_params(self, params: Any) -> None:
        """See Keras."""
        self._callback.set_params(params)

    def _call(self, hook: str, *arguments: Any, **named: Any) -> None:
        if self._failures == _MOST_FAILURES:
            return
        try:
            getattr(self._callback, hook)(*arguments, **named)
        except Exception as error:
            self._failures += 1
            name = type(self._callback).__name__
            what = f"failed in {hook}, and the run goes on"
            if self._failures == _MOST_FAILURES:
                what = f"failed {_MOST_FAILURES} times in a row, and the run goes on without it"
            self._notify(f"warning: {name} {what}: {first_line(error)}")
        else:
            self._failures = 0
