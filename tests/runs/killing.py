"""Kills a process at one of its system calls, or at a moment: what a save leaves when its machine stops it anywhere.

The work runs in a child that is a copy of this process. The child is traced (Linux's ptrace): it can be killed before
each call that changes files, whichever library makes the call.
"""

import ctypes
import gc
import os
import platform
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

# From Linux's headers.
_TRACEME, _SYSCALL, _SETOPTIONS, _SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_TRACE_SYSTEM_CALLS = 1
_ENTRY = 1  # of the structure ptrace_syscall_info: the child is about to make a call
_INFO_BYTES = 88
_O_CREAT_OR_TRUNC = os.O_CREAT | os.O_TRUNC
# The calls that change files, by machine.
_CALLS = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 82: "rename",
        83: "mkdir", 84: "rmdir", 86: "link", 87: "unlink", 88: "symlink", 90: "chmod", 91: "fchmod", 257: "openat",
        258: "mkdirat", 263: "unlinkat", 264: "renameat", 265: "linkat", 266: "symlinkat", 268: "fchmodat",
        316: "renameat2",
    },
    "aarch64": {
        34: "mkdirat", 35: "unlinkat", 36: "symlinkat", 37: "linkat", 38: "renameat", 46: "ftruncate", 52: "fchmod",
        53: "fchmodat", 56: "openat", 64: "write", 66: "writev", 68: "pwrite64", 82: "fsync", 83: "fdatasync",
        276: "renameat2",
    },
}  # fmt: skip
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long] * 4
_libc.ptrace.restype = ctypes.c_long


class CannotTraceError(RuntimeError):
    """The machine is unknown, or processes may not trace their children here."""


def calls_of(work: Callable[[], Any]) -> list[str]:
    """Runs the work to its end in a child.

    Args:
        work: what the child does.

    Returns:
        The names of the system calls that changed files, in their order.

    Raises:
        CannotTraceError: the child cannot be traced here.
    """
    return _traced(work, None)


def kill_at(work: Callable[[], Any], number: int) -> str:
    """Runs the work in a child, and kills it before one of its calls that change files.

    Args:
        work: what the child does.
        number: of the call, from 0.

    Returns:
        The name of the call that was not made.

    Raises:
        CannotTraceError: the child cannot be traced here.
    """
    return _traced(work, number)[-1]


def kill_after(work: Callable[[], Any], seconds: float) -> bool:
    """Runs the work in a child, and kills it after a time.

    Args:
        work: what the child does.
        seconds: from the start of the work.

    Returns:
        Whether it was killed; False if it had ended.
    """
    child = _fork(work, is_traced=False)
    os.waitpid(child, os.WUNTRACED)
    os.kill(child, signal.SIGCONT)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _traced(work: Callable[[], Any], last: int | None) -> list[str]:
    """The calls of the child until it ends, or until it is killed before the call of this number."""
    names = _CALLS.get(platform.machine())
    if names is None:
        raise CannotTraceError(f"the system calls of {platform.machine()} are not listed; expected {list(_CALLS)}")
    child = _fork(work, is_traced=True)
    os.waitpid(child, 0)
    if _libc.ptrace(_SETOPTIONS, child, 0, _TRACE_SYSTEM_CALLS) != 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise CannotTraceError("a process may not trace its child here")
    made: list[str] = []
    passed_on = 0
    while True:
        _libc.ptrace(_SYSCALL, child, 0, passed_on)
        passed_on = 0
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            raise AssertionError(f"the child was ended by signal {os.WTERMSIG(status)}")
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "the child failed; see its traceback"
            assert last is None, f"the work makes {len(made)} calls, expected more than {last}"
            return made
        if os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
            passed_on = os.WSTOPSIG(status)
            continue
        name = _call_of(child, names)
        if name is None:
            continue
        made.append(name)
        if last is not None and len(made) > last:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return made


def _call_of(child: int, names: dict[int, str]) -> str | None:
    """The call that the child is about to make, if it may change a file."""
    info = ctypes.create_string_buffer(_INFO_BYTES)
    _libc.ptrace(_SYSCALL_INFO, child, _INFO_BYTES, ctypes.addressof(info))
    if info.raw[0] != _ENTRY:
        return None
    number, *arguments = (int.from_bytes(info.raw[start : start + 8], "little") for start in range(24, 80, 8))
    name = names.get(number)
    if name == "openat" and not arguments[2] & _O_CREAT_OR_TRUNC:
        return None
    return name


def _fork(work: Callable[[], Any], *, is_traced: bool) -> int:
    """A child that stops itself before it begins the work."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        gc.disable()  # what the parent's objects free may wait for threads that the child does not have
        if is_traced:
            _libc.ptrace(_TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
