"""The data of a run, on which a lower precision is measured and calibrated."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TASKS
from tfdl.config.dataset import PythonDataConfig
from tfdl.data import Source
from tfdl.data.limited import limited_splits
from tfdl.errors import UserError
from tfdl.export.known_tasks import IMAGE, KNOWN_TASKS, known_task
from tfdl.runs.load import LoadedRun

_MOST_CALIBRATION = 256


def run_splits(loaded: LoadedRun, precision: str, data: Mapping[str, Any] | None, function: str) -> dict[str, Source]:
    """The splits of a run.

    Args:
        loaded: the run.
        precision: that they are needed for.
        data: the splits, if Python code passed them to ``tfdl.train``.
        function: the public function's name.

    Raises:
        UserError: they cannot be read, or the task's metric cannot be computed from a file's answers.
    """
    task = loaded.task
    if known_task(task) is None:
        names = ", ".join(known.name for known in KNOWN_TASKS)
        raise UserError(
            f"what precision {precision!r} costs is measured for {names}, and the run's task is {task.name!r} with own"
            " answers; leave --precision out"
        )
    if isinstance(loaded.config.dataset, PythonDataConfig) and data is None:
        raise UserError(
            f"what precision {precision!r} costs is measured on the run's own data, which Python code passed; pass it"
            f" again: tfdl.{function}(run, folder, precision=..., data=...)"
        )
    try:
        _, sources = TASKS.load(loaded.config.task).open(loaded.config, loaded.run.assets, data)
    except UserError as error:
        raise UserError(
            f"what precision {precision!r} costs is measured on the run's own data, which cannot be read: {error}"
        ) from error
    return limited_splits(sources, loaded.config.sample_limits) if data is None else dict(sources)


def calibration_images(source: Source) -> np.ndarray:
    """Images of a split, uint8 ``(n, h, w, c)``, on which the ranges of the numbers between layers are measured.

    Args:
        source: the training split.
    """
    numbers = source.epoch_order(0, 0, 1)[:_MOST_CALIBRATION]
    return np.asarray(source.read(tf.constant(numbers))[IMAGE])
