"""Keras objects as JSON, and back, without ever running code that a file names.

Only Keras's own classes and registered ones (``keras.saving.register_keras_serializable``) are written and read. Keras
itself would import the modules that a file names; here every class must be known already.
"""

import copy
import inspect
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from tfdl.errors import UserError, first_line
from tfdl.registry import script_name

# Modules of Keras whose functions it writes by name alone.
_FUNCTION_MODULES = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
# Values that Keras writes in the form of a class.
_PLAIN_CLASSES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
# Classes of Keras that load programs. Keras refuses some of them itself, as long as its safe mode is on.
_LOADERS = {"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
_REGISTER = "register it with @keras.saving.register_keras_serializable()"


def to_json(value: Any, what: str) -> Any:
    """A Keras object, or lists and mappings of such, as plain data. How a model was compiled is left out.

    Args:
        value: the object.
        what: what it is, for messages: ``"the model"``.

    Raises:
        UserError: a class or function that is not registered, a Lambda layer, or a class whose configuration is
            unknown.
    """
    import keras

    try:
        written = keras.saving.serialize_keras_object(value)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(f"{what} cannot be saved: {first_line(error)}") from error
    written = _plain(written)
    _check(written, what)
    return written


def from_json(written: Any, what: str) -> Any:
    """The inverse of ``to_json``.

    Args:
        written: plain data.
        what: what it is, for messages.

    Raises:
        UserError: a class or function that is not registered in this process, a Lambda layer, or data that Keras cannot
            read.
    """
    import keras

    try:
        _check(written, what)
        # A copy, because Keras takes values out of the configuration of a model within a model.
        return keras.saving.deserialize_keras_object(copy.deepcopy(written), safe_mode=True)
    except UserError:
        raise
    except Exception as error:  # from_config of any class, with values that anyone may have changed
        raise UserError(f"{what} cannot be rebuilt: {first_line(error)}") from error


def check_config(value: Any, what: str) -> None:
    """Checks that an object of a user's class has all of its arguments in its configuration.

    Otherwise another process would rebuild it with default values. An argument may be missing if it has its default
    value, which is seen in the attribute of its name.

    Args:
        value: any object; only Keras objects of a class that is neither Keras's nor tfdl's are checked.
        what: where it is used, for messages.

    Raises:
        UserError: an argument of ``__init__`` is missing in ``get_config()``.
    """
    kind = type(value)
    if not hasattr(value, "get_config") or kind.__module__.partition(".")[0] in ("tfdl", "keras"):
        return
    fix = f"return every argument of {kind.__name__}.__init__ from get_config()"
    try:
        config = value.get_config()
        rebuilt = kind.from_config(config)
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise UserError(f"{what} has a {kind.__name__} that cannot be rebuilt: {first_line(error)}; {fix}") from error
    unknown = object()
    for parameter in inspect.signature(kind.__init__).parameters.values():
        name = parameter.name
        is_named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and name != "self"
        if not is_named or name in config:
            continue
        own = getattr(value, name, unknown)
        if own is unknown or not _are_equal(own, getattr(rebuilt, name, unknown)):
            raise UserError(f"{what} has a {kind.__name__}, whose get_config() lacks its argument {name!r}; {fix}")


def _are_equal(first: Any, second: Any) -> bool:
    """Whether two plain values are equal; False for values that cannot be compared."""
    if not isinstance(first, int | float | str | bool | tuple | list | None):
        return False
    return type(first) is type(second) and bool(first == second)


def provider_modules(written: Any) -> set[str]:
    """The modules of the user that registered classes and functions of ``written``.

    Another process must import them before it reads ``written``.

    Args:
        written: plain data from ``to_json``.
    """
    import keras

    custom_objects = keras.saving.get_custom_objects()
    modules = set()
    for entry in _entries(written):
        registered = custom_objects.get(_registered_name(entry))
        module = getattr(registered, "__module__", "tfdl")
        if module.partition(".")[0] not in ("tfdl", "keras"):
            modules.add(script_name() if module == "__main__" else module)
    return modules


def _entries(written: Any) -> Iterator[Mapping[str, Any]]:
    """Every class and function in plain data."""
    if isinstance(written, Mapping):
        if "class_name" in written and "config" in written:
            yield written
        for value in written.values():
            yield from _entries(value)
    elif isinstance(written, list | tuple):
        for value in written:
            yield from _entries(value)


def _check(written: Any, what: str) -> None:
    import keras

    custom_objects = keras.saving.get_custom_objects()
    for entry in _entries(written):
        name = str(entry["class_name"])
        registered_name = _registered_name(entry)
        if name == "__lambda__" or (name == "Lambda" and registered_name in (None, "Lambda")):
            raise UserError(
                f"{what} has a Lambda layer or function, which runs code when it is read; write a registered class"
            )
        if name in _LOADERS and registered_name not in custom_objects:
            raise UserError(f"{what} has a {name}, which loads another program; write a registered class")
        _check_vocabulary(entry, what)
        if name in _PLAIN_CLASSES or registered_name in custom_objects:
            continue
        if name == "function":
            if _is_function_of_keras(entry):
                continue
            raise UserError(f"{what} uses the function {entry['config']!r}, which is not registered; {_REGISTER}")
        if not _is_of_keras(entry):
            place = f" of {entry['module']!r}" if entry.get("module") else ""
            raise UserError(f"{what} uses the class {name!r}{place}, which is not registered; {_REGISTER}")


def _check_vocabulary(entry: Mapping[str, Any], what: str) -> None:
    """Refuses a vocabulary that is the path of a file: a model would have the content of any file of the user."""
    config = entry["config"]
    if isinstance(config, Mapping) and isinstance(config.get("vocabulary"), str):
        raise UserError(f"{what} reads the file {config['vocabulary']!r}, expected the words of a vocabulary")


def _registered_name(entry: Mapping[str, Any]) -> str | None:
    """The name under which an entry's class or function is registered; a function's is its configuration."""
    name = entry["config"] if entry["class_name"] == "function" else entry.get("registered_name")
    return name if isinstance(name, str) else None


def _is_function_of_keras(entry: Mapping[str, Any]) -> bool:
    """Whether an entry names a public function of Keras, without importing anything."""
    import keras

    # Keras imports any other module.
    if entry.get("module") != "builtins":
        return False
    modules = [getattr(keras, name) for name in _FUNCTION_MODULES]
    functions = [getattr(module, str(entry["config"]), None) for module in modules]
    return any(isinstance(function, FunctionType) for function in functions)


def _is_of_keras(entry: Mapping[str, Any]) -> bool:
    """Whether an entry names a public class of Keras, without importing anything."""
    import keras

    parts = str(entry.get("module") or "").split(".")
    if parts[0] != "keras" or entry.get("registered_name") not in (None, entry["class_name"]):
        return False
    module: Any = keras
    for part in parts[1:]:
        module = getattr(module, part, None)
    return isinstance(getattr(module, str(entry["class_name"]), None), type)


def _plain(written: Any) -> Any:
    """Without how a model was compiled, and with Python's own numbers, since YAML and JSON know no others."""
    if isinstance(written, Mapping):
        return {key: _plain(value) for key, value in written.items() if key != "compile_config"}
    if isinstance(written, list | tuple):
        return [_plain(value) for value in written]
    if isinstance(written, np.generic):
        return written.item()
    return written
