"""``tfdl install-horovod``: Horovod for this environment's TensorFlow, built once and then taken from the cache."""

import click

EPILOG = """\b
Examples:
  tfdl install-horovod              # for the GPUs of this machine, or for the CPU when it has none
  tfdl install-horovod --cpu        # without CUDA, even where there is a GPU
  tfdl install-horovod --gpu --mpi  # CUDA and NCCL, and MPI beside Gloo
  CXX=g++-13 CC=gcc-13 tfdl install-horovod
  horovodrun -np 2 tfdl train       # and then

\b
The first build takes about 2 minutes on 2 cores; its wheel is kept in ~/.cache/tfdl
(or TFDL_CACHE_DIR), so that the next environment with the same TensorFlow takes seconds.
"""


@click.command(epilog=EPILOG)
@click.option("--gpu/--cpu", default=None, help="Build for NVIDIA GPUs, or not. Default: when this machine has one.")
@click.option("--mpi", is_flag=True, help="Build for MPI as well as for Gloo, which needs nothing.")
@click.option("--force", is_flag=True, help="Build again even when a fitting build is installed or kept.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(gpu: bool | None, mpi: bool, force: bool) -> None:
    """Build Horovod against the installed TensorFlow, and prove that two ranks work.

    Nothing has to be set up by hand: besides a C++ compiler and make, what the build needs is fetched for it alone.
    """
    from tfdl.horovod_build.install import install_horovod

    installed = install_horovod(gpu=gpu, mpi=mpi, force=force, report=click.echo)
    done = {"built": "built and installed", "cache": "installed from the cache", "environment": "already installed"}
    click.echo(f"Horovod {installed.version}: {done[installed.source]}, and proved, in {installed.seconds:.0f} s")
