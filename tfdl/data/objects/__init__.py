"""Data that Python code passed: NumPy arrays, ``keras.utils.PyDataset``, ``tf.data.Dataset``, a ``Source``."""
