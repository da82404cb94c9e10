"""Where this process's Python is."""

import sys
import threading
import traceback

# What travels to the judge of one thread and of all, in characters. The innermost calls, which come last, are what a
# reader needs; the main thread comes first.
_LONGEST = 12_000
_LONGEST_IN_ALL = 60_000


def python_stacks() -> str:
    """The stacks of all Python threads but the caller's: the main thread's first, the innermost call last."""
    frames = sys._current_frames()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    others = sorted(ident for ident in frames if ident not in (main, threading.get_ident()))
    parts = []
    for ident in [main, *others]:
        if ident in frames:
            stack = "".join(traceback.format_stack(frames[ident]))[-_LONGEST:]
            parts.append(f"thread {names.get(ident, ident)}:\n{stack.rstrip()}")
    return "\n".join(parts)[:_LONGEST_IN_ALL]
