"""``python -m tfdl`` is ``tfdl``."""

import os
import sys

if __name__ == "__main__":
    # Python puts the current folder first for -m. The command `tfdl` does not search it, so neither does this.
    if not sys.flags.safe_path and sys.path and sys.path[0] == os.getcwd():
        del sys.path[0]
    from tfdl.cli.main import main

    main(prog_name="tfdl")
