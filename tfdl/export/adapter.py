"""Writes what fine-tuning added to a run, without the weights that it started from."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import UserError
from tfdl.models.low_rank import is_low_rank
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.atomic import new_folder
from tfdl.runs.base_record import BaseRecord
from tfdl.runs.variables import by_path, write_variables

ADAPTER = "adapter.safetensors"
"""The file of the trained variables, within an adapter's folder."""


@dataclass(frozen=True)
class ExportedAdapter:
    """An adapter that was written."""

    path: Path
    parameters: int
    """The number of values in it."""
    base: BaseRecord
    """The run that it belongs to."""


def export_adapter(run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last") -> ExportedAdapter:
    """Writes the updates of low rank and a new head, with the run's configuration and assets.

    The assets have the SHA-256 of the weights that it belongs to.

    Args:
        run: a run with ``model.lora_rank``.
        directory: the new folder.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.

    Raises:
        UserError: a run without updates of low rank, or a folder that exists.
    """
    opened = RunDirectory.open(run)
    target = Path(directory)
    if getattr(opened.read_config().model, "lora_rank", None) is None:
        raise UserError(
            f"run {str(opened.path)!r} has no updates of low rank, expected one of --set model.lora_rank=8; export it"
            " as a whole"
        )
    if target.exists():
        raise UserError(f"{str(target)!r} exists, expected a new folder for the adapter")
    loaded = load_run(opened, checkpoint)
    base = BaseRecord.load(opened.assets)
    variables = {
        name: variable
        for name, variable in by_path(loaded.model.weights).items()
        if is_low_rank(name) or name in base.new
    }
    with new_folder(target) as unfinished:
        write_variables(unfinished / ADAPTER, variables)
        shutil.copy(opened.config_path, unfinished / opened.config_path.name)
        shutil.copytree(opened.assets, unfinished / opened.assets.name)
    parameters = sum(int(variable.numpy().size) for variable in variables.values())
    return ExportedAdapter(target, parameters, base)
