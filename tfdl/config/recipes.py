"""How long, and at which learning rate, a model learns something worth looking at; holds where the user says nothing.

A data set's own recipe is in ``config/dataset.py``; a family's shape for a task in its ``task_fields``.
"""

from typing import Any

DEFAULT_EPOCHS = 20

TRAINING: dict[tuple[str, str], dict[str, Any]] = {
    ("text-classification", "rnn"): {"epochs": 8, "optimizer": {"learning_rate": 0.003, "schedule": "cosine"}},
    ("text-classification", "transformer"): {"epochs": 8, "optimizer": {"schedule": "cosine", "warmup_steps": 50}},
    ("translation", "transformer"): {
        "epochs": 6,
        "optimizer": {"learning_rate": 0.002, "schedule": "cosine", "warmup_steps": 200, "clip_norm": 1.0},
    },
}
"""Task and model family -> fields of ``TrainConfig``. Epochs hold without ``steps``; fields of the optimizer for Adam,
unless another optimizer is chosen."""
