"""What every architecture declares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfdl.config import ModelConfig
from tfdl.interop.layouts import SAME, Layout
from tfdl.interop.settings import Settings
from tfdl.runs.safetensors_file import Entry


@dataclass(frozen=True)
class Rule:
    """One variable of a tfdl model, and the tensors that hold its values."""

    variable: str
    """The variable's path."""
    tensors: tuple[str, ...]
    layout: Layout = SAME


@dataclass(frozen=True)
class Description:
    """A published model, in tfdl's words."""

    model: ModelConfig
    data: Mapping[str, Any]
    """Data arguments of ``tfdl.build_model``."""


@dataclass(frozen=True)
class Architecture:
    """A model of another library: how its configuration and its tensors are read and written."""

    model_type: str
    """``model_type`` in config.json."""
    classes: tuple[str, ...]
    """Classes of transformers whose files are read; the first one is what an export names."""
    task: str
    """The task of a run."""
    read: Callable[[Settings], Description]
    """Config.json to the model."""
    write: Callable[[Any, Mapping[str, Any]], dict[str, Any]]
    """The model and its data arguments to config.json, without ``model_type`` and ``architectures``."""
    rules: Callable[[Any], Iterable[Rule]]
    """The model's table of variables and tensors."""
    misfit: Callable[[Any], str]
    """What a tfdl model has that this architecture has not, such as ``model.scale_embeddings=true``; empty if it
    fits."""
    headless: tuple[str, ...] = ()
    """Classes of transformers without the head of the task, or with another one."""
    head: tuple[str, ...] = ()
    """Beginnings of variables that files of these classes lack; they start with new values."""
    prefix: str = ""
    """What the names of tensors begin with; some files leave it out."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Ends of names in old files -> today's."""
    extras: Callable[[Any], Iterable[Entry]] = lambda config: ()  # noqa: ARG005
    """Tensors that transformers expects of a model, and tfdl has not."""
    ignored: Sequence[str] = ()
    """Patterns (``re``) of tensors that are no weights, or weights of another head."""


def zeros(name: str, shape: tuple[int, ...], dtype: str = "F32") -> Entry:
    """A tensor of zeros to write.

    Args:
        name: of the tensor.
        shape: of the tensor.
        dtype: ``F32`` or ``I64``.
    """
    numpy_dtype = {"F32": np.float32, "I64": np.int64}[dtype]
    return Entry(name, dtype, shape, lambda: np.zeros(shape, numpy_dtype))


def rules_of_blocks(count: int, block: str, theirs: str, table: Mapping[str, Any]) -> Iterable[Rule]:
    """The rules of repeated layers.

    Args:
        count: number of layers.
        block: the name of a layer here, with ``{}`` for its number, from 1 on.
        theirs: the beginning of a tensor's name there, with ``{}`` for its number, from 0 on.
        table: variable in the layer -> a tensor's name, or the names of several and their layout.
    """
    for number in range(count):
        for variable, entry in table.items():
            names, layout = (entry, SAME) if isinstance(entry, str) else entry
            names = (names,) if isinstance(names, str) else names
            tensors = tuple(f"{theirs.format(number)}{name}" for name in names)
            yield Rule(f"{block.format(number + 1)}/{variable}", tensors, layout)


def inverse(names: Mapping[str, str]) -> dict[str, str]:
    """tfdl's name -> Hugging Face's; the first of several that mean the same.

    Args:
        names: Hugging Face's name -> tfdl's.
    """
    return {ours: theirs for theirs, ours in reversed(list(names.items()))}


def first_difference(config: Any, **expected: Any) -> str:
    """The first field of a configuration that differs from the expected value, as ``model.FIELD=VALUE``.

    Args:
        config: a model's configuration.
        **expected: field -> value, or a tuple of values that are accepted.
    """
    for name, accepted in expected.items():
        value = getattr(config, name)
        values = accepted if isinstance(accepted, tuple) else (accepted,)
        if value not in values:
            return f"model.{name}={value}"
    return ""
