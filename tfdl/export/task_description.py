"""What a program that uses an exported model must know of its task."""

from typing import Any

from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Task, TextTask
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation


def described_task(task: Task) -> dict[str, Any]:
    """The task's name, its classes, and how its texts become tokens.

    Args:
        task: of the run.
    """
    described: dict[str, Any] = {"task": task.name}
    if task.class_names:
        described["class_names"] = list(task.class_names)
    if isinstance(task, TextTask):
        described["tokenizer"] = task.tokenizer.name
        described["tokens"] = described_tokens(task)
    return described


def described_tokens(task: TextTask) -> dict[str, int | None]:
    """The special tokens, what stands before and after the model's texts, and how long they are at most with these.

    Args:
        task: of the run.
    """
    tokenizer = task.tokenizer
    longest = before = after = None
    if isinstance(task, TextClassification):
        longest = task.longest
        before = task.frame.before
        after = task.frame.after
    elif isinstance(task, LanguageModeling):
        longest = None if task.carries_state else task.sequence_length
        before = task.begin_id
    elif isinstance(task, Translation):
        longest = task.longest
        after = tokenizer.end_id
    special = {"start_id": tokenizer.start_id, "end_id": tokenizer.end_id, "pad_id": tokenizer.pad_id}
    return {**special, "longest": longest, "before": before, "after": after}
