"""Public names of a package that load their modules when they are first used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's ``__getattr__`` for public names that other modules define.

    Args:
        package: the package's name, for the error.
        modules: public name -> the module that defines it.

    Returns:
        A function that loads a name, or raises ``AttributeError``.
    """

    def find(name: str) -> Any:
        if name in modules:
            return getattr(import_module(modules[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
