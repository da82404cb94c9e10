"""A small model of each family and task, with random weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import tfdl
from tfdl.config import compose
from tfdl.data.tokenizers import ByteTokenizer
from tfdl.interop.imported_run import write_imported_run
from tfdl.models import compute_precision
from tfdl.runs import RunDirectory
from tfdl.tasks import ImageClassification, LanguageModeling, TextClassification, Translation
from tfdl.tasks.pixel_scaling import PixelScaling

BYTES = ByteTokenizer()
NAMES = ("no", "yes", "Hündin")
TRANSFORMER = {"name": "transformer", "num_layers": 1, "hidden_dim": 16, "num_heads": 2, "sequence_length": 12}

SCALING = PixelScaling((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))

TASKS = {
    "images": lambda: ImageClassification((8, 8, 3), NAMES, resized=False, scaling=SCALING),
    "texts": lambda: TextClassification(BYTES, NAMES, 12),
    "texts-with-end": lambda: TextClassification(BYTES, NAMES, 12, has_end=True),
    "language": lambda: LanguageModeling(BYTES, 12),
    "translation": lambda: Translation(BYTES, 12, longest_written=6),
}
# Name -> task, and fields of the model.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn": ("images", {"name": "cnn", "filters": [4], "units": 8}),
    "cnn-plain": ("images", {"name": "cnn", "filters": [4], "units": 8, "batch_normalization": False, "dropout": 0.5}),
    "resnet-identity": ("images", {"name": "resnet", "blocks": [1, 1], "filters": [4, 8]}),
    "resnet-bottleneck": (
        "images",
        {"name": "resnet", "block": "bottleneck", "blocks": [1, 1], "filters": [4, 8], "shortcut": "projection"},
    ),
    "vit": ("images", {**TRANSFORMER, "architecture": "encoder", "patch_size": 4}),
    "vit-class-token": ("images", {**TRANSFORMER, "architecture": "encoder", "patch_size": 4, "pooling": "first"}),
    "lstm-texts": ("texts", {"name": "rnn", "cell": "lstm", "units": 8, "num_layers": 1, "bidirectional": False}),
    "simple-texts": ("texts", {"name": "rnn", "cell": "simple", "units": 8, "num_layers": 2}),
    "gru-both-ways": ("texts", {"name": "rnn", "cell": "gru", "units": 8, "num_layers": 1, "bidirectional": True}),
    "encoder": ("texts", {**TRANSFORMER, "architecture": "encoder", "dropout": 0.1, "attention_dropout": 0.1}),
    "bert": (
        "texts-with-end",
        {
            **TRANSFORMER, "architecture": "encoder", "activation": "gelu_exact", "norm_first": False,
            "pooling": "first", "num_segments": 2, "separator_id": 9,
        },
    ),
    "lstm": ("language", {"name": "rnn", "cell": "lstm", "units": 8, "num_layers": 1, "dropout": 0.1}),
    "gru": ("language", {"name": "rnn", "cell": "gru", "units": 8, "num_layers": 1, "tie_embeddings": True}),
    "simple": ("language", {"name": "rnn", "cell": "simple", "units": 8, "num_layers": 1}),
    "gpt2": ("language", TRANSFORMER),
    "llama": (
        "language",
        {
            **TRANSFORMER, "num_heads": 4, "num_key_value_heads": 2, "positions": "rotary", "rotary_scaling": "yarn",
            "rotary_scaling_factor": 2.0, "normalization": "rms", "activation": "swiglu", "use_bias": False,
            "sliding_window": 5, "tie_embeddings": False,
        },
    ),
    "translation": (
        "translation",
        {**TRANSFORMER, "architecture": "encoder-decoder", "positions": "sinusoidal", "scale_embeddings": True,
         "activation": "relu"},
    ),
}  # fmt: skip


def task_and_config(name: str, changes: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """The task of one of ``MODELS``, and a run's configuration.

    Args:
        name: a key of ``MODELS``.
        changes: of the configuration.
    """
    task_name, model = MODELS[name]
    task = TASKS[task_name]()
    config = compose({"task": task.name, "model": model}, dict(changes or {}))
    if isinstance(task, LanguageModeling):
        task.carries_state = config.model.carries_state
    return task, config


def small_model(config: Any, task: Any) -> Any:
    """The model with random weights: all of them matter to its answers.

    Args:
        config: of the run.
        task: of the run.
    """
    with compute_precision(config.precision):
        model = tfdl.build_model(config.model, **task.model_arguments)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        values = np.asarray(variable) + 0.3 * generator.normal(size=variable.shape)
        variable.assign(np.abs(values) if "variance" in variable.path else values)
    return model


def small_run(name: str, folder: Path, changes: Mapping[str, Any] | None = None) -> RunDirectory:
    """A run of one of ``MODELS`` that was not trained.

    Args:
        name: a key of ``MODELS``.
        folder: to make.
        changes: of the configuration.
    """
    task, config = task_and_config(name, changes)
    run = RunDirectory(folder)
    write_imported_run(run, config, task, small_model(config, task), {"source": "a test"})
    return run
