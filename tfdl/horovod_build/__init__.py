"""Builds Horovod for the installed TensorFlow, installs it, and proves that it works."""
