"""The files of an adapter: what an import needs, and no path of the machine that wrote them."""

from dataclasses import replace
from pathlib import Path

import yaml

from tfdl.interop.adapter_folder import ADAPTER
from tfdl.interop.without_paths import base_name, without_paths
from tfdl.models.low_rank import is_low_rank
from tfdl.runs import RunDirectory
from tfdl.runs.atomic import write_text
from tfdl.runs.base_record import BaseRecord
from tfdl.runs.load import LoadedRun
from tfdl.runs.variables import by_path, write_variables


def write_adapter_files(folder: Path, loaded: LoadedRun, base: BaseRecord) -> int:
    """Writes what was trained, the configuration, what the task needs, and a record of the base.

    Args:
        folder: an existing empty folder.
        loaded: the run, with updates of low rank.
        base: what the run knows of the run that it started from.

    Returns:
        The number of values that were trained.
    """
    target = RunDirectory(folder)
    variables = {
        name: variable
        for name, variable in by_path(loaded.model.weights).items()
        if is_low_rank(name) or name in (*base.new, *base.trained)
    }
    write_variables(folder / ADAPTER, variables)
    write_text(target.config_path, yaml.safe_dump(without_paths(loaded.config), sort_keys=False))
    target.assets.mkdir()
    loaded.task.save(target.assets)
    replace(base, run=base_name(base.run)).save(target.assets)
    return sum(int(variable.numpy().size) for variable in variables.values())
