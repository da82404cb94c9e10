"""Values of a model's variables, from and to tensors of other libraries: one variable after the other."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.errors import UserError
from tfdl.interop.architectures.base import Architecture
from tfdl.interop.model_folder import Tensors
from tfdl.runs.safetensors_file import Entry, write_entries

_LISTED = 3


class WeightTable:
    """Which tensors hold the values of which variables of a model.

    Args:
        architecture: declares the rules.
        config: of the model.
        may_lack_head: whether the files may lack the variables of the architecture's head.
    """

    def __init__(self, architecture: Architecture, config: Any, may_lack_head: bool = False):
        self._architecture = architecture
        self._config = config
        self._may_lack = architecture.head if may_lack_head else ()
        self._rules = {rule.variable: rule for rule in architecture.rules(config)}

    def check(self, tensors: Tensors, model: Any) -> None:
        """Compares the names and shapes of all tensors with the model's variables, before a value is read.

        Args:
            tensors: of the files.
            model: the model, whose variables need no values.

        Raises:
            UserError: missing or unexpected tensors, or tensors of other shapes.
        """
        names = self._names_in(tensors)
        lacking = {name for variable in self.lacking(tensors) for name in self._rules[variable].tensors}
        expected = {name: shape for name, shape in self._shapes(model).items() if name not in lacking}
        missing = sorted(expected.keys() - names.keys())
        unexpected = sorted(name for name in names.keys() - expected.keys() if not self._is_ignored(name))
        if missing or unexpected:
            raise UserError(
                f"the weights do not belong to this config.json: missing: {_listed(missing)}; unexpected:"
                f" {_listed(unexpected)}"
            )
        for name, shape in expected.items():
            stored = tensors.stored[names[name]]
            if stored.shape != shape:
                raise UserError(
                    f"{names[name]} has the shape {stored.shape}, but config.json means {shape}; the files do not"
                    " belong together"
                )

    def lacking(self, tensors: Tensors) -> list[str]:
        """The variables of the head that no tensor holds, if the files may lack them.

        Args:
            tensors: of the files.
        """
        names = self._names_in(tensors)
        return [
            rule.variable
            for rule in self._rules.values()
            if self._may_lack and rule.variable.startswith(self._may_lack) and not names.keys() & {*rule.tensors}
        ]

    def load(self, tensors: Tensors, model: Any) -> None:
        """Assigns the values of checked tensors to the model's variables. A variable that the files lack keeps its own.

        Args:
            tensors: of the files.
            model: the model.
        """
        names = self._names_in(tensors)
        lacking = self.lacking(tensors)
        for variable in model.weights:
            if variable.path in lacking:
                continue
            rule = self._rules[variable.path]
            values = [tensors.read(names[name]) for name in rule.tensors]
            variable.assign(rule.layout.join(values))

    def save(self, path: Path, model: Any) -> None:
        """Writes the model's values under the names of the architecture.

        Args:
            path: the safetensors file.
            model: the model.
        """
        entries = list(self._architecture.extras(self._config))
        for variable in model.weights:
            rule = self._rules[variable.path]
            shapes = _split_shapes(rule.layout, variable.shape)
            for index, (name, shape) in enumerate(zip(rule.tensors, shapes, strict=True)):
                entries.append(Entry(name, "F32", shape, _reader(variable, rule.layout, index)))
        write_entries(path, entries, {"format": "pt"})

    def _shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        """The shape of every expected tensor."""
        by_path = {variable.path: tuple(variable.shape) for variable in model.weights}
        assert by_path.keys() == self._rules.keys(), by_path.keys() ^ self._rules.keys()
        shapes: dict[str, tuple[int, ...]] = {}
        for path, rule in self._rules.items():
            shapes |= zip(rule.tensors, _split_shapes(rule.layout, by_path[path]), strict=True)
        return shapes

    def _names_in(self, tensors: Tensors) -> dict[str, str]:
        """The architecture's name of each tensor -> its name in the files."""
        prefix = self._architecture.prefix
        has_prefix = any(name.startswith(prefix) for name in tensors.stored)
        expected = {name for rule in self._rules.values() for name in rule.tensors}
        names = {}
        for stored in tensors.stored:
            name = stored
            for old, new in self._architecture.renamed.items():
                if name.endswith(old):
                    name = name.removesuffix(old) + new
            # Files of a model without its head leave the prefix out.
            if not has_prefix and name not in expected:
                name = prefix + name
            names[name] = stored
        return names

    def _is_ignored(self, name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self._architecture.ignored)


def _split_shapes(layout: Any, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shapes of the tensors that hold a variable of this shape; nothing of that size is allocated."""
    stand_in = np.broadcast_to(np.int8(0), tuple(shape))
    return [part.shape for part in layout.split(stand_in)]


def _reader(variable: Any, layout: Any, index: int) -> Any:
    return lambda: layout.split(np.asarray(variable, np.float32))[index]


def _listed(names: list[str]) -> str:
    if not names:
        return "nothing"
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
