"""``--plugin``: the user's modules that a command may import."""

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
    """Imports the plugins that the command line, the environment and installed packages name.

    Raises:
        UserError: one of them cannot be imported.
    """
    from tfdl.plugins import ENTRY_POINT_GROUP, ENVIRONMENT_VARIABLE, load_installed_plugins, load_plugin

    if plugins or os.environ.get(ENVIRONMENT_VARIABLE) or metadata.entry_points(group=ENTRY_POINT_GROUP):
        # Most plugins import Keras: this way it starts without its notices.
        from tfdl.cli.quiet import quick_start

        quick_start()
    load_installed_plugins()
    for name in plugins:
        load_plugin(name)


def split_model(model: str | None) -> tuple[str | None, str | None]:
    """``MODULE:NAME`` to the module and the model's name; a plain name has no module.

    Raises:
        UserError: one of the two is empty.
    """
    if model is None or ":" not in model:
        return None, model
    from tfdl.errors import UserError

    module, _, name = model.partition(":")
    if not module or not name:
        raise UserError(f"--model {model!r}, expected a name, or MODULE:NAME such as my_parts:mlp")
    return module, name
