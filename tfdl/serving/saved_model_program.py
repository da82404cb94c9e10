"""A SavedModel as a program."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfdl.errors import UserError, first_line, in_one_line
from tfdl.export.description import read_description
from tfdl.serving.program import Program, tensor_info
from tfdl.serving.saved_model_file import read_meta_graph
from tfdl.serving.signature import Signature, in_order
from tfdl.serving.trust import check_trusted


def load_saved_model_program(folder: Path, *, trust: bool) -> Program:
    """Loads a SavedModel.

    Args:
        folder: of the SavedModel.
        trust: whether a SavedModel is loaded whose operations are not known, or that tfdl did not write.

    Raises:
        UserError: it is damaged, has no signature, or is not trusted.
    """
    meta_graph = read_meta_graph(folder)
    description = read_description(folder)
    if not trust:
        check_trusted(folder, meta_graph, is_described=description is not None)
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises errors of many types for damaged files
        raise UserError(in_one_line(f"{str(folder)!r} cannot be loaded: {first_line(error)}")) from error
    functions = {name: function for name, function in loaded.signatures.items() if name in meta_graph.signature_def}
    if not functions:
        raise UserError(f"{str(folder)!r} has no signature, expected a SavedModel that was saved with signatures=")
    signatures = {}
    for name in in_order(functions):
        try:
            signatures[name] = _signature(name, functions[name], meta_graph.signature_def[name])
        except (TypeError, ValueError, AttributeError) as error:  # another program wrote it, or somebody changed it
            raise UserError(
                in_one_line(f"{str(folder)!r}: signature {name!r} has no named tensors: {first_line(error)}")
            ) from error
    return Program(signatures, functions, description or {}, owner=loaded)


def _signature(name: str, function: Any, definition: Any) -> Signature:
    _, inputs = function.structured_input_signature
    outputs = function.structured_outputs
    return Signature(
        name,
        {key: tensor_info(inputs[key], definition.inputs[key].name) for key in sorted(inputs)},
        {key: tensor_info(outputs[key], definition.outputs[key].name) for key in sorted(outputs)},
        definition.method_name,
    )
