"""``--plugin``: modules of the user that a command imports."""

import os
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import click


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--plugin MODULE``, repeatable."""
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="MODULE",
        help="Import a module that registers models, tasks and other parts (docs/extending.md); repeatable.",
    )(command)


def load_parts(plugins: Sequence[str]) -> None:
    """Imports the plugins of ``TFDL_PLUGINS`` and of installed packages, then those of the command line.

    Args:
        plugins: the modules that the command line names.

    Raises:
        UserError: one of them cannot be imported.
    """
    from tfdl.plugins import ENTRY_POINT_GROUP, ENVIRONMENT_VARIABLE, load_installed_plugins, load_plugin

    if plugins or os.environ.get(ENVIRONMENT_VARIABLE) or metadata.entry_points(group=ENTRY_POINT_GROUP):
        # Most plugins import Keras. This imports it first, without its notices.
        from tfdl.cli.quiet import quick_start

        quick_start()
    load_installed_plugins()
    for name in plugins:
        load_plugin(name)


def split_model(model: str | None) -> tuple[str | None, str | None]:
    """Splits ``MODULE:NAME`` into the module and the model's name. The module of a plain name is None.

    Raises:
        UserError: the module or the name is empty.
    """
    if model is None or ":" not in model:
        return None, model
    from tfdl.errors import UserError

    module, _, name = model.partition(":")
    if not module or not name:
        raise UserError(f"--model {model!r}, expected a name, or MODULE:NAME such as my_parts:mlp")
    return module, name
