"""tfdl's models as models of Keras's own layers and operations."""
