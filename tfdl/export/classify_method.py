"""Marks the signature that TensorFlow Serving's method ``classify`` may call."""

from pathlib import Path

from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfdl.tasks.classify_signature import CLASSIFY

_METHOD = "tensorflow/serving/classify"


def set_classify_method(folder: Path) -> None:
    """Gives the signature ``classify`` the name of its method; ``tf.saved_model.save`` knows only ``predict``.

    Args:
        folder: of a SavedModel. Without this signature nothing changes.
    """
    path = folder / "saved_model.pb"
    saved_model = SavedModel.FromString(path.read_bytes())
    signatures = saved_model.meta_graphs[0].signature_def
    if CLASSIFY in signatures:
        signatures[CLASSIFY].method_name = _METHOD
        path.write_bytes(saved_model.SerializeToString(deterministic=True))
