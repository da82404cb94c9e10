"""What a fine-tuned run knows of the run whose weights it started from."""

from dataclasses import asdict, dataclass
from pathlib import Path

from tfdl.errors import RunError, UserError
from tfdl.json_files import JsonValues
from tfdl.runs.atomic import write_json

ASSET = "initial_checkpoint.json"
"""The file, within a run's assets."""


@dataclass(frozen=True)
class BaseRecord:
    """The run that another one started from."""

    run: str
    """Its path, as the user gave it."""
    checkpoint: str
    """The name of the checkpoint's folder."""
    new: tuple[str, ...]
    """Variables of the fine-tuned run that do not come from it."""
    trained: tuple[str, ...]
    """Variables that come from it and are trained."""
    sha256: str
    """Of the variables that come from it and are not trained (``sha256_of_variables``), in the model's order."""

    def save(self, assets: Path) -> None:
        """Writes the record.

        Args:
            assets: of the fine-tuned run.
        """
        write_json(assets / ASSET, asdict(self))

    @classmethod
    def load(cls, assets: Path) -> "BaseRecord":
        """Reads the record.

        Args:
            assets: of the fine-tuned run.

        Raises:
            RunError: it is missing or damaged.
        """
        try:
            values = JsonValues.of_file(assets / ASSET, "copy the run again")
            names = values.texts("new"), values.texts("trained")
            return cls(values.text("run"), values.text("checkpoint"), *names, values.text("sha256"))
        except UserError as error:
            raise RunError(str(error)) from error
