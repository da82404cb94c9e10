"""Downloads a published model from the Hugging Face hub, into the hub's own cache."""

import re
from pathlib import Path

from tfdl.errors import RunError, UserError, first_line

# Everything that is read; never pickles.
_PATTERNS = ("*.json", "*.safetensors", "vocab.txt", "merges.txt")
# The same weights in other formats, or in folders.
_SECOND_COPIES = ("consolidated*", "*/*")
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def find_model(source: str, revision: str | None = None) -> Path:
    """The folder of a model: a local one, or the hub's in the cache.

    Args:
        source: a folder, or a name on the hub such as ``HuggingFaceTB/SmolLM2-135M``.
        revision: a branch, tag or commit on the hub.

    Raises:
        UserError: no such folder or name, or huggingface_hub is not installed.
        RunError: the hub cannot be reached.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        if revision is not None:
            raise UserError(f"--revision {revision} with the folder {source!r}, expected a name on the hub")
        return path
    is_path = source.startswith((".", "/", "~")) or path.exists() or not _NAME.fullmatch(source)
    if is_path:
        raise UserError(
            f"no folder {source!r}, expected one with config.json and model.safetensors, or a name on the hub such as"
            " HuggingFaceTB/SmolLM2-135M"
        )
    return _download(source, revision)


def _download(name: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise UserError(
            f"no folder {name!r}, and huggingface_hub, which downloads a name on the hub, is not installed: pip install"
            " 'tfdl[huggingface]'"
        ) from error
    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=list(_PATTERNS), ignore_patterns=list(_SECOND_COPIES)
        )
        return Path(folder)
    except RepositoryNotFoundError as error:
        raise UserError(
            f"no folder {name!r}, and no model of this name on the hub (or a private one: log in with `hf auth login`)"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"the model {name!r} has no revision {revision!r} on the hub") from error
    except LocalEntryNotFoundError as error:
        raise RunError(
            f"no folder {name!r}, and the hub cannot be reached, nor is the model in its cache; give a folder, or try"
            " again with a network"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise RunError(f"the model {name!r} cannot be downloaded: {first_line(error)}") from error
