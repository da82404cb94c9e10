"""Modules of the user that register parts.

A plugin is imported only where the user named it: by ``--plugin MODULE`` or ``--model MODULE:NAME`` on the command
line, by the environment variable ``TFDL_PLUGINS``, or by installing a package with an entry point of the group
``tfdl.plugins``. A name that is read from a file never imports anything.
"""

import os
import sys
import traceback
from collections.abc import Iterable
from importlib import import_module, metadata
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

from tfdl.errors import UserError
from tfdl.registry import providing, script_name

ENTRY_POINT_GROUP = "tfdl.plugins"
ENVIRONMENT_VARIABLE = "TFDL_PLUGINS"

_loaded: set[str] = set()


def load_installed_plugins() -> None:
    """Imports what ``TFDL_PLUGINS`` and installed entry points name, once in a process.

    The current folder is not searched.

    Raises:
        UserError: a module cannot be imported.
    """
    names = os.environ.get(ENVIRONMENT_VARIABLE, "").split(",")
    for name in filter(None, map(str.strip, names)):
        _load(name, f"{ENVIRONMENT_VARIABLE}: {name!r}")
    for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        package = entry_point.dist.name if entry_point.dist is not None else "an installed package"
        _load(entry_point.module, f"the plugin {entry_point.module!r} of {package}")


def load_plugin(name: str, option: str = "--plugin") -> None:
    """Imports one module that registers parts; the current folder is searched first.

    Args:
        name: the module, such as ``my_parts`` or ``my_package.parts``.
        option: how the user named it, for the message.

    Raises:
        UserError: there is no such module, or its import fails.
    """
    _check_module_name(name, option)
    _load(name, f"{option} {name!r}", folder=os.getcwd())


def is_available(name: str) -> bool:
    """Whether a plugin was loaded, or imported by the running program itself."""
    return name in _loaded or name in sys.modules or name == script_name()


def plugin_at(error: BaseException) -> str:
    """Where in a plugin an error was raised, such as ``the plugin 'my_parts' (my_parts.py, line 12)``; else empty.

    Args:
        error: with its traceback.
    """
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        root = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        plugin = next((name for name in sorted(_loaded) if name.partition(".")[0] == root), None)
        if plugin is not None:
            place = f"the plugin {plugin!r} ({os.path.basename(frame.f_code.co_filename)}, line {line})"
    return place


def require_plugins(names: Iterable[str]) -> None:
    """Raises ``UserError`` if a plugin that a run needs was not imported. A name in a file never imports a module."""
    missing = [name for name in names if not is_available(name)]
    if missing:
        options = " ".join(f"--plugin {name}" for name in missing)
        modules = ", ".join(map(repr, missing))
        raise UserError(
            f"this configuration needs the plugin {modules}, which was not imported; if you trust it, add {options}"
            " (in Python: import it first)"
        )


def _check_module_name(name: str, option: str) -> None:
    if name.endswith(".py") or "/" in name:
        advice = name.removeprefix("./").removesuffix(".py").replace("/", ".")
        raise UserError(f"{option} {name!r} is a path, expected a module's name, such as {advice}")
    is_module_name = all(part.isidentifier() for part in name.split("."))
    if not is_module_name:
        raise UserError(f"{option} {name!r}, expected a module's name, such as my_parts")


def _load(name: str, shown: str, folder: str | None = None) -> None:
    if name in _loaded:
        return
    try:
        with providing(name):
            if folder is None:
                import_module(name)
            else:
                _import_from(folder, name)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        # The plugin itself or its package is missing, and not a module that it imports.
        is_missing = error.name is not None and f"{name}.".startswith(f"{error.name}.")
        if is_missing:
            where = "the current folder or an installed package" if folder else "an installed package"
            raise UserError(f"{shown}: no module {error.name!r}, expected one in {where}") from error
        raise UserError(f"{shown} cannot be imported: it needs the module {error.name!r}") from error
    except Exception as error:
        raise UserError(f"{shown} cannot be imported: {_type_and_message(error)}") from error
    _loaded.add(name)


def _import_from(folder: str, name: str) -> None:
    """Imports a module, from ``folder`` if it is there.

    From then on Python searches the folder last: the module's own imports, and the implementations that it names, may
    be in the folder, but they never replace an installed package.
    """
    if folder not in sys.path:
        sys.path.append(folder)
    root = name.partition(".")[0]
    specification = PathFinder.find_spec(root, [folder])
    # A folder without __init__.py has no loader. It may be any folder of this name, so it is not taken for a package.
    loader = None if specification is None else specification.loader
    if specification is not None and loader is not None and root not in sys.modules:
        module = module_from_spec(specification)
        sys.modules[root] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[root]
            raise
    import_module(name)


def _type_and_message(error: Exception) -> str:
    """The error's type and the first line of its message."""
    kind = type(error).__name__
    lines = str(error).strip().splitlines()
    return f"{kind}: {lines[0]}" if lines else kind
