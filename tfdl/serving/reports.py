"""What a server says about its models, as TensorFlow Serving's messages in JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfdl.serving.model import Model
from tfdl.serving.signature import Signature, TensorInfo
from tfdl.serving.version import Version
from tfdl.serving.version_state import VersionState

_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


def status_report(states: Sequence[VersionState]) -> dict[str, Any]:
    """A ``GetModelStatusResponse``.

    Args:
        states: of the versions.
    """
    return {
        "model_version_status": [
            {
                "version": str(state.number),
                "state": state.state,
                "status": {"error_code": "UNKNOWN" if state.error else "OK", "error_message": state.error},
            }
            for state in states
        ]
    }


def metadata_report(model: Model, version: Version) -> dict[str, Any]:
    """A ``GetModelMetadataResponse``.

    Args:
        model: the model.
        version: the version that was asked for, or the newest.
    """
    signatures = {name: _signature(signature) for name, signature in version.program.signatures.items()}
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(version.number)},
        "metadata": {"signature_def": {"@type": _TYPE, "signature_def": signatures}},
    }


def overview(models: Mapping[str, Model]) -> dict[str, Any]:
    """All models that are loaded, and what their exports say about themselves. TensorFlow Serving has no such report.

    Args:
        models: by name.
    """
    return {"models": [_overview(model) for model in models.values() if model.numbers]}


def _overview(model: Model) -> dict[str, Any]:
    with model.use(None) as version:
        program = version.program
        signatures = {
            name: {
                "inputs": {key: _tensor_overview(info) for key, info in signature.inputs.items()},
                "outputs": {key: _tensor_overview(info) for key, info in signature.outputs.items()},
            }
            for name, signature in program.signatures.items()
        }
        return {
            "name": model.name,
            "version": version.number,
            "versions": model.numbers,
            "writes_texts": program.writer is not None or "generate" in program.signatures,
            "streams": program.writer is not None,
            "description": dict(program.description),
            "signatures": signatures,
        }


def _tensor_overview(info: TensorInfo) -> dict[str, Any]:
    return {"dtype": info.dtype, "shape": None if info.shape is None else list(info.shape)}


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {name: _tensor(info) for name, info in signature.inputs.items()},
        "outputs": {name: _tensor(info) for name, info in signature.outputs.items()},
        "method_name": signature.method,
    }


def _tensor(info: TensorInfo) -> dict[str, Any]:
    sizes = [{"size": str(-1 if size is None else size), "name": ""} for size in info.shape or ()]
    return {
        "dtype": f"DT_{_proto_name(info.dtype)}",
        "tensor_shape": {"dim": sizes, "unknown_rank": info.shape is None},
        "name": info.tensor_name,
    }


def _proto_name(dtype: str) -> str:
    names: dict[str, str] = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}
    return names.get(dtype) or tf.as_dtype(dtype).name.upper()
