"""Which classes of a model Keras does not have."""

from collections.abc import Iterator
from typing import Any

import keras

_OWN_MODULES = ("keras", "builtins")


def foreign_classes(model: keras.Model) -> list[str]:
    """The classes and functions of a model's file that loading it would need code for, by name.

    Args:
        model: a Keras model.
    """
    return sorted(set(_foreign(keras.saving.serialize_keras_object(model))))


def _foreign(serialized: Any) -> Iterator[str]:
    if isinstance(serialized, list | tuple):
        for value in serialized:
            yield from _foreign(value)
    if not isinstance(serialized, dict):
        return
    module = str(serialized.get("module") or "keras")
    is_registered = ">" in str(serialized.get("registered_name"))
    name = serialized.get("class_name")
    if name is not None and (is_registered or module.split(".")[0] not in _OWN_MODULES or name == "Lambda"):
        # Of a function, the name is in its configuration.
        config = serialized.get("config")
        yield str(config if name == "function" and isinstance(config, str) else name)
    for value in serialized.values():
        yield from _foreign(value)
