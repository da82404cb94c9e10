"""Checks of Horovod's installation and of its launcher."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tfdl.diagnosis.environment import count_nvidia
from tfdl.diagnosis.finding import Finding, Level


def check_horovod(required: bool) -> Iterator[Finding]:
    """Checks that Horovod can be imported, and that ``horovodrun`` on PATH is that of this environment.

    Args:
        required: whether a Horovod that cannot be used is an error or a warning.
    """
    from tfdl.distributed.horovod import describe

    level: Level = "error" if required else "warning"
    try:
        version, transports = describe()
    except Exception as error:  # not installed, or built for another TensorFlow
        lines = str(error).strip().splitlines()
        first_line = lines[0] if lines else type(error).__name__
        yield Finding("Horovod", level, f"not usable: {first_line}", "tfdl install-horovod")
        return
    description = f"{version}, built with {', '.join(transports) or 'no transport'}"
    if count_nvidia() > 1 and "nccl" not in transports:
        yield Finding(
            "Horovod", "warning", f"{description}: GPUs communicate through the CPU", "tfdl install-horovod --gpu"
        )
    else:
        yield Finding("Horovod", "ok", description)
    yield from _check_launcher(level)


def _check_launcher(level: Level) -> Iterator[Finding]:
    launcher = shutil.which("horovodrun")
    expected = Path(sys.executable).with_name("horovodrun")
    if launcher is not None and expected.exists() and expected.samefile(launcher):
        return
    yield Finding(
        "horovodrun",
        level if launcher is None else "warning",
        f"{launcher or 'not on PATH'}, this environment's is {expected}",
        f'export PATH="{expected.parent}:$PATH"',
    )
