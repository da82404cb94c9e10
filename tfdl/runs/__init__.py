"""The files of a run: its directory with the configuration, logs, results and checkpoints."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "LoadedRun": "tfdl.runs.load",
    "Progress": "tfdl.runs.progress",
    "RunDirectory": "tfdl.runs.run_directory",
    "load_carried": "tfdl.runs.checkpoint",
    "load_checkpoint": "tfdl.runs.checkpoint",
    "load_run": "tfdl.runs.load",
    "save_checkpoint": "tfdl.runs.checkpoint",
    "weights_sha256": "tfdl.runs.digest",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.runs.checkpoint import load_carried as load_carried
    from tfdl.runs.checkpoint import load_checkpoint as load_checkpoint
    from tfdl.runs.checkpoint import save_checkpoint as save_checkpoint
    from tfdl.runs.digest import weights_sha256 as weights_sha256
    from tfdl.runs.load import LoadedRun as LoadedRun
    from tfdl.runs.load import load_run as load_run
    from tfdl.runs.progress import Progress as Progress
    from tfdl.runs.run_directory import RunDirectory as RunDirectory


__getattr__ = lazy_names(__name__, _PUBLIC)
