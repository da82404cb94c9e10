"""The declarations of tasks: what a model can be trained for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfdl.registry import Registry

DEFAULT_TASK = "image-classification"
# Fields of data sets' configurations that all tasks of texts read.
_TEXT_FIELDS = frozenset({"encoding", "delimiter", "sequence_length"})
# Those that all tasks with a class for each sample read.
_CLASS_FIELDS = frozenset({"label_column", "stratified", "exact_labels"})


@dataclass(frozen=True)
class TaskSpec:
    """What the rest of tfdl must know about a task before its code is imported."""

    name: str
    """How configurations and ``--task`` name it."""
    implementation: str | Callable[..., Any]
    """The ``tfdl.tasks.Task``: ``"module:Class"``, or the class itself."""
    model: str
    """The model family or preset that is trained if the user names none."""
    dataset: str
    """The data set that is read if the user names none."""
    roles: tuple[str, ...]
    """What a sample consists of, such as ``("image", "label")``."""
    dataset_fields: frozenset[str] = frozenset()
    """Fields of data sets' configurations that this task reads. Fields that every task reads are left out."""
    reads_tokens: bool = False
    """Whether texts become tokens, so that the run has a tokenizer."""
    pads_texts: bool = False
    """Whether shorter texts are padded with token 0, which the tokenizer must then reserve."""
    models: tuple[str, ...] = ()
    """More families and presets that can be trained for it. ``model``, and those whose configuration names the task,
    need not be listed."""
    base: str = ""
    """A task whose models and recipes this one has, too; for a task whose class derives from that task's."""

    @property
    def model_task(self) -> str:
        """The name under which models list this task and its recipes."""
        return self.base or self.name


TASKS: Registry[TaskSpec] = Registry("task")
"""Every task by name."""


def register_task(spec: TaskSpec, *, is_listed: bool = True) -> None:
    """Declares a task.

    Args:
        spec: its name, its implementation and what it reads.
        is_listed: whether choices show it; False for what only Python code can use.

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    TASKS.register(spec.name, spec, spec.implementation, is_listed=is_listed)


def optional_dataset_fields() -> frozenset[str]:
    """Fields of data sets' configurations that some task reads and another does not."""
    field_sets = [TASKS[name].dataset_fields for name in TASKS]
    return frozenset().union(*field_sets)


register_task(
    TaskSpec(
        name="image-classification",
        implementation="tfdl.tasks.image_classification:ImageClassification",
        model="cnn",
        dataset="digits",
        roles=("image", "label"),
        dataset_fields=_CLASS_FIELDS | {"image_size", "augmentation", "image_column"},
    )
)
register_task(
    TaskSpec(
        name="text-classification",
        implementation="tfdl.tasks.text_classification:TextClassification",
        model="rnn",
        dataset="docstrings",
        roles=("text", "label"),
        dataset_fields=_TEXT_FIELDS | _CLASS_FIELDS | {"text_column"},
        reads_tokens=True,
        pads_texts=True,
    )
)
register_task(
    TaskSpec(
        name="language-modeling",
        implementation="tfdl.tasks.language_modeling:LanguageModeling",
        model="transformer",
        dataset="python_topics",
        roles=("text",),
        dataset_fields=_TEXT_FIELDS | {"text_column"},
        reads_tokens=True,
    )
)
register_task(
    TaskSpec(
        name="translation",
        implementation="tfdl.tasks.translation:Translation",
        model="transformer",
        dataset="dates",
        roles=("source", "target"),
        dataset_fields=_TEXT_FIELDS | {"source_column", "target_column"},
        reads_tokens=True,
        pads_texts=True,
    )
)
register_task(
    TaskSpec(
        name="supervised",
        implementation="tfdl.tasks.supervised:Supervised",
        model="keras",
        dataset="python",
        roles=("x", "y"),
    ),
    is_listed=False,
)
