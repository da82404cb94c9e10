"""Declared parts by name.

A part is a model family, a task, an optimizer, a schedule, a data set, a tokenizer or an augmentation. Its declaration
is a frozen configuration and the place of its implementation, which is imported when the part is first used. tfdl
registers its own parts in the same way as a user.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from tfdl.errors import UserError, nearest

Declaration = TypeVar("Declaration")

# The plugin that is being imported, which provides the parts that are registered meanwhile.
_importing: ContextVar[str | None] = ContextVar("importing", default=None)


@dataclass(frozen=True)
class Part(Generic[Declaration]):
    """One declared part."""

    name: str
    declaration: Declaration
    """The configuration class, or the specification."""
    implementation: Any
    """``"module:attribute"``, which is imported when the part is first used, or the object itself."""
    is_listed: bool
    """Whether listings and choices show the part."""
    provider: str
    """The plugin that registered the part, or the module of a script that registered it."""

    def load(self) -> Any:
        """Returns the implementation, which is imported now if it was not before.

        Raises:
            UserError: the module cannot be imported, or does not have the attribute.
        """
        if not isinstance(self.implementation, str):
            return self.implementation
        module_name, _, attribute = self.implementation.partition(":")
        try:
            return getattr(import_module(module_name), attribute)
        except (ImportError, AttributeError) as error:
            if self.provider == "tfdl":
                raise
            raise UserError(
                f"{self.name!r} of {self.provider!r} is implemented by {self.implementation!r}, which cannot be"
                f" imported ({type(error).__name__}: {error})"
            ) from error


class Registry(Generic[Declaration]):
    """All parts of one kind, by name, in the order in which they were registered.

    Args:
        kind: what a part is called in messages, such as ``"model"``.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._parts: dict[str, Part[Declaration]] = {}

    def register(self, name: str, declaration: Declaration, implementation: Any, *, is_listed: bool = True) -> None:
        """Adds a part. The same declaration may be registered again (a notebook's cell that runs twice).

        Args:
            name: how configurations name the part.
            declaration: its configuration class or specification.
            implementation: ``"module:attribute"``, or the object itself.
            is_listed: whether listings and choices show it; False for parts that only Python code can use.

        Raises:
            ValueError: the name is not a plain name, it is taken, or the implementation has no colon.
        """
        is_plain_name = isinstance(name, str) and name.replace("-", "_").replace(".", "_").isidentifier()
        if not is_plain_name:
            raise ValueError(
                f"{self.kind} name {name!r}, expected a letter, then letters, digits, '-', '_' or '.', such as"
                f" 'my-{self.kind}'"
            )
        if isinstance(implementation, str) and not all(implementation.partition(":")):
            raise ValueError(
                f"{self.kind} {name!r} is implemented by {implementation!r}, expected 'module:attribute' or an object"
            )
        part = Part(name, declaration, implementation, is_listed, _provider_of(declaration, implementation))
        registered = self._parts.get(name)
        if registered is not None and not _is_same_declaration(registered, part):
            raise ValueError(
                f"{self.kind} {name!r} is registered already, by {registered.provider!r}; choose another name"
            )
        self._parts[name] = part

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        """The names of all listed parts, in the order of registration."""
        return iter(self.names)

    def __getitem__(self, name: str) -> Declaration:
        """The declaration of a registered part."""
        return self._parts[name].declaration

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all listed parts, in the order of registration."""
        return tuple(name for name, part in self._parts.items() if part.is_listed)

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """The declarations of all parts, listed or not."""
        return tuple(part.declaration for part in self._parts.values())

    def part(self, name: str) -> Part[Declaration]:
        """A registered part.

        Raises:
            UserError: no part has this name.
        """
        if name not in self._parts:
            raise UserError(f"unknown {self.kind} {name!r}, expected one of {', '.join(self)}.{nearest(name, self)}")
        return self._parts[name]

    def get(self, name: object) -> Declaration | None:
        """The declaration of a part, or None if no part has this name."""
        if not isinstance(name, str) or name not in self._parts:
            return None
        return self._parts[name].declaration

    def load(self, name: str) -> Any:
        """The implementation of a registered part, which is imported now if it was not before.

        Raises:
            UserError: no part has this name, or its module cannot be imported.
        """
        return self.part(name).load()


@contextmanager
def providing(plugin: str) -> Iterator[None]:
    """Parts that are registered within the block belong to ``plugin``."""
    token = _importing.set(plugin)
    try:
        yield
    finally:
        _importing.reset(token)


def _provider_of(declaration: Any, implementation: Any) -> str:
    """The plugin that is being imported, else the module of the declaration's class, else the one that registers it.

    An implementation that is only named is not imported yet, so its module cannot stand for the part.
    """
    plugin = _importing.get()
    if plugin is not None:
        return plugin
    # A TaskSpec is an object of tfdl, whoever declares the task.
    module = declaration.__module__ if isinstance(declaration, type) else "tfdl"
    if _is_of_tfdl(module):
        module = _registering_module() if isinstance(implementation, str) else implementation.__module__
    if module == "__main__":
        return script_name()
    return "tfdl" if _is_of_tfdl(module) else str(module)


def _registering_module() -> str:
    """The module whose code called ``register``, or one of tfdl's functions around it, such as ``register_task``."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "__main__"))
        is_around_register = _is_of_tfdl(module) and frame.f_code.co_name.startswith(("register", "_"))
        if not is_around_register:
            return module
        frame = frame.f_back
    return "__main__"


def _is_of_tfdl(module: str) -> bool:
    return module.partition(".")[0] == "tfdl"


def script_name() -> str:
    """The name by which another process could import the running script: its file's name without the suffix."""
    main = sys.modules.get("__main__")
    specification = getattr(main, "__spec__", None)
    if specification is not None:
        return str(specification.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def _is_same_declaration(registered: Part[Any], again: Part[Any]) -> bool:
    return _identity(registered) == _identity(again)


def _identity(part: Part[Any]) -> tuple[str, ...]:
    """Equal for two declarations by the same code, which may have run twice."""
    declaration = part.declaration
    if isinstance(declaration, type):
        return part.provider, declaration.__module__, declaration.__qualname__
    return part.provider, type(declaration).__qualname__
