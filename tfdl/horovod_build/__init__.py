"""Building Horovod against the installed TensorFlow: what it needs, what it is made of, and the proof that it works."""
