"""The command line: options in, one line and an exit code out. Imports TensorFlow inside command bodies only."""
