"""Recipes: epochs, batch size, XLA and optimizer of runs that do not set them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfdl.config.mapping import to_mapping
from tfdl.errors import UserError

DEFAULTS: Mapping[str, Any] = {"epochs": 20, "batch_size": 64, "xla": "off", "optimizer": {"name": "adam"}}
"""For a task and model family without a recipe, and for what a recipe does not set."""

# The user sets a warm-up in steps or in epochs: either replaces both of the recipe's.
_WARM_UPS = {"warmup_epochs", "warmup_steps"}


def recipe(recipes: Mapping[str, Mapping[str, Any]], task: str, model: str) -> dict[str, Any]:
    """``epochs``, ``batch_size``, ``xla`` and ``optimizer`` (a mapping with a name) of a run that sets none of them.

    Args:
        recipes: of the model family, by task (``ModelConfig.recipes``).
        task: the run's task.
        model: the family's name, for the message.

    Raises:
        UserError: the family's recipe has another key.
    """
    suggested = recipes.get(task, {})
    for key in suggested:
        if key not in DEFAULTS:
            raise UserError(
                f"the recipe of the model {model!r} for {task} has the key {key!r}, expected one of"
                f" {', '.join(DEFAULTS)}"
            )
    merged = {**DEFAULTS, **suggested}
    merged["optimizer"] = {**DEFAULTS["optimizer"], **_as_section(merged["optimizer"])}
    return merged


def optimizer_fields(chosen: Mapping[str, Any], suggested: Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    """An optimizer's fields: the user's, and the recipe's unless the user chose another optimizer.

    Args:
        chosen: the user's.
        suggested: the recipe's.
        steps: the length of a run that is counted in steps. Such a run may be shorter than a warm-up, so the recipe's
            warm-up is left out.
    """
    is_other_optimizer = chosen.get("name", suggested["name"]) != suggested["name"]
    if is_other_optimizer:
        suggested = {}
    replaces_warm_up = steps is not None or bool(_WARM_UPS & set(chosen))
    omitted = _WARM_UPS if replaces_warm_up else set()
    kept = {name: value for name, value in suggested.items() if name not in omitted}
    fields = {**kept, **chosen}
    schedule = chosen.get("schedule")
    if isinstance(schedule, Mapping) and "name" not in schedule:
        fields["schedule"] = {**_as_section(suggested.get("schedule", "constant")), **schedule}
    return fields


def _as_section(part: Any) -> Mapping[str, Any]:
    """A part that is given by name, by its fields or by its configuration, as a mapping."""
    if isinstance(part, str):
        return {"name": part}
    section: Mapping[str, Any] = to_mapping(part) if dataclasses.is_dataclass(part) else part
    return section
