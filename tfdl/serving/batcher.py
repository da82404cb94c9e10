"""Joins the rows of requests that wait into one call of a model."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from tfdl.serving.batch_parts import Answered, Key, Part, Request, deliver, joined_inputs, key_of, whole_outputs
from tfdl.serving.errors import OVERLOADED, RequestError
from tfdl.serving.signature import Arrays, Signature

Call = Callable[[str, Arrays], Arrays]
"""Computes the function of a signature."""
OnCall = Callable[[str, int], None]
"""Gets the signature and the number of rows of each call."""


class Batcher:
    """Computes requests in a few threads.

    Requests wait in groups that one call can compute: of one signature, with rows of one shape, and with equal
    settings. A free thread takes the group that has waited longest.

    Args:
        call: computes the function of a signature.
        max_batch_size: most rows of a call.
        timeout: seconds that a call waits for more rows.
        num_threads: number of calls at a time.
        max_requests: most requests that wait or are computed.
        on_call: is told of each call.
    """

    def __init__(
        self,
        call: Call,
        *,
        max_batch_size: int,
        timeout: float,
        num_threads: int,
        max_requests: int,
        on_call: OnCall,
    ):
        self._call = call
        self._max_batch_size = max_batch_size
        self._timeout = timeout
        self._max_requests = max_requests
        self._on_call = on_call
        self._groups: dict[Key, deque[Part]] = {}
        self._changed = threading.Condition()
        self._num_requests = 0
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(num_threads)]
        for thread in self._threads:
            thread.start()

    @property
    def num_requests(self) -> int:
        """Requests that wait or are computed."""
        return self._num_requests

    def submit(self, signature: Signature, arrays: Arrays) -> "asyncio.Future[Arrays]":
        """Computes a request as soon as a thread is free. A cancelled one that still waits is not computed.

        It is called by the event loop that waits for the answer.

        Args:
            signature: the function.
            arrays: its inputs.

        Raises:
            RequestError: too many requests wait.
        """
        answer: asyncio.Future[Arrays] = asyncio.get_running_loop().create_future()
        pieces = self._pieces(signature, arrays)
        request = Request(answer, len(pieces))
        now = time.monotonic()
        parts = [Part(request, number, signature, piece, rows, now) for number, (piece, rows) in enumerate(pieces)]
        key = key_of(signature, arrays) if parts[0].num_rows else (id(request),)
        with self._changed:
            if self._num_requests >= self._max_requests:
                raise RequestError(
                    OVERLOADED, f"{self._num_requests} requests wait already, which is the most; try again later", 1
                )
            self._num_requests += 1
            self._groups.setdefault(key, deque()).extend(parts)
            self._changed.notify_all()
        return answer

    def close(self) -> None:
        """Ends the threads, after what waits has been computed."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _pieces(self, signature: Signature, arrays: Arrays) -> list[tuple[Arrays, int]]:
        """The request in pieces of at most ``max_batch_size`` rows, and their rows; 0 rows stand for a whole one."""
        with_rows = [name for name, info in signature.inputs.items() if info.has_rows]
        sizes = {len(arrays[name]) for name in with_rows}
        if not signature.is_joinable or len(sizes) != 1 or sizes == {0}:
            return [(arrays, 0)]
        (num_rows,) = sizes
        size = self._max_batch_size
        if num_rows <= size:
            return [(arrays, num_rows)]
        settings = {name: array for name, array in arrays.items() if name not in with_rows}
        pieces = []
        for start in range(0, num_rows, size):
            rows = {name: arrays[name][start : start + size] for name in with_rows}
            pieces.append((rows | settings, min(size, num_rows - start)))
        return pieces

    def _work(self) -> None:
        """What a thread does: computes one batch after the other."""
        while True:
            parts = self._next_parts()
            if not parts:
                return
            wanted = []
            for part in parts:
                if part.request.error or part.request.answer.done():  # failed in another part, or cancelled
                    self._settle(part)
                else:
                    wanted.append(part)
            if wanted:
                deliver(self._safely_computed(wanted))

    def _next_parts(self) -> list[Part]:
        """Waits for work. No parts mean that the batcher was closed."""
        with self._changed:
            while True:
                while not self._groups:
                    if self._is_closed:
                        return []
                    self._changed.wait()
                key = next(iter(self._groups))
                self._wait_for_more(key)
                if key in self._groups:  # otherwise another thread has taken the group
                    return self._taken(key)

    def _wait_for_more(self, key: Key) -> None:
        """Waits until a batch is full, or its first request has waited long enough."""
        while not self._is_closed and key in self._groups:
            group = self._groups[key]
            rest = group[0].arrival + self._timeout - time.monotonic()
            is_full = not group[0].num_rows or sum(part.num_rows for part in group) >= self._max_batch_size
            if rest <= 0 or is_full:
                return
            self._changed.wait(rest)

    def _taken(self, key: Key) -> list[Part]:
        """Removes the first parts of a group: as many as one call takes."""
        group = self._groups.pop(key)
        parts = [group.popleft()]
        num_rows = parts[0].num_rows
        while group and num_rows + group[0].num_rows <= self._max_batch_size:
            parts.append(group.popleft())
            num_rows += parts[-1].num_rows
        if group:
            self._groups[key] = group  # at the end, so that others have their turn
        return parts

    def _safely_computed(self, parts: Sequence[Part]) -> list[Answered]:
        """Computes parts. No error ends the thread, since nobody would answer the requests after it."""
        try:
            return self._compute(parts)
        except Exception as error:
            for part in parts:
                self._settle(part, error)
            return [(part.request, error) for part in parts]

    def _compute(self, parts: Sequence[Part]) -> list[Answered]:
        """Computes parts in one call. If it fails, each is computed alone, so that none fails because of another."""
        signature = parts[0].signature
        num_rows = sum(part.num_rows for part in parts)
        try:
            self._on_call(signature.name, max(1, num_rows))
            outputs = self._call(signature.name, joined_inputs(parts))
            if len(parts) > 1 and any(len(array) != num_rows for array in outputs.values()):
                raise ValueError("the outputs have other rows than the inputs")
        except Exception as error:
            if len(parts) == 1:
                self._settle(parts[0], error)
                return [(parts[0].request, error)]
            return [answered for part in parts for answered in self._compute([part])]
        answers: list[Answered] = []
        start = 0
        for part in parts:
            end = start + part.num_rows
            own = outputs if len(parts) == 1 else {name: array[start:end] for name, array in outputs.items()}
            part.request.outputs[part.number] = own
            if self._settle(part):
                answers.append((part.request, whole_outputs(part.request)))
            start = end
        return answers

    def _settle(self, part: Part, error: Exception | None = None) -> bool:
        """Counts a part that was computed, failed or skipped; returns whether it was the last of its request."""
        with self._changed:
            # Before the count: the thread that has the last part must see it.
            part.request.error = part.request.error or error
            part.request.num_left -= 1
            is_last = part.request.num_left == 0
            if is_last:
                self._num_requests -= 1
        return is_last
