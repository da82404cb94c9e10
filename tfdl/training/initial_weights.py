"""The weights that a new run starts from, and which of them are trained."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig
from tfdl.config.initial_checkpoint import base_of
from tfdl.errors import UserError
from tfdl.models.freezing import freeze, matching, training_note
from tfdl.models.low_rank import is_low_rank
from tfdl.runs import RunDirectory
from tfdl.runs.base_record import BaseRecord
from tfdl.runs.checkpoint import verify
from tfdl.runs.digest import sha256_of_variables
from tfdl.runs.load import load_task, may_rename_variables
from tfdl.runs.merged_weights import merged_shapes, read_merged
from tfdl.runs.variables import by_path
from tfdl.tasks.task import Task

# Names that an error lists.
_SHOWN = 3


class InitialWeights(ABC):
    """Decides which variables are trained, and sets the weights of a new run."""

    def __init__(self, patterns: Sequence[str] = ()):
        self._patterns = patterns
        self._trained: list[str] = []

    def choose_trained(self, model: Any, task: Task) -> str:
        """Freezes what is not trained; called on every rank, before the optimizer is built.

        Args:
            model: the built model.
            task: of the run.

        Returns:
            A line for the beginning of the run.

        Raises:
            UserError: a pattern that names nothing, or nothing left to train.
        """
        frozen = matching(model, self._patterns, self._frozen(model, task))
        self._trained = [name for name in by_path(model.weights) if name not in frozen]
        if not frozen:
            return ""
        freeze(model, frozen)
        return training_note(model)

    @abstractmethod
    def _frozen(self, model: Any, task: Task) -> set[str]:
        """The paths of the variables that are frozen without being named by a pattern."""

    @abstractmethod
    def load(self, model: Any) -> str:
        """Sets the weights; called on rank 0 of a new run.

        Args:
            model: the built model.

        Returns:
            A line for the beginning of the run; empty for random weights.

        Raises:
            UserError: the weights do not fit the model.
            RunError: a damaged checkpoint.
        """

    def save(self, assets: Path) -> None:  # noqa: B027  (random weights need nothing)
        """Writes what a resumed run needs to know, so that it does not need the other run.

        Args:
            assets: of the run.
        """


class RandomWeights(InitialWeights):
    """The model's own random weights."""

    def _frozen(self, model: Any, task: Task) -> set[str]:  # noqa: ARG002
        return set()

    def load(self, model: Any) -> str:  # noqa: ARG002
        return ""


class WeightsOfRun(InitialWeights):
    """The weights of another run.

    The head, which is the last layer, is new if the classes differ. All other variables must be the same.

    Args:
        path: the run, or one of its checkpoints.
        patterns: what is frozen (see ``matching``).
    """

    def __init__(self, path: str, patterns: Sequence[str] = ()):
        super().__init__(patterns)
        self.path = path
        directory, name = base_of(path)
        self.run = RunDirectory.open(directory)
        # The base may still be training: `last` must lead to the same checkpoint every time.
        self._folder = self.run.checkpoint(name).resolve()
        self._config = self.run.read_config()
        self._names: dict[str, str] = {}  # of this model -> in the file, where Keras has numbered them
        self._loaded: dict[str, Any] = {}
        self._new: list[str] = []
        self._digest = ""

    def _frozen(self, model: Any, task: Task) -> set[str]:
        verify(self._folder)
        variables = by_path(model.weights)
        shapes = self._shapes(variables)
        replaced = _head_variables(model) if self._has_other_classes(task) else []
        self._loaded = {name: variables[name] for name in variables if name not in replaced and not is_low_rank(name)}
        self._new = [name for name in variables if name in replaced]
        self._check(variables, shapes, replaced)
        return set(self._loaded) if _has_updates(variables) else set()

    def load(self, model: Any) -> str:  # noqa: ARG002
        """See ``InitialWeights.load``."""
        in_file = {self._names.get(name, name): variable for name, variable in self._loaded.items()}
        read_merged(self._folder, self._config.model, in_file)
        kept = {name: variable for name, variable in self._loaded.items() if name not in self._trained}
        self._digest = sha256_of_variables(kept)
        new = f"; new: {', '.join(self._new)}, since the classes differ" if self._new else ""
        return f"starts from {self._folder}{new}"

    def save(self, assets: Path) -> None:
        """See ``InitialWeights.save``."""
        trained = tuple(name for name in self._trained if name in self._loaded)
        BaseRecord(self.path, self._folder.name, tuple(self._new), trained, self._digest).save(assets)

    def _shapes(self, variables: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        """The shapes in the file, by the names of this model's variables."""
        shapes = merged_shapes(self._folder)
        has_other_names = shapes.keys() != variables.keys() and len(shapes) == len(variables)
        if not has_other_names or not may_rename_variables(self._config):
            return shapes
        self._names = dict(zip(variables, shapes, strict=True))
        return {name: shapes[self._names[name]] for name in variables}

    def _has_other_classes(self, task: Task) -> bool:
        base = load_task(self.run, self._config)
        return base.class_names != task.class_names

    def _check(self, variables: dict[str, Any], shapes: dict[str, tuple[int, ...]], replaced: list[str]) -> None:
        """Raises ``UserError`` if the run's other variables are not those of this model."""
        missing = [name for name in self._loaded if name not in shapes]
        unexpected = [name for name in shapes if name not in variables and name not in replaced]
        if missing or unexpected:
            raise UserError(
                f"--initial-checkpoint {self.path!r} belongs to another model: missing: {_listed(missing)};"
                f" unexpected: {_listed(unexpected)}; leave out the options of the model"
            )
        for name, variable in self._loaded.items():
            if tuple(variable.shape) != shapes[name]:
                raise UserError(
                    f"--initial-checkpoint {self.path!r} has {name} of the shape {shapes[name]}, expected"
                    f" {tuple(variable.shape)}; leave out the options of the model, and give inputs of the same kind"
                )


class ResumedWeights(InitialWeights):
    """Of a run that started from other weights and has a checkpoint: only what is trained must be known.

    Args:
        assets: of the run.
        patterns: what is frozen.
    """

    def __init__(self, assets: Path, patterns: Sequence[str] = ()):
        super().__init__(patterns)
        self._new = BaseRecord.load(assets).new

    def _frozen(self, model: Any, task: Task) -> set[str]:  # noqa: ARG002
        variables = by_path(model.weights)
        if not _has_updates(variables):
            return set()
        return {name for name in variables if name not in self._new and not is_low_rank(name)}

    def load(self, model: Any) -> str:  # noqa: ARG002
        return ""


def initial_weights(config: TrainConfig, assets: Path | None) -> InitialWeights:
    """Where the weights of a run come from.

    Args:
        config: of the run.
        assets: of a run that continues; None for a new run.

    Raises:
        UserError: no such run or checkpoint to start from.
        RunError: the resumed run does not say what was new in it.
    """
    if config.initial_checkpoint is None:
        return RandomWeights(config.freeze)
    if assets is not None:
        return ResumedWeights(assets, config.freeze)
    return WeightsOfRun(config.initial_checkpoint, config.freeze)


def _head_variables(model: Any) -> list[str]:
    """The variables of the layer that returns the model's outputs."""
    head = getattr(model, "head", None)
    if head is None and getattr(model, "outputs", None):
        head = model.outputs[0]._keras_history.operation
    if head is None or not head.weights:
        raise UserError(
            "the classes differ from those of --initial-checkpoint, and the model has no last layer that could be new;"
            " use a model that ends with a dense layer"
        )
    return [variable.path for variable in head.weights]


def _has_updates(variables: dict[str, Any]) -> bool:
    return any(map(is_low_rank, variables))


def _listed(names: list[str]) -> str:
    return str(names[:_SHOWN]) if names else "nothing"
