"""Which data set a name or a path means."""

from pathlib import Path

from tfdl.config import DATASETS


def data_set_key(name: str) -> str:
    """A text that is the same for two names or paths of one data set.

    Args:
        name: a run's ``dataset.name``.
    """
    try:
        path = Path(name).expanduser()
        is_path = name not in DATASETS and ("/" in name or path.exists())
        return str(path.resolve()) if is_path else name
    except (OSError, RuntimeError, ValueError):
        return name  # a damaged file may have any text; links may lead in a circle
