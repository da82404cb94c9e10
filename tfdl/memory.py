"""How much memory a process may still take."""

import re
from pathlib import Path

_MEMORY = Path("/proc/meminfo")
# Of the container, if there is one: its limit and what is used of it.
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")


def available_bytes() -> int:
    """The memory that is free for this process; a very large number where the system does not tell."""
    amounts = [2**62]
    found = re.search(r"MemAvailable:\s*(\d+) kB", _content(_MEMORY))
    if found:
        amounts.append(int(found[1]) * 1024)
    limit = _content(_LIMIT).strip()
    used = _content(_USED).strip()
    if limit.isdecimal() and used.isdecimal():
        amounts.append(max(0, int(limit) - int(used)))
    return min(amounts)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
