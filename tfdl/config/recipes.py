"""How long and how fast to train if the user does not set it: what was found to work for a task and a model family."""

from collections.abc import Mapping
from typing import Any

DEFAULTS: Mapping[str, Any] = {"epochs": 20, "batch_size": 64, "xla": "off", "optimizer": {"name": "adam"}}
"""For a task and family without a recipe, and for what a recipe leaves open."""

# The user sets a warm-up in steps or in epochs: either replaces both of the recipe's.
_WARM_UPS = {"warmup_epochs", "warmup_steps"}


def recipe(recipes: Mapping[str, Mapping[str, Any]], task: str) -> dict[str, Any]:
    """``epochs``, ``batch_size``, ``xla`` and ``optimizer`` of a run that sets none of them.

    Args:
        recipes: of the model family, by task (``ModelConfig.recipes``).
        task: the run's task.
    """
    return {**DEFAULTS, **recipes.get(task, {})}


def optimizer_fields(chosen: Mapping[str, Any], suggested: Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    """An optimizer's fields: the user's, and the recipe's unless the user chose another optimizer.

    Args:
        chosen: the user's.
        suggested: the recipe's.
        steps: the length of the run, if it is counted in steps: it may be shorter than a warm-up, so it has none of the
            recipe's.
    """
    if chosen.get("name", suggested["name"]) != suggested["name"]:
        suggested = {}
    replaces_warm_up = steps is not None or bool(_WARM_UPS & set(chosen))
    omitted = _WARM_UPS if replaces_warm_up else set()
    kept = {name: value for name, value in suggested.items() if name not in omitted}
    fields = {**kept, **chosen}
    schedule = chosen.get("schedule")
    if isinstance(schedule, Mapping) and "name" not in schedule:
        fields["schedule"] = {**_as_section(suggested.get("schedule", "constant")), **schedule}
    return fields


def _as_section(schedule: Any) -> Mapping[str, Any]:
    return {"name": schedule} if isinstance(schedule, str) else schedule
