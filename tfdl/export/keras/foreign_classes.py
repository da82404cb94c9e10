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
    name = serialized.get("class_name")
    # Keras registers the user's classes and functions as PACKAGE>NAME. A function's name is its configuration.
    registered_name = serialized.get("config" if name == "function" else "registered_name")
    is_registered = ">" in str(registered_name)
    if name is not None and (is_registered or module.split(".")[0] not in _OWN_MODULES or name == "Lambda"):
        yield str(registered_name or name).split(">")[-1]
    for value in serialized.values():
        yield from _foreign(value)
