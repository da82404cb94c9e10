"""The whole of a training run."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tfdl.config.choice import choose
from tfdl.config.dataset import DEFAULT_TOKENIZER, RECIPES, TOKENIZERS, DatasetConfig
from tfdl.config.fields import check_types, convert, from_mapping, require, require_at_least, require_fraction
from tfdl.config.models import ModelConfig, choose_model
from tfdl.config.optimizers import OPTIMIZER_CONFIGS, OptimizerConfig
from tfdl.config.recipes import optimizer_fields, recipe
from tfdl.config.tokenizers import TokenizerConfig
from tfdl.errors import UserError, nearest

TASKS: dict[str, dict[str, str]] = {
    "image-classification": {"model": "cnn", "dataset": "digits"},
    "text-classification": {"model": "rnn", "dataset": "docstrings"},
    "language-modeling": {"model": "transformer", "dataset": "python_topics"},
    "translation": {"model": "transformer", "dataset": "dates"},
}
"""Every task, with the model and the data set that it takes where nobody names one."""
MEANING: dict[str, set[str]] = {
    "image-classification": {"image_size", "augmentation", "label_column"},
    "text-classification": {"text_column", "label_column", "sequence_length"},
    "language-modeling": {"text_column", "sequence_length"},
    "translation": {"source_column", "target_column", "sequence_length"},
}
"""What each task reads of a ``DatasetConfig``, of that which not every task reads."""
DEFAULT_TASK = "image-classification"
PRECISIONS = Literal["float32", "mixed_bfloat16", "mixed_float16", "float64"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes; where it is written is not part of it.

    Sections (``model``, ``dataset``, ``tokenizer``, ``optimizer``) may be given by name: ``TrainConfig(model="cnn")``.

    Raises:
        UserError: a value that cannot be used, named with what was expected.
    """

    model: ModelConfig = field(default_factory=dict)  # type: ignore[assignment]
    """Of which nothing is said here: the task decides."""
    task: str = ""
    """What the numbers mean; empty takes the model's own task."""
    dataset: DatasetConfig = field(default_factory=dict)  # type: ignore[assignment]
    """As above."""
    tokenizer: TokenizerConfig | None = None
    """How texts become numbers; none takes what is known to suit the data set, and images have none."""
    optimizer: OptimizerConfig = field(default_factory=dict)  # type: ignore[assignment]
    """Of which nothing is said here: the recipe of task and model decides (``tfdl/config/recipes.py``)."""
    epochs: int | None = None
    """Passes over the training split; the recipe's when neither epochs nor steps is given."""
    steps: int | None = None
    """Optimizer steps over the whole run, instead of epochs."""
    batch_size: int = None  # type: ignore[assignment]
    """Samples that a rank computes at a time; the global batch is this times accumulation_steps times the ranks.
    The recipe's where it is not given."""
    accumulation_steps: int = 1
    """Batches of this size whose gradients one optimizer step adds up; the global batch is larger by as much."""
    label_smoothing: float = 0.0
    """Part of the training target that is spread over all classes; validation and test losses are without."""
    precision: PRECISIONS = "float32"
    """What layers compute in; the mixed ones compute in 16 bits and keep weights, statistics and logits in float32."""
    compression: Literal["none", "float16", "bfloat16"] = "none"
    """What gradients are rounded to on their way between ranks; for slow links. Sums in float16 may overflow."""
    xla: Literal["off", "on", "auto"] = None  # type: ignore[assignment]
    """Whether XLA compiles the forward and backward pass; ``auto`` measures when training begins, and notes its choice
    in the run's config.yaml. The two round differently and draw other dropout, so only ``on`` and ``off`` repeat a run
    to the bit. The recipe's where it is not given."""
    seed: int = 0
    """Decides initial weights, order of samples and dropout."""
    steps_per_execution: int = 20
    """Steps that run in the graph before Python looks at the numbers (progress, logs, signals)."""
    sync_check_steps: int = 200
    """On several ranks, steps between two comparisons of their whole state; 0 compares at the end alone."""
    keep_checkpoints: int = 3
    """Checkpoints kept beside the best one."""
    watchdog_timeout: float = 600.0
    """Seconds that ranks wait for one that makes no progress or gives no sign before the job ends; 0 for no end."""

    def __post_init__(self) -> None:
        self._choose_task()
        self._set("dataset", choose_dataset(self.dataset, self.task))
        self._check_meaning()
        self._set("tokenizer", self._chosen_tokenizer())
        self._follow_recipe()
        check_types(self, "")
        if self.epochs is not None and self.steps is not None:
            raise UserError(f"epochs={self.epochs} and steps={self.steps}, expected one of the two; leave one out")
        require_at_least(self, "", 1, "epochs", "steps", "batch_size", "steps_per_execution", "keep_checkpoints")
        require_at_least(self, "", 0, "sync_check_steps")
        require_at_least(self, "", 1, "accumulation_steps")
        require_fraction(self, "", "label_smoothing")
        require(0 <= self.watchdog_timeout < math.inf, "watchdog_timeout", self.watchdog_timeout, "seconds, or 0")
        require(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")

    def _choose_task(self) -> None:
        """Model and task: each follows from the other where it is not given."""
        task = convert(self.task, str, "task")
        if task and task not in TASKS:
            raise UserError(f"task={task!r}, expected one of {', '.join(TASKS)}.{nearest(task, TASKS)}")
        model = choose_model(_named(self.model, TASKS[task or DEFAULT_TASK]["model"], "preset"), task)
        self._set("model", model)
        self._set("task", task or model.default_task)
        if self.task not in model.tasks:
            raise UserError(
                f"task={self.task!r} and model={model.label!r}, which is for {' and '.join(model.tasks)}; choose"
                f" another --model, such as {TASKS[self.task]['model']}, or leave --task out"
            )

    def _check_meaning(self) -> None:
        """What is set of the data must mean something to the task: nobody should find out late that it did not."""
        fields = MEANING[self.task]
        default = choose_dataset(self.dataset.name, self.task)
        for name in sorted(set().union(*MEANING.values()) - fields):
            value = getattr(self.dataset, name)
            expected = f"nothing: it has no meaning for {self.task}"
            require(value == getattr(default, name), f"dataset.{name}", value, expected)

    def _follow_recipe(self) -> None:
        """Fills in what was not given."""
        found = recipe(self.task, self.model.name)
        given = {"name": self.optimizer} if isinstance(self.optimizer, str) else self.optimizer
        if isinstance(given, Mapping):
            given = optimizer_fields(given, found["optimizer"], self.steps)
        self._set("optimizer", choose("optimizer", OPTIMIZER_CONFIGS, given))
        if self.epochs is None and self.steps is None:
            self._set("epochs", found["epochs"])
        for name in ("batch_size", "xla"):
            if getattr(self, name) is None:
                self._set(name, found[name])

    def _chosen_tokenizer(self) -> TokenizerConfig | None:
        if self.task == "image-classification":
            given = self.tokenizer.get("name") if isinstance(self.tokenizer, Mapping) else self.tokenizer
            require(self.tokenizer is None, "tokenizer", given, f"nothing: it has no meaning for {self.task}")
            return None
        tokenizer = choose_tokenizer(self.tokenizer, self.dataset.name)
        fits = tokenizer.name != "gpt2" or self.task == "language-modeling"
        expected = f"another one for {self.task}, such as bpe: token 0, which ends shorter texts there, is '!' in gpt2"
        require(fits, "tokenizer.name", tokenizer.name, expected)
        return tokenizer

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of ``to_mapping``; unknown keys and wrong types raise ``UserError``."""
        return from_mapping(cls, values)

    def replace(self, **changes: Any) -> "TrainConfig":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def choose_dataset(value: Any, task: str = DEFAULT_TASK) -> DatasetConfig:
    """A ``DatasetConfig`` from itself, or from a name or mapping, whose gaps the data set's recipe fills.

    Without a name it is the task's own data set.
    """
    if isinstance(value, DatasetConfig):
        return value
    fields = _named(value, TASKS[task]["dataset"])
    if not isinstance(fields, Mapping):
        raise UserError(f"dataset={value!r}, expected a name or a mapping with `name`")
    return from_mapping(DatasetConfig, {**RECIPES.get(str(fields["name"]), {}), **fields}, "dataset.")


def choose_tokenizer(value: Any, dataset: str) -> TokenizerConfig:
    """A ``TokenizerConfig`` from itself, or from a name or mapping; without a name the data set's own."""
    if isinstance(value, TokenizerConfig):
        return value
    fields = _named(value or {}, TOKENIZERS.get(dataset, DEFAULT_TOKENIZER))
    if not isinstance(fields, Mapping):
        raise UserError(f"tokenizer={value!r}, expected a name or a mapping with `name`")
    return from_mapping(TokenizerConfig, fields, "tokenizer.")


def _named(value: Any, name: str, *names: str) -> Any:
    """A section as a mapping that says which one is meant, by ``name`` or by one of ``names``."""
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping) or {"name", *names} & set(value):
        return value
    return {"name": name, **value}
