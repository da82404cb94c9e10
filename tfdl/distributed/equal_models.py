"""Checks that the ranks have equal models and equally many steps, before they train."""

from typing import Any

from tfdl.errors import UserError


def describe_variables(variables: list[Any]) -> list[tuple[str, str]]:
    """Returns shape and dtype, and the name, of each variable."""
    return [(f"{tuple(variable.shape)} {variable.dtype}", variable.path) for variable in variables]


def check_equal_models(everyone: list[list[tuple[str, str]]]) -> None:
    """Compares the ranks' variables. Names may differ, as Keras counts them; shapes and order may not.

    Raises:
        UserError: names the first variable that differs.
    """
    first = everyone[0]
    for rank, found in enumerate(everyone):
        for place in range(max(len(first), len(found))):
            mine, theirs = ([*variables, *[("nothing", "the end")] * place][place] for variables in (first, found))
            if mine[0] != theirs[0]:
                raise UserError(
                    f"the ranks' models differ: rank 0 has {mine[0]} ({mine[1]}) where rank {rank} has {theirs[0]}"
                    f" ({theirs[1]}); build and freeze the same layers on every rank, and load a checkpoint on all of"
                    " them or on none"
                )


def check_steps(everyone: list[int | None]) -> None:
    """Compares the ranks' numbers of steps in an epoch; ``None`` where a rank does not know it.

    Raises:
        UserError: they differ.
    """
    if len(set(everyone)) == 1:
        return
    numbers = ["an unknown number" if steps is None else f"{steps:,}" for steps in everyone]
    shown = ", ".join(f"rank {rank} has {number}" for rank, number in enumerate(numbers))
    raise UserError(
        f"the ranks have different numbers of steps in an epoch ({shown}), so some would wait for the others for"
        " ever; give every rank equally many batches, or fit(steps_per_epoch=...)"
    )
