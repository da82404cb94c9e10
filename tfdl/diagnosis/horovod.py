"""Horovod's installation and its launcher."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tfdl.diagnosis.environment import count_nvidia
from tfdl.diagnosis.finding import Finding, Level


def horovod(needed: bool) -> Iterator[Finding]:
    """Whether Horovod can be used; not being able to is an error where it is needed."""
    from tfdl.distributed.horovod import describe

    level: Level = "error" if needed else "warning"
    try:
        version, transports = describe()
    except Exception as error:  # missing, or built against another TensorFlow
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield Finding("Horovod", level, f"not usable: {first}", "tfdl install-horovod")
        return
    found = f"{version}, built with {', '.join(transports) or 'no transport'}"
    if count_nvidia() > 1 and "nccl" not in transports:
        yield Finding("Horovod", "warning", f"{found}: GPUs will talk through the CPU", "tfdl install-horovod --gpu")
    else:
        yield Finding("Horovod", "ok", found)
    launcher = shutil.which("horovodrun")
    own = Path(sys.executable).with_name("horovodrun")
    if launcher is None or not own.exists() or not own.samefile(launcher):
        yield Finding(
            "horovodrun",
            level if launcher is None else "warning",
            f"{launcher or 'not on PATH'}, this environment's is {own}",
            f'export PATH="{own.parent}:$PATH"',
        )
