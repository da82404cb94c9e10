"""The configuration of a Keras model that Python code passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfdl.config.models.base import ModelConfig
from tfdl.config.tasks import TASKS


@dataclass(frozen=True)
class KerasModelConfig(ModelConfig):
    """A ``keras.Model`` of the user. The run's assets contain what Keras needs to rebuild it."""

    name: ClassVar[str] = "keras"
    example_data: ClassVar[Mapping[str, Any]] = {}

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """All tasks. Whether the model fits a task is checked when it is called."""
        return tuple(spec.name for spec in TASKS.declarations)
