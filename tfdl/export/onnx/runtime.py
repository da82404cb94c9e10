"""Asks ONNX files."""

from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from tfdl.export.parity import TRAINING_PACKAGES, Arrays, answers_in_clean_process

_FATAL = 4
_PROGRAM = """\
import onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(arguments[0], options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
for case, named in inputs.items():
    answers[case] = dict(zip(names, session.run(names, named)))
"""


def answers_of_onnx(path: Path, inputs: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """What an ONNX file answers in a separate process without tfdl, Horovod and TensorFlow.

    Args:
        path: of the file.
        inputs: the inputs by name, of several questions by name.

    Raises:
        RunError: onnxruntime could not load or run it.
    """
    hidden = (*TRAINING_PACKAGES, "tensorflow", "keras", "tf2onnx")
    return answers_in_clean_process("the ONNX model", _PROGRAM, [path], inputs, hidden=hidden)


class OnnxModel:
    """An ONNX file in this process.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def answers(self, inputs: Arrays) -> Arrays:
        """Outputs by name.

        Args:
            inputs: by name.
        """
        return dict(zip(self._names, self._session.run(self._names, inputs), strict=True))
