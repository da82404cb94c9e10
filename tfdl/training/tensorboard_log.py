"""``tensorboard/``: a run's metrics as TensorBoard reads them."""

import os
from pathlib import Path

import tensorflow as tf

from tfdl.training.callbacks import Callback, EpochReport, StepReport, ValidationReport

_SCALARS = tf.compat.v1.SummaryMetadata(plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"))


class TensorBoardLog(Callback):
    """Writes a scalar for each metric to the folders ``train`` and ``validation``.

    Args:
        folder: gets these two folders.
    """

    def __init__(self, folder: Path):
        # Bytes: a path may hold bytes that are not UTF-8.
        paths = {name: os.fsencode(folder / name) for name in ("train", "validation")}
        self._writers = {name: tf.summary.create_file_writer(path) for name, path in paths.items()}

    def on_steps(self, report: StepReport) -> None:
        values = {**report.metrics, "learning_rate": report.learning_rate, **report.norms}
        self._write("train", report.progress.step, values)

    def on_validation(self, report: ValidationReport) -> None:
        self._write("validation", report.progress.step, report.validation)

    def on_epoch(self, report: EpochReport) -> None:
        self._write("validation", report.progress.step, report.validation)
        self._write("train", report.progress.step, report.loss_scale)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, name: str, step: int, values: dict[str, float]) -> None:
        with self._writers[name].as_default():
            for metric, value in values.items():
                # tf.summary.scalar would import the tensorboard package, although an event needs only its metadata.
                tf.summary.write(metric, tf.constant(value, tf.float32), step, metadata=_SCALARS)
