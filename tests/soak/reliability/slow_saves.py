"""``tfdl`` whose checkpoints take six seconds to write: ``slow_saves.py train OPTION...``."""

import time
from pathlib import Path
from typing import Any

from tfdl.cli.main import main
from tfdl.cli.quiet import quick_start

quick_start()

from tfdl.training import checkpoint_writer  # noqa: E402

SECONDS = 6.0
write_checkpoint = checkpoint_writer.write_checkpoint


def write(folder: Path, content: Any) -> Path:
    """Writes a checkpoint slowly."""
    time.sleep(SECONDS)
    return write_checkpoint(folder, content)


checkpoint_writer.write_checkpoint = write
main()
