"""Reads ``saved_model.pb`` without loading the model."""

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfdl.errors import UserError

FILE = "saved_model.pb"
# Protocol buffers cannot be larger.
_MOST_BYTES = 2**31 - 1
_TAG = "serve"


def read_meta_graph(folder: Path) -> Any:
    """The ``MetaGraphDef`` that a server uses.

    Args:
        folder: of the SavedModel.

    Raises:
        UserError: the file is missing, damaged, or has no graph for a server, or several graphs.
    """
    path = folder / FILE
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{str(path)!r} has more than 2 GiB, expected a SavedModel's graph")
        saved_model = SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise UserError(f"{str(path)!r} is damaged: it is not a SavedModel; export the model again") from error
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}), expected a SavedModel") from error
    if len(saved_model.meta_graphs) > 1:
        # TensorFlow would load it in its old way, in which a graph's own nodes run.
        raise UserError(
            f"{str(path)!r} has {len(saved_model.meta_graphs)} graphs, expected one; export the model again"
        )
    for meta_graph in saved_model.meta_graphs:
        if _TAG in meta_graph.meta_info_def.tags:
            return meta_graph
    raise UserError(f"{str(path)!r} has no graph with the tag {_TAG!r}, expected a SavedModel for a server")
