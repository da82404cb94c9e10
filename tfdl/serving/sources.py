"""What is served: runs and SavedModels by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfdl.errors import UserError
from tfdl.export.earlier_export import ADAPTER_FORMAT, format_of
from tfdl.runs import RunDirectory

_MODEL_FILE = "saved_model.pb"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# A version is a positive number of 64 bits, as TensorFlow Serving has them.
_MOST_DIGITS = 18

Kind = Literal["run", "saved_model", "versions"]


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from."""

    name: str
    """In addresses."""
    path: Path
    kind: Kind
    """A run directory, one SavedModel, or a folder of versions."""

    def versions(self) -> dict[int, Path]:
        """The versions on the disk, by number. A run and a single SavedModel are one version."""
        if self.kind == "versions":
            return versions_in(self.path)
        return {version_number(self.path) or 1 if self.kind == "saved_model" else 1: self.path}


def find_sources(arguments: Sequence[str]) -> tuple[ModelSource, ...]:
    """The models that arguments name: paths, or ``NAME=PATH``.

    Args:
        arguments: of the command line.

    Raises:
        UserError: a path that is neither a run nor a SavedModel, or two models of one name.
    """
    sources: dict[str, ModelSource] = {}
    for argument in arguments:
        source = _source(argument)
        if source.name in sources:
            raise UserError(
                f"{argument!r} has the name {source.name!r}, as {str(sources[source.name].path)!r} has; give each model"
                " a name with NAME=PATH"
            )
        sources[source.name] = source
    return tuple(sources.values())


def versions_in(folder: Path) -> dict[int, Path]:
    """The SavedModels in numbered folders, by number.

    Args:
        folder: of all versions.
    """
    versions: dict[int, Path] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return versions
    for path in paths:
        number = version_number(path)
        if number is not None and (path / _MODEL_FILE).is_file():
            versions[number] = path
    return versions


def version_number(path: Path) -> int | None:
    """The number that a folder is named by, or ``None``.

    Args:
        path: of the folder.
    """
    name = path.name
    if not name.isascii() or not name.isdecimal() or len(name) > _MOST_DIGITS:
        return None
    return int(name) or None


def _source(argument: str) -> ModelSource:
    name, separator, path = argument.partition("=")
    if not separator or Path(argument).exists():
        name, path = "", argument
    elif not _NAME.fullmatch(name):
        raise UserError(f"{argument!r}: a model cannot be called {name!r}; expected letters, digits, '.', '_' and '-'")
    folder = Path(path)
    kind = _kind(folder)
    name = name or _name_of(folder)
    if not _NAME.fullmatch(name):
        raise UserError(f"{argument!r} has a name that no address can have; give it another with NAME={path}")
    return ModelSource(name, folder, kind)


def _name_of(folder: Path) -> str:
    """The folder's name; that of its parent if the folder is a version."""
    resolved = folder.resolve()
    return resolved.parent.name if version_number(resolved) else resolved.name


def _kind(folder: Path) -> Kind:
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{str(folder)!r} {found}, expected a run directory or a folder that `tfdl export` wrote")
    found = format_of(folder)
    if RunDirectory(folder).has_run() and found != ADAPTER_FORMAT:
        return "run"
    if (folder / _MODEL_FILE).is_file():
        return "saved_model"
    if versions_in(folder):
        return "versions"
    if found not in ("", "saved_model"):
        raise UserError(
            f"{str(folder)!r} is an export of the format {found}, which the server does not read; serve the run itself,"
            " or export it with --format saved_model"
        )
    raise UserError(
        f"{str(folder)!r} holds neither a run (config.yaml), nor a SavedModel (saved_model.pb), nor versions of one"
        " (1/, 2/); give a folder that `tfdl train` or `tfdl export` wrote"
    )
