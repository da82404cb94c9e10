"""Writes files while the training goes on."""

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")


class BackgroundWriter(Generic[Result]):
    """Runs one function in a thread, and then the next one."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._result: Result | None = None
        self._error: Exception | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the last function has raised an error, which ``finish`` raises."""
        return self._error is not None

    @property
    def is_done(self) -> bool:
        """Whether a function has ended, and ``finish`` has not been called since."""
        return self._thread is not None and not self._thread.is_alive()

    def start(self, write: Callable[[], Result]) -> None:
        """Calls a function in the background. The one before must be finished.

        Args:
            write: the function.
        """
        assert self._thread is None
        # A process that is interrupted twice does not wait for a disk that hangs.
        self._thread = Thread(target=self._write, args=(write,), name="checkpoint", daemon=True)
        self._thread.start()

    def finish(self) -> Result | None:
        """Waits until the last function has ended.

        Returns:
            Its result; ``None`` if none was started since the last call.

        Raises:
            Exception: what it raised.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        result = self._result
        error = self._error
        self._result = None
        self._error = None  # it is raised once
        if error is not None:
            raise error
        return result

    def _write(self, write: Callable[[], Result]) -> None:
        try:
            self._result = write()
        except Exception as error:  # raised where the training waits for it
            self._error = error
