"""From a run to what others use: files that need neither tfdl nor Horovod, and give the model's answers; adapters."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "AdapterExport": "tfdl.export.adapter",
    "HuggingFaceExport": "tfdl.export.huggingface.exporting",
    "KerasExport": "tfdl.export.keras.exporting",
    "LiteRTExport": "tfdl.export.litert.exporting",
    "OnnxExport": "tfdl.export.onnx.exporting",
    "SavedModelExport": "tfdl.export.saved_model",
    "export_adapter": "tfdl.export.adapter",
    "export_huggingface": "tfdl.export.huggingface.exporting",
    "export_keras": "tfdl.export.keras.exporting",
    "export_litert": "tfdl.export.litert.exporting",
    "export_onnx": "tfdl.export.onnx.exporting",
    "export_saved_model": "tfdl.export.saved_model",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.export.adapter import AdapterExport as AdapterExport
    from tfdl.export.adapter import export_adapter as export_adapter
    from tfdl.export.huggingface.exporting import HuggingFaceExport as HuggingFaceExport
    from tfdl.export.huggingface.exporting import export_huggingface as export_huggingface
    from tfdl.export.keras.exporting import KerasExport as KerasExport
    from tfdl.export.keras.exporting import export_keras as export_keras
    from tfdl.export.litert.exporting import LiteRTExport as LiteRTExport
    from tfdl.export.litert.exporting import export_litert as export_litert
    from tfdl.export.onnx.exporting import OnnxExport as OnnxExport
    from tfdl.export.onnx.exporting import export_onnx as export_onnx
    from tfdl.export.saved_model import SavedModelExport as SavedModelExport
    from tfdl.export.saved_model import export_saved_model as export_saved_model


__getattr__ = lazy_names(__name__, _PUBLIC)
