"""What stock Keras's callbacks write, for the controls: a model of 2 million weights with Adam's state, 25 MB."""

import json
from abc import ABC, abstractmethod
from pathlib import Path

import keras
import numpy as np

WIDTH = 1024


def model_with_state() -> keras.Model:
    """A compiled model whose optimizer has its variables."""
    model = keras.Sequential(
        [keras.Input((WIDTH,)), keras.layers.Dense(WIDTH, name="a"), keras.layers.Dense(WIDTH, name="b")]
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


class StockSave(ABC):
    """A way in which stock Keras saves.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.model = model_with_state()

    @abstractmethod
    def save(self) -> None:
        """Saves as the callback does; files of the save before are there."""

    @abstractmethod
    def load(self) -> None:
        """Reads what was saved, as the documentation says."""

    def is_readable(self) -> bool:
        """Whether what is there can be read."""
        try:
            self.load()
        except Exception:
            return False
        return True

    def values(self) -> list[np.ndarray]:
        """The weights that were read."""
        return [np.array(variable) for variable in self.model.variables]


class Checkpoint(StockSave):
    """``ModelCheckpoint("model.keras")``."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.path = folder / "model.keras"

    def save(self) -> None:
        self.model.save(self.path, overwrite=True)

    def load(self) -> None:
        self.model = keras.saving.load_model(self.path)


class Backup(StockSave):
    """``BackupAndRestore``; its files are named in ``paths``."""

    def __init__(self, folder: Path, double: bool = False):
        super().__init__(folder)
        self.callback = keras.callbacks.BackupAndRestore(folder, save_freq=10, double_checkpoint=double)
        self.callback.set_model(self.model)

    def save(self) -> None:
        self.callback._save_model()

    def load(self) -> None:
        self.callback.on_train_begin()
        assert json.loads((self.folder / "training_metadata.json").read_text())


class DoubleBackup(Backup):
    """The same, with ``double_checkpoint=True``."""

    def __init__(self, folder: Path):
        super().__init__(folder, double=True)


STOCK_SAVES = {
    "`ModelCheckpoint`, `.keras`": Checkpoint,
    "`BackupAndRestore`": Backup,
    "`BackupAndRestore(double_checkpoint=True)`": DoubleBackup,
}
