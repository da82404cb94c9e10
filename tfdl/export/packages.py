"""Packages that a format needs besides those of tfdl."""

from collections.abc import Sequence
from importlib.util import find_spec

from tfdl.errors import UserError


def check_packages(what: str, packages: Sequence[str], extra: str) -> None:
    """Checks that packages are installed, without importing them.

    Args:
        what: the export in messages, such as ``"an ONNX file"``.
        packages: as pip names them.
        extra: the extra of tfdl that has them.

    Raises:
        UserError: some are missing.
    """
    missing = [name for name in packages if find_spec(name.replace("-", "_")) is None]
    if missing:
        raise UserError(f"{what} needs {' and '.join(missing)}; pip install 'tfdl[{extra}]'")
