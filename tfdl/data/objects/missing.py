"""Data that Python code passed to a run, and must pass again."""

from typing import Any

from tfdl.config import DatasetConfig
from tfdl.errors import UserError


def load(config: DatasetConfig) -> Any:  # noqa: ARG001
    """Raises an error, since a run does not keep such data.

    Args:
        config: of the run.
    """
    raise UserError(
        "the data of this run was passed by Python code, which must pass it again: tfdl.evaluate(run, data=...), or"
        " tfdl.train(..., data=..., resume=True)"
    )
