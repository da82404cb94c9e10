"""Objects that Python code passes to ``tfdl.train``, in place of names in the configuration."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from tfdl.config import TASKS, TrainConfig
from tfdl.config.dataset import PythonDataConfig
from tfdl.config.models.keras import KerasModelConfig
from tfdl.config.optimizers import KerasOptimizerConfig
from tfdl.data import Source
from tfdl.data.limited import limited_splits
from tfdl.distributed.optimizer import undo
from tfdl.errors import UserError
from tfdl.models import build_model, compute_precision
from tfdl.models.keras_model import check_normalization, check_own_losses, check_rebuilding, save_model
from tfdl.serialization import provider_modules, to_json
from tfdl.tasks.objective import Objective
from tfdl.tasks.sample import build_on_sample
from tfdl.tasks.supervised import Supervised
from tfdl.tasks.task import Task
from tfdl.training.task_classes import registered_name

# The number of samples on which the model is compared with the one that is rebuilt.
_COMPARED = 4
# The methods of keras.Model that decide what fit and evaluate compute, and that tfdl's own loop does not call.
_METHODS_OF_FIT = (
    "train_step",
    "test_step",
    "compute_loss",
    "compute_metrics",
    "make_train_function",
    "make_test_function",
)
_DEFAULT_PRECISION = "float32"
_PRECISIONS = (_DEFAULT_PRECISION, "mixed_bfloat16", "mixed_float16", "float64")
_NO_LOSS_ERROR = (
    "the model is not compiled and no task was passed, so there is no loss; expected model.compile(loss=...,"
    " metrics=[...]), or task=tfdl.tasks.Objective(loss=..., metrics=[...]), or a task's name"
)


class PythonParts:
    """The objects that were passed to ``tfdl.train``. The configuration names all other parts.

    Args:
        model: a ``keras.Model``, or a function without arguments that builds one.
        optimizer: a ``keras.optimizers.Optimizer``; by default the one that the model was compiled with.
        data: the splits by name (see ``tfdl.data.objects.splits``).
        task: a task's name, a ``Task`` class, or an ``Objective``; by default the loss and the metrics that the model
            was compiled with.
    """

    def __init__(
        self, model: Any = None, optimizer: Any = None, data: Mapping[str, Any] | None = None, task: Any = None
    ):
        self._passed_model = model
        self._passed_optimizer = optimizer
        self._passed_task = task
        self._data = data
        self._model: Any = None
        self._optimizer: Any = None
        self._objective: Objective | None = None

    @property
    def replaces_parts(self) -> bool:
        """Whether any object was passed."""
        objects = (self._passed_model, self._passed_optimizer, self._data, self._passed_task)
        return any(part is not None for part in objects)

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The splits that were passed."""
        return self._data

    @property
    def can_be_rebuilt(self) -> bool:
        """Whether model and optimizer can be built again, for other ranks in an elastic run."""
        return not isinstance(self._passed_model, keras.Model) and self._passed_optimizer is None

    def resolve(self, config: TrainConfig) -> TrainConfig:
        """Builds the model, and returns the configuration with the parts that the objects replace.

        The configuration also names the modules that the objects' classes come from, as plugins.

        Args:
            config: what the user configured.

        Raises:
            UserError: an object has the wrong type or cannot be saved, or the parts do not fit together.
        """
        keras.utils.set_random_seed(config.seed)
        self._model = self._make_model(config)
        self._optimizer = self._choose_optimizer()
        task = self._choose_task(config)
        changes: dict[str, Any] = {}
        modules: set[str] = set()
        if self._model is not None:
            _check_methods(self._model)
            changes["model"] = KerasModelConfig()
            changes["precision"] = _precision_of(self._model, config.precision)
            modules |= provider_modules(to_json(self._model, "the model"))
        if self._optimizer is not None:
            serialized = to_json(self._optimizer, "the optimizer")
            # Keras numbers names over the whole process, so a resumed run would have another one.
            serialized["config"].pop("name", None)
            changes["optimizer"] = KerasOptimizerConfig(serialized=serialized)
            modules |= provider_modules(serialized)
        if self._data is not None and not isinstance(config.dataset, PythonDataConfig):
            changes["dataset"] = PythonDataConfig(
                memory_limit_mb=config.dataset.memory_limit_mb,
                stratified=config.dataset.stratified,
                exact_labels=config.dataset.exact_labels,
            )
        if self._objective is not None:
            modules |= provider_modules(self._objective.serialized())
        if task != config.task:
            changes["task"] = task
            reads_tokens = TASKS.part(task).declaration.reads_tokens
            changes["tokenizer"] = config.tokenizer if reads_tokens else None
        if not changes:
            return config
        plugins = sorted({*config.plugins, *modules})
        return config.replace(**changes, plugins=tuple(plugins))

    def open_task(self, config: TrainConfig, assets: Path | None) -> tuple[Task, dict[str, Source]]:
        """Opens the task and its splits.

        Args:
            config: as ``resolve`` returned it.
            assets: what the task learned from the data, in a resumed run.

        Raises:
            UserError: the data cannot be used.
        """
        task: Task
        if self._objective is not None:
            task, sources = Supervised.open_with(self._objective, config, self._data)
        else:
            task, sources = TASKS.load(config.task).open(config, assets, self._data)
        return task, limited_splits(sources, config.sample_limits)

    def build_model(self, config: TrainConfig, task: Task, num_ranks: int) -> Any:
        """Builds the configured model with new weights, or returns the model that was passed.

        Args:
            config: as ``resolve`` returned it.
            task: knows what the model is called with.
            num_ranks: the number of ranks.

        Raises:
            UserError: the model does not fit the data, or it could not be rebuilt from a run directory.
        """
        if self._model is None:
            keras.utils.set_random_seed(config.seed)
            with compute_precision(config.precision):
                return build_model(config.model, **task.model_arguments)
        model = self._model
        build_on_sample(model, task)
        check_own_losses(model)
        check_normalization(model, num_ranks)
        with compute_precision(config.precision):
            check_rebuilding(model, lambda built: build_on_sample(built, task, _COMPARED))
        return model

    def optimizer_of(self, model: Any) -> Any:
        """The optimizer that was passed, or that the model was compiled with; None for the configured one.

        Args:
            model: the built model that it is to train.

        Raises:
            UserError: it has trained another model, whose moments it holds.
        """
        optimizer = self._optimizer
        if optimizer is None or not optimizer.built:
            return optimizer
        variables = {id(variable) for variable in model.trainable_variables}
        built_for = {id(variable) for variable in optimizer._trainable_variables}
        if variables != built_for:
            raise UserError(
                f"the optimizer {optimizer.name!r} belongs to another model, or to other variables of this one; pass a"
                f" new one: keras.optimizers.{type(optimizer).__name__}(...)"
            )
        return optimizer

    def save(self, assets: Path) -> None:
        """Writes what another process needs to rebuild the objects.

        Args:
            assets: an existing folder of the run.
        """
        if self._model is not None:
            save_model(self._model, assets)

    def _make_model(self, config: TrainConfig) -> Any:
        """The passed model, or what the passed function builds."""
        model = self._passed_model
        if model is None or isinstance(model, keras.Model):
            return model
        if not callable(model):
            raise UserError(
                f"model= is a {type(model).__name__}, expected a keras.Model or a function that builds one; a name"
                " belongs in the configuration: TrainConfig(model='cnn')"
            )
        _check_arguments(model)
        if config.precision == _DEFAULT_PRECISION:
            built = model()  # with the dtype policy that Keras has now
        else:
            with compute_precision(config.precision):
                built = model()
        if not isinstance(built, keras.Model):
            raise UserError(f"the function model= returned a {type(built).__name__}, expected a keras.Model")
        return built

    def _choose_optimizer(self) -> Any:
        optimizer = self._passed_optimizer
        if optimizer is None and getattr(self._model, "compiled", False):
            optimizer = self._model.optimizer
        if optimizer is None:
            return None
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise UserError(
                f"optimizer= is a {type(optimizer).__name__}, expected a keras.optimizers.Optimizer; a name belongs"
                " in the configuration: TrainConfig(optimizer='adam')"
            )
        # tfdl scales losses and averages gradients itself, so these wrappers are removed.
        while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = optimizer.inner_optimizer
        return undo(optimizer)

    def _choose_task(self, config: TrainConfig) -> str:
        """Returns the task's name, and keeps the objective of a supervised task."""
        task = self._passed_task
        if isinstance(task, Objective):
            self._objective = task
            return Supervised.name
        if isinstance(task, str):
            return TASKS.part(task).name
        if isinstance(task, type) and issubclass(task, Task):
            return registered_name(task)
        if task is not None:
            raise UserError(
                f"task= is {task!r}, expected a task's name, a tfdl.tasks.Task class, or a tfdl.tasks.Objective"
            )
        if self._model is None or self._data is None:
            return config.task
        if not getattr(self._model, "compiled", False):
            raise UserError(_NO_LOSS_ERROR)
        self._objective = Objective.of_compiled(self._model)
        return Supervised.name


def _check_arguments(build: Any) -> None:
    """Raises ``UserError`` if a function cannot be called without arguments."""
    try:
        signature = inspect.signature(build)
    except ValueError:  # of a callable written in C
        return
    try:
        signature.bind()
    except TypeError as error:
        raise UserError(
            f"the function model= is called without arguments, but it has the signature {signature} ({error}); pass"
            " model=lambda: build(...)"
        ) from error


def _check_methods(model: Any) -> None:
    """Refuses a model that overrides a method of ``fit`` and ``evaluate``, which tfdl would not call.

    Raises:
        UserError: such a method, by its name.
    """
    for name in _METHODS_OF_FIT:
        if getattr(type(model), name, None) is not getattr(keras.Model, name):
            raise UserError(
                f"the model's class {type(model).__name__} overrides {name}, which tfdl does not call; expected Keras's"
                " own: write a loss, a metric, add_loss in a layer, or a tfdl.tasks.Task; or train it with fit and"
                " tfdl.distributed"
            )


def _precision_of(model: Any, configured: str) -> str:
    """The precision that a model computes in.

    Raises:
        UserError: the configuration asks for another precision.
    """
    name: str = model.dtype_policy.name
    if configured not in (_DEFAULT_PRECISION, name):
        raise UserError(
            f"precision={configured!r}, but the model was built with the policy {name!r}; pass a function that builds"
            f" it (model=build), or call keras.config.set_dtype_policy({configured!r}) before you build it"
        )
    return name if name in _PRECISIONS else configured
