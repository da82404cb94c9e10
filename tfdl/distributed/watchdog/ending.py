"""How a watchdog ends its process: from its own thread, since the main thread may never come back."""

import os
import sys
import threading

# A main thread that blocks in a write holds the stream's lock: no waiting for it.
_FLUSH_SECONDS = 0.5


def say(text: str) -> None:
    """Writes to standard error, past Python's streams and their locks."""
    data = text.encode(errors="replace")
    while data:
        data = data[os.write(2, data) :]


def leave(code: int) -> None:
    """Ends the process at once; what the program has printed so far still gets out where it can."""

    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()

    flusher = threading.Thread(target=flush, daemon=True)
    flusher.start()
    flusher.join(_FLUSH_SECONDS)
    os._exit(code)
