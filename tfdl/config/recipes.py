"""How long and how fast to train, where nobody says: what was found to work for a task and a family of models."""

from collections.abc import Mapping
from typing import Any

DEFAULTS: Mapping[str, Any] = {"epochs": 20, "batch_size": 64, "xla": "off", "optimizer": {"name": "adam"}}
"""For what has no recipe, and for what a recipe is silent about."""

# (task, family) -> fields of a ``TrainConfig``; what was measured stands in docs/tasks.md.
_RECIPES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("language-modeling", "transformer"): {
        "epochs": 9,
        "batch_size": 16,
        "xla": "on",
        "optimizer": {
            "name": "adamw",
            "learning_rate": 0.003,
            "schedule": "cosine",
            "warmup_epochs": 0.5,
            "final_fraction": 0.1,
            "beta_2": 0.99,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
        },
    },
    ("language-modeling", "rnn"): {
        "epochs": 8,
        "batch_size": 20,
        "optimizer": {
            "name": "adam",
            "learning_rate": 0.004,
            "schedule": "cosine",
            "final_fraction": 0.1,
            "clip_norm": 1.0,
        },
    },
    ("text-classification", "rnn"): {
        "epochs": 8,
        "optimizer": {"name": "adam", "learning_rate": 0.003, "schedule": "cosine", "clip_norm": 1.0},
    },
    ("text-classification", "transformer"): {
        "epochs": 8,
        "optimizer": {"name": "adam", "schedule": "cosine", "warmup_epochs": 1, "clip_norm": 1.0},
    },
    ("translation", "transformer"): {
        "epochs": 4,
        "optimizer": {
            "name": "adam",
            "learning_rate": 0.001,
            "schedule": "cosine",
            "warmup_epochs": 0.5,
            "clip_norm": 1.0,
        },
    },
}
# A warm-up is given in steps or in epochs: whoever gives one of the two takes the other's place.
_WARM_UPS = {"warmup_epochs", "warmup_steps"}


def recipe(task: str, family: str) -> dict[str, Any]:
    """What a run takes for ``epochs``, ``batch_size``, ``xla`` and ``optimizer`` where it is not told."""
    return {**DEFAULTS, **_RECIPES.get((task, family), {})}


def optimizer_fields(given: Mapping[str, Any], suggested: Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    """The fields of an optimizer: those given, and the recipe's unless another optimizer was chosen.

    A run of so many ``steps`` may be shorter than a warm-up, so it has none of the recipe's.
    """
    if given.get("name", suggested["name"]) != suggested["name"]:
        return dict(given)
    left_out = _WARM_UPS if steps is not None or _WARM_UPS & set(given) else set()
    return {**{name: value for name, value in suggested.items() if name not in left_out}, **given}
