"""The Python stacks of this process."""

import sys
import threading
import traceback

# The most that is sent to a coordinator, in characters, of one thread and of all threads. A stack that is too long
# keeps its innermost calls, which come last and matter most to a reader. The main thread comes first.
_MAX_THREAD_LENGTH = 12_000
_MAX_LENGTH = 60_000


def python_stacks() -> str:
    """The stacks of all Python threads except the caller's: the main thread's first, the innermost call last."""
    frames = sys._current_frames()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    caller = threading.get_ident()
    other_threads = sorted(ident for ident in frames if ident not in (main, caller))
    sections = []
    for ident in [main, *other_threads]:
        if ident not in frames:
            continue
        stack = "".join(traceback.format_stack(frames[ident]))[-_MAX_THREAD_LENGTH:]
        name = names.get(ident, ident)
        sections.append(f"thread {name}:\n{stack.rstrip()}")
    return "\n".join(sections)[:_MAX_LENGTH]
