"""``python -m tfdl`` is the ``tfdl`` command."""

from tfdl.cli.main import main

if __name__ == "__main__":
    main(prog_name="tfdl")
