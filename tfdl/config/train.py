"""The configuration of a training run."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tfdl.config.augmentations import AUGMENTATIONS
from tfdl.config.dataset import DATASETS, DatasetConfig, choose_dataset
from tfdl.config.fields import check_types, convert, from_mapping, require, require_at_least, require_fraction
from tfdl.config.initial_checkpoint import inherited
from tfdl.config.mapping import plain
from tfdl.config.models import MODELS, ModelConfig, choose_model
from tfdl.config.optimizers import OPTIMIZERS, OptimizerConfig, choose_optimizer
from tfdl.config.recipes import optimizer_fields, recipe
from tfdl.config.schedules import SCHEDULES
from tfdl.config.tasks import DEFAULT_TASK, TASKS, TaskSpec, optional_dataset_fields
from tfdl.config.tokenizers import TOKENIZERS, TokenizerConfig, choose_tokenizer
from tfdl.errors import UserError, nearest
from tfdl.plugins import require_plugins
from tfdl.registry import Part

PRECISIONS = Literal["float32", "mixed_bfloat16", "mixed_float16", "float64"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes. The run directory is not part of it.

    Sections (``model``, ``dataset``, ``tokenizer``, ``optimizer``) may be given by name: ``TrainConfig(model="cnn")``.

    Raises:
        UserError: a value that cannot be used: what was received, and what was expected.
    """

    model: ModelConfig = field(default_factory=dict)  # type: ignore[assignment]
    """A family or preset; by default the task's."""
    task: str = ""
    """What the model is trained for; by default the model's first task."""
    dataset: DatasetConfig = field(default_factory=dict)  # type: ignore[assignment]
    """A data set; by default the task's."""
    tokenizer: TokenizerConfig | None = None
    """How texts become numbers; by default the tokenizer that suits the data set. Images have none."""
    optimizer: OptimizerConfig = field(default_factory=dict)  # type: ignore[assignment]
    """An optimizer; fields that are not set come from the recipe of task and model (``ModelConfig.recipes``)."""
    epochs: int | None = None
    """Passes over the training split; by default the recipe's, unless steps is set."""
    steps: int | None = None
    """Optimizer steps over the whole run, instead of epochs."""
    batch_size: int = None  # type: ignore[assignment]
    """Samples that a rank computes at a time; by default the recipe's. The global batch is this number times
    accumulation_steps times the number of ranks."""
    auto_batch_size: bool = False
    """Whether the largest batch size that the GPUs' memory holds is found before the first step. It is then recorded as
    batch_size, and this as false."""
    accumulation_steps: int = 1
    """Batches of a rank whose gradients one optimizer step adds up."""
    label_smoothing: float = 0.0
    """Fraction of the training target that is spread over all classes; validation and test losses are not smoothed."""
    limit_train_samples: int | None = None
    """The most training samples that are used, spread evenly over the split (of a language model the first windows)."""
    limit_validation_samples: int | None = None
    """The same for the validation split."""
    limit_test_samples: int | None = None
    """The same for the test split."""
    class_weight: tuple[str, ...] = ()
    """Weights of classes in the training loss: ``balanced``, or ``NAME=WEIGHT`` for some of them; by default all
    weigh 1. Validation and test are not weighted."""
    precision: PRECISIONS = "float32"
    """The number format of computations; mixed formats keep weights, statistics and logits in float32."""
    compression: Literal["none", "float16", "bfloat16"] = "none"
    """The number format in which gradients are sent between ranks, for slow links. Sums in float16 may overflow."""
    xla: Literal["off", "on", "auto"] = None  # type: ignore[assignment]
    """Whether XLA compiles the forward and backward pass; by default the recipe's choice. ``auto`` times both when
    training begins, and records its choice in the run's config.yaml. With and without XLA, rounding and dropout differ,
    so only ``on`` and ``off`` repeat a run bit for bit."""
    initial_checkpoint: str | None = None
    """A run, or one of its checkpoints, whose weights this run starts from; by default random weights. Layers of the
    output are new where the classes differ. Texts are read with that run's tokenizer."""
    freeze: tuple[str, ...] = ()
    """Layers or variables that are not trained: names or patterns such as ``block_*``. A name after ``!`` is trained
    although an earlier pattern includes it. Frozen batch normalization uses its moving statistics."""
    seed: int = 0
    """Seed of initial weights, order of samples and dropout."""
    steps_per_execution: int = 20
    """Steps that run in one graph call; progress, logs and signals are handled between calls."""
    sync_check_steps: int = 200
    """On several ranks, steps between two comparisons of their whole state; 0 compares at the end only."""
    monitor: str | None = None
    """The validation metric that decides which checkpoint is the best, and whether training stops early; by default the
    task's, such as accuracy."""
    early_stopping_patience: int | None = None
    """Validations without a better value of the monitored metric, after which training ends. The best weights are then
    restored. By default training does not end early."""
    early_stopping_min_delta: float = 0.0
    """How much better a value must be to count as better for early stopping."""
    plateau_patience: int | None = None
    """Validations without a better value of the monitored metric, after which the learning rate is multiplied by
    plateau_factor. By default it is not."""
    plateau_factor: float = 0.1
    """What the learning rate is then multiplied by."""
    validation_steps: int | None = None
    """Optimizer steps between two validations within an epoch, each with a checkpoint; by default there is one at the
    end of each epoch alone."""
    time_limit: float | None = None
    """Seconds from the call of ``train``. The run then stops with a checkpoint, as a signal stops it."""
    checkpoint_steps: int | None = None
    """Optimizer steps between two checkpoints; by default there is one at the end of each epoch alone."""
    checkpoint_minutes: float | None = None
    """Minutes between two checkpoints within an epoch."""
    checkpoint_shards: Literal["auto", "on", "off"] = "auto"
    """Whether each of several ranks writes a part of a checkpoint; ``auto`` from 1 GiB on, if all ranks see the
    folder."""
    on_checkpoint_error: Literal["stop", "continue"] = "stop"
    """What happens when a checkpoint cannot be written: the run ends, or continues and tries again at the next one."""
    on_divergence: Literal["stop", "rollback"] = "stop"
    """What happens at a loss or gradient that is NaN or infinite: the run ends before that step, or it goes back to its
    last checkpoint and continues with half the learning rate."""
    max_rollbacks: int = 3
    """How often a run may go back to a checkpoint."""
    debug_numerics: bool = False
    """Whether a layer whose output is NaN or infinite also counts as divergence, though the loss may be finite."""
    log_norms: bool = False
    """Whether the norms of gradients and weights are logged."""
    log_samples: bool = True
    """Whether TensorBoard's files get samples of the validation split (images or texts), what the model made of them,
    and the confusion matrix."""
    deterministic: bool = False
    """Whether TensorFlow uses deterministic kernels alone. An operation that has none is an error."""
    keep_checkpoints: int = 3
    """Number of checkpoints that are kept, besides the best one."""
    watchdog_timeout: float = 600.0
    """Seconds that ranks wait for a rank that makes no progress or does not answer, before the job ends; 0 for no
    limit: only errors and deaths are then reported."""
    plugins: tuple[str, ...] = ()
    """Modules that register parts of this run. Reading their names from a file imports nothing: the modules must be
    imported already (``tfdl.plugins``)."""

    def __post_init__(self) -> None:
        self._set("plugins", convert(self.plugins, tuple[str, ...], "plugins"))
        self._set("class_weight", convert(self.class_weight, tuple[str, ...], "class_weight"))
        self._set("freeze", convert(self.freeze, tuple[str, ...], "freeze"))
        require_plugins(self.plugins)
        self._inherit()
        self._choose_task()
        self._set("dataset", choose_dataset(self.dataset, default=self.task_spec.dataset))
        self._check_dataset_fields()
        self._set("tokenizer", self._choose_tokenizer())
        self._follow_recipe()
        check_types(self, "")
        if self.epochs is not None and self.steps is not None:
            raise UserError(f"epochs={self.epochs} and steps={self.steps}, pass one of them, not both")
        require_at_least(self, "", 1, "epochs", "steps", "batch_size", "steps_per_execution", "keep_checkpoints")
        require_at_least(self, "", 1, "checkpoint_steps", "early_stopping_patience", "max_rollbacks")
        require_at_least(self, "", 1, *(f"limit_{split}_samples" for split in ("train", "validation", "test")))
        require_at_least(self, "", 1, "plateau_patience", "validation_steps")
        require(0 < self.plateau_factor < 1, "plateau_factor", self.plateau_factor, "a number between 0 and 1")
        require_at_least(self, "", 0, "early_stopping_min_delta")
        for name in ("checkpoint_minutes", "time_limit"):
            duration = getattr(self, name)
            require(duration is None or 0 < duration < math.inf, name, duration, "a number above 0")
        self._check_early_stopping()
        can_debug = not self.debug_numerics or self.precision != "mixed_float16"
        expected = "false with precision mixed_float16, whose loss scale makes layers overflow on purpose; use float32"
        require(can_debug, "debug_numerics", self.debug_numerics, expected)
        require_at_least(self, "", 0, "sync_check_steps")
        require_at_least(self, "", 1, "accumulation_steps")
        require_fraction(self, "", "label_smoothing")
        require(0 <= self.watchdog_timeout < math.inf, "watchdog_timeout", self.watchdog_timeout, "seconds, or 0")
        require(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        self._check_low_rank()
        self._record_plugins()

    def _check_early_stopping(self) -> None:
        """Refuses a difference that nothing would use."""
        is_used = self.early_stopping_patience is not None or not self.early_stopping_min_delta
        expected = "nothing without early_stopping_patience"
        require(is_used, "early_stopping_min_delta", self.early_stopping_min_delta, expected)

    def _check_low_rank(self) -> None:
        """Refuses updates of low rank to random weights, which would stay as they are."""
        lora_rank = getattr(self.model, "lora_rank", None)
        expected = "nothing, except with --initial-checkpoint RUN: only updates of its weights would be trained"
        require(lora_rank is None or self.initial_checkpoint is not None, "model.lora_rank", lora_rank, expected)

    @property
    def sample_limits(self) -> dict[str, int | None]:
        """Split -> the most samples that are used of it; none for all of them."""
        return {split: getattr(self, f"limit_{split}_samples") for split in ("train", "validation", "test")}

    @property
    def task_spec(self) -> TaskSpec:
        """The declaration of the run's task."""
        return TASKS[self.task]

    def _inherit(self) -> None:
        """Takes over the model, the task and the size of inputs of the run whose weights this one starts from.

        The configuration of a run that has begun is whole: it needs no other run.
        """
        names_model = not isinstance(self.model, Mapping) or bool({"name", "preset"} & set(self.model))
        is_whole = names_model and self.batch_size is not None and self.xla is not None
        if self.initial_checkpoint is None or is_whole:
            return
        base = inherited(self.initial_checkpoint)
        if self.task and self.task != base["task"]:
            raise UserError(
                f"--initial-checkpoint {self.initial_checkpoint!r} is a run of {base['task']}, expected one of"
                f" {self.task}; leave out --task"
            )
        if isinstance(self.model, Mapping) and not names_model:
            self._set("model", {**base["model"], **self.model})
        if not self.task:
            self._set("task", base["task"])
        if self.tokenizer is None:
            self._set("tokenizer", base.get("tokenizer"))
        if isinstance(self.dataset, str | Mapping):
            named = {"name": self.dataset} if isinstance(self.dataset, str) else self.dataset
            self._set("dataset", {**base["dataset"], **named})
        else:
            unset = {name: value for name, value in base["dataset"].items() if getattr(self.dataset, name) is None}
            self._set("dataset", dataclasses.replace(self.dataset, **unset))

    def _choose_task(self) -> None:
        """Chooses model and task. Each decides the other if that is not set."""
        task = convert(self.task, str, "task")
        if task and task not in TASKS:
            raise UserError(f"task={task!r}, expected one of {', '.join(TASKS)}.{nearest(task, TASKS)}")
        default_model = TASKS[task or DEFAULT_TASK].model
        model_task = TASKS[task].model_task if task else ""
        model = choose_model(_with_name(self.model, default_model, alternative="preset"), model_task)
        self._set("model", model)
        self._set("task", task or model.default_task)
        spec = self.task_spec
        is_named_by_task = bool({model.name, model.label} & {spec.model, *spec.models})
        is_for_task = bool({self.task, spec.model_task} & set(model.tasks))
        if not is_for_task and not is_named_by_task:
            tasks = " and ".join(model.tasks) or "no task"
            raise UserError(
                f"task={self.task!r} and model={model.label!r}, which is for {tasks}; choose another --model, such as"
                f" {spec.model}, or leave --task out"
            )

    def _check_dataset_fields(self) -> None:
        """Raises ``UserError`` for a field of the data set that is set and that the task does not read."""
        defaults = type(self.dataset)(self.dataset.name)
        # A task of a user may name fields that only its own data sets have.
        fields = {field.name for field in dataclasses.fields(self.dataset)}
        unread = optional_dataset_fields().difference(self.task_spec.dataset_fields)
        for name in sorted(unread & fields):
            value = getattr(self.dataset, name)
            others = [task for task in TASKS.names if name in TASKS[task].dataset_fields]
            expected = self._nothing(others)
            require(value == getattr(defaults, name), f"dataset.{name}", plain(value), expected)

    def _nothing(self, other_tasks: Sequence[str]) -> str:
        """What is expected of a field that the task does not read, and the tasks that read it."""
        advice = f", or give --task {' or '.join(other_tasks)}" if other_tasks else ""
        return f"nothing: it has no meaning for {self.task}; leave it out{advice}"

    def _choose_tokenizer(self) -> TokenizerConfig | None:
        spec = self.task_spec
        if not spec.reads_tokens:
            received = self.tokenizer
            if isinstance(received, Mapping):
                received = received.get("name")
            others = [task for task in TASKS.names if TASKS[task].reads_tokens]
            require(self.tokenizer is None, "tokenizer", received, self._nothing(others))
            return None
        declared = DATASETS.get(self.dataset.base_name) or type(self.dataset)
        tokenizer = choose_tokenizer(self.tokenizer, default=declared.tokenizer)
        fits = tokenizer.reserves_padding or not spec.pads_texts
        reason = f"token 0, which fills up shorter texts there, stands for text in {tokenizer.name}"
        expected = f"another one for {self.task}, such as bpe: {reason}"
        require(fits, "tokenizer.name", tokenizer.name, expected)
        return tokenizer

    def _follow_recipe(self) -> None:
        """Fills in optimizer, epochs, batch size and XLA where the user did not set them."""
        suggested = recipe(self.model.recipes, self.task_spec.model_task, self.model.name)
        optimizer: Any = self.optimizer
        if isinstance(optimizer, str):
            optimizer = {"name": optimizer}
        if isinstance(optimizer, Mapping):
            optimizer = optimizer_fields(optimizer, suggested["optimizer"], self.steps)
        self._set("optimizer", choose_optimizer(optimizer))
        if self.epochs is None and self.steps is None:
            self._set("epochs", suggested["epochs"])
        for name in ("batch_size", "xla"):
            if getattr(self, name) is None:
                self._set(name, suggested[name])

    def _record_plugins(self) -> None:
        """Adds the modules that registered the parts of this run, for whoever reads its configuration."""
        parts: list[Part[Any]] = [
            MODELS.part(self.model.name),
            TASKS.part(self.task),
            OPTIMIZERS.part(self.optimizer.name),
            SCHEDULES.part(self.optimizer.schedule.name),
            *(AUGMENTATIONS.part(augmentation.name) for augmentation in self.dataset.augmentation),
        ]
        if self.tokenizer is not None:
            parts.append(TOKENIZERS.part(self.tokenizer.name))
        if self.dataset.name in DATASETS:
            parts.append(DATASETS.part(self.dataset.name))
        providers = {part.provider for part in parts} - {"tfdl"}
        self._set("plugins", tuple(sorted({*self.plugins, *providers})))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of ``to_mapping``; unknown keys and wrong types raise ``UserError``."""
        return from_mapping(cls, values)

    def replace(self, **changes: Any) -> "TrainConfig":
        """A copy with some fields changed.

        Args:
            **changes: the fields.

        Raises:
            UserError: a value that cannot be used.
        """
        return dataclasses.replace(self, **changes)


def _with_name(section: Any, default: str, alternative: str) -> Any:
    """A section as a mapping that names its part.

    Args:
        section: a name, a mapping of fields, or a configuration, which is returned as it is.
        default: the name, if the section has none.
        alternative: another key that names the part.
    """
    if isinstance(section, str):
        return {"name": section}
    if not isinstance(section, Mapping) or {"name", alternative} & set(section):
        return section
    return {"name": default, **section}
