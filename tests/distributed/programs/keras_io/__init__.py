"""Scripts as people write them with Keras, made data-parallel with tfdl's lines. Each also trains in one process."""
