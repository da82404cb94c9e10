"""Which variables of a model are trained."""

import math
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tfdl.errors import UserError, nearest

_EXCEPT = "!"
_SHOWN = 6


def matching(model: Any, patterns: Sequence[str], beginning: Collection[str] = ()) -> set[str]:
    """The paths of the variables that patterns name.

    A pattern names variables by their path (``block_1/attention/query_key_value/kernel``), or a layer, with all that is
    in it, by its path or name (``block_1``, ``attention``). ``*`` and ``?`` stand for any characters. A pattern after
    ``!`` takes away again what it names.

    Args:
        model: a built model.
        patterns: in the order in which they apply.
        beginning: paths that are named before the first pattern.

    Raises:
        UserError: a pattern names nothing.
    """
    paths = [variable.path for variable in model.weights]
    found = set(beginning)
    for pattern in patterns:
        name = pattern.removeprefix(_EXCEPT)
        named = {path for path in paths if _names(name, path)}
        if not named:
            layers = list(dict.fromkeys(part for path in paths for part in path.split("/")[:-1]))
            shown = ", ".join(list(dict.fromkeys(path.split("/")[0] for path in paths))[:_SHOWN])
            raise UserError(
                f"--freeze {pattern!r} names no layer and no variable of the model, expected one such as {shown}."
                f"{nearest(name, layers)}"
            )
        found = found - named if pattern.startswith(_EXCEPT) else found | named
    return found


def freeze(model: Any, frozen: Collection[str]) -> None:
    """Makes variables untrainable. A layer without any other variable is frozen as a whole.

    Batch normalization then uses its moving statistics, also in training.

    Args:
        model: a built model.
        frozen: the paths of the variables.

    Raises:
        UserError: no variable is left to train.
    """
    for layer in model._flatten_layers():
        paths = {variable.path for variable in layer.weights}
        if layer is not model and paths and paths <= set(frozen):
            layer.trainable = False
    for variable in model.weights:
        if variable.path in frozen:
            variable.trainable = False
    if not model.trainable_variables:
        raise UserError("all variables are frozen, expected some to train; leave out --freeze, or add '!LAYER'")


def training_note(model: Any) -> str:
    """How many parameters are trained, and in which layers.

    Args:
        model: a built model, some of which is frozen.
    """
    trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    total = model.count_params()
    layers = list(dict.fromkeys(variable.path.rsplit("/", 1)[0] for variable in model.trainable_variables))
    shown = ", ".join(layers[:_SHOWN])
    more = f" and {len(layers) - _SHOWN} more" if len(layers) > _SHOWN else ""
    return f"trains {trained:,} of {total:,} parameters ({trained / total:.2%}): {shown}{more}"


def _names(pattern: str, path: str) -> bool:
    return any(fnmatchcase(path, form) for form in (pattern, f"{pattern}/*", f"*/{pattern}", f"*/{pattern}/*"))
