"""Asks a LiteRT file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfdl.errors import in_one_line
from tfdl.export.litert.conversion import MissingOperationError
from tfdl.export.litert.native_output import hidden_native_output
from tfdl.export.parity import TRAINING_PACKAGES, Arrays, answers_in_clean_process
from tfdl.tasks.served_signature import DEFAULT_SIGNATURE

_PROGRAM = """\
from ai_edge_litert.interpreter import Interpreter
try:
    interpreter = Interpreter(model_path=arguments[0])
    for case, named in inputs.items():
        answers[case] = interpreter.get_signature_runner(arguments[1])(**named)
except RuntimeError as error:
    answers = {"refusal": {"reason": numpy.array(str(error))}}
"""
_REFUSAL = "refusal"


def answers_of_litert(path: Path, samples: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """What a file answers in a separate process without tfdl and TensorFlow.

    Args:
        path: of the file.
        samples: several sets of inputs by name.

    Raises:
        MissingOperationError: LiteRT cannot run the file, such as for an operation that it has for known sizes only.
        RunError: the process failed otherwise.
    """
    hidden = (*TRAINING_PACKAGES, "tensorflow", "keras")  # a device has none of them
    answers = answers_in_clean_process("the LiteRT file", _PROGRAM, [path, DEFAULT_SIGNATURE], samples, hidden=hidden)
    if _REFUSAL in answers:
        reason = in_one_line(str(answers[_REFUSAL]["reason"]))
        raise MissingOperationError(f"LiteRT cannot run this model: {reason}")
    return answers


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
