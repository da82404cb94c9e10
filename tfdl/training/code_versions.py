"""The versions of the code that computes a run."""

import keras
import tensorflow as tf

from tfdl import __version__


def code_versions() -> dict[str, str]:
    """Name -> version, of what decides the bits of a run."""
    return {"tfdl": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}


def changed_versions_note(before: dict[str, str]) -> str:
    """Reports that a run continues with other versions; empty if they are the same or not known.

    Args:
        before: as the checkpoint has them.
    """
    now = code_versions()
    changed = [f"{name} {then}, now {now[name]}" for name, then in before.items() if now.get(name, then) != then]
    if not changed:
        return ""
    return (
        f"the run was trained with {'; '.join(changed)}: its numbers may differ from those of a run that was never"
        " stopped"
    )
