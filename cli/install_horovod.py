"""``tfdl install-horovod``: installs Horovod for this environment's TensorFlow, from a new build or from a cache."""

import click

EPILOG = """\b
Examples:
  tfdl install-horovod              # for the GPUs of this machine, or for the CPU when it has none
  tfdl install-horovod --cpu        # without CUDA, even where there is a GPU
  tfdl install-horovod --gpu --mpi  # CUDA and NCCL, and MPI besides Gloo
  CXX=g++-13 CC=gcc-13 tfdl install-horovod
  horovodrun -np 2 tfdl train       # afterwards

\b
The first build takes about 2 minutes on 2 cores. Its wheel is kept in ~/.cache/tfdl
(or TFDL_CACHE_DIR): another environment with the same TensorFlow takes seconds.
"""

# Source of the installed package -> words for the last line.
_RESULTS = {"built": "built and installed", "cache": "installed from the cache", "environment": "already installed"}


@click.command(epilog=EPILOG)
@click.option(
    "--gpu/--cpu",
    default=None,
    help="Build for NVIDIA GPUs or for the CPU.  [default: for GPUs when this machine has one]",
)
@click.option("--mpi", is_flag=True, help="Build for MPI as well as for Gloo, which is always built.")
@click.option("--force", is_flag=True, help="Build again even when a matching build is installed or cached.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(gpu: bool | None, mpi: bool, force: bool) -> None:
    """Build Horovod against the installed TensorFlow, and prove that two ranks work.

    The build needs a C++ compiler and make. Everything else is downloaded for the build only.
    """
    from tfdl.horovod_build.install import install_horovod

    installed = install_horovod(gpu=gpu, mpi=mpi, force=force, report=click.echo)
    result = _RESULTS[installed.source]
    click.echo(f"Horovod {installed.version}: {result}, and proved, in {installed.seconds:.0f} s")
