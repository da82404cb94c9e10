"""What tells the folder of an adapter from others. No TensorFlow is imported."""

from pathlib import Path

ADAPTER = "adapter.safetensors"
"""The file of the trained variables, within an adapter's folder."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder is one that ``export_adapter`` wrote.

    Args:
        folder: any folder.
    """
    return (folder / ADAPTER).is_file()
