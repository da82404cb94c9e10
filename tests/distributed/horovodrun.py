"""Horovod's own launcher, spared one question: whether its Horovod has Gloo, for which it imports TensorFlow."""

if __name__ == "__main__":
    from horovod.runner import launch

    launch.gloo_built = lambda verbose=False: True  # noqa: ARG005
    launch.run_commandline()
