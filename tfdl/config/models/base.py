"""What the configurations of all model families have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tfdl.config.fields import check_types
from tfdl.errors import UserError


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a model, apart from what its data decides (image size, classes, vocabulary)."""

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ()
    """Tasks that the family can be trained for; the first is the default."""
    example_data: ClassVar[Mapping[str, Any]] = {}
    """Data arguments of ``tfdl.build_model`` for showing the family without a data set."""
    carries_state: ClassVar[bool] = False
    """Whether a language model of the family carries its state through a text (see ``RNNLanguageModel``)."""
    task_fields: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Task -> fields of the family's default model for it. The user's fields override them."""
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Task -> ``epochs``, ``batch_size``, ``xla`` and ``optimizer`` that work well (docs/tasks.md). The user's settings
    override them."""

    preset: str | None = None
    """Name of the preset that the other fields come from. It is only information; None for the family's defaults."""

    def __post_init__(self) -> None:
        check_types(self, "model.")

    @property
    def default_task(self) -> str:
        """The task of a run that names none.

        Raises:
            UserError: the family declares no task.
        """
        if not self.tasks:
            raise UserError(f"the model {self.label!r} has no default task; choose one with --task")
        return self.tasks[0]

    @property
    def label(self) -> str:
        """The preset's name, or else the family's."""
        return self.preset or self.name

    def check_length(self, name: str, length: int) -> None:
        """Raises ``UserError`` if the model cannot read sequences of ``length`` tokens. The base class raises nothing.

        Args:
            name: the configuration key or argument that asks for this length, for the message.
            length: the number of tokens.
        """


@dataclass(frozen=True)
class Preset:
    """A published model: a family's configuration under its common name."""

    name: str
    config: type[ModelConfig]
    """The family."""
    source: str
    """The paper, and the section or table."""
    parameters: int
    """Number of parameters with the paper's data, without moving statistics."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields that differ from the family's defaults."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Data arguments of ``tfdl.build_model`` in the paper; they are the defaults."""
