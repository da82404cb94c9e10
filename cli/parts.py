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


def load_parts_and_model(plugins: Sequence[str], model: str | None) -> tuple[tuple[str, ...], str | None]:
    """Imports what ``load_parts`` imports, and the module of ``MODULE:NAME``.

    Args:
        plugins: the modules that ``--plugin`` names.
        model: a model's name, ``MODULE:NAME``, or None.

    Returns:
        All modules that the command line named, and the model's name alone.

    Raises:
        UserError: a module cannot be imported, or it registers no model of this name.
    """
    if model is None or ":" not in model:
        load_parts(plugins)
        return tuple(plugins), model
    from tfdl.cli.quiet import quick_start
    from tfdl.errors import UserError
    from tfdl.plugins import load_plugin

    module, _, name = model.partition(":")
    if not module or not name:
        raise UserError(f"--model {model!r}, expected a name, or MODULE:NAME such as my_parts:mlp")
    quick_start()
    load_parts(plugins)
    load_plugin(module, "--model")
    _check_registers(module, name)
    return (*plugins, module), name


def _check_registers(module: str, name: str) -> None:
    """Raises ``UserError`` if no module of the user registered a model of this name."""
    from tfdl.config import MODELS, PRESETS
    from tfdl.errors import UserError, nearest

    families = [config.name for config in MODELS.declarations]
    provided = [family for family in families if MODELS.part(family).provider != "tfdl"]
    provided += [preset.name for preset in PRESETS.values() if preset.config.name in provided]
    if name not in provided:
        known = f"expected one of {', '.join(provided)}" if provided else "and no other; call tfdl.register_model in it"
        advice = nearest(name, provided)
        raise UserError(f"--model '{module}:{name}': the module registers no model {name!r}, {known}.{advice}")
