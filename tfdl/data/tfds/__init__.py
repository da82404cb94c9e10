"""Data sets by name, through TensorFlow Datasets (TFDS)."""
