"""``quickly.py PROGRAM ARGUMENTS`` runs a program as Python does, but with tfdl's quick import of TensorFlow."""

import runpy
import sys
from pathlib import Path

from tfdl.cli.quiet import quick_start

if __name__ == "__main__":
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    quick_start()
    runpy.run_path(sys.argv[0], run_name="__main__")
