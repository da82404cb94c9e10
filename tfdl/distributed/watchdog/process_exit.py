"""Ends this process from the watchdog's thread, because the main thread may be blocked forever."""

import os
import sys
import threading

# A main thread that is blocked in a write holds the stream's lock, so the flush must not be awaited without a limit.
_FLUSH_SECONDS = 0.5


def write_stderr(text: str) -> None:
    """Writes to standard error without Python's streams, whose locks another thread may hold."""
    data = text.encode(errors="replace")
    while data:
        num_written = os.write(2, data)
        data = data[num_written:]


def exit_process(code: int) -> None:
    """Ends the process immediately. Output that the program has already printed is flushed first if possible."""

    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()

    flusher = threading.Thread(target=flush, daemon=True)
    flusher.start()
    flusher.join(_FLUSH_SECONDS)
    os._exit(code)
