"""Scripts as people write them with Keras, made data-parallel with tfdl's lines; each trains alone just as well."""
