"""The files of a published model: which there are, and the tensors of all weight files."""

import shlex
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.errors import UserError
from tfdl.interop.json_file import read_json
from tfdl.interop.tensor_file import StoredTensor, TensorFile

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PREPROCESSING = "preprocessor_config.json"
WRITTEN_BY = "tfdl_version"
"""Key of the ``config.json`` that an export writes; other libraries leave it out."""
# Names of every tensor of a large model.
_MOST_INDEX_BYTES = 64 * 2**20
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_LISTED = 3


class ModelFolder:
    """A folder as Hugging Face publishes models.

    Args:
        path: the folder.

    Raises:
        UserError: no such folder, or no config.json in it.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.is_dir():
            raise UserError(f"no folder {str(path)!r}, expected one with {CONFIG} and {WEIGHTS}, or a name on the hub")
        if not self.has(CONFIG):
            raise UserError(f"{str(path)!r} has no {CONFIG}, expected a folder as Hugging Face publishes models")
        self.config = read_json(path / CONFIG)

    def has(self, name: str) -> bool:
        """Whether the folder has a file of this name."""
        return (self.path / name).is_file()

    def optional_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; empty without it."""
        return read_json(self.path / name) if self.has(name) else {}

    @cached_property
    def tensors(self) -> "Tensors":
        """The tensors of all weight files.

        Raises:
            UserError: no safetensors files, or damaged ones.
        """
        if self.has(WEIGHTS):
            return Tensors([TensorFile(self.path / WEIGHTS)])
        if self.has(INDEX):
            return self._sharded_tensors()
        others = sorted(self.path.glob("*.safetensors"))
        if len(others) == 1:
            return Tensors([TensorFile(others[0])])
        pickles = [file.name for pattern in _PICKLES for file in self.path.glob(pattern)]
        if pickles:
            raise UserError(self._pickle_refusal(sorted(pickles)[0]))
        raise UserError(f"{str(self.path)!r} has no weights, expected {WEIGHTS} or {INDEX}")

    def _sharded_tensors(self) -> "Tensors":
        path = self.path / INDEX
        file_of_tensor = read_json(path, _MOST_INDEX_BYTES).get("weight_map")
        if not isinstance(file_of_tensor, dict):
            raise UserError(f"{str(path)!r} has no weight_map, expected the file of each tensor; download it anew")
        names = sorted(set(map(str, file_of_tensor.values())))
        for name in names:
            # A name with a slash would lead out of the folder.
            is_plain_name = Path(name).name == name and name.endswith(".safetensors")
            if not is_plain_name:
                raise UserError(f"{str(path)!r} names the file {name!r}, expected *.safetensors in the same folder")
            if not self.has(name):
                raise UserError(f"{str(self.path)!r} has no {name}, which {INDEX} names; download it anew")
        tensors = Tensors([TensorFile(self.path / name) for name in names])
        missing = sorted(file_of_tensor.keys() - tensors.stored.keys())
        if missing:
            raise UserError(f"the files of {str(path)!r} have no {', '.join(missing[:_LISTED])}; download them anew")
        return tensors

    def _pickle_refusal(self, name: str) -> str:
        classes = self.config.get("architectures")
        # The name becomes part of a command, so only a plain name is taken.
        named = classes[0] if isinstance(classes, list) and classes else ""
        reader = named if isinstance(named, str) and named.isidentifier() and named.isascii() else "AutoModel"
        folder = str(self.path)
        if name.startswith("pytorch_model"):
            command = f"import transformers as t; t.{reader}.from_pretrained({folder!r}).save_pretrained('NEW')"
        else:
            command = (
                "import torch, safetensors.torch as s;"
                f" s.save_file(torch.load({str(self.path / name)!r}, weights_only=True), 'NEW/{WEIGHTS}')"
            )
        return (
            f"{str(self.path / name)!r} is a pickle, which can run code when it is read; convert it to {WEIGHTS} if you"
            f" trust it: python -c {shlex.quote(command)}"
        )


class Tensors:
    """The tensors of several files.

    Args:
        files: the files.

    Raises:
        UserError: two files hold a tensor of the same name, or there is no tensor.
    """

    def __init__(self, files: list[TensorFile]):
        self._file_of: dict[str, TensorFile] = {}
        self.stored: dict[str, StoredTensor] = {}
        for file in files:
            for name, tensor in file.tensors.items():
                if name in self.stored:
                    raise UserError(f"{str(file.path)!r} holds {name}, as another file does; download the files anew")
                self.stored[name] = tensor
                self._file_of[name] = file
        if not self.stored:
            raise UserError(f"{', '.join(str(file.path) for file in files)!r} has no tensors; download it anew")

    def read(self, name: str) -> np.ndarray:
        """One tensor as float32."""
        return self._file_of[name].read(name)

    @property
    def largest(self) -> int:
        """The number of values of the largest tensor: no dimension of the model can be larger."""
        return max(tensor.size for tensor in self.stored.values())
