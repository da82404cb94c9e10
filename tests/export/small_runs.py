"""Runs with random weights, made in milliseconds. What they answer does not matter, only that exports agree."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfdl.config import compose
from tfdl.data.tokenizers import ByteTokenizer
from tfdl.interop.imported_run import write_imported_run
from tfdl.models import build_model, compute_precision
from tfdl.runs import RunDirectory
from tfdl.tasks import ImageClassification, LanguageModeling, Task, TextClassification, Translation

CLASSES = ("no", "yes", "Hündin")
LONGEST = 12
TASKS: dict[str, Task] = {
    "image-classification": ImageClassification((8, 8, 3), CLASSES, resized=True),
    "text-classification": TextClassification(ByteTokenizer(), CLASSES, LONGEST),
    "language-modeling": LanguageModeling(ByteTokenizer(), LONGEST),
    "translation": Translation(ByteTokenizer(), LONGEST),
}
_TRANSFORMER = {"name": "transformer", "hidden_dim": 16, "num_heads": 2, "num_layers": 1, "sequence_length": LONGEST}
_LLAMA = {"positions": "rotary", "normalization": "rms", "sliding_window": 4}
_RNN = {"name": "rnn", "units": 8, "embedding_dim": 4}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn": ("image-classification", {"name": "cnn", "filters": [4], "units": 8}),
    "resnet": ("image-classification", {"name": "resnet", "blocks": [1, 1], "filters": [4, 8]}),
    "vit": ("image-classification", {**_TRANSFORMER, "patch_size": 4, "pooling": "first"}),
    "encoder": ("text-classification", {**_TRANSFORMER}),
    "rnn-classifier": ("text-classification", {**_RNN}),  # a GRU in both directions
    "simple-classifier": ("text-classification", {**_RNN, "cell": "simple", "num_layers": 2}),
    "decoder": ("language-modeling", {**_TRANSFORMER}),
    "llama": (
        "language-modeling",
        {**_TRANSFORMER, "positions": "rotary", "normalization": "rms", "sliding_window": 4},
    ),
    "lstm": ("language-modeling", {**_RNN, "num_layers": 2}),
    "gru": ("language-modeling", {**_RNN, "cell": "gru", "num_layers": 1}),
    "translator": ("translation", {**_TRANSFORMER}),
}
"""Every family and task: the task, and the model's configuration."""


def small_run(folder: Path, name: str, changes: dict[str, Any] | None = None) -> RunDirectory:
    """Writes a run.

    Args:
        folder: that does not exist.
        name: in ``MODELS``.
        changes: of the configuration.
    """
    task_name, model_fields = MODELS[name]
    fields = {f"model.{key}": value for key, value in model_fields.items()}
    config = compose({"task": task_name, **fields}, changes or {})
    task = TASKS[task_name]
    if isinstance(task, LanguageModeling):
        task = LanguageModeling(task.tokenizer, LONGEST, config.model.carries_state)
    keras.utils.set_random_seed(0)
    with compute_precision(config.precision):
        model = build_model(config.model, **task.model_arguments)
    random = np.random.default_rng(0)
    for variable in model.weights:  # also of what begins as 0 or 1; variances stay positive
        variable.assign(variable + 0.1 * random.uniform(0, 1, variable.shape))
    folder.mkdir(parents=True)
    run = RunDirectory(folder)
    write_imported_run(run, config, task, model, {"source": "a test"})
    return run
