"""Data that Python code hands over: NumPy arrays, ``keras.utils.PyDataset``, ``tf.data.Dataset``, a ``Source``."""
