"""What tells the folder of an adapter from others. No TensorFlow is imported."""

from pathlib import Path

from tfdl.runs import RunDirectory

ADAPTER = "adapter.safetensors"
"""The file of the trained variables, within an adapter's folder."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder is one that ``export_adapter`` wrote.

    Args:
        folder: any folder.
    """
    return (folder / ADAPTER).is_file()


def adapter_files(run: RunDirectory) -> set[str]:
    """The names of what an adapter of a run has in its folder.

    Args:
        run: of the adapter.
    """
    assets = {f"{run.assets.name}/{path.relative_to(run.assets).as_posix()}" for path in run.assets.rglob("*")}
    return {ADAPTER, run.config_path.name, run.assets.name, *assets}
