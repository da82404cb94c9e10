"""Asks a LiteRT file."""

from typing import Any

import numpy as np

from tfdl.errors import UserError
from tfdl.export.litert.native_output import hidden_native_output
from tfdl.export.parity import Arrays, answers_in_clean_process
from tfdl.tasks.served_signature import DEFAULT_SIGNATURE

# Every key of `inputs` is the number of a sample; all are asked of one signature.
_PROGRAM = """\
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=arguments[0])
for number, named in inputs.items():
    answers[number] = interpreter.get_signature_runner(arguments[1])(**named)
"""
# TensorFlow is hidden, since a device has none.
_HIDDEN = ("tfdl", "horovod", "__editable__", "tensorflow", "keras")


def check_installed() -> None:
    """Checks that LiteRT can be asked.

    Raises:
        UserError: its package is missing.
    """
    try:
        import ai_edge_litert  # noqa: F401
    except ImportError as error:
        raise UserError(
            "the format litert checks its files with the package ai-edge-litert, which is not installed; pip install"
            " 'tfdl[litert]'"
        ) from error


def answers_of_litert(path: Any, samples: list[Arrays]) -> list[Arrays]:
    """What a file answers in a separate process without tfdl and TensorFlow.

    Args:
        path: of the file.
        samples: inputs by name.

    Raises:
        RunError: the process could not load or ask the file.
    """
    inputs = {str(number): sample for number, sample in enumerate(samples)}
    answers = answers_in_clean_process("the LiteRT file", _PROGRAM, [path, DEFAULT_SIGNATURE], inputs, hidden=_HIDDEN)
    return [answers[number] for number in inputs]


class LiteRTModel:
    """A file that is asked in this process.

    Args:
        content: of the file.
        one_row: whether it takes one row at a time.
    """

    def __init__(self, content: bytes, *, one_row: bool):
        from ai_edge_litert.interpreter import Interpreter

        with hidden_native_output():
            self._runner = Interpreter(model_content=content).get_signature_runner(DEFAULT_SIGNATURE)
        self._one_row = one_row

    def answers(self, inputs: Arrays) -> Arrays:
        """Outputs by name.

        Args:
            inputs: by name, with any number of rows.
        """
        if not self._one_row:
            return self._ask(inputs)
        count = len(next(iter(inputs.values())))
        rows = [self._ask({name: values[row : row + 1] for name, values in inputs.items()}) for row in range(count)]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def _ask(self, inputs: Arrays) -> Arrays:
        with hidden_native_output():  # LiteRT makes its kernels in the first call
            return dict(self._runner(**inputs))
