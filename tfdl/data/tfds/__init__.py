"""Data sets by name, through TensorFlow Datasets: found, prepared once, read record by record."""
