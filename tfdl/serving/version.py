"""A version of a model that answers requests."""

import gc
import threading
from collections.abc import Callable

from tfdl.serving.batcher import Batcher
from tfdl.serving.options import ServeOptions
from tfdl.serving.program import Program


class Version:
    """A loaded version, and who uses it.

    Args:
        number: of the version.
        program: the model.
        options: limits.
        on_call: is told the signature and the rows of each call of the model.
    """

    def __init__(self, number: int, program: Program, options: ServeOptions, on_call: Callable[[str, int], None]):
        self.number = number
        self.program = program
        self.batcher = Batcher(
            program.call,
            max_batch_size=options.max_batch_size,
            timeout=options.batch_timeout,
            num_threads=options.threads,
            max_requests=options.max_queue,
            on_call=on_call,
        )
        self._num_users = 0
        self._is_retired = False
        self._changed = threading.Condition()

    def take(self) -> bool:
        """Counts a request that uses this version; ``False`` if it was retired. ``give_back`` ends the use."""
        with self._changed:
            if self._is_retired:
                return False
            self._num_users += 1
            return True

    def take_again(self) -> None:
        """Counts one more use by a request that uses this version already."""
        with self._changed:
            self._num_users += 1

    def give_back(self) -> None:
        """Ends a use."""
        with self._changed:
            self._num_users -= 1
            self._changed.notify_all()

    def retire(self) -> None:
        """Takes no more requests, waits until all requests that use this version are answered, and frees the model."""
        with self._changed:
            self._is_retired = True
            while self._num_users:
                self._changed.wait()
        self.batcher.close()
        del self.program
        gc.collect()
