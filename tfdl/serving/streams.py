"""Texts that are written in threads, while the server answers other requests."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tfdl.inference.generation.generated_text import GeneratedText
from tfdl.serving.errors import OVERLOADED, RequestError
from tfdl.serving.text_request import TextRequest
from tfdl.serving.text_writer import StoppedWriting, TextWriter

Item = str | GeneratedText
"""A piece of a text, or at the end the text."""


class Streams:
    """Writes several texts at the same time, each in a thread.

    Args:
        most: texts at a time; another one is refused.
    """

    def __init__(self, most: int):
        self._most = most
        self._num_open = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="text")

    async def pieces(self, writer: TextWriter, request: TextRequest) -> AsyncGenerator[Item, None]:
        """Writes a text. If the iterator is closed before its end, the text is not finished.

        Args:
            writer: of the model.
            request: what to write.

        Raises:
            RequestError: too many texts are written.
            UserError: a text that the model cannot continue.
        """
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Item | Exception] = asyncio.Queue()
        is_wanted = threading.Event()
        is_wanted.set()

        def put(item: Item | Exception) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(items.put_nowait, item)

        def work() -> None:
            try:
                put(writer.write(request.text, request.settings, put, is_wanted.is_set))
            except StoppedWriting:
                pass
            except Exception as error:
                put(error)
            finally:
                self._end()

        self._begin()
        self._threads.submit(work)
        try:
            while True:
                item = await items.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if isinstance(item, GeneratedText):
                    return
        finally:
            is_wanted.clear()

    def close(self) -> None:
        """Waits for all threads."""
        self._threads.shutdown()

    @property
    def num_open(self) -> int:
        """Texts that are written now."""
        return self._num_open

    def _begin(self) -> None:
        with self._lock:
            if self._num_open >= self._most:
                raise RequestError(OVERLOADED, f"{self._most} texts are written already, which is the most", 1)
            self._num_open += 1

    def _end(self) -> None:
        with self._lock:
            self._num_open -= 1
