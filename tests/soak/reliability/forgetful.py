"""The control: ``tfdl`` that resumes without the random streams of dropout, ``forgetful.py train OPTION...``."""

from typing import Any

from tfdl.cli.main import main
from tfdl.cli.quiet import quick_start

quick_start()

from tfdl.runs import checkpoint  # noqa: E402

read_variables = checkpoint.read_variables


def read(path: Any, variables: Any, **options: Any) -> None:
    """Reads all files but one."""
    if path.name != "random.safetensors":
        read_variables(path, variables, **options)


checkpoint.read_variables = read
main()
