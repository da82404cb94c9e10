"""``tensorboard/``: a run's configuration, and samples of its validations."""

import time
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig, to_mapping, to_yaml
from tfdl.distributed.watchdog import long_work
from tfdl.runs import Progress
from tfdl.tasks.task import Rows
from tfdl.training.callbacks import Callback, RunPlan
from tfdl.training.event_file import EventFile
from tfdl.training.pace import Pace
from tfdl.training.samples.sample_text import as_markdown
from tfdl.training.samples.validation_samples import ValidationSamples

# Validations of which samples are written. TensorBoard shows ten of them.
_MOST_TIMES = 20
# The part of a run's time that running the model for samples may take, and what the first time is taken to cost.
_SHARE = 0.05
_FIRST_SECONDS = 0.5


class TensorBoardSamples(Callback):
    """Writes the configuration as a text and as hyperparameters, and samples after some validations.

    Samples are written at most about 20 times, evenly spread over the run.

    Args:
        folder: gets the file.
        step: the step that the run continues from; 0 for a new run.
        config: of the run.
        samples: of the validation split.
    """

    def __init__(self, folder: Path, step: int, config: TrainConfig, samples: ValidationSamples):
        self._file = EventFile(folder, step)
        self._step = step
        self._config = config
        self._samples = samples
        self._seconds = 0.0
        self._last_seconds = _FIRST_SECONDS

    def on_start(self, plan: RunPlan) -> None:
        self._begin = time.monotonic()
        self._pace = Pace(plan.total_steps, _MOST_TIMES)
        self._file.text(self._step, "config", _as_code(to_yaml(self._config)))
        if not self._step:  # TensorBoard reads them once
            self._file.plugin_data("_hparams_/session_start_info", "hparams", _hyperparameters(self._config))

    def on_validation_rows(self, progress: Progress, rows: Rows) -> None:
        if not self._has_time() or not self._pace.is_due(progress.step):
            return
        begin = time.monotonic()
        with long_work("writing samples for TensorBoard"):
            shown = self._samples.of(rows)
        self._last_seconds = time.monotonic() - begin
        self._seconds += self._last_seconds
        for name, picture in shown.pictures.items():
            self._file.picture(progress.step, name, picture.encoded, picture.size)
        if shown.texts:
            self._file.text(progress.step, "samples", as_markdown(shown.texts))

    def on_return(self, progress: Progress) -> None:
        self._file.drop_after(progress.step)

    def close(self) -> None:
        self._file.close()

    def _has_time(self) -> bool:
        """Whether samples that cost time remain a small part of the run's time."""
        if not self._samples.costs_time:
            return True
        elapsed = time.monotonic() - self._begin
        return self._seconds + self._last_seconds <= _SHARE * elapsed


def _as_code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _hyperparameters(config: TrainConfig) -> bytes:
    """The message of TensorBoard's plugin: each key of the configuration with a number or a text."""
    from tensorboard.plugins.hparams import plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    for name, value in _flat(to_mapping(config)).items():
        parameter = info.hparams[name]
        if isinstance(value, bool):
            parameter.bool_value = value
        elif isinstance(value, int | float):
            parameter.number_value = value
        else:
            parameter.string_value = str(value)
    data = plugin_data_pb2.HParamsPluginData(version=0, session_start_info=info)
    content: bytes = data.SerializeToString()
    return content


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``section.key`` -> value; without what is not set."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat
