"""``--callback``: callbacks of the user that watch a training."""

from collections.abc import Callable, Sequence
from typing import Any

import click

OPTION = "--callback"


def callback_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--callback MODULE:NAME``, repeatable."""
    return click.option(
        OPTION,
        "callbacks",
        multiple=True,
        metavar="MODULE:NAME",
        help="A callback, or a function that returns some, such as a tracker's (docs/trackers.md); repeatable.",
    )(command)


def load_callbacks(names: Sequence[str]) -> list[Any]:
    """Imports modules and calls what makes their callbacks, without arguments.

    Args:
        names: ``MODULE:NAME`` of a class or function. It returns a callback, a list of them, or None.

    Raises:
        UserError: there is no such module or name, or the call fails.
    """
    callbacks: list[Any] = []
    for name in names:
        made = _made(name)
        if isinstance(made, list | tuple):
            callbacks += made
        elif made is not None:
            callbacks.append(made)
    return callbacks


def _made(name: str) -> Any:
    import sys

    from tfdl.cli.quiet import quick_start
    from tfdl.errors import UserError, named_cause, nearest
    from tfdl.plugins import load_plugin

    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UserError(f"{OPTION} {name!r}, expected MODULE:NAME such as my_tracking:callbacks")
    quick_start()
    load_plugin(module_name, OPTION)
    module = sys.modules[module_name]
    make = getattr(module, attribute, None)
    if make is not None and not callable(make):
        raise UserError(
            f"{OPTION} {name!r}: {attribute!r} has the type {type(make).__name__}, expected a class or function"
        )
    if make is None:
        own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", "") == module_name}
        known = [key for key, value in own.items() if callable(value)]
        expected = f"expected one of {', '.join(known)}" if known else "expected a class or function"
        raise UserError(f"{OPTION} {name!r}: the module has no {attribute!r}, {expected}.{nearest(attribute, known)}")
    try:
        return make()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{OPTION} {name!r}: calling it failed: {named_cause(error)}") from error
