"""LiteRT (TensorFlow Lite) files for phones and small devices, and what lower precisions cost in accuracy."""
