"""The runs that the soak programs kill, stop and resume: small models that together use all that a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfdl.config import TrainConfig, compose

_IMAGES = {
    "model.filters": [8],
    "model.units": 16,
    "model.dropout": 0.25,
    "dataset.image_size": [12, 12],
    "dataset.augmentation": ["affine", "cutmix"],
    "batch_size": 64,
    "steps_per_execution": 5,
    "xla": "off",
}
_TEXTS = {
    "task": "language-modeling",
    "dataset": {
        "name": "python_topics",
        "train_split": "train[1:10]",
        "validation_split": "validation[:1]",
        "test_split": "test[:3]",
        "sequence_length": 32,
    },
    "optimizer": {"name": "adam", "learning_rate": 0.01, "schedule": "constant"},
    "batch_size": 16,
    "steps_per_execution": 5,
    "xla": "off",
}
_LSTM = {"model.name": "rnn", "model.cell": "lstm", "model.units": 32, "model.num_layers": 2, "model.dropout": 0.2}
_TRANSFORMER = {
    "model.name": "transformer",
    "model.hidden_dim": 32,
    "model.num_heads": 2,
    "model.num_layers": 1,
    "model.dropout": 0.2,
    "optimizer": {"name": "adamw", "learning_rate": 0.003, "schedule": "cosine", "warmup_steps": 20},
    "optimizer.ema_momentum": 0.99,
    "accumulation_steps": 2,
}


@dataclass(frozen=True)
class Case:
    """A run to kill."""

    steps: int
    """Of the whole run: a few seconds."""
    layers: tuple[dict[str, Any], ...]
    """Of its configuration."""


CASES = {
    "CNN, augmentation, batch normalization": Case(400, (_IMAGES,)),
    "LSTM, carried state": Case(150, (_TEXTS, _LSTM)),
    "Transformer, dropout, accumulation, EMA, schedule": Case(150, (_TEXTS, _TRANSFORMER)),
    "CNN in bfloat16": Case(400, (_IMAGES, {"precision": "mixed_bfloat16"})),
}


def config_of(name: str, checkpoint_steps: int, *changes: Mapping[str, Any]) -> TrainConfig:
    """The configuration of a case.

    Args:
        name: of the case.
        checkpoint_steps: steps between two checkpoints.
        *changes: layers that come last.
    """
    case = CASES[name]
    length = {"steps": case.steps, "epochs": None, "checkpoint_steps": checkpoint_steps}
    return compose(*case.layers, length, *changes)
