"""What the configurations of all model families have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a model, apart from what its data decides (image size, classes, vocabulary)."""

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]
    """What the family can be trained for; the first where nobody says."""
    example_data: ClassVar[Mapping[str, Any]]
    """Data arguments of ``tfdl.build_model`` to show the family with, where nobody gives any."""
    carries_state: ClassVar[bool] = False
    """Whether the model reads on in a text from where it stopped, with a state (see ``RNNLanguageModel``)."""
    task_fields: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Task -> the fields that make the family's default fit for it, where nobody sets them."""

    preset: str | None = None
    """The preset that the other fields began as, for people to read; none for a family's defaults."""

    @property
    def default_task(self) -> str:
        """What the model is for, where nobody says."""
        return self.tasks[0]

    @property
    def label(self) -> str:
        """What people call the model: the preset's name, or the family's."""
        return self.preset or self.name

    def check_length(self, name: str, length: int) -> None:
        """Raises ``UserError`` if the model cannot read sequences of ``length`` tokens, which ``name`` asks for."""


@dataclass(frozen=True)
class Preset:
    """A model of a paper: a family's configuration under the name that people know it by."""

    name: str
    config: type[ModelConfig]
    """The family."""
    source: str
    """The paper, and the place in it."""
    parameters: int
    """Parameters with the paper's own data, moving statistics not counted."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the family's defaults."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The paper's own data arguments of ``tfdl.build_model``, used where none are given."""
