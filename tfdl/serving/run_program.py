"""A trained run as a program, with the signatures that its export would have."""

from pathlib import Path

from tfdl.export.description import describe
from tfdl.inference.generation.served_generation import generation_signatures
from tfdl.runs import LoadedRun, RunDirectory, load_run
from tfdl.serving.program import Program, tensor_info
from tfdl.serving.signature import CLASSIFY, PREDICT, Signature, in_order
from tfdl.serving.text_writer import TextWriter
from tfdl.tasks import classify_signature
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.translation import Translation


def load_run_program(path: Path, checkpoint: str) -> Program:
    """Loads a run.

    It computes in the precision of an export, so that it gives the same answers.

    Args:
        path: the run directory.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.

    Raises:
        UserError: not a run directory, no such checkpoint, or parts of a plugin that was not imported.
        RunError: a damaged checkpoint.
    """
    config = RunDirectory.open(path).read_config()
    precision = "float64" if config.precision == "float64" else "float32"
    return program_of_run(load_run(path, checkpoint, precision=precision, merged=True))


def program_of_run(loaded: LoadedRun) -> Program:
    """The signatures of a run's export, computed by its model.

    Args:
        loaded: the run.
    """
    served = loaded.task.signatures() | generation_signatures(loaded.model, loaded.task)
    functions = {name: signature.graph(loaded.model) for name, signature in served.items()}
    signatures = {}
    for name in in_order(functions):
        function = functions[name]
        inputs = served[name].inputs
        outputs = function.structured_outputs
        signatures[name] = Signature(
            name,
            {key: tensor_info(inputs[key], f"{name}_{key}:0") for key in sorted(inputs)},
            {
                key: tensor_info(outputs[key], f"StatefulPartitionedCall:{number}")
                for number, key in enumerate(sorted(outputs))
            },
            CLASSIFY if name == classify_signature.CLASSIFY else PREDICT,
        )
    writer = None
    if isinstance(loaded.task, LanguageModeling | Translation):
        writer = TextWriter(loaded.model, loaded.task)
    return Program(signatures, functions, describe(loaded), writer, owner=loaded)
