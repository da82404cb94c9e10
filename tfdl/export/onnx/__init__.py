"""ONNX files for onnxruntime."""
